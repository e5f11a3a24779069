/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The thread sleeps on the hub's bell until the next update or the next segment is
 * due.  Failures are retried with a growing pause and never end the playing: what
 * is known goes on being laid out.
 */
#include "player/live.h"

#include <libavutil/mathematics.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/mpd_patch.h"
#include "fetch/fetch.h"
#include "player/clock_sync.h"
#include "player/hub.h"

#define LEAST (500 * DUR_MS)     /* between two updates */
#define IDLE (10 * DUR_S)        /* an MPD that is never updated is laid out anew so often at most */
#define MAX_PAUSE (15 * DUR_S)
#define RESYNC (10 * DUR_MIN)
#define DEFAULT_SEGMENT (2 * DUR_S)

struct live {
	struct source_door door;
	struct hub *hub;
	pthread_t thread;
	char *location;          /* where to ask for it */
	struct mpd_service service; /* set before the thread starts */
	struct buf text;         /* of the MPD as it is now */
	/* the thread's own copy of the facts */
	bool dynamic, has_update, has_start, partial;
	dur_us update, segment;
	wall_us availability_start;
	char *patch;             /* absolute, or NULL */
	wall_us patch_until;     /* by the MPD's clock: then it is no longer there (PatchLocation@ttl) */
	mono_us got, sync_next;
	wall_us received;        /* the text, by our clock */
	unsigned failures;
	/* under the hub's lock */
	dur_us offset;           /* true time - our clock */
	bool fresh;
	struct source next;
	struct buf known;        /* a copy of the text, and where it was found: for other readers */
	char *known_url;
	char trouble[256];
};

static wall_us now_there(struct live *l)
{
	dur_us offset;

	hub_lock(l->hub);
	offset = l->offset;
	hub_unlock(l->hub);
	return clock_wall() + offset;
}

/* --- what is there ------------------------------------------------------------------------- */

static dur_us time_of(const struct timeline_period *p, const struct timeline_rendition *r, int64_t t)
{
	return p->start + timeline_us(t, r->timescale);
}

void live_window(const struct timeline *t, dur_us *ret_from, dur_us *ret_to)
{
	dur_us from = INT64_MAX, to = 0;

	for (size_t i = 0; i < t->n_periods; i++)
		for (size_t k = 0; k < t->periods[i].n_tracks; k++) {
			const struct timeline_track *track = &t->periods[i].tracks[k];
			const struct timeline_rendition *r = track->n_renditions > 0 ? &track->renditions[0] : NULL;
			const struct timeline_segment *last;
			dur_us a, b;

			if (r == NULL || r->n_segments == 0 || track->kind > TIMELINE_AUDIO)
				continue;
			a = time_of(&t->periods[i], r, r->segments[0].start);
			last = &r->segments[r->n_segments - 1 - (r->n_partial < r->n_segments ? r->n_partial : 0)];
			b = time_of(&t->periods[i], r, last->start + (int64_t)last->duration);
			from = a < from ? a : from;
			to = b > to ? b : to;
		}
	*ret_from = from == INT64_MAX ? 0 : from > 0 ? from : 0;
	*ret_to = to;
}

/* Are there segments that are still being made? */
static bool has_partial(const struct timeline *t)
{
	for (size_t i = 0; i < t->n_periods; i++)
		for (size_t k = 0; k < t->periods[i].n_tracks; k++)
			if (t->periods[i].tracks[k].n_renditions > 0 && t->periods[i].tracks[k].renditions[0].n_partial > 0)
				return true;
	return false;
}

/* The newest segment's duration; never tiny. */
static dur_us segment_of(const struct timeline *t)
{
	for (size_t i = t->n_periods; i-- > 0;)
		for (size_t k = 0; k < t->periods[i].n_tracks; k++) {
			const struct timeline_track *track = &t->periods[i].tracks[k];
			const struct timeline_rendition *r = track->n_renditions > 0 ? &track->renditions[0] : NULL;

			if (r != NULL && r->n_segments > 0) {
				dur_us d = timeline_us((int64_t)r->segments[r->n_segments - 1].duration, r->timescale);

				return d > 100 * DUR_MS ? d : 100 * DUR_MS;
			}
		}
	return DEFAULT_SEGMENT;
}

/* --- a new version ----------------------------------------------------------------------------- */

/* 5.15.2: @ttl counts from the MPD's publication. */
static wall_us patch_until(const struct mpd *m)
{
	const struct mpd_base_url *p = m->patch_locations.v;

	if (m->patch_locations.n == 0 || !m->has_publish_time || !p->has_ttl || !(p->ttl >= 0 && p->ttl < 1e9))
		return INT64_MAX;
	return m->publish_time + (dur_us)(p->ttl * 1e6);
}

/* Where an MPD from `from` says that the next one is, or NULL: a document from the network reads no files. */
static char *go_to(const char *from, const char *where)
{
	char *to = timeline_join_url(from, where);

	if (to == NULL || !str_starts(from, "http") || str_starts(to, "http://") || str_starts(to, "https://"))
		return to;
	log_verbose("player/live", "an MPD from the network leads elsewhere url=\"%s\"", to);
	free(to);
	return NULL;
}

static void learn(struct live *l, const struct source *s)
{
	const struct mpd *m = s->mpd;

	l->dynamic = m->dynamic;
	l->has_update = m->has_minimum_update;
	l->update = m->minimum_update;
	l->has_start = m->has_availability_start;
	l->availability_start = m->availability_start;
	l->segment = segment_of(s->timeline);
	l->partial = l->partial || has_partial(s->timeline);
	free(l->patch);
	l->patch = m->patch_locations.n > 0 ? go_to(s->url, m->patch_locations.v[0].url) : NULL;
	l->patch_until = patch_until(m);
	if (m->locations.n > 0 && m->locations.v[0].url != NULL) {
		char *to = go_to(s->url, m->locations.v[0].url);

		if (to != NULL) {
			free(l->location);
			l->location = to;
		}
	}
}

static void publish(struct live *l)
{
	hub_lock(l->hub);
	buf_clear(&l->known);
	buf_append(&l->known, l->text.bytes, l->text.size);
	free(l->known_url);
	l->known_url = mem_dup(l->location);
	hub_unlock(l->hub);
}

static void offer(struct live *l, struct source *s)
{
	hub_lock(l->hub);
	source_close(&l->next);
	l->next = *s;
	l->fresh = true;
	l->hub->posts++;
	hub_ring(l->hub);
	hub_unlock(l->hub);
}

/* The text as it is known, for this moment. */
static int lay_out(struct live *l, struct fault *f)
{
	struct source s;
	int r = source_parse(&l->door, &l->text, l->location, l->location, now_there(l), &s, f);

	if (r < 0)
		return r;
	buf_fini(&s.text); /* ours is the same */
	learn(l, &s);
	offer(l, &s);
	return 0;
}

static int get_patch(struct live *l, struct buf *out, struct fault *f)
{
	struct buf patch;
	char *url = NULL;
	int r;

	buf_init(&patch, MPD_MAX_BYTES);
	r = source_get(&l->door, l->patch, &patch, &url, f);
	if (r == 0)
		r = mpd_patch(l->text.bytes, l->text.size, patch.bytes, patch.size, l->patch, out, f);
	if (r < 0)
		log_verbose("player/live", "the whole MPD instead of a patch reason=\"%s\"", fault_text(f));
	free(url);
	buf_fini(&patch);
	return r;
}

static int get_whole(struct live *l, struct buf *out, struct fault *f)
{
	char *url = NULL;
	int r = source_get(&l->door, l->location, out, &url, f);

	if (r == 0 && url != NULL && str_starts(url, "http")) { /* redirected for good: relative addresses follow */
		free(l->location);
		l->location = url;
		url = NULL;
	}
	free(url);
	return r;
}

static void say(struct live *l, const char *text)
{
	hub_lock(l->hub);
	snprintf(l->trouble, sizeof l->trouble, "%s", text);
	hub_unlock(l->hub);
}

static void update(struct live *l)
{
	struct buf text, before = l->text;
	struct fault f = {0};
	wall_us received = clock_wall();
	int r = -1;

	buf_init(&text, MPD_MAX_BYTES);
	if (l->patch != NULL && now_there(l) < l->patch_until)
		r = get_patch(l, &text, &f);
	if (r < 0) {
		buf_clear(&text);
		r = get_whole(l, &text, &f);
	}
	if (r == 0) {
		l->text = text;
		r = lay_out(l, &f);
		text = l->text;
	}
	if (r < 0) { /* what was good stays */
		l->text = before;
		buf_fini(&text);
		if (l->failures++ == 0)
			log_warn("player/live", "the MPD cannot be had anew: %s", fault_text(&f));
		say(l, fault_text(&f));
	} else {
		buf_fini(&before);
		l->received = received;
		l->failures = 0;
		publish(l);
		say(l, "");
	}
	l->got = clock_mono();
}

/* --- the thread ---------------------------------------------------------------------------------- */

static mono_us next_update(const struct live *l)
{
	dur_us wait = l->update > LEAST ? l->update : LEAST;

	/* 5.3.1.2: 0 means when something is needed: as often as segments come */
	if (l->update == 0)
		wait = l->segment;
	for (unsigned i = 1; i < l->failures && wait < MAX_PAUSE; i++)
		wait *= 2;
	return l->got + (wait < MAX_PAUSE || l->failures == 0 ? wait : MAX_PAUSE);
}

static void synchronise(struct live *l, const struct mpd *m)
{
	dur_us offset;

	if (clock_sync(l->door.fetch, l->location, m, l->received, &offset)) {
		hub_lock(l->hub);
		l->offset = offset;
		hub_unlock(l->hub);
		log_verbose("player/live", "clock offset_ms=%lld", (long long)(offset / DUR_MS));
	}
	l->sync_next = clock_mono() + RESYNC;
}

static void synchronise_anew(struct live *l)
{
	struct mpd *m = NULL;

	if (mpd_read(l->text.bytes, l->text.size, l->location, &m, NULL) == 0)
		synchronise(l, m);
	mpd_free(&m);
}

static void *run(void *ctx)
{
	struct live *l = ctx;
	mono_us laid = clock_mono();

	hub_lock(l->hub);
	while (!l->hub->quit && l->dynamic) {
		/* what begins to be there is to be asked for at once */
		dur_us pause = l->partial ? l->segment / 8 : l->segment / 2;
		mono_us step = laid + (pause < IDLE ? pause : IDLE);
		mono_us due = l->has_update && next_update(l) < step ? next_update(l) : step;

		if (clock_mono() < due) {
			hub_wait_until(l->hub, due);
			continue;
		}
		hub_unlock(l->hub);
		if (clock_mono() >= l->sync_next)
			synchronise_anew(l);
		if (l->has_update && clock_mono() >= next_update(l))
			update(l);
		else
			lay_out(l, NULL);
		laid = clock_mono();
		hub_lock(l->hub);
	}
	hub_unlock(l->hub);
	return NULL;
}

static void release(struct live **pl)
{
	struct live *l = *pl;

	source_close(&l->next);
	buf_fini(&l->text);
	buf_fini(&l->known);
	free(l->known_url);
	free(l->location);
	free(l->patch);
	free(l);
	*pl = NULL;
}

int live_new(const struct source_door *door, struct hub *hub, struct source *s, struct live **ret, struct fault *f)
{
	struct live *l = mem_new(sizeof *l);
	struct timeline *t = NULL;
	int r;

	l->door = *door;
	l->door.stop = NULL; /* it is asked again soon anyway */
	l->hub = hub;
	l->location = mem_dup(s->url);
	l->text = s->text;
	l->service = s->mpd->service;
	l->received = clock_wall();
	buf_init(&s->text, MPD_MAX_BYTES);
	buf_init(&l->known, MPD_MAX_BYTES);
	publish(l);
	synchronise(l, s->mpd);
	r = timeline_new(s->mpd, s->url, now_there(l), &t, f);
	if (r == 0) {
		timeline_free(&s->timeline);
		s->timeline = t;
		learn(l, s);
		l->got = clock_mono();
		r = -pthread_create(&l->thread, NULL, run, l);
		if (r < 0)
			fault_set(f, r, _("no thread: %s"), words_error(r));
	}
	if (r < 0) {
		release(&l);
		return r;
	}
	*ret = l;
	return 0;
}

void live_free(struct live **pl)
{
	struct live *l = *pl;

	if (l == NULL)
		return;
	pthread_join(l->thread, NULL);
	release(pl);
}

int live_read(struct live *l, struct source *ret, struct fault *f)
{
	struct buf text;
	char *url;
	int r;

	buf_init(&text, MPD_MAX_BYTES);
	hub_lock(l->hub);
	buf_append(&text, l->known.bytes, l->known.size);
	url = mem_dup(l->known_url);
	hub_unlock(l->hub);
	r = buf_error(&text);
	if (r == 0)
		r = source_parse(&l->door, &text, url, url, now_there(l), ret, f);
	buf_fini(&text);
	free(url);
	return r;
}

bool live_take(struct live *l, struct source *ret)
{
	bool fresh;

	hub_lock(l->hub);
	fresh = l->fresh;
	if (fresh) {
		*ret = l->next;
		l->next = (struct source){0};
		l->fresh = false;
	}
	hub_unlock(l->hub);
	return fresh;
}

dur_us live_edge(struct live *l)
{
	return l->has_start ? now_there(l) - l->availability_start : INT64_MAX;
}

const struct mpd_service *live_service(const struct live *l)
{
	return &l->service;
}

dur_us live_start(struct live *l, const struct source *s)
{
	const struct mpd *m = s->mpd;
	dur_us from, to, edge = live_edge(l), delay = 3 * l->segment, at;

	live_window(s->timeline, &from, &to);
	if (m->has_suggested_delay)
		delay = m->suggested_delay;
	if (m->service.latency_target > 0)
		delay = m->service.latency_target < (uint64_t)(MPD_MAX_TIME / DUR_MS) ? (dur_us)m->service.latency_target * DUR_MS : MPD_MAX_TIME;
	if (m->min_buffer_time > delay)
		delay = m->min_buffer_time;
	if (l->partial && edge != INT64_MAX && edge - to < 2 * l->segment)
		to = edge;
	at = (edge < to ? edge : to < edge - 2 * delay ? to : edge) - delay;
	if (!l->partial && at > to - l->segment)
		at = to - l->segment;
	return at > from ? at : from;
}

void live_trouble(struct live *l, char *out, size_t n)
{
	hub_lock(l->hub);
	snprintf(out, n, "%s", l->trouble);
	hub_unlock(l->hub);
}
