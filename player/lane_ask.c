/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a lane has its segment: grab it, hand it to the decoder.  One that comes too
 * slowly is asked for anew in a lower rendition or from another base; one that
 * nobody gives is tried in lower renditions, then left out, so that playing goes on.
 */
#include "player/lane_in.h"

#include <libavutil/mathematics.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "player/demux.h"
#include "player/feed.h"
#include "player/hub.h"
#include "player/media.h"
#include "player/report.h"

#define PATIENCE (30 * DUR_S)
#define RUN_OUT DUR_MIN
#define SHORT_PATIENCE (3 * DUR_S)
#define MAX_SKIPPED 3                 /* lost for want of any answer, in a row: nobody is there */
#define SLOW_HAND (2.0 / 3) /* of what is in hand may pass until it is here */
#define SLOW_AFTER (500 * DUR_MS)     /* of body */
#define SLOW_FACTOR 3                 /* below the forecast */
#define SLOW_PAUSE (30 * DUR_S)
#define SLOW_START DUR_S              /* nothing plays yet, and this is too long to wait */

const struct timeline_period *lane_period(const struct lane *l)
{
	return &l->set.source->timeline->periods[l->period];
}

static dur_us to_us(const struct lane *l, const struct timeline_rendition *r, int64_t t)
{
	return lane_period(l)->start + timeline_us(t, r->timescale);
}

dur_us lane_segment_start(const struct lane *l, const struct timeline_rendition *r, unsigned i)
{
	return to_us(l, r, r->segments[i].start);
}

dur_us lane_segment_end(const struct lane *l, const struct timeline_rendition *r, unsigned i)
{
	return to_us(l, r, r->segments[i].start + (int64_t)r->segments[i].duration);
}

dur_us lane_position(const struct lane *l)
{
	dur_us p;

	hub_lock(l->set.world->hub);
	p = l->set.world->hub->position;
	hub_unlock(l->set.world->hub);
	return p;
}

dur_us lane_buffered(const struct lane *l)
{
	dur_us b = l->t - lane_position(l);

	return b > 0 ? b : 0;
}

/* When the decode time of a segment is: as the index has it, give or take half of its length (or of the former one's: the
 * last may be short) for frames out of order and sound that begins before its track. */
static void set_time(struct rung *u, unsigned index, struct grab_want *w)
{
	const struct timeline_segment *s = &u->r->segments[index];
	int64_t start;
	uint64_t length = index > 0 && s[-1].duration > s->duration ? s[-1].duration : s->duration;

	if (u->ticks == 0 && u->init != NULL)
		u->ticks = demux_timescale(u->init);
	if (u->ticks == 0 || !u->indexed || __builtin_add_overflow(s->start, u->r->pto, &start) || start < 0)
		return;
	w->time = (uint64_t)av_rescale(start, u->ticks, u->r->timescale);
	w->slack = (uint64_t)av_rescale((int64_t)length, u->ticks, u->r->timescale) / 2 + 1;
}

/* So that a server can have it at hand: mostly the next one is of the same rung. */
static void tell_next(const struct timeline_rendition *r, unsigned index, struct cmcd *c)
{
	const struct timeline_segment *now = &r->segments[index], *next = now + 1;

	if (index + 1 >= r->n_segments)
		return;
	if (now->url != NULL && next->url != NULL)
		cmcd_set_next(c, now->url, next->url);
	c->has_next_range = next->has_range && (c->next[0] != '\0' || (now->url == NULL && next->url == NULL) ||
	                                        (now->url != NULL && next->url != NULL && strcmp(now->url, next->url) == 0));
	c->next_first = next->range.first;
	c->next_last = next->range.last;
}

void lane_ask(struct lane *l, unsigned rung, unsigned index, mono_us now)
{
	const struct timeline_rendition *r = l->rungs[rung].r;
	const struct timeline_segment *s = &r->segments[index];
	struct cmcd c = {.session_id = l->set.world->session_id, .content_id = l->set.world->content_id,
		.type = l->set.kind == LANE_VIDEO ? 'v' : 'a', .bitrate = r->bandwidth,
		.top_bitrate = l->bitrates[l->n_rungs - 1], .duration = lane_segment_end(l, r, index) - lane_segment_start(l, r, index),
		.buffer = lane_buffered(l), .throughput = lane_forecast(l), .startup = lane_buffered(l) < DUR_S,
		.live = l->set.source->timeline->dynamic};
	struct grab_want want = {.rendition = r, .reference = s->url != NULL ? s->url : "", .has_range = s->has_range,
		.first = s->range.first, .last = s->range.last, .mime_type = r->mime_type, .lane = l->set.kind,
		.index = index, .buffer = lane_buffered(l), .cmcd = &c, .fresh = l->set.source->timeline->dynamic,
		.patience = l->limit >= 0 || l->skipped > 0 ? SHORT_PATIENCE : PATIENCE + lane_buffered(l)};

	tell_next(r, index, &c);
	if (l->rungs[rung].timed)
		set_time(&l->rungs[rung], index, &want);
	hub_lock(l->set.world->hub);
	c.starved = l->set.world->hub->starved || l->set.world->hub->starvations != l->starvations;
	c.speed = l->set.world->hub->still ? 0 : l->set.world->hub->speed > 0 ? l->set.world->hub->speed : -1;
	c.startup = c.startup || c.starved;
	l->starvations = l->set.world->hub->starvations;
	hub_unlock(l->set.world->hub);
	l->grab_rung = rung;
	l->grab_index = index;
	l->grab_start = lane_segment_start(l, r, index);
	l->grab_end = lane_segment_end(l, r, index);
	l->moved = false;
	l->grab_buffer = want.buffer;
	l->looked = l->asked = now;
	flow_begin(&l->flow, now);
	feed_unref(&l->feed);
	l->fed = false;
	if (index >= r->n_segments - r->n_partial && r->mime_type != NULL && strstr(r->mime_type, "mp4") != NULL)
		want.feed = l->feed = feed_new(l->set.world->hub, l->set.world->max_bytes);
	l->grab = grab_new(l->set.world, &want, now);
}

/* Frames are cut at the Period's ends (ISO/IEC 23009-1 5.3.2); the last one runs out by itself, but not for years. */
static struct media_segment *new_segment(struct lane *l, struct blob *body)
{
	const struct rung *u = &l->rungs[l->grab_rung];
	const struct timeline *t = l->set.source->timeline;
	struct media_segment *m = mem_new(sizeof *m);
	dur_us end = source_period_end(t, l->period);

	if (l->period + 1 == t->n_periods && end < INT64_MAX)
		end += RUN_OUT;
	m->rendition = u->id;
	m->index = l->grab_index;
	m->init = u->init != NULL ? blob_ref(u->init) : NULL;
	m->body = body;
	m->feed = l->fed ? feed_ref(l->feed) : NULL;
	m->skipped = body == NULL && m->feed == NULL;
	m->offset = lane_period(l)->start - timeline_us(u->r->pto, u->r->timescale);
	m->first = lane_period(l)->start;
	m->from = l->window > m->first ? l->window : m->first;
	m->to = l->set.end < end ? l->set.end : end;
	m->start = l->grab_start;
	m->end = l->grab_end;
	m->sar_num = u->r->sar.den != 0 ? u->r->sar.num : 0;
	m->sar_den = u->r->sar.den;
	return m;
}

/* To the decoder; the lane goes on behind it. */
static void push(struct lane *l, struct media_segment *m)
{
	struct hub *h = l->set.world->hub;

	l->t = m->end;
	l->last_rung = (int)l->grab_rung;
	l->last_index = l->moved ? -1 : (int)l->grab_index;
	l->limit = -1;
	hub_lock(h);
	m->generation = l->generation;
	if (h->generation != l->generation) { /* a seek has made it worthless */
		hub_unlock(h);
		media_segment_free(&m);
		return;
	}
	if (m->skipped) {
		if (h->hole[l->set.kind].to != m->start)
			h->hole[l->set.kind].from = m->start;
		h->hole[l->set.kind].to = m->end;
	}
	fifo_put(&h->segments[l->set.kind], m);
	hub_ring(h);
	hub_unlock(h);
}

static void record(struct lane *l, const struct grab_result *g, bool skipped)
{
	const struct timeline_rendition *r = l->rungs[l->grab_rung].r;
	struct report_segment s = {.lane = l->set.kind, .index = l->grab_index, .retries = g->retries,
		.bandwidth = r->bandwidth, .bytes = g->bytes, .throughput = g->throughput, .first_byte = g->first_byte,
		.total = g->total, .body = g->line_busy, .buffer = l->grab_buffer, .start = l->grab_start, .skipped = skipped,
		.asked = l->asked - l->set.world->report->started};

	s.duration = l->grab_end - s.start;
	snprintf(s.rendition, sizeof s.rendition, "%s", r->representation->id != NULL ? r->representation->id : "");
	snprintf(s.service_location, sizeof s.service_location, "%s", g->key);
	snprintf(s.host, sizeof s.host, "%s", g->host);
	snprintf(s.trace, sizeof s.trace, "%s", g->trace);
	report_add_segment(l->set.world->report, &s);
	l->set.world->report->bytes += g->bytes;
	snprintf(l->view.rendition, sizeof l->view.rendition, "%s", s.rendition);
	snprintf(l->view.key, sizeof l->view.key, "%s", s.service_location);
	l->view.bandwidth = s.bandwidth;
	l->view.throughput = s.throughput;
	l->view.height = r->height;
}

/* Other people's indexes may count from somewhere else; only one that was right is held against what comes. */
static bool agrees(struct rung *u, unsigned index, const struct blob *body)
{
	struct grab_want w = {0};
	uint64_t t;

	set_time(u, index, &w);
	return w.slack > 0 && demux_time(body, &t) && (t > w.time ? t - w.time : w.time - t) <= w.slack;
}

static void grabbed(struct lane *l, struct grab_result *g)
{
	struct abr_sample s = {.segment = l->grab_index, .rung = l->grab_rung, .bytes = g->line_bytes,
		.first_byte = g->first_byte, .total = g->first_byte + g->line_busy};

	if (!l->fed || s.bytes > 0)
		judge_add(&l->judge, &s);
	record(l, g, false);
	if (!l->rungs[l->grab_rung].timed && !l->moved)
		l->rungs[l->grab_rung].timed = agrees(&l->rungs[l->grab_rung], l->grab_index, g->body);
	l->skipped = 0;
	if (l->fed)
		blob_unref(&g->body); /* the decoder has had it */
	else
		push(l, new_segment(l, g->body));
}

/* What is still being made is decoded as it comes, from its first bytes on. */
static void begin_feeding(struct lane *l)
{
	if (l->feed == NULL || l->fed || feed_size(l->feed) == 0)
		return;
	l->fed = true;
	push(l, new_segment(l, NULL));
}

/* Nobody gives it: lower renditions, then on without it. */
static int not_grabbed(struct lane *l, const struct grab_result *g, struct fault *f)
{
	const char *track = l->set.kind == LANE_VIDEO ? "video" : "audio";

	report_add_error(l->set.world->report, "%s segment %u of %s: %s", track, l->grab_index,
	                 l->rungs[l->grab_rung].r->representation->id, g->error);
	snprintf(l->error, sizeof l->error, "%s", g->error);
	if (l->fed) { /* its beginning is being played */
		log_warn("player/lane", "segment ends early track=%s index=%u reason=\"%s\"", track, l->grab_index, g->error);
		return 0;
	}
	for (unsigned i = l->grab_rung; i-- > 0;)
		if (l->rungs[i].state == RUNG_READY) {
			log_warn("player/lane", "segment is tried in a lower rendition track=%s index=%u reason=\"%s\"", track,
			         l->grab_index, g->error);
			l->limit = (int)i;
			return 0;
		}
	log_warn("player/lane", "segment is left out track=%s index=%u reason=\"%s\"", track, l->grab_index, g->error);
	record(l, g, true);
	if (++l->skipped >= MAX_SKIPPED)
		return fault_set(f, ERR_NETWORK, _("%u %s segments in a row cannot be had: %s"), l->skipped, track, g->error);
	push(l, new_segment(l, NULL));
	return 0;
}

static uint64_t rate_of(const struct abr_progress *p)
{
	dur_us body = p->elapsed - p->first_byte;

	return body > 0 ? (uint64_t)((double)p->got * 8e6 / (double)body) : 0;
}

/* A base that gives too little to be in time, with as much left as another one needs for the rest, is left: for another that nobody has tried yet or that was faster, else,
 * when it gives far less than the line did, for any; but not for one after another: then it is the line. */
static void leave_slow_base(struct lane *l, const struct abr_progress *p, mono_us now)
{
	dur_us body = p->elapsed - p->first_byte, hand = p->buffer > SLOW_START ? p->buffer : SLOW_START;
	uint64_t rate = rate_of(p), left = (p->size - p->got) * 8;

	if (body < SLOW_AFTER || (double)left < (double)rate * (double)hand * SLOW_HAND / 1e6 || grab_leave_slow(l->grab, rate > 0 ? rate : 1, now))
		return;
	if (body >= 2 * SLOW_AFTER && (l->left_slow == 0 || now - l->left_slow >= SLOW_PAUSE) &&
	    rate * SLOW_FACTOR <= lane_forecast(l) && grab_leave_slow(l->grab, 0, now))
		l->left_slow = now;
}

static void abandon(struct lane *l, mono_us now)
{
	struct abr_progress p = {.segment = l->grab_index, .rung = l->grab_rung, .buffer = lane_buffered(l)};
	struct abr_sample s = {.segment = l->grab_index, .rung = l->grab_rung, .aborted = true};
	bool tells;
	int rung;

	if (l->feed != NULL) /* how fast it comes is its maker's doing */
		return;
	if (now - l->looked < LANE_TICK)
		return;
	l->looked = now;
	grab_progress(l->grab, now, &p.got, &p.size, &p.elapsed, &p.first_byte, &p.before);
	if (p.size == 0 || p.got >= p.size)
		return;
	tells = flow_tells(&l->flow, p.got, now) || l->grab_buffer == 0; /* while nothing plays, waiting for the kernel costs as much as asking anew */
	rung = l->set.kind == LANE_VIDEO && l->judge.abr != NULL && p.got > 0 && tells ? abr_abandon(l->judge.abr, &p) : -1;
	if (rung < 0 || (unsigned)rung >= l->grab_rung || l->rungs[rung].state != RUNG_READY) {
		leave_slow_base(l, &p, now);
		return;
	}
	grab_blame(l->grab, rate_of(&p), now); /* what is asked anew may as well come from elsewhere */
	log_verbose("player/lane", "segment is asked anew in a lower rendition index=%u got=%llu of=%llu", l->grab_index,
	            (unsigned long long)p.got, (unsigned long long)p.size);
	s.bytes = p.got;
	s.first_byte = p.first_byte;
	s.total = p.elapsed;
	judge_add(&l->judge, &s);
	l->set.world->report->abandoned++;
	grab_free(&l->grab);
	if (l->moved)
		return; /* the same segment has another number now: it is chosen anew */
	lane_ask(l, (unsigned)rung, l->grab_index, now);
}

/* A tick behind the last look, whatever woke the engine meanwhile. */
static mono_us next_look(const struct lane *l, mono_us now)
{
	return l->looked + LANE_TICK > now ? l->looked + LANE_TICK : now + LANE_TICK;
}

int lane_follow(struct lane *l, mono_us now, mono_us *ret_next, struct fault *f)
{
	struct grab_result g;
	enum grab_state state;

	abandon(l, now);
	if (l->grab == NULL)
		return 0;
	state = grab_step(l->grab, now, ret_next);
	begin_feeding(l);
	if (state == GRAB_RUNNING) {
		mono_us look = next_look(l, now);

		if (look < *ret_next)
			*ret_next = look;
		return 0;
	}
	*ret_next = now; /* the line stands idle until the next one is asked for */
	grab_result(l->grab, &g);
	grab_free(&l->grab);
	if (state == GRAB_FAILED)
		return not_grabbed(l, &g, f);
	grabbed(l, &g);
	return 0;
}
