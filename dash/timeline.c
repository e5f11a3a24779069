/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Periods, tracks and renditions of an MPD: who inherits what from whom
 * (ISO/IEC 23009-1 5.3.2 to 5.3.9).  The segments are laid out by
 * timeline_segments.c.
 */
#include "dash/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "dash/timeline_build.h"
#include "dash/timeline_kind.h"

#define MOST_BASES 1000 /* of one level that are looked at: they may all name the same place */

/* The alternatives at one level of BaseURLs. */
struct bases {
	struct timeline_base v[TIMELINE_MAX_BASES];
	size_t n;
	double availability_offset; /* of the first, with its parents' */
	double partial_offset;      /* the same, and what is there in part */
};

/* What a level hands down. */
struct level {
	struct bases bases;
	struct mpd_segments segments; /* shallow: its pointers belong to the mpd */
};

/* --- BaseURL ------------------------------------------------------------------------- */

static void free_bases(struct bases *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->v[i].url);
		free(b->v[i].service_location);
	}
	b->n = 0;
}

static void add_base(struct bases *to, char *url, const char *service_location)
{
	bool known = url == NULL || to->n == TIMELINE_MAX_BASES;

	for (size_t i = 0; i < to->n && !known; i++)
		known = strcmp(to->v[i].url, url) == 0;
	if (known)
		free(url);
	else
		to->v[to->n++] = (struct timeline_base){url, mem_dup(service_location)};
}

static void copy_bases(const struct bases *from, struct bases *to)
{
	for (size_t i = 0; i < from->n; i++)
		add_base(to, mem_dup(from->v[i].url), from->v[i].service_location);
	to->availability_offset = from->availability_offset;
	to->partial_offset = from->partial_offset;
}

/* Those without a priority first; of one priority as written. */
static int by_priority(const void *a, const void *b)
{
	const struct mpd_base_url *x = *(const struct mpd_base_url *const *)a, *y = *(const struct mpd_base_url *const *)b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void join_all(const struct bases *parent, const struct mpd_base_url *b, struct bases *to)
{
	for (size_t i = 0; i < parent->n; i++)
		add_base(to, timeline_lead_url(parent->v[i].url, b->url != NULL ? b->url : ""),
		         b->service_location != NULL ? b->service_location : parent->v[i].service_location);
}

/* Every BaseURL of this level against every one of the level above (5.6.4),
 * in order of DVB's priority, then as written. */
static int inherit_bases(const struct bases *parent, const struct mpd_base_urls *list, struct bases *to)
{
	const struct mpd_base_url **order;

	if (list->n == 0) {
		copy_bases(parent, to);
		return 0;
	}
	order = mem_new_array(list->n, sizeof *order);
	for (size_t i = 0; i < list->n; i++)
		order[i] = &list->v[i];
	qsort(order, list->n, sizeof *order, by_priority);
	for (size_t i = 0; i < list->n && i < MOST_BASES && to->n < TIMELINE_MAX_BASES; i++)
		join_all(parent, order[i], to);
	free(order);
	to->availability_offset = parent->availability_offset;
	to->partial_offset = parent->partial_offset;
	if (list->v[0].has_availability_offset) {
		to->partial_offset += list->v[0].availability_offset;
		if (!list->v[0].has_availability_complete || list->v[0].availability_complete)
			to->availability_offset += list->v[0].availability_offset;
	}
	return to->n > 0 ? 0 : ERR_SYNTAX;
}

/* --- SegmentBase, SegmentList, SegmentTemplate --------------------------------------- */

#define TAKE(has, field)                                                                           \
	do {                                                                                       \
		if (from->has) {                                                                   \
			to->has = true;                                                            \
			to->field = from->field;                                                   \
		}                                                                                  \
	} while (0)
#define TAKE_TEXT(field) (to->field = from->field != NULL ? from->field : to->field)

/* Attribute by attribute and element by element, of the same kind (5.3.9.1). */
static void inherit_segments(const struct mpd_segments *from, struct mpd_segments *to)
{
	if (from->kind == MPD_NONE)
		return;
	if (from->kind != to->kind) {
		*to = *from;
		return;
	}
	TAKE(has_timescale, timescale);
	TAKE(has_pto, pto);
	TAKE(has_duration, duration);
	TAKE(has_start_number, start_number);
	TAKE(has_end_number, end_number);
	TAKE(has_end_sub_number, end_sub_number);
	TAKE(has_k, k);
	TAKE(has_index_range, index_range);
	TAKE(has_availability_offset, availability_offset);
	TAKE(has_availability_complete, availability_complete);
	TAKE(has_ept_delta, ept_delta);
	TAKE(has_timeline, timeline);
	TAKE(initialization.present, initialization);
	TAKE(representation_index.present, representation_index);
	TAKE_TEXT(media);
	if (from->initialization.present)
		to->init = NULL; /* an element of this level against an attribute of one above */
	TAKE_TEXT(init);
	TAKE_TEXT(index);
	TAKE_TEXT(xlink_href);
	if (from->has_timeline) {
		to->n_timeline = from->n_timeline;
		to->patterns = from->patterns;
		to->n_patterns = from->n_patterns;
	} else if (from->has_duration) {
		to->has_timeline = false; /* one or the other (5.3.9.2.2), and the lower level is stronger */
	}
	if (from->n_urls > 0) {
		to->urls = from->urls;
		to->n_urls = from->n_urls;
	}
	to->line = from->line;
}

static int descend(const struct level *parent, const struct mpd_base_urls *bases, const struct mpd_segments *segments,
                   struct level *ret_level)
{
	*ret_level = (struct level){.segments = parent->segments};
	inherit_segments(segments, &ret_level->segments);
	return inherit_bases(&parent->bases, bases, &ret_level->bases);
}

/* --- renditions and tracks ----------------------------------------------------------- */

#define FIRST(a, b) ((a) != 0 ? (a) : (b))

static void describe(struct timeline_rendition *r)
{
	const struct mpd_common *own = &r->representation->common, *set = &r->set->common;

	r->mime_type = mem_dup(own->mime_type != NULL ? own->mime_type : set->mime_type);
	r->codecs = mem_dup(own->codecs != NULL ? own->codecs : set->codecs);
	r->bandwidth = r->representation->bandwidth;
	r->width = FIRST(own->width, set->width);
	r->height = FIRST(own->height, set->height);
	r->audio_sampling_rate = FIRST(own->audio_sampling_rate, set->audio_sampling_rate);
	r->channels = timeline_channels(own->audio_channels.n > 0 ? &own->audio_channels : &set->audio_channels);
	r->frame_rate = own->frame_rate.den != 0 ? own->frame_rate : set->frame_rate;
	r->sar = own->sar.den != 0 ? own->sar : set->sar;
}

/* The bases become the rendition's. */
static void take_bases(struct level *level, struct timeline_build *b, struct timeline_rendition *r)
{
	r->n_bases = level->bases.n;
	r->bases = mem_new_array(r->n_bases, sizeof *r->bases);
	for (size_t i = 0; i < r->n_bases; i++) {
		r->bases[i] = level->bases.v[i];
		b->n_url_bytes += strlen(r->bases[i].url);
	}
	level->bases.n = 0;
}

static int build_rendition(struct timeline_build *b, const struct timeline_period *period, const struct level *above,
                           struct timeline_rendition *r)
{
	const struct mpd_representation *rep = r->representation;
	struct timeline_layout l = {.build = b, .period = period, .rendition = r};
	struct level level;
	int e = descend(above, &rep->base_urls, &rep->segments, &level);

	describe(r);
	if (e != 0)
		return fault_set(b->fault, e, _("line %u: none of its BaseURLs can be used"), rep->line);
	l.availability_offset = level.bases.availability_offset;
	l.partial_offset = level.bases.partial_offset;
	if (level.segments.has_availability_offset) {
		l.partial_offset += level.segments.availability_offset;
		if (!level.segments.has_availability_complete || level.segments.availability_complete)
			l.availability_offset += level.segments.availability_offset;
	}
	l.segments = level.segments;
	take_bases(&level, b, r);
	if (b->n_url_bytes > TIMELINE_MAX_URL_BYTES)
		return fault_set(b->fault, ERR_LIMIT, _("line %u: the BaseURLs are too long and too many"), rep->line);
	return timeline_lay_out(&l);
}

static int by_bandwidth(const void *a, const void *b)
{
	const struct timeline_rendition *x = a, *y = b;

	if (x->bandwidth != y->bandwidth)
		return x->bandwidth < y->bandwidth ? -1 : 1;
	/* as written */
	return x->representation < y->representation ? -1 : x->representation > y->representation;
}

static const char *or_question(const char *s)
{
	return s != NULL ? s : "?";
}

/* One bad rendition does not take the others with it. */
static void leave_out(struct timeline_build *b, const struct timeline_period *period, struct timeline_rendition *r)
{
	struct fault f = *b->fault;

	fault_prefix(&f, _("AdaptationSet \"%s\" (line %u): Representation \"%s\" (line %u)"), or_question(r->set->id),
	             r->set->line, or_question(r->representation->id), r->representation->line);
	fault_prefix(&f, _("Period \"%s\" (line %u)"), or_question(period->period->id), period->period->line);
	if (b->first.code == 0)
		b->first = f;
	r->fault = mem_dup(fault_text(&f));
	r->n_segments = 0;
	r->needs_index = false;
	if (r->timescale == 0)
		r->timescale = 1;
	*b->fault = (struct fault){0};
}

static int build_renditions(struct timeline_build *b, const struct timeline_period *period, const struct level *above,
                            struct timeline_track *t)
{
	for (size_t i = 0; i < t->set->n_representations; i++) {
		const struct mpd_representation *rep = &t->set->representations[i];
		struct timeline_rendition *r = &t->renditions[t->n_renditions++];
		int e;

		r->representation = rep;
		r->set = t->set;
		e = build_rendition(b, period, above, r);
		if (e == ERR_LIMIT || e == -ENOMEM) {
			fault_prefix(b->fault, _("Representation \"%s\" (line %u)"), or_question(rep->id), rep->line);
			return e;
		}
		if (e != 0)
			leave_out(b, period, r);
		else
			b->n_good++;
	}
	qsort(t->renditions, t->n_renditions, sizeof *t->renditions, by_bandwidth);
	return 0;
}

static int build_track(struct timeline_build *b, const struct timeline_period *period, const struct level *above,
                       struct timeline_track *t)
{
	const struct mpd_set *set = t->set;
	struct level level;
	int e = descend(above, &set->base_urls, &set->segments, &level);

	t->renditions = mem_new_array(set->n_representations, sizeof *t->renditions);
	if (e != 0)
		fault_set(b->fault, e, _("none of its BaseURLs can be used"));
	else
		e = build_renditions(b, period, &level, t);
	free_bases(&level.bases);
	t->kind = timeline_kind_of(set);
	if (e != 0)
		fault_prefix(b->fault, _("AdaptationSet \"%s\" (line %u)"), or_question(set->id), set->line);
	return e;
}

/* --- periods ------------------------------------------------------------------------- */

static int build_tracks(struct timeline_build *b, const struct level *above, struct timeline_period *p)
{
	const struct mpd_period *from = p->period;
	struct level level;
	int e = descend(above, &from->base_urls, &from->segments, &level);

	p->tracks = mem_new_array(from->n_sets, sizeof *p->tracks);
	if (e != 0)
		fault_set(b->fault, e, _("none of its BaseURLs can be used"));
	for (size_t i = 0; i < from->n_sets && e == 0; i++) {
		struct timeline_track *t = &p->tracks[p->n_tracks];

		/* An empty set offers nothing, unless its content is elsewhere. */
		if (from->sets[i].n_representations == 0 && from->sets[i].xlink_href == NULL)
			continue;
		t->set = &from->sets[i];
		p->n_tracks++;
		e = build_track(b, p, &level, t);
	}
	free_bases(&level.bases);
	if (e != 0)
		fault_prefix(b->fault, _("Period \"%s\" (line %u)"), or_question(from->id), from->line);
	return e;
}

static bool is_elsewhere(const struct mpd_period *p)
{
	return p->xlink_href != NULL && p->n_sets == 0 && !p->has_duration;
}

/* 5.3.2.1: its own @start, or the end of the one before, or 0 for the first. */
static int find_start(const struct timeline_build *b, size_t i, const struct timeline_period *former, dur_us *ret_start)
{
	const struct mpd_period *p = &b->mpd->periods[i];

	if (p->has_start) {
		*ret_start = p->start;
	} else if (former == NULL) {
		*ret_start = 0;
	} else if (is_elsewhere(former->period)) {
		*ret_start = former->start; /* until it is resolved it takes no time */
	} else if (!former->period->has_duration) {
		return ERR_NOT_FOUND;
	} else if ((*ret_start = former->start + former->period->duration) > MPD_MAX_TIME) {
		return fault_set(b->fault, ERR_OUT_OF_RANGE, _("Period \"%s\" (line %u): starts past all time"),
		                 or_question(p->id), p->line);
	}
	if (former != NULL && *ret_start < former->start)
		return fault_set(b->fault, ERR_SYNTAX, _("Period \"%s\" (line %u): starts before the Period in front of it"),
		                 or_question(p->id), p->line);
	return 0;
}

static bool is_removed(const struct mpd_period *p)
{
	return p->xlink_href != NULL && strcmp(p->xlink_href, "urn:mpeg:dash:resolve-to-zero:2013") == 0;
}

/* Places the Periods on the presentation's time; those announced early, without a start yet, end the list. */
static int place_periods(struct timeline_build *b, struct timeline *t)
{
	const struct mpd *mpd = b->mpd;

	for (size_t i = 0; i < mpd->n_periods; i++) {
		struct timeline_period *p = &t->periods[t->n_periods];
		int e;

		if (is_removed(&mpd->periods[i]))
			continue;
		e = find_start(b, i, t->n_periods > 0 ? p - 1 : NULL, &p->start);
		if (e == ERR_NOT_FOUND && mpd->dynamic)
			break;
		if (e == ERR_NOT_FOUND)
			return fault_set(b->fault, ERR_SYNTAX,
			                 _("Period \"%s\" (line %u): nothing says when it starts: it has no @start and the Period "
			                 "before it no @duration"),
			                 or_question(mpd->periods[i].id), mpd->periods[i].line);
		if (e != 0)
			return e;
		p->period = &mpd->periods[i];
		p->id = mem_dup(p->period->id);
		t->n_periods++;
	}
	return t->n_periods > 0 ? 0 : fault_set(b->fault, ERR_SYNTAX, _("the MPD has no Period"));
}

/* Up to the next Period or the end of the presentation, or shorter when it says so. */
static dur_us find_duration(const struct timeline_build *b, const struct timeline *t, size_t i)
{
	const struct timeline_period *p = &t->periods[i];
	dur_us until = -1;

	if (i + 1 < t->n_periods)
		until = p[1].start - p->start;
	else if (b->mpd->has_duration && (!b->mpd->dynamic || !b->mpd->has_minimum_update || !p->period->has_duration))
		until = b->mpd->duration > p->start ? b->mpd->duration - p->start : 0;
	if (p->period->has_duration && (until < 0 || p->period->duration < until))
		return p->period->duration;
	return until;
}

/* A static Period that states no duration is as long as its longest rendition. */
static dur_us measure(const struct timeline_period *p)
{
	timeline_wide longest = -1;

	for (size_t i = 0; i < p->n_tracks; i++) {
		for (size_t j = 0; j < p->tracks[i].n_renditions; j++) {
			const struct timeline_rendition *r = &p->tracks[i].renditions[j];
			const struct timeline_segment *last;
			timeline_wide end;

			if (r->n_segments == 0)
				continue;
			last = &r->segments[r->n_segments - 1];
			if (last->start == 0 && last->duration == 0)
				continue; /* a whole file of unknown length */
			end = ((timeline_wide)last->start + last->duration) * DUR_S / r->timescale;
			if (end > longest && end < INT64_MAX)
				longest = end;
		}
	}
	return (dur_us)longest;
}

static int build(struct timeline_build *b, const char *url, struct timeline *t)
{
	struct level top = {.bases.n = 0};
	struct bases found = {.n = 0};
	int e = place_periods(b, t);

	for (size_t i = 0; i < t->n_periods && e == 0; i++)
		t->periods[i].duration = find_duration(b, t, i);
	if (e != 0)
		return e;
	add_base(&found, timeline_join_url(url, ""), NULL);
	b->url = found.n > 0 ? found.v[0].url : "";
	if (found.n == 0 || inherit_bases(&found, &b->mpd->base_urls, &top.bases) != 0)
		e = fault_set(b->fault, ERR_SYNTAX, _("neither the MPD's own address \"%.200s\" nor its BaseURLs can be used"), url);
	for (size_t i = 0; i < t->n_periods && e == 0; i++)
		e = build_tracks(b, &top, &t->periods[i]);
	free_bases(&found);
	free_bases(&top.bases);
	if (e == 0 && b->n_good == 0 && b->first.code != 0) {
		*b->fault = b->first;
		e = b->first.code;
	}
	return e;
}

static void find_total(const struct mpd *mpd, struct timeline *t)
{
	struct timeline_period *last = &t->periods[t->n_periods - 1];

	if (last->duration < 0 && !mpd->dynamic)
		last->duration = measure(last);
	t->duration = -1;
	if (mpd->has_duration)
		t->duration = mpd->duration;
	else if (last->duration >= 0 && !(mpd->dynamic && mpd->has_minimum_update) &&
	         __builtin_add_overflow(last->start, last->duration, &t->duration))
		t->duration = -1;
}

int timeline_new(const struct mpd *mpd, const char *url, wall_us now, struct timeline **ret_timeline, struct fault *f)
{
	struct fault unused = {0};
	struct timeline_build b = {.mpd = mpd, .now = now, .fault = f != NULL ? f : &unused};
	struct timeline *t = mem_new(sizeof *t);
	int e;

	t->dynamic = mpd->dynamic;
	t->periods = mem_new_array(mpd->n_periods + 1, sizeof *t->periods);
	e = build(&b, url, t);
	if (e != 0) {
		timeline_free(&t);
		return e;
	}
	find_total(mpd, t);
	*ret_timeline = t;
	return 0;
}

static void free_rendition(struct timeline_rendition *r)
{
	for (size_t i = 0; i < r->n_bases; i++) {
		free(r->bases[i].url);
		free(r->bases[i].service_location);
	}
	free(r->bases);
	free(r->mime_type);
	free(r->codecs);
	free(r->init_url);
	free(r->index_url);
	free(r->segments);
	free(r->fault);
	free(r->urls);
}

static void free_period(struct timeline_period *p)
{
	for (size_t i = 0; i < p->n_tracks; i++) {
		for (size_t j = 0; j < p->tracks[i].n_renditions; j++)
			free_rendition(&p->tracks[i].renditions[j]);
		free(p->tracks[i].renditions);
	}
	free(p->tracks);
	free(p->id);
}

void timeline_free(struct timeline **at)
{
	struct timeline *t = *at;

	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_periods; i++)
		free_period(&t->periods[i]);
	free(t->periods);
	free(t);
	*at = NULL;
}
