/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Steps every lane, then sleeps until a transfer ends, the playhead asks, or
 * the earliest time a lane named.  When a lane fails for good, what is in the
 * queues is still played.
 */
#include "player/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "player/abr.h"
#include "player/fit.h"
#include "player/live.h"
#include "player/pathway.h"
#include "player/report.h"
#include "player/steering.h"

#define IDLE DUR_S
#define IDLE_STILL DUR_HOUR  /* while the viewer has paused it: what changes rings */
#define LINE_BYTES 500000 /* fewer say little about a line */
#define MAX_RESOURCE ((uint64_t)256 << 20)

struct engine {
	struct engine_setup set;
	pthread_t thread;
	struct grab_world world;
	struct pathway pathway;
	struct steering *steering; /* NULL: none */
	struct lane *lanes[N_LANES];
	unsigned generation;
	char content_id[65];
	/* under the hub's lock */
	struct engine_view view;
	struct fault failure;
	bool still;              /* the viewer had paused it at the last look */
};

/* RFC 9562 5.4: a random UUID */
static bool known_algorithm(const char *name)
{
	for (unsigned i = 0; abr_algorithms[i] != NULL; i++)
		if (name == NULL || strcmp(name, abr_algorithms[i]) == 0)
			return true;
	return false;
}

static void look(struct engine *e)
{
	struct hub *h = e->set.hub;
	dur_us least = INT64_MAX, produced = e->set.live != NULL && e->set.source->timeline->dynamic ? live_edge(e->set.live) : INT64_MAX;

	hub_lock(h);
	e->view.trouble[0] = '\0';
	for (int i = 0; i < N_LANES; i++) {
		if (e->lanes[i] == NULL)
			continue;
		lane_view(e->lanes[i], &e->view.lanes[i]);
		if (e->view.lanes[i].trouble[0] != '\0')
			snprintf(e->view.trouble, sizeof e->view.trouble, "%s", e->view.lanes[i].trouble);
		if (lane_end(e->lanes[i]) - h->position < least)
			least = lane_end(e->lanes[i]) - h->position;
	}
	if (produced != INT64_MAX && least > produced - h->position)
		least = produced - h->position; /* of a segment that is being made the rest is not in hand */
	e->view.buffer = least > 0 ? least : 0;
	if (e->set.live != NULL && e->set.source->timeline->dynamic)
		live_window(e->set.source->timeline, &e->view.from, &e->view.to);
	else
		e->view.from = e->view.to = 0;
	hub_unlock(h);
}

static void fail(struct engine *e, const struct fault *f)
{
	struct hub *h = e->set.hub;

	report_add_error(e->set.report, "%s", fault_text(f));
	hub_lock(h);
	e->failure = *f;
	for (int i = 0; i < N_LANES; i++)
		h->segments[i].closed = true;
	hub_ring(h);
	hub_unlock(h);
	for (int i = 0; i < N_LANES; i++)
		lane_free(&e->lanes[i]);
}

/* Follows a seek of the presenter's. */
static void follow(struct engine *e, unsigned generation, dur_us to, const bool *kept)
{
	if (generation == e->generation)
		return;
	e->generation = generation;
	for (int i = 0; i < N_LANES; i++)
		if (e->lanes[i] != NULL && kept[i])
			lane_keep(e->lanes[i], generation);
		else if (e->lanes[i] != NULL)
			lane_seek(e->lanes[i], to, generation);
}

static void take_newer(struct engine *e)
{
	struct source s;

	if (e->set.live == NULL || !live_take(e->set.live, &s))
		return;
	for (int i = 0; i < N_LANES; i++)
		if (e->lanes[i] != NULL)
			lane_refresh(e->lanes[i], s.timeline);
	source_close(e->set.source);
	*e->set.source = s;
}

static dur_us end_of_other(const struct engine *e, int lane)
{
	const struct lane *other = e->lanes[lane == LANE_VIDEO ? LANE_AUDIO : LANE_VIDEO];

	return other == NULL || lane_ended(other) ? INT64_MAX : lane_end(other);
}

static void steer(struct engine *e, mono_us now, mono_us *next)
{
	for (int i = N_LANES - 1; i >= 0; i--) /* the picture's place is the present one */
		if (e->lanes[i] != NULL)
			steering_used(e->steering, e->view.lanes[i].key, e->view.lanes[i].throughput);
	steering_step(e->steering, now, next);
}

static mono_us step(struct engine *e, mono_us now)
{
	mono_us next = now + (e->still && e->set.live == NULL ? IDLE_STILL : IDLE);
	struct fault f = {0};
	int r = 0;

	take_newer(e);
	for (int i = 0; i < N_LANES && r == 0; i++) {
		uint64_t line = e->lanes[LANE_VIDEO] != NULL ? lane_forecast(e->lanes[LANE_VIDEO]) : 0;

		if (e->lanes[i] != NULL)
			r = lane_step(e->lanes[i], now, line, end_of_other(e, i), &next, &f);
	}
	if (r < 0)
		fail(e, &f);
	look(e);
	steer(e, now, &next);
	return next;
}

static void *run(void *ctx)
{
	struct engine *e = ctx;
	struct hub *h = e->set.hub;

	hub_lock(h);
	while (!h->quit) {
		uint64_t posts = h->posts;
		unsigned generation = h->generation;
		dur_us position = h->position;
		bool kept[N_LANES] = {h->kept[LANE_VIDEO], h->kept[LANE_AUDIO]};
		mono_us next;

		e->still = h->still;
		hub_unlock(h);
		follow(e, generation, position, kept);
		next = step(e, clock_mono());
		hub_lock(h);
		while (!h->quit && h->posts == posts && clock_mono() < next)
			hub_wait_until(h, next);
	}
	hub_unlock(h);
	return NULL;
}

static struct lane *make_lane(struct engine *e, int kind)
{
	const struct engine_setup *s = &e->set;
	struct lane_setup l = {.kind = kind, .source = s->source, .world = &e->world, .algorithm = s->algorithm,
		.lang = s->lang, .max_height = s->max_height, .buffer = s->buffer, .line = s->line, .start = s->start, .end = s->end};

	return lane_new(&l);
}

/* Which lanes any period has; what is missing is said once. */
static int choose_lanes(const struct engine_setup *s, bool ret_has[static N_LANES], struct fault *f)
{
	struct fault why[N_LANES] = {{0}};

	if (!fit_mpd(s->source->mpd, &why[0]))
		return fault_set(f, ERR_UNSUPPORTED, "%s: %s", s->source->url, fault_text(&why[0]));
	for (size_t i = 0; i < s->source->timeline->n_periods; i++) {
		const struct timeline_period *p = &s->source->timeline->periods[i];

		ret_has[LANE_VIDEO] |= source_choose(p, TIMELINE_VIDEO, s->lang, 0, &why[LANE_VIDEO]) != NULL;
		ret_has[LANE_AUDIO] |= source_choose(p, TIMELINE_AUDIO, s->lang, 0, &why[LANE_AUDIO]) != NULL;
	}
	if (!ret_has[LANE_VIDEO] && !ret_has[LANE_AUDIO])
		return fault_set(f, ERR_MEDIA, _("%s: nothing to play: video: %s; audio: %s"), s->source->url,
		                 fault_text(&why[LANE_VIDEO]), fault_text(&why[LANE_AUDIO]));
	return 0;
}

int engine_new(const struct engine_setup *s, struct engine **ret_engine, struct fault *f)
{
	struct engine *e;
	bool has[N_LANES] = {false};
	int r = known_algorithm(s->algorithm) ? choose_lanes(s, has, f)
	                                      : fault_set(f, ERR_USAGE, _("unknown adaptation \"%s\""), s->algorithm);

	if (r < 0)
		return r;
	e = mem_new(sizeof *e);
	e->set = *s;
	e->world = (struct grab_world){.fetch = s->fetch, .hub = s->hub, .pathway = &e->pathway, .report = s->report,
		.cmcd = s->cmcd, .session_id = s->session_id, .content_id = e->content_id, .max_bytes = MAX_RESOURCE};
	e->steering = steering_new(&(struct steering_setup){s->source->mpd, s->source->url, s->fetch, s->hub, &e->pathway, s->report},
	                           clock_mono());
	snprintf(e->content_id, sizeof e->content_id, "%.64s", s->source->mpd->id != NULL ? s->source->mpd->id : s->source->url);
	s->hub->position = s->start;
	for (int i = 0; i < N_LANES; i++) {
		s->hub->lane[i] = has[i];
		e->lanes[i] = has[i] ? make_lane(e, i) : NULL;
	}
	r = -pthread_create(&e->thread, NULL, run, e);
	if (r < 0) {
		for (int i = 0; i < N_LANES; i++)
			lane_free(&e->lanes[i]);
		steering_free(&e->steering);
		free(e);
		return fault_set(f, r, _("no thread: %s"), words_error(r));
	}
	*ret_engine = e;
	return 0;
}

void engine_stop(struct engine *e)
{
	pthread_join(e->thread, NULL);
	steering_free(&e->steering);
	for (int i = 0; i < N_LANES; i++)
		lane_free(&e->lanes[i]);
}

void engine_free(struct engine **pe)
{
	free(*pe);
	*pe = NULL;
}

void engine_view(struct engine *e, struct engine_view *ret)
{
	hub_lock(e->set.hub);
	*ret = e->view;
	hub_unlock(e->set.hub);
}

uint64_t engine_line(struct engine *e)
{
	struct meter m, none = {0};

	hub_lock(e->set.hub);
	m = e->world.meter;
	hub_unlock(e->set.hub);
	return m.bytes >= LINE_BYTES ? meter_rate(&none, &m) : 0;
}

int engine_failure(struct engine *e, struct fault *f)
{
	int r;

	hub_lock(e->set.hub);
	r = e->failure.code;
	if (r < 0)
		*f = e->failure;
	hub_unlock(e->set.hub);
	return r;
}
