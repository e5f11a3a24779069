/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles are small: segments are got one by one, a minute ahead, and one that
 * cannot be had is left out after every base was asked.
 */
#include "player/subtitles.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "fetch/fetch.h"
#include "player/cues.h"
#include "player/hub.h"
#include "player/live.h"

#define AHEAD DUR_MIN
#define MAX_PART ((size_t)8 << 20)
#define NONE UINT_MAX
#define KEPT DUR_MIN          /* cues of a live title, behind the playhead */

struct subtitles {
	struct fetch *fetch;
	struct hub *hub;
	const struct source *source; /* changed by the thread, under the hub's lock */
	struct live *live;           /* or NULL */
	struct source own;           /* of a live title */
	pthread_t thread;
	/* the thread's */
	unsigned period, at;         /* what `done` and `init` are of */
	bool *done;                  /* per segment */
	struct blob *init;
	/* under the hub's lock */
	unsigned track;              /* NONE, or which of the period's text tracks */
	struct cues cues;
	unsigned cues_of;            /* track */
};

static bool can_read(const struct timeline_rendition *r)
{
	const char *m = r->mime_type != NULL ? r->mime_type : "", *c = r->codecs != NULL ? r->codecs : "";

	return r->fault == NULL && (strstr(m, "vtt") != NULL || strstr(m, "ttml") != NULL || str_starts(c, "wvtt") || str_starts(c, "stpp"));
}

/* Text track number n of the period that can be read; NULL. */
static struct timeline_rendition *find(const struct timeline_period *p, unsigned n)
{
	for (size_t i = 0; i < p->n_tracks; i++)
		if (p->tracks[i].kind == TIMELINE_TEXT && p->tracks[i].n_renditions > 0 && can_read(&p->tracks[i].renditions[0]) && n-- == 0)
			return &p->tracks[i].renditions[0];
	return NULL;
}

static unsigned find_lang(const struct timeline_period *p, const char *lang)
{
	const struct timeline_rendition *r;

	for (unsigned n = 0; lang != NULL && (r = find(p, n)) != NULL; n++)
		if (r->set->lang != NULL && str_starts(r->set->lang, lang))
			return n;
	return NONE;
}

/* --- getting --------------------------------------------------------------------------------------- */

static int get_from(struct subtitles *s, const char *url, bool has_range, struct mpd_range range, struct blob **ret)
{
	struct fetch_request req = {.url = url, .has_range = has_range, .first = range.first, .last = range.last,
		.max_bytes = MAX_PART, .total_timeout = 10 * DUR_S};

	return fetch_get(s->fetch, &req, ret, NULL, NULL, NULL);
}

static struct blob *get(struct subtitles *s, const struct timeline_rendition *r, const char *reference, bool has_range,
                        struct mpd_range range)
{
	struct blob *b = NULL;

	for (size_t i = 0; i < r->n_bases; i++) {
		char *url = timeline_resolve(r, i, reference != NULL ? reference : "");
		int code = url != NULL ? get_from(s, url, has_range, range, &b) : ERR_SYNTAX;

		free(url);
		if (code == 0)
			return b;
		blob_unref(&b);
	}
	log_verbose("player/subtitles", "cannot be had reference=\"%s\"", reference != NULL ? reference : "");
	return NULL;
}

static bool is_mp4(const struct timeline_rendition *r)
{
	return r->mime_type != NULL && strstr(r->mime_type, "mp4") != NULL;
}

/* Segments of one file need its index first. */
static bool get_index(struct subtitles *s, struct timeline_rendition *r)
{
	struct timeline_index *index;
	struct mpd_range want = r->index_range;
	bool ok = r->has_index_range;

	if (!r->needs_index || r->n_segments > 0)
		return true;
	index = timeline_index_new();
	while (ok) {
		struct blob *b = get(s, r, r->index_url, true, want);

		ok = b != NULL && timeline_index_read(index, b->bytes, b->size, want.first, NULL) == 0;
		blob_unref(&b);
		if (!ok || !timeline_index_wants(index, &want))
			break;
	}
	ok = ok && timeline_set_index(r, index, NULL) == 0;
	timeline_index_free(&index);
	return ok;
}

static void read_part(struct subtitles *s, const struct timeline_rendition *r, const struct timeline_period *p,
                      const struct blob *b, struct cues *c)
{
	dur_us offset = p->start - timeline_us(r->pto, r->timescale);
	const char *text = (const char *)b->bytes;
	struct fault f = {0};
	int code;

	if (is_mp4(r) && s->init != NULL)
		code = cues_from_mp4(s->init->bytes, s->init->size, b->bytes, b->size, offset, c, &f);
	else if (is_mp4(r)) /* one file that has its own header */
		code = cues_from_mp4(b->bytes, b->size, b->bytes, b->size, offset, c, &f);
	else if (r->mime_type != NULL && strstr(r->mime_type, "vtt") != NULL)
		code = cues_from_vtt(text, b->size, offset, c, &f);
	else
		code = cues_from_ttml(text, b->size, offset, c, &f);
	if (code < 0)
		log_warn("player/subtitles", "cannot be read id=%s reason=\"%s\"", r->representation->id, fault_text(&f));
}

static void enter(struct subtitles *s, unsigned period, unsigned track, struct timeline_rendition *r)
{
	blob_unref(&s->init);
	free(s->done);
	s->done = NULL;
	s->period = period;
	s->at = track;
	if (r == NULL || !get_index(s, r))
		return;
	s->done = mem_new_array(r->n_segments + 1, sizeof *s->done);
	if (is_mp4(r) && (r->init_url != NULL || r->init_has_range))
		s->init = get(s, r, r->init_url, r->init_has_range, r->init_range);
}

/* A live title has no end, its cues must have one. */
static void forget(struct cues *c, dur_us before)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].end >= before)
			c->v[n++] = c->v[i];
		else
			free(c->v[i].text);
	c->n = n;
}

static void keep(struct subtitles *s, unsigned track, struct cues *c)
{
	hub_lock(s->hub);
	if (s->cues_of != track) {
		cues_free(&s->cues);
		s->cues_of = track;
	}
	if (s->live != NULL)
		forget(&s->cues, s->hub->position - KEPT);
	for (size_t i = 0; i < c->n; i++) {
		cues_add(&s->cues, c->v[i].start, c->v[i].end, c->v[i].text, &c->v[i].place);
		c->v[i].text = NULL;
	}
	c->n = 0;
	hub_ring(s->hub);
	hub_unlock(s->hub);
	cues_free(c);
}

/* One segment of what is near; false when there is nothing to get. */
static bool step(struct subtitles *s, unsigned track, dur_us t)
{
	unsigned period = source_period_at(s->source->timeline, t);
	const struct timeline_period *p = &s->source->timeline->periods[period];
	struct timeline_rendition *r = find(p, track);
	struct cues c = {0};
	struct blob *b;
	int i;

	if (period != s->period || track != s->at || s->done == NULL)
		enter(s, period, track, r);
	if (r == NULL || s->done == NULL || r->n_segments == 0)
		return false;
	i = timeline_find(r, av_rescale(t - p->start, r->timescale, DUR_S));
	while ((size_t)i < r->n_segments && s->done[i])
		i++;
	if ((size_t)i >= r->n_segments || p->start + timeline_us(r->segments[i].start, r->timescale) > t + AHEAD)
		return false;
	s->done[i] = true;
	b = get(s, r, r->segments[i].url, r->segments[i].has_range, r->segments[i].range);
	if (b != NULL)
		read_part(s, r, p, b, &c);
	blob_unref(&b);
	keep(s, track, &c);
	return true;
}

/* What was got of a track stays got, in whatever place it is listed now. */
static bool *carry(const struct timeline_rendition *old, const bool *done, const struct timeline_rendition *now)
{
	bool *to = mem_new_array(now->n_segments + 1, sizeof *to);

	for (size_t i = 0, k = 0; i < old->n_segments && k < now->n_segments;) {
		if (old->segments[i].start == now->segments[k].start)
			to[k] = done[i];
		if (old->segments[i].start <= now->segments[k].start)
			i++;
		else
			k++;
	}
	return to;
}

/* The MPD of a live title as it is now takes the place of what it was. */
static void renew(struct subtitles *s)
{
	struct source next = {0}, old = s->own;
	const struct timeline_rendition *before = NULL, *now = NULL;
	bool *done = NULL;
	unsigned i = 0;

	if (live_read(s->live, &next, NULL) < 0)
		return;
	if (s->done != NULL && s->period < old.timeline->n_periods) {
		before = find(&old.timeline->periods[s->period], s->at);
		while (i < next.timeline->n_periods && next.timeline->periods[i].start != old.timeline->periods[s->period].start)
			i++;
		now = i < next.timeline->n_periods ? find(&next.timeline->periods[i], s->at) : NULL;
	}
	if (before != NULL && now != NULL) {
		done = carry(before, s->done, now);
		s->period = i;
	}
	free(s->done);
	s->done = done;
	hub_lock(s->hub);
	s->own = next;
	hub_unlock(s->hub);
	source_close(&old);
}

static void *run(void *ctx)
{
	struct subtitles *s = ctx;
	struct hub *h = s->hub;

	hub_lock(h);
	while (!h->quit) {
		unsigned track = s->track;
		dur_us t = h->position;
		bool more = false;

		if (track != NONE) {
			hub_unlock(h);
			if (s->live != NULL)
				renew(s);
			more = step(s, track, t);
			hub_lock(h);
		}
		while (!more && !h->quit && s->track == track && (track == NONE || llabs(h->position - t) < DUR_S))
			hub_wait(h);
	}
	hub_unlock(h);
	return NULL;
}

struct subtitles *subtitles_new(struct fetch *fetch, struct hub *hub, const struct source *source, struct live *live, const char *lang)
{
	struct subtitles *s = mem_new(sizeof *s);

	s->fetch = fetch;
	s->hub = hub;
	s->live = live;
	s->source = live != NULL ? &s->own : source;
	if (live != NULL && live_read(live, &s->own, NULL) < 0) {
		free(s);
		return NULL;
	}
	s->period = s->at = NONE;
	s->track = s->cues_of = find_lang(&s->source->timeline->periods[0], lang);
	if (pthread_create(&s->thread, NULL, run, s) != 0) {
		source_close(&s->own);
		free(s);
		return NULL;
	}
	return s;
}

void subtitles_free(struct subtitles **ps)
{
	struct subtitles *s = *ps;

	if (s == NULL)
		return;
	pthread_join(s->thread, NULL);
	cues_free(&s->cues);
	blob_unref(&s->init);
	free(s->done);
	source_close(&s->own);
	free(s);
	*ps = NULL;
}

void subtitles_next(struct subtitles *s)
{
	const struct timeline_period *p;

	hub_lock(s->hub);
	p = &s->source->timeline->periods[source_period_at(s->source->timeline, s->hub->position)];
	s->track = s->track == NONE ? 0 : s->track + 1;
	if (find(p, s->track) == NULL)
		s->track = NONE;
	hub_ring(s->hub);
	hub_unlock(s->hub);
}

void subtitles_name(struct subtitles *s, char *out, size_t n)
{
	const struct timeline_rendition *r;

	hub_lock(s->hub);
	r = s->track != NONE ? find(&s->source->timeline->periods[source_period_at(s->source->timeline, s->hub->position)], s->track) : NULL;
	if (r == NULL)
		snprintf(out, n, "%s", "");
	else if (r->set->lang != NULL)
		snprintf(out, n, "%s", r->set->lang);
	else
		snprintf(out, n, "%u", s->track + 1);
	hub_unlock(s->hub);
}

void subtitles_at(struct subtitles *s, dur_us t, struct cues_shown *ret)
{
	hub_lock(s->hub);
	ret->n = 0;
	if (s->track != NONE && s->cues_of == s->track)
		cues_at(&s->cues, t, ret);
	hub_unlock(s->hub);
}
