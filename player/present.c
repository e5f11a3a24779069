/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The clock runs on monotonic time; where there is a sound device it is steered
 * to what is heard.  It stands still while media is missing, and each such time
 * is a stall.
 */
#include "player/present_in.h"

#include <libavutil/frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "player/frames_hash.h"
#include "player/ipc.h"
#include "player/live.h"
#include "player/media.h"
#include "player/report.h"
#include "player/sound.h"
#include "player/wake.h"

#define LEAD (250 * DUR_MS)        /* sound given ahead of the clock */
#define LATE_DECODER (500 * DUR_MS)/* a decoder that has work may be this late before it is a stall */
#define CLOSE (20 * DUR_MS)        /* picture and sound that nobody can tell from simultaneous */
#define MAX_DRAWING (25 * DUR_MS)
#define SNAP (80 * DUR_MS)         /* a clock further off than this jumps */
#define SETTLE (100 * DUR_MS)      /* after a start */
#define LOOK (100 * DUR_MS)        /* what nobody tells of is looked at so often: what changes with time, and */
#define LOOK_WINDOW (20 * DUR_MS)  /* a window */
#define LOOK_STILL (500 * DUR_MS)  /* while nothing moves but what changes with time, and all is told of */
#define LOOK_NEVER DUR_HOUR        /* nothing changes at all */
#define LOOK_PACE (250 * DUR_MS)
#define GAP DUR_S                 /* more than this is a discontinuity */
#define PLAIN_STATUS (60 * DUR_S)

/* --- the clock ----------------------------------------------------------------------------- */

dur_us present_clock(const struct present *p, mono_us now)
{
	return p->playing ? p->base_pts + (dur_us)((double)(now - p->base) * p->set.speed) : p->base_pts;
}

void present_set_speed(struct present *p, double speed, mono_us now)
{
	p->base_pts = present_clock(p, now);
	p->base = now;
	p->set.speed = speed;
	sound_set_speed(&p->sound, speed);
	if (p->sound.device && p->playing) /* until then the ear is still at the old speed */
		p->settled = now + p->set.sink->sound_left(p->set.sink) + SETTLE;
}

void present_clock_stop(struct present *p, dur_us at)
{
	p->playing = false;
	p->base_pts = at;
	if (p->sound.device)
		p->set.sink->sound_run(p->set.sink, false);
}

static void clock_start(struct present *p, mono_us now)
{
	p->playing = true;
	p->base = now;
	p->settled = now + SETTLE;
	if (p->sound.device)
		p->set.sink->sound_run(p->set.sink, true);
}

/* The ear is master: small errors are walked off, large ones jumped over, as all are where nobody has
 * seen the clock run yet: sound comes out of a device some time after it was given. */
static void clock_steer(struct present *p, mono_us now)
{
	dur_us t = present_clock(p, now), error;

	if (!p->sound.device || !p->playing || sound_end(&p->sound) <= t)
		return;
	error = sound_heard(&p->sound, t) - t;
	p->base_pts = t + (now < p->settled || error > SNAP || error < -SNAP ? error : error / 10);
	p->base = now;
}

/* --- queues, with the hub's lock held -------------------------------------------------------- */

static bool in_hole(const struct hub *h, int lane, dur_us t)
{
	return t >= h->hole[lane].from - LOOK && t < h->hole[lane].to;
}

/* The lane should have something at t and has not. */
static bool lacks(const struct present *p, int lane, dur_us t)
{
	const struct hub *h = p->hub;

	return h->lane[lane] && h->frames[lane].n == 0 && !h->frames[lane].closed && !in_hole(h, lane, t);
}

static bool has_work(const struct hub *h, int lane)
{
	return h->busy[lane] || h->segments[lane].n > 0;
}

static bool starving(const struct present *p, int lane, dur_us t, dur_us end)
{
	if (!lacks(p, lane, t) || t < end)
		return false;
	return !has_work(p->hub, lane) || t >= end + (dur_us)((double)LATE_DECODER * p->set.speed);
}

static bool ended(const struct present *p)
{
	for (int i = 0; i < N_LANES; i++)
		if (p->hub->lane[i] && (p->hub->frames[i].n > 0 || !p->hub->frames[i].closed))
			return false;
	return true;
}

static struct media_frame *peek(const struct present *p, int lane)
{
	return fifo_peek(&p->hub->frames[lane]);
}

static struct media_frame *take(struct present *p, int lane)
{
	struct media_frame *f = fifo_take(&p->hub->frames[lane]);

	hub_ring(p->hub); /* there is room for the decoder */
	return f;
}

static void post_position(struct present *p, dur_us t)
{
	p->hub->position = t;
	p->hub->starvations += p->stall_began != 0 && !p->hub->starved;
	p->hub->starved = p->stall_began != 0;
	p->hub->speed = p->set.speed;
	if (t - p->posted > LOOK || t < p->posted) {
		p->posted = t;
		p->hub->posts++;
		hub_ring(p->hub);
	}
}

/* --- showing --------------------------------------------------------------------------------- */

static void note_offset(struct present *p, dur_us offset)
{
	if (offset < 0)
		offset = -offset;
	p->report->av_seen++;
	p->report->av_close += offset <= CLOSE;
	if (offset > p->report->max_av_offset)
		p->report->max_av_offset = offset;
}

/* How long ago it was to be seen: in the middle of the drawing. */
static dur_us draw(struct present *p, const AVFrame *f)
{
	mono_us began = clock_mono();
	dur_us took;

	p->set.sink->show(p->set.sink, f);
	took = clock_mono() - began;
	log_debug("player/present", "picture pts_us=%lld clock_us=%lld began=%lld took_us=%lld drawing_us=%lld heard_us=%lld", (long long)f->pts,
	          (long long)present_clock(p, began), (long long)began, (long long)took, (long long)p->drawing, (long long)sound_heard(&p->sound, present_clock(p, began + took)));
	p->drawing += ((took < MAX_DRAWING ? took : MAX_DRAWING) - p->drawing) / 8;
	p->drew = true;
	return took / 2;
}

/* The offset is what a viewer meets: picture against what is heard at this moment, in real time. */
static void show(struct present *p, struct media_frame *f, dur_us t)
{
	double speed = p->set.speed > 0 ? p->set.speed : 1;
	dur_us ago;

	f->av->pts = f->pts;
	f->av->pkt_duration = f->duration;
	ago = draw(p, f->av);
	if (p->set.hashes != NULL)
		frames_hash_put(p->set.hashes, f);
	p->report->presented++;
	p->width = f->av->width;
	p->height = f->av->height;
	if (p->sought != 0) {
		p->last_seek = clock_mono() - p->sought;
		p->sought = 0;
		p->restarted = !p->dragged;
		if (p->first_picture == 0)
			p->first_picture = p->last_seek;
	}
	p->video_end = f->pts + f->duration;
	if (p->hub->lane[LANE_AUDIO] && p->sound.opened)
		note_offset(p, (dur_us)((double)(f->pts - sound_heard(&p->sound, t)) / speed) - p->sound.drift + (p->sound.device ? ago : 0));
	if (p->report->startup < 0)
		p->report->startup = clock_mono() - p->report->started;
}

/* The time of the pictures whose drawing begins at t.  They are on the screen somewhere in the middle of the call (measured
 * on its other side: t/bench/player-av). */
static dur_us ahead(const struct present *p, dur_us t)
{
	return p->sound.device ? t + (dur_us)((double)p->drawing / 2 * p->set.speed) : t;
}

/* Picture due at t; of several the last, the others are late and dropped.  NULL: none. */
static struct media_frame *due_picture(struct present *p, dur_us t)
{
	struct media_frame *f = NULL, *next;

	while ((f == NULL || !p->set.sink->all) && (next = peek(p, LANE_VIDEO)) != NULL && next->pts <= t) {
		if (f != NULL) {
			p->report->dropped++;
			media_frame_free(&f);
		}
		f = take(p, LANE_VIDEO);
	}
	return f;
}

static struct media_frame *due_sound(struct present *p, dur_us t)
{
	dur_us lead = (dur_us)((double)LEAD * p->set.speed);

	return peek(p, LANE_AUDIO) != NULL && sound_end(&p->sound) < t + lead ? take(p, LANE_AUDIO) : NULL;
}

/* Called and returns with the lock; the sinks are called without it. */
static void show_due(struct present *p, dur_us t)
{
	struct media_frame *f;

	while ((f = due_sound(p, t)) != NULL) {
		hub_unlock(p->hub);
		sound_put(&p->sound, f);
		media_frame_free(&f);
		hub_lock(p->hub);
	}
	if (clock_mono() < p->settled) { /* now it is known when it will be heard */
		clock_steer(p, clock_mono());
		t = present_clock(p, clock_mono());
	}
	f = due_picture(p, ahead(p, t));
	if (f != NULL) {
		hub_unlock(p->hub);
		show(p, f, t);
		media_frame_free(&f);
		hub_lock(p->hub);
	}
}

/* --- standing still and going on --------------------------------------------------------------- */

static void begin_stall(struct present *p, dur_us t, mono_us now)
{
	present_clock_stop(p, t);
	p->stall_began = now;
	log_verbose("player/present", "stalled at_ms=%lld", (long long)(t / DUR_MS));
}

static void end_stall(struct present *p, mono_us now)
{
	if (p->stall_began == 0)
		return;
	report_add_stall(p->report, p->base_pts, now - p->stall_began);
	log_verbose("player/present", "goes on ms=%lld", (long long)((now - p->stall_began) / DUR_MS));
	p->stall_began = 0;
}

/* The first picture or sound says where the title begins, when it begins later than asked. */
static void try_start(struct present *p, mono_us now)
{
	struct media_frame *v = peek(p, LANE_VIDEO), *a = peek(p, LANE_AUDIO);
	dur_us first = INT64_MAX;

	if (p->paused || p->dragged || lacks(p, LANE_VIDEO, p->base_pts) || lacks(p, LANE_AUDIO, p->base_pts))
		return;
	if (!p->shown) {
		if (v != NULL)
			first = v->pts;
		if (a != NULL && a->pts < first)
			first = a->pts;
		if (first != INT64_MAX && first > p->base_pts)
			p->base_pts = first;
		sound_reset(&p->sound, p->base_pts);
		p->video_end = p->base_pts;
		p->shown = true;
	}
	end_stall(p, now);
	clock_start(p, now);
}

/* One picture, while all stands still. */
static void step(struct present *p)
{
	struct media_frame *f = take(p, LANE_VIDEO);

	p->stepping = false;
	p->base_pts = f->pts;
	if (!p->shown) {
		sound_reset(&p->sound, f->pts);
		p->shown = true;
	}
	p->stepped = true;
	hub_unlock(p->hub);
	show(p, f, f->pts);
	media_frame_free(&f);
	hub_lock(p->hub);
}

static void look_for_stall(struct present *p, mono_us now)
{
	dur_us t = present_clock(p, now), sound = sound_end(&p->sound);

	if (starving(p, LANE_VIDEO, t, p->video_end))
		begin_stall(p, t, now);
	else if (starving(p, LANE_AUDIO, t, sound))
		begin_stall(p, t < sound ? sound : t, now);
}

/* Nothing for a while in any lane, and more behind it: a discontinuity is jumped over, not waited out. */
static void jump_gap(struct present *p, mono_us now)
{
	dur_us t = present_clock(p, now), first = INT64_MAX;

	for (int i = 0; i < N_LANES; i++) {
		const struct media_frame *f = peek(p, i);

		if (p->hub->lane[i] && f == NULL)
			return;
		if (f != NULL && f->pts < first)
			first = f->pts;
	}
	if (first == INT64_MAX || first < t + GAP || t < p->video_end || t < sound_end(&p->sound))
		return;
	log_verbose("player/present", "jumps at_ms=%lld to_ms=%lld", (long long)(t / DUR_MS), (long long)(first / DUR_MS));
	present_clock_stop(p, first);
	sound_reset(&p->sound, first);
	clock_start(p, now);
}

static mono_us at(const struct present *p, dur_us pts, mono_us now)
{
	return now + (dur_us)((double)(pts - present_clock(p, now)) / p->set.speed);
}

/* Paused, told of all that comes from outside, and nothing to be drawn: until something is due. */
static dur_us until_due(const struct present *p, mono_us now)
{
	mono_us due = now + LOOK_NEVER;

	if (p->draw_waits && p->drawn_next < due)
		due = p->drawn_next;
	if (!p->set.quiet && !p->status_stands && p->status_next < due)
		due = p->status_next;
	if (p->sound.device && !p->rested && p->paused_at + HANDS_REST > now && p->paused_at + HANDS_REST < due)
		due = p->paused_at + HANDS_REST;
	return due > now ? due - now : 0;
}

/* When to look without being told. */
static dur_us patience(const struct present *p, mono_us now)
{
	bool window = p->set.sink->sound_left != NULL;

	if (window && (!p->paused || p->drew))
		return LOOK_WINDOW;
	if (!p->paused || p->wake == NULL || (window && !p->told) || p->scan != 0 || p->sought != 0 || now < p->notice_end + LOOK_STILL || p->facts.bar >= 0)
		return LOOK;
	return p->statistics || p->set.live != NULL ? LOOK_STILL : until_due(p, now);
}

static void rest(struct present *p, mono_us until)
{
	if (!p->hub->poked && !p->restarted)
		hub_wait_until(p->hub, until);
}

static mono_us next_look(const struct present *p, mono_us now)
{
	mono_us next = now + patience(p, now), t;
	const struct media_frame *v = peek(p, LANE_VIDEO);

	if (!p->playing)
		return next;
	t = at(p, (v != NULL ? v->pts : p->video_end) - ahead(p, 0), now);
	if ((v != NULL || lacks(p, LANE_VIDEO, p->video_end)) && t < next)
		next = t > now ? t : now + DUR_MS / 2;
	t = at(p, sound_end(&p->sound) - LEAD / 2, now);
	if (peek(p, LANE_AUDIO) != NULL && t < next)
		next = t;
	return next;
}

/* --- without a clock --------------------------------------------------------------------------- */

/* As fast as frames come, in the order of their times.  With the lock. */
static void show_any(struct present *p)
{
	struct media_frame *v = peek(p, LANE_VIDEO), *a = peek(p, LANE_AUDIO), *f;
	bool picture = v != NULL && (a == NULL || v->pts <= a->pts);

	if (ended(p))
		return;
	if ((v == NULL && a == NULL) || lacks(p, LANE_VIDEO, p->base_pts) || lacks(p, LANE_AUDIO, p->base_pts)) {
		rest(p, clock_mono() + LOOK);
		return;
	}
	f = take(p, picture ? LANE_VIDEO : LANE_AUDIO);
	if (f->pts > p->base_pts)
		p->base_pts = f->pts;
	if (!p->shown) {
		sound_reset(&p->sound, f->pts > p->base_pts ? f->pts : p->base_pts);
		p->shown = true;
	}
	post_position(p, p->base_pts);
	hub_unlock(p->hub);
	if (picture)
		show(p, f, f->pts);
	else
		sound_put(&p->sound, f);
	media_frame_free(&f);
	hub_lock(p->hub);
}

/* --- the loop ------------------------------------------------------------------------------------ */

/* A live title is kept as near its edge as its MPD asks for.  Without the hub's lock. */
static void keep_pace(struct present *p, mono_us now)
{
	struct engine_view v;
	double speed = 1;

	if (p->pace.target == 0 || p->set.speed <= 0 || now < p->paced_next)
		return;
	p->paced_next = now + LOOK_PACE;
	if (p->own_pace)
		return;
	engine_view(p->set.engine, &v);
	if (p->playing)
		speed = pace_speed(&p->pace, live_edge(p->set.live) - present_clock(p, now), v.buffer);
	else
		p->pace.way = 0;
	if (speed != p->set.speed)
		present_set_speed(p, speed, now);
}

/* Until the place itself is there; only for the eye: it is counted and recorded nowhere. */
static void show_preview(struct present *p)
{
	struct media_frame *f = p->hub->preview;

	p->hub->preview = NULL;
	if (p->shown || p->sought == 0) {
		media_frame_free(&f);
		return;
	}
	hub_unlock(p->hub);
	if (p->set.sink->preview != NULL)
		p->set.sink->preview(p->set.sink, f->av);
	p->drew = true;
	if (p->first_picture == 0)
		p->first_picture = clock_mono() - p->sought;
	media_frame_free(&f);
	hub_lock(p->hub);
}

static void round_by_clock(struct present *p)
{
	mono_us now = clock_mono();

	if (p->hub->preview != NULL)
		show_preview(p);
	if ((p->paused || p->dragged) && p->stepping && peek(p, LANE_VIDEO) != NULL)
		step(p);
	if (!p->playing)
		try_start(p, now);
	else
		clock_steer(p, now);
	if (p->playing) {
		show_due(p, present_clock(p, now));
		now = clock_mono();
		look_for_stall(p, now);
		if (p->playing)
			jump_gap(p, now);
	}
	post_position(p, present_clock(p, now));
	if (!ended(p) || !p->playing || present_clock(p, now) < p->video_end || present_clock(p, now) < sound_end(&p->sound))
		rest(p, next_look(p, now));
	p->drew = false;
}

static bool over(struct present *p)
{
	dur_us t = present_clock(p, clock_mono());

	if (!ended(p))
		return false;
	return p->set.speed <= 0 || !p->shown || (t >= p->video_end && t >= sound_end(&p->sound));
}

static void finish(struct present *p)
{
	dur_us end = p->video_end > sound_end(&p->sound) ? p->video_end : sound_end(&p->sound);
	dur_us t = p->set.speed > 0 ? present_clock(p, clock_mono()) : end;

	end_stall(p, clock_mono());
	p->base_pts = t;
	p->report->played = (t < end ? t : end) - p->set.start;
	if (p->report->played < 0 || !p->shown)
		p->report->played = 0;
	sound_fini(&p->sound);
	if (p->terminal && !p->set.quiet)
		fputs("\r\033[K", stderr);
}

static void listen_to_hands(struct present *p)
{
	int window = p->set.sink->fd != NULL ? p->set.sink->fd(p->set.sink) : -1;

	p->told = window >= 0;
	wake_watch(p->wake, window);
	wake_watch(p->wake, keys_fd());
}

bool present_run(const struct present_setup *set, dur_us *ret_end, struct fault *f)
{
	struct present p = {.set = *set, .hub = set->hub, .report = set->report, .base_pts = set->start, .posted = set->start,
		.terminal = isatty(STDERR_FILENO) == 1, .video_end = set->start};
	bool finished = false;

	p.facts.bar = -1;
	if (set->live != NULL && set->speed == 1)
		p.pace = pace_of(live_service(set->live));

	p.wake = wake_new(set->hub);
	if (set->ipc_path != NULL && ipc_new(set->ipc_path, hands_property, &p, p.wake, set->ipc, f) < 0) {
		wake_free(&p.wake);
		return false;
	}
	keys_begin();
	listen_to_hands(&p);
	sound_init(&p.sound, set->sink, set->channels);
	if (set->speed > 0)
		sound_set_speed(&p.sound, set->speed);
	sound_reset(&p.sound, set->start);
	p.status_next = p.terminal ? 0 : clock_mono() + PLAIN_STATUS;
	while (!finished && !p.quit && *set->stop == 0) {
		hands_take(&p);
		hands_scan(&p, clock_mono());
		hands_rest(&p, clock_mono());
		hub_lock(p.hub);
		if (set->speed > 0)
			round_by_clock(&p);
		else
			show_any(&p);
		finished = over(&p);
		hub_unlock(p.hub);
		keep_pace(&p, clock_mono());
		hands_status(&p, clock_mono());
		hands_draw(&p, clock_mono());
	}
	finish(&p);
	keys_end();
	wake_free(&p.wake);
	if (set->ipc != NULL)
		ipc_free(set->ipc);
	*ret_end = p.base_pts;
	return finished;
}
