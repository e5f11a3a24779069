/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The walk of one lane: enter a period, make its renditions ready, then segment
 * by segment: choose, ask (lane_ask), go on behind it.
 */
#include "player/lane_in.h"

#include <libavutil/mathematics.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "player/feed.h"
#include "player/fit.h"
#include "player/hub.h"
#include "player/media.h"
#include "player/report.h"

#define FIRST_WAIT (1200 * DUR_MS)    /* for slow indexes, once one rendition is ready */
#define AHEAD (6 * DUR_S)             /* of the other lane, once that has twice as much in hand */
#define BUFFER_BYTES ((uint64_t)192 << 20)

struct lane *lane_new(const struct lane_setup *set)
{
	struct lane *l = mem_new(sizeof *l);

	l->set = *set;
	l->judge = (struct judge){.algorithm = set->algorithm, .buffer = set->buffer, .start_bps = set->line};
	lane_seek(l, set->start, 0);
	return l;
}

static void leave_period(struct lane *l)
{
	grab_free(&l->grab);
	for (unsigned i = 0; i < l->n_rungs; i++)
		rung_end(&l->rungs[i]);
	l->n_rungs = 0;
	judge_leave(&l->judge);
	l->entered = l->prepared = false;
	l->first_ready = 0;
	l->last_rung = l->last_index = l->limit = -1;
}

void lane_free(struct lane **pl)
{
	if (*pl != NULL) {
		leave_period(*pl);
		feed_unref(&(*pl)->feed);
	}
	free(*pl);
	*pl = NULL;
}

void lane_seek(struct lane *l, dur_us to, unsigned generation)
{
	unsigned period = source_period_at(l->set.source->timeline, to);

	if (period != l->period || !l->entered)
		leave_period(l);
	grab_free(&l->grab);
	l->generation = generation;
	l->period = period;
	l->t = l->window = to;
	l->last_index = l->limit = -1;
	l->ended = false;
	l->wait_above = 0;
}

void lane_keep(struct lane *l, unsigned generation)
{
	l->generation = generation;
}

dur_us lane_end(const struct lane *l)
{
	return l->t;
}

bool lane_ended(const struct lane *l)
{
	return l->ended;
}

uint64_t lane_forecast(const struct lane *l)
{
	return judge_forecast(&l->judge);
}

void lane_view(const struct lane *l, struct lane_view *ret)
{
	*ret = l->view;
	ret->trouble[0] = '\0';
	if (l->grab != NULL)
		snprintf(ret->trouble, sizeof ret->trouble, "%s", grab_trouble(l->grab));
}

/* --- periods and renditions ---------------------------------------------------------- */

static bool wanted(const struct lane *l, const struct timeline_rendition *r, bool any_height)
{
	if (!fit_rendition(r, NULL))
		return false;
	return any_height || l->set.max_height == 0 || r->height <= l->set.max_height;
}

static void enter_period(struct lane *l, mono_us now)
{
	enum timeline_kind kind = l->set.kind == LANE_VIDEO ? TIMELINE_VIDEO : TIMELINE_AUDIO;
	struct timeline_track *track = source_choose(lane_period(l), kind, l->set.lang, l->next_audio, NULL);
	bool any = true;

	l->entered = true;
	if (track == NULL)
		return;
	for (size_t i = 0; i < track->n_renditions; i++)
		any = any && !wanted(l, &track->renditions[i], false);
	for (size_t i = 0; i < track->n_renditions && l->n_rungs < LANE_MAX_RUNGS; i++) {
		struct timeline_rendition *r = &track->renditions[i];

		if (!wanted(l, r, any))
			continue;
		l->bitrates[l->n_rungs] = r->bandwidth >= UINT32_MAX ? UINT32_MAX : r->bandwidth > 0 ? (uint32_t)r->bandwidth : 1;
		rung_begin(&l->rungs[l->n_rungs++], l->set.world, r, ++l->next_id, l->set.kind,
		           l->set.source->timeline->dynamic, now);
		if (any)
			break; /* nothing is low enough: the lowest */
	}
	if (l->set.kind == LANE_VIDEO && l->n_rungs > 0 && l->bitrates[l->n_rungs - 1] > l->set.world->report->top_bandwidth)
		l->set.world->report->top_bandwidth = l->bitrates[l->n_rungs - 1];
}

static unsigned n_ready(const struct lane *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n_rungs; i++)
		n += l->rungs[i].state == RUNG_READY;
	return n;
}

/* How long a segment is in the renditions at hand, on the mean. */
static dur_us mean_segment(const struct lane *l)
{
	for (unsigned i = 0; i < l->n_rungs; i++) {
		const struct timeline_rendition *r = l->rungs[i].r;

		if (l->rungs[i].state == RUNG_READY && r->n_segments > 0) {
			dur_us all = lane_segment_end(l, r, (unsigned)r->n_segments - 1) - lane_segment_start(l, r, 0);

			return all > (dur_us)r->n_segments ? all / (dur_us)r->n_segments : 2 * DUR_S;
		}
	}
	return 2 * DUR_S;
}

/* true when a segment can be chosen */
static bool prepare(struct lane *l, mono_us now, mono_us *ret_next)
{
	unsigned loading = 0, ready;

	for (unsigned i = 0; i < l->n_rungs; i++) {
		rung_step(&l->rungs[i], now, ret_next);
		loading += l->rungs[i].state == RUNG_LOADING;
	}
	ready = n_ready(l);
	if (ready > 0 && l->first_ready == 0)
		l->first_ready = now;
	if (!l->prepared && ready > 0 && loading > 0 && now - l->first_ready < FIRST_WAIT) {
		if (l->first_ready + FIRST_WAIT < *ret_next)
			*ret_next = l->first_ready + FIRST_WAIT;
		return false;
	}
	if (ready == 0)
		return false;
	l->prepared = true;
	if (l->judge.abr == NULL || (loading == 0 && l->judge.n_ready != ready))
		judge_enter(&l->judge, l->rungs, l->n_rungs, ready, l->bitrates, mean_segment(l), l->set.source->timeline->dynamic);
	return true;
}

static bool all_dead(const struct lane *l)
{
	for (unsigned i = 0; i < l->n_rungs; i++)
		if (l->rungs[i].state != RUNG_DEAD)
			return false;
	return true;
}

/* --- choosing -------------------------------------------------------------------------- */

static unsigned nearest_ready(const struct lane *l, unsigned rung)
{
	for (int i = (int)rung; i >= 0; i--)
		if (l->rungs[i].state == RUNG_READY)
			return (unsigned)i;
	for (unsigned i = rung; i < l->n_rungs; i++)
		if (l->rungs[i].state == RUNG_READY)
			return i;
	return rung;
}

static unsigned choose(struct lane *l, unsigned index, mono_us now, uint64_t line)
{
	struct abr_state s = {.segment = index, .last_rung = l->last_rung, .buffer = lane_buffered(l), .now = now};
	struct abr_decision d = {0, 0};

	if (l->set.kind == LANE_AUDIO)
		d.rung = judge_sound(l->bitrates, l->n_rungs, l->last_rung, line);
	else if (l->judge.abr != NULL)
		d = abr_next(l->judge.abr, &s);
	if (l->set.kind == LANE_VIDEO && l->wish_rung > 0) {
		d.rung = l->wish_rung - 1;
		d.wait = 0;
	}
	/* as a level, not as a time: the playhead may run faster or stand still */
	l->wait_above = d.wait > 0 && s.buffer - d.wait > 2 * DUR_S ? s.buffer - d.wait : 0;
	if (l->limit >= 0 && d.rung > (unsigned)l->limit)
		d.rung = (unsigned)l->limit;
	return nearest_ready(l, d.rung < l->n_rungs ? d.rung : l->n_rungs - 1);
}

/* The segment of this rendition to go on with: -1 when it has no more. */
static int index_for(const struct lane *l, const struct timeline_rendition *r)
{
	int i = l->last_index + 1;
	int64_t at;

	/* aligned renditions count alike; others are asked by time */
	if (l->last_index >= 0 && (size_t)i < r->n_segments &&
	    llabs(lane_segment_start(l, r, (unsigned)i) - l->t) * 4 < lane_segment_end(l, r, (unsigned)i) - lane_segment_start(l, r, (unsigned)i))
		return i;
	if (r->n_segments == 0 || l->t + DUR_MS >= lane_segment_end(l, r, (unsigned)r->n_segments - 1))
		return -1;
	at = av_rescale(l->t + DUR_MS - lane_period(l)->start, r->timescale, DUR_S);
	return timeline_find(r, at);
}

/* --- the walk -------------------------------------------------------------------------- */

static void end_lane(struct lane *l)
{
	struct hub *h = l->set.world->hub;

	l->ended = true;
	hub_lock(h);
	if (h->generation == l->generation)
		h->segments[l->set.kind].closed = true;
	hub_ring(h);
	hub_unlock(h);
}

/* The rest of this period has nothing of our kind. */
static void next_period(struct lane *l)
{
	const struct timeline *t = l->set.source->timeline;
	struct hub *h = l->set.world->hub;
	dur_us end = source_period_end(t, l->period);

	if (l->period + 1 >= t->n_periods || end >= l->set.end) {
		end_lane(l);
		return;
	}
	hub_lock(h);
	if (end > l->t) {
		if (h->hole[l->set.kind].to != l->t)
			h->hole[l->set.kind].from = l->t;
		h->hole[l->set.kind].to = end;
	}
	hub_unlock(h);
	leave_period(l);
	l->period++;
	l->t = end;
}

/* How much to have in hand: the target, less where that would be too many bytes. */
static dur_us target(const struct lane *l)
{
	uint64_t bps = l->last_rung >= 0 ? l->bitrates[l->last_rung] : l->bitrates[0];
	dur_us by_bytes = (dur_us)((double)BUFFER_BYTES * 8e6 / (double)(bps > 0 ? bps : 1));

	return l->set.buffer < by_bytes ? l->set.buffer : by_bytes;
}

/* How long the next segment will be, about: as the one before. */
static dur_us next_duration(const struct lane *l)
{
	const struct timeline_rendition *r = l->last_rung >= 0 ? l->rungs[l->last_rung].r : NULL;

	return r != NULL && l->last_index >= 0 && (size_t)l->last_index < r->n_segments
	               ? lane_segment_end(l, r, (unsigned)l->last_index) - lane_segment_start(l, r, (unsigned)l->last_index)
	               : 0;
}

/* Only what fits is asked for, as the adaptation's plans have it; but never less than two segments. */
static bool has_room(struct lane *l, dur_us other_end, mono_us now, mono_us *ret_next)
{
	struct hub *h = l->set.world->hub;
	const struct fifo *q = &h->segments[l->set.kind];
	dur_us next = next_duration(l), most = target(l) - next > next ? target(l) - next : next;
	dur_us have = lane_buffered(l), ahead = (other_end - lane_position(l)) / 2;
	bool full, still;

	hub_lock(h);
	full = fifo_full(q) || (q->n > 1 && hub_segment_bytes(q) >= BUFFER_BYTES); /* whatever the MPD says of their bandwidth */
	still = h->still;
	hub_unlock(h);
	if (!full && have <= most && (l->wait_above == 0 || have <= l->wait_above) &&
	    (l->t <= other_end || l->t - other_end < (ahead < AHEAD ? ahead : AHEAD)))
		return true;
	/* while all stands still, nothing makes room but a command, and that rings */
	if (!still && now + LANE_TICK / 2 < *ret_next)
		*ret_next = now + LANE_TICK / 2;
	return false;
}

/* --- a timeline that grows ----------------------------------------------------------------- */

static struct timeline_rendition *find_same(const struct timeline_period *p, const struct timeline_rendition *old)
{
	for (size_t i = 0; i < p->n_tracks; i++)
		for (size_t k = 0; k < p->tracks[i].n_renditions; k++) {
			struct timeline_rendition *r = &p->tracks[i].renditions[k];

			if (r->fault == NULL && r->representation->id != NULL && old->representation->id != NULL &&
			    strcmp(r->representation->id, old->representation->id) == 0)
				return r;
		}
	return NULL;
}

static bool same_period(const struct timeline_period *a, const struct timeline_period *b)
{
	return a->id != NULL && b->id != NULL ? strcmp(a->id, b->id) == 0 : a->start == b->start;
}

static bool follow_renditions(struct lane *l, const struct timeline_period *p)
{
	for (unsigned i = 0; i < l->n_rungs; i++) {
		struct timeline_rendition *r = find_same(p, l->rungs[i].r);

		if (r == NULL || r->needs_index)
			return false;
		l->rungs[i].r = r;
	}
	return true;
}

void lane_refresh(struct lane *l, struct timeline *next)
{
	unsigned p = 0;

	while (p < next->n_periods && l->entered && !same_period(&next->periods[p], lane_period(l)))
		p++;
	if (!l->entered || p == next->n_periods || !follow_renditions(l, &next->periods[p])) {
		leave_period(l);
		p = source_period_at(next, l->t);
	}
	l->period = p;
	l->last_index = -1;
	l->moved = true;
}

/* There will be more here. */
static bool will_grow(const struct lane *l)
{
	const struct timeline *t = l->set.source->timeline;
	dur_us end = source_period_end(t, l->period);

	if (!t->dynamic || l->t + DUR_S / 2 >= end)
		return false;
	if (l->period + 1 == t->n_periods)
		return true;
	for (size_t i = 0; i < t->periods[l->period + 1].n_tracks; i++) {
		const struct timeline_track *track = &t->periods[l->period + 1].tracks[i];

		if (track->n_renditions > 0 && track->renditions[0].n_segments > 0)
			return false; /* the next one has begun: this one is not going to */
	}
	return true;
}

static void next_segment(struct lane *l, mono_us now, uint64_t line)
{
	unsigned rung = choose(l, (unsigned)(l->last_index + 1), now, line);
	int index = index_for(l, l->rungs[rung].r);

	if (index < 0 && l->t < l->set.end && will_grow(l)) {
		l->waits = true;
	} else if (index < 0 || l->t >= l->set.end) {
		next_period(l);
	} else if (l->wait_above == 0) {
		lane_ask(l, rung, (unsigned)index, now);
	}
}

/* What is queued and not needed soon is asked for anew. */
static void rewind_to(struct lane *l, dur_us keep)
{
	struct hub *h = l->set.world->hub;
	struct fifo *q = &h->segments[l->set.kind];
	struct media_segment *s;

	hub_lock(h);
	while ((s = fifo_peek_last(q)) != NULL && h->generation == l->generation && s->start > h->position + keep) {
		l->t = s->start;
		s = fifo_take_last(q);
		media_segment_free(&s);
		q->closed = l->ended = false;
	}
	hub_unlock(h);
	grab_free(&l->grab);
	l->last_index = -1;
}

static void follow_wishes(struct lane *l)
{
	struct hub *h = l->set.world->hub;
	unsigned rung, audio;

	hub_lock(h);
	rung = h->wish.rung;
	audio = h->wish.audio;
	hub_unlock(h);
	if (l->set.kind == LANE_VIDEO && rung != l->wish_rung) {
		l->wish_rung = rung;
		rewind_to(l, 2 * DUR_S);
	}
	if (l->set.kind == LANE_AUDIO && audio != l->next_audio) {
		l->next_audio = audio;
		rewind_to(l, DUR_S);
		leave_period(l);
		l->period = source_period_at(l->set.source->timeline, l->t);
	}
}

int lane_step(struct lane *l, mono_us now, uint64_t line, dur_us other_end, mono_us *ret_next, struct fault *f)
{
	follow_wishes(l);
	if (l->ended)
		return 0;
	if (!l->entered)
		enter_period(l, now);
	if (l->n_rungs == 0) {
		if (will_grow(l))
			return 0;
		next_period(l);
		*ret_next = now;
		return 0;
	}
	if (!prepare(l, now, ret_next))
		return all_dead(l) ? fault_set(f, ERR_MEDIA, _("no %s rendition can be had: %s"),
		                               l->set.kind == LANE_VIDEO ? _("video") : _("audio"), l->rungs[0].error)
		                   : 0;
	if (l->grab == NULL && has_room(l, other_end, now, ret_next)) {
		l->waits = false;
		next_segment(l, now, line);
		if (!l->waits)
			*ret_next = now;
		else if (now + LANE_TICK < *ret_next)
			*ret_next = now + LANE_TICK;
	}
	return l->grab != NULL ? lane_follow(l, now, ret_next, f) : 0;
}
