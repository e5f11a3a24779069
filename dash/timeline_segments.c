/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One rendition's segments from its inherited SegmentBase, SegmentList or
 * SegmentTemplate.  Which segments of a long run are wanted is computed before any
 * is made, so a run of a thousand million costs nothing when ten are wanted and
 * is refused when all are.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "dash/timeline_build.h"

typedef timeline_wide wide;

struct output {
	struct timeline_layout *l;
	struct buf urls;
	size_t cap;
	wide from, until; /* segments that end behind `from` and start before `until` are wanted */
};

wide timeline_ticks(dur_us us, uint32_t timescale)
{
	wide ticks = (wide)us * timescale;

	return ticks >= 0 ? ticks / DUR_S : -((-ticks + DUR_S - 1) / DUR_S);
}

bool timeline_fits(wide ticks, uint32_t timescale)
{
	wide size = ticks >= 0 ? ticks : -ticks;

	return size <= INT64_MAX / 2 && size * DUR_S / timescale <= MPD_MAX_TIME;
}

/* A length in whole ticks that it does not pass: with a coarse timescale nothing at its end is lost. */
static wide ticks_up(dur_us us, uint32_t timescale)
{
	return ((wide)us * timescale + DUR_S - 1) / DUR_S;
}

wide timeline_cut(dur_us period_duration, uint32_t timescale)
{
	return ticks_up(period_duration - DUR_MS, timescale);
}

static int fault_at(struct timeline_layout *l, unsigned line, int code, const char *text)
{
	return fault_set(l->build->fault, code, _("line %u: %s"), line, text);
}

/* --- putting segments ---------------------------------------------------------------- */

static int charge(struct output *out, wide n)
{
	struct timeline_build *b = out->l->build;

	if (n > (wide)(TIMELINE_MAX_SEGMENTS - b->n_segments))
		return fault_set(b->fault, ERR_LIMIT, _("line %u: the MPD makes more than %zu segments"),
		                 out->l->segments.line, TIMELINE_MAX_SEGMENTS);
	b->n_segments += (size_t)n;
	return 0;
}

/* The next segment, whose URL is appended to out->urls by the caller. */
static struct timeline_segment *next_segment(struct output *out)
{
	struct timeline_rendition *r = out->l->rendition;
	struct timeline_segment *s;

	MEM_GROW(r->segments, out->cap, r->n_segments);
	s = &r->segments[r->n_segments++];
	*s = (struct timeline_segment){.sub_number = 1};
	/* An offset until finish(): the buffer moves while it grows. */
	s->url = (char *)(uintptr_t)out->urls.size;
	return s;
}

static void put_address(struct output *out, struct timeline_segment *s)
{
	const struct timeline_layout *l = out->l;
	const struct mpd_segments *m = &l->segments;
	const struct timeline_names names = {
		.id = l->rendition->representation->id,
		.bandwidth = l->rendition->bandwidth,
		.number = s->number,
		.sub_number = s->sub_number,
		.time = s->time,
	};

	if (m->kind == MPD_SEGMENT_TEMPLATE) {
		timeline_expand(m->media, &names, &out->urls);
	} else if (m->kind == MPD_SEGMENT_LIST) {
		const struct mpd_segment_url *u = &m->urls[s->number - (m->has_start_number ? m->start_number : 1)];

		buf_puts(&out->urls, u->media != NULL ? u->media : "");
		s->has_range = u->has_media_range;
		s->range = u->media_range;
	}
	buf_append(&out->urls, "", 1);
}

/* A segment that starts before the former one ends cuts that one short. */
static void cut_former(struct output *out, wide start)
{
	struct timeline_rendition *r = out->l->rendition;
	struct timeline_segment *s = r->n_segments > 0 ? &r->segments[r->n_segments - 1] : NULL;

	if (s != NULL && start > s->start && start < (wide)s->start + s->duration)
		s->duration = (uint64_t)(start - s->start);
}

/* A sequence's parts come one by one (5.3.9.6.4): the newest one may have but a few yet, the last one may end early. */
static bool is_part(const struct output *out, const struct timeline_run *run, uint64_t number, uint64_t part, wide end)
{
	const struct mpd_segments *m = &out->l->segments;

	if (run->parts == 1)
		return true;
	if (m->has_end_sub_number && m->has_end_number && number == m->end_number && part > m->end_sub_number)
		return false;
	return !out->l->build->mpd->dynamic || m->has_timeline || !isfinite(out->l->availability_offset) ||
	       end <= timeline_live_edge(out->l);
}

/* Segment i of the run, in its parts (@k, S@k). */
static int put_segment(struct output *out, const struct timeline_run *run, uint64_t i)
{
	uint32_t ts = out->l->rendition->timescale;
	wide start = run->start + (wide)i * run->duration;

	for (uint64_t k = 0; k < run->parts; k++) {
		wide a = start + (wide)run->duration * k / run->parts;
		wide b = start + (wide)run->duration * (k + 1) / run->parts;
		wide time = start + out->l->rendition->pto;
		struct timeline_segment *s;

		if (time < 0 && out->l->segments.ept_delta < 0 && !out->l->segments.has_timeline)
			time = 0; /* begun before the track's own time, so no address has it */
		if (!timeline_fits(a, ts) || !timeline_fits(b, ts) || time < 0 || time > (wide)UINT64_MAX)
			return fault_at(out->l, run->line, ERR_OUT_OF_RANGE, _("a segment's time does not fit 63 bits"));
		if (!is_part(out, run, run->number + i, k + 1, b))
			break;
		if (out->l->period->duration >= 0 && b > ticks_up(out->l->period->duration, ts) && !out->l->segments.has_timeline)
			b = ticks_up(out->l->period->duration, ts);
		s = next_segment(out);
		s->start = (int64_t)a;
		s->duration = b > a ? (uint64_t)(b - a) : 0;
		s->number = run->number + i;
		s->sub_number = k + 1;
		s->time = (uint64_t)time;
		put_address(out, s);
	}
	return 0;
}

/* The segments of a run that lie in the window. */
static int put_run(void *ctx, const struct timeline_run *run)
{
	struct output *out = ctx;
	wide first = 0, last = run->count, d = run->duration;
	int e;

	if (out->from > run->start)
		first = (out->from - run->start) / d;
	if (out->until < run->start + last * d)
		last = out->until <= run->start ? 0 : (out->until - run->start + d - 1) / d;
	if (last < run->count && out->until == timeline_period_end(out->l))
		out->l->rendition->n_behind += (size_t)(run->count - last < SIZE_MAX / 4 ? run->count - last : SIZE_MAX / 4);
	if (last <= first)
		return 0;
	if (run->number + last - 1 > (wide)UINT64_MAX)
		return fault_at(out->l, run->line, ERR_OUT_OF_RANGE, _("a segment's number does not fit 64 bits"));
	e = charge(out, (last - first) * run->parts);
	if (e != 0)
		return e;
	cut_former(out, run->start + first * d);
	for (wide i = first; i < last && e == 0 && buf_error(&out->urls) == 0; i++)
		e = put_segment(out, run, (uint64_t)i);
	return e;
}

/* Gives the segments their addresses; the rendition owns the text. */
static int finish(struct output *out, int e)
{
	struct timeline_rendition *r = out->l->rendition;
	struct timeline_build *b = out->l->build;

	if (e == 0 && buf_error(&out->urls) != 0)
		e = fault_set(b->fault, buf_error(&out->urls), _("line %u: the segments' addresses are too long"),
		              out->l->segments.line);
	b->n_url_bytes += out->urls.size;
	r->urls = buf_take(&out->urls);
	for (size_t i = 0; i < r->n_segments; i++)
		r->segments[i].url = r->urls + (uintptr_t)r->segments[i].url;
	return e;
}

/* --- SegmentTimeline ----------------------------------------------------------------- */

/* A list has as many segments as SegmentURLs, whatever its timeline says. */
static int put_listed_run(void *ctx, const struct timeline_run *run)
{
	struct output *out = ctx;
	const struct mpd_segments *m = &out->l->segments;
	uint64_t first = m->has_start_number ? m->start_number : 1;
	struct timeline_run r = *run;

	if (r.parts != 1)
		return fault_at(out->l, r.line, ERR_UNSUPPORTED, _("S@k in a SegmentList"));
	if (r.number < first || r.number - first >= m->n_urls)
		return 0;
	if (r.count > m->n_urls - (r.number - first))
		r.count = m->n_urls - (r.number - first);
	return put_run(out, &r);
}

/* What ends before `from` is gone; but the newest segment, which ends at `end`, stays as long as it is the
 * newest, however short the time shift (A.3.2: a segment is there for its own length at least). */
static void open_window(struct output *out, wide from, wide end)
{
	if (from >= end)
		from = end - 1;
	if (from > out->from)
		out->from = from;
}

/* What a dynamic timeline lists is there: its own end is the live edge, unless
 * now is before it.  So a stream that has stopped can still be looked at. */
static void set_window(struct output *out, wide edge)
{
	const struct mpd *mpd = out->l->build->mpd;
	wide now;

	if (!mpd->dynamic)
		return;
	now = timeline_early_edge(out->l);
	/* what has not begun is announced, not there */
	if (mpd->has_availability_start && now > 0 && now < out->until && isfinite(out->l->availability_offset))
		out->until = now;
	if (!mpd->has_time_shift)
		return;
	if (mpd->has_availability_start && now > 0 && now < edge)
		edge = now;
	open_window(out, edge - timeline_ticks(mpd->time_shift, out->l->rendition->timescale), edge);
}

static int put_timeline(struct output *out)
{
	bool listed = out->l->segments.kind == MPD_SEGMENT_LIST;
	wide end;
	int e = timeline_walk(out->l, NULL, NULL, &end);

	if (e != 0)
		return e;
	set_window(out, end);
	return timeline_walk(out->l, listed ? put_listed_run : put_run, out, &end);
}

/* --- @duration ----------------------------------------------------------------------- */

static bool is_last(const struct timeline_layout *l)
{
	const struct mpd *mpd = l->build->mpd;

	return l->period->period == &mpd->periods[mpd->n_periods - 1];
}

/* The segments that are available now (A.3.2): begun so long ago that they are whole. */
static int cut_to_available(struct output *out, const struct timeline_run *run, wide *count)
{
	const struct mpd *mpd = out->l->build->mpd;
	wide edge = timeline_live_edge(out->l), whole = timeline_early_edge(out->l) - run->start;

	if (!mpd->has_availability_start)
		return fault_set(out->l->build->fault, ERR_SYNTAX,
		                 _("line %u: @duration in a dynamic MPD needs MPD@availabilityStartTime"), run->line);
	whole = whole > 0 ? whole / run->duration + (run->parts > 1) : 0;
	if (!isfinite(out->l->availability_offset) && *count < TIMELINE_WIDE_MAX)
		whole = *count; /* all that will ever be is there already */
	if (whole < *count)
		*count = whole;
	if (mpd->has_time_shift) {
		wide from = edge - timeline_ticks(mpd->time_shift, out->l->rendition->timescale), end = run->start + whole * run->duration;

		if (is_last(out->l) || from < end + run->duration)
			open_window(out, from, end);
		else
			*count = 0; /* the newest one is a later Period's */
	} else if (*count > TIMELINE_MAX_WINDOW) {
		out->from = run->start + (*count - TIMELINE_MAX_WINDOW) * run->duration;
	}
	return 0;
}

static int put_numbered(struct output *out)
{
	struct timeline_layout *l = out->l;
	const struct mpd_segments *m = &l->segments;
	bool listed = m->kind == MPD_SEGMENT_LIST;
	/* with @eptDelta the first segment starts so much before or behind the Period (5.3.9.2) */
	struct timeline_run run = {.start = m->ept_delta, .duration = m->duration, .parts = 1, .line = m->line};
	wide count = TIMELINE_WIDE_MAX, end = timeline_period_end(l);
	int e = 0;

	run.number = m->has_start_number ? m->start_number : 1;
	run.parts = m->has_k && !listed ? m->k : 1;
	if (run.parts == 0 || (m->duration > 0 && run.parts > m->duration))
		return fault_at(l, m->line, ERR_SYNTAX, _("@k is impossible, expected 1 up to @duration"));
	if (m->duration == 0 || m->duration > INT64_MAX)
		return fault_at(l, m->line, ERR_SYNTAX, _("@duration is 0 or past 63 bits, expected the length of a segment"));
	if (end < TIMELINE_WIDE_MAX)
		count = end > run.start ? (end - run.start + run.duration - 1) / run.duration : 0;
	if (m->has_end_number && count > (wide)m->end_number - run.number + 1)
		count = (wide)m->end_number - run.number + 1;
	if (listed && count > (wide)m->n_urls)
		count = (wide)m->n_urls;
	if (l->build->mpd->dynamic && !listed)
		e = cut_to_available(out, &run, &count);
	if (e != 0)
		return e;
	if (count >= TIMELINE_WIDE_MAX)
		return fault_at(l, m->line, ERR_UNSUPPORTED,
		                _("nothing says how many segments there are: a duration of the Period or of the MPD, or "
		                "@endNumber, is needed"));
	run.count = count > 0 ? (uint64_t)(count > (wide)UINT64_MAX / 4 ? (wide)UINT64_MAX / 4 : count) : 0;
	return run.count > 0 ? put_run(out, &run) : 0;
}

/* Neither @duration nor a SegmentTimeline: one segment as long as the Period (5.3.9.2.1). */
static int put_only(struct output *out)
{
	struct timeline_layout *l = out->l;
	const struct mpd_segments *m = &l->segments;
	wide d = l->period->duration > 0 ? ticks_up(l->period->duration, l->rendition->timescale) : 0;
	struct timeline_run run = {.duration = d > 0 && d < INT64_MAX / 2 ? (uint64_t)d : 1, .count = 1, .parts = 1,
		.number = m->has_start_number ? m->start_number : 1, .line = m->line};

	if (l->period->duration == 0 || (m->has_end_number && m->end_number < run.number))
		return 0;
	if (l->build->mpd->dynamic && l->period->duration < 0)
		return fault_at(l, m->line, ERR_SYNTAX,
		                _("SegmentTemplate has neither @duration nor a SegmentTimeline, and its Period no end: it is one "
		                "segment, and nothing says of what length"));
	return put_run(out, &run);
}

/* A list without times: packagers who leave them out mean equal segments. */
static int guess_duration(struct output *out)
{
	struct timeline_layout *l = out->l;
	struct mpd_segments *m = &l->segments;
	const struct mpd *mpd = l->build->mpd;
	wide d = 0;

	if (!m->has_timescale && m->pto == 0)
		l->rendition->timescale = 1000; /* 4 of them in 10 s are of 2.5 s */
	out->until = timeline_period_end(l);
	if (l->period->duration > 0)
		d = timeline_ticks(l->period->duration, l->rendition->timescale) / (wide)m->n_urls;
	else if (mpd->has_max_segment_duration)
		d = timeline_ticks(mpd->max_segment_duration, l->rendition->timescale);
	if (d <= 0 || d > INT64_MAX)
		return fault_at(l, m->line, ERR_UNSUPPORTED, _("a SegmentList needs @duration or a SegmentTimeline"));
	m->duration = (uint64_t)d;
	m->has_duration = true;
	return 0;
}

/* --- the kinds of addressing --------------------------------------------------------- */

static void set_url(const struct mpd_url *u, char **url, bool *has_range, struct mpd_range *range)
{
	*url = mem_dup(u->source != NULL ? u->source : "");
	*has_range = u->has_range;
	*range = u->range;
}

static void set_initialisation(struct timeline_layout *l)
{
	struct timeline_rendition *r = l->rendition;
	const struct mpd_segments *m = &l->segments;
	const struct timeline_names names = {.id = r->representation->id, .bandwidth = r->bandwidth};
	struct buf url;

	if (m->kind == MPD_SEGMENT_TEMPLATE && m->init != NULL) {
		buf_init(&url, (size_t)64 << 10);
		timeline_expand(m->init, &names, &url);
		r->init_url = buf_take(&url);
	} else if (m->initialization.present) {
		set_url(&m->initialization, &r->init_url, &r->init_has_range, &r->init_range);
	}
}

/* Files that carry a sidx when they are of one piece; text and others are taken whole. */
static bool may_have_index(const struct timeline_rendition *r)
{
	return r->mime_type == NULL || strstr(r->mime_type, "/mp4") != NULL;
}

static int put_whole_file(struct output *out)
{
	struct timeline_layout *l = out->l;
	wide d = l->period->duration > 0 ? ticks_up(l->period->duration, l->rendition->timescale) : 0;
	struct timeline_segment *s;
	int e = charge(out, 1);

	if (e != 0)
		return e;
	s = next_segment(out);
	s->duration = d > INT64_MAX / 2 ? INT64_MAX / 2 : (uint64_t)d;
	s->number = 1;
	buf_append(&out->urls, "", 1);
	return 0;
}

/* Is there a file at all?  A base that ends in '/' is a folder, and the MPD is not its own media. */
static bool names_a_file(const struct timeline_layout *l)
{
	const char *url = l->rendition->bases[0].url;

	return *url != '\0' && url[strlen(url) - 1] != '/' && strcmp(url, l->build->url) != 0;
}

static int put_single(struct output *out)
{
	struct timeline_layout *l = out->l;
	struct timeline_rendition *r = l->rendition;
	const struct mpd_segments *m = &l->segments;
	const struct mpd_url *index = &m->representation_index;

	if (!names_a_file(l))
		return fault_set(l->build->fault, ERR_SYNTAX,
		                 _("line %u: nothing says where its segments are: a BaseURL, SegmentBase, SegmentList or "
		                 "SegmentTemplate is needed"),
		                 r->representation->line);
	r->needs_index = may_have_index(r);
	if (!r->needs_index)
		return put_whole_file(out);
	r->has_index_range = m->has_index_range || (index->present && index->has_range);
	r->index_range = m->has_index_range ? m->index_range : index->range;
	r->index_url = mem_dup(index->present && index->source != NULL ? index->source : "");
	if (r->init_url == NULL && m->has_index_range && m->index_range.first > 0) {
		r->init_url = mem_dup("");
		r->init_has_range = true;
		r->init_range = (struct mpd_range){0, m->index_range.first - 1};
	}
	return r->has_index_range || *r->index_url != '\0' ? 0 : put_whole_file(out);
}

static int put_all(struct output *out)
{
	struct timeline_layout *l = out->l;
	struct mpd_segments *m = &l->segments;
	int e = 0;

	if (m->kind == MPD_NONE || m->kind == MPD_SEGMENT_BASE)
		return put_single(out);
	if (m->kind == MPD_SEGMENT_TEMPLATE && m->media == NULL)
		return fault_at(l, m->line, ERR_SYNTAX, _("SegmentTemplate has no @media"));
	if (m->kind == MPD_SEGMENT_LIST && m->n_urls == 0)
		return fault_at(l, m->line, m->xlink_href != NULL ? ERR_UNSUPPORTED : ERR_SYNTAX,
		                m->xlink_href != NULL ? _("SegmentList is elsewhere (xlink:href)") : _("SegmentList has no SegmentURL"));
	if (m->has_timeline)
		return put_timeline(out);
	if (m->kind == MPD_SEGMENT_LIST && !m->has_duration)
		e = guess_duration(out);
	else if (!m->has_duration)
		return put_only(out);
	return e != 0 ? e : put_numbered(out);
}

/* Of a title that says so, what ends after now is not whole yet. */
static void count_partial(struct timeline_layout *l)
{
	struct timeline_rendition *r = l->rendition;
	wide edge = timeline_live_edge(l);

	if (!l->build->mpd->dynamic || l->partial_offset <= l->availability_offset)
		return;
	while (r->n_partial < r->n_segments) {
		const struct timeline_segment *s = &r->segments[r->n_segments - 1 - r->n_partial];

		if ((wide)s->start + s->duration <= edge)
			break;
		r->n_partial++;
	}
}

int timeline_lay_out(struct timeline_layout *l)
{
	const struct mpd_segments *m = &l->segments;
	struct timeline_rendition *r = l->rendition;
	struct output out = {.l = l};
	int e;

	if (m->has_timescale && m->timescale == 0)
		return fault_at(l, m->line, ERR_SYNTAX, _("@timescale is 0"));
	r->timescale = m->has_timescale ? m->timescale : 1;
	r->pto = m->pto;
	r->period_duration = l->period->duration;
	out.until = timeline_period_end(l);
	set_initialisation(l);
	buf_init(&out.urls, TIMELINE_MAX_URL_BYTES - l->build->n_url_bytes);
	e = finish(&out, put_all(&out));
	if (e == 0)
		count_partial(l);
	return e;
}
