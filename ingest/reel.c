/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A picture stands until the next one's place on the grid, so it is filtered
 * only when that is known.
 */
#include "ingest/reel.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "ingest/av1.h"
#include "ingest/avc.h"
#include "ingest/filter.h"
#include "ingest/poster.h"

#define MAX_GAP 600.0 /* seconds; a longer one is a broken time stamp, not a long picture */
#define POSTER_LINES 800
#define POSTER_SECONDS 60
#define POSTER_BETTER 1.1 /* worth a change only if so much better */

struct reel {
	struct reel_setup setup;
	struct filter *filter;
	struct rendition *renditions[PLAN_MAX_RUNGS], *av1[PLAN_MAX_RUNGS];
	struct turns *turns;     /* of the encoders of H.264 */
	size_t feeds[PLAN_MAX_RUNGS]; /* the filter's output for each of av1 */
	struct tone tone;
	AVFrame *picture;        /* the newest, not yet filtered */
	int64_t place;           /* on the grid of the master's rate */
	int64_t end;             /* behind it, by its own length */
	double time;             /* seconds of it */
	uint64_t frames;
	struct tiles *tiles;
	AVFrame *poster;
	double poster_worth;
	struct fault *fault;     /* of the call in work */
};

struct reel *reel_new(const struct reel_setup *s)
{
	struct reel *p = mem_new(sizeof *p);

	p->setup = *s;
	return p;
}

void reel_free(struct reel **pp)
{
	struct reel *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	for (size_t i = 0; i < PLAN_MAX_RUNGS; i++) {
		rendition_free(&p->renditions[i]);
		rendition_free(&p->av1[i]);
	}
	turns_free(&p->turns);
	filter_free(&p->filter);
	tiles_free(&p->tiles);
	av_frame_free(&p->picture);
	av_frame_free(&p->poster);
	free(p);
}

/* --- beginning --------------------------------------------------------------------------- */

/* The output that has the pictures of this rung already; AV1's are as large as one of H.264. */
static size_t same_size(const struct plan *plan, const struct plan_rung *r)
{
	size_t i = 0;

	while (i + 1 < plan->n_rungs && (plan->rungs[i].width != r->width || plan->rungs[i].height != r->height))
		i++;
	return i;
}

/* What all others would end up waiting for. */
static bool is_large(const struct plan *p, size_t rung)
{
	const struct plan_rung *r = &p->rungs[rung], *top = &p->rungs[p->n_rungs - 1];

	return 2 * (int64_t)r->width * r->height > (int64_t)top->width * top->height;
}

static int start_renditions(struct reel *p, const struct plan *plan, const struct rendition_setup *like, struct rendition **renditions)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;
	unsigned lanes[PLAN_MAX_RUNGS], queues[PLAN_MAX_RUNGS];
	int r = 0;

	rendition_share(plan, (unsigned)sysconf(_SC_NPROCESSORS_ONLN), memory, lanes, queues);
	for (size_t i = 0; r == 0 && i < plan->n_rungs; i++) {
		struct rendition_setup s = *like;

		s.folder = p->setup.folder;
		s.chunks = p->setup.chunks;
		s.code.plan = plan;
		s.code.rung = &plan->rungs[i];
		s.code.stop = p->setup.stop;
		s.lanes = lanes[i];
		s.queue = queues[i];
		s.rank = is_large(plan, i) ? 0 : 1;
		r = rendition_new(&s, &renditions[i], p->fault);
	}
	return r;
}

static int start_av1(struct reel *p, bool is_deep)
{
	const struct plan *av1 = p->setup.av1;
	const struct colours *c = is_deep ? &p->tone.in : &p->tone.out;
	const struct light *light = is_deep && p->tone.is_hdr ? &p->tone.light : NULL;
	struct rendition_setup s = {
		.coder = &av1_coder,
		.code = {.preset = p->setup.av1_preset, .measure = true, .is_deep = is_deep, .primaries = c->primaries, .transfer = c->transfer, .matrix = c->matrix,
		         .light = light},
	};

	for (size_t i = 0; i < av1->n_rungs; i++)
		p->feeds[i] = is_deep ? p->setup.plan->n_rungs + i : same_size(p->setup.plan, &av1->rungs[i]);
	return start_renditions(p, av1, &s, p->av1);
}

static int start(struct reel *p, const AVFrame *first)
{
	const struct colours *c = &p->tone.out;
	bool is_deep;
	int r;

	tone_of(p->setup.info, first, &p->tone);
	is_deep = p->setup.av1->n_rungs > 0 && (p->setup.info->depth > 8 || p->tone.is_hdr);
	p->tiles = tiles_new(p->setup.folder, p->setup.plan, p->setup.info->container_seconds);
	r = filter_new_video(p->setup.info, p->setup.plan, is_deep ? p->setup.av1 : NULL, first, &p->filter, p->fault);
	if (r == 0) {
		struct rendition_setup s = {
			.turns = p->turns = turns_new((unsigned)sysconf(_SC_NPROCESSORS_ONLN)),
			.coder = &avc_coder,
			.code = {.preset = p->setup.preset, .measure = true, .primaries = c->primaries, .transfer = c->transfer, .matrix = c->matrix},
		};

		r = start_renditions(p, p->setup.plan, &s, p->renditions);
	}
	return r == 0 ? start_av1(p, is_deep) : r;
}

/* --- filtered ---------------------------------------------------------------------------- */

/* A picture of each second of the first minute is looked at, at about 720 lines. */
static void consider_poster(struct reel *p, size_t output, const AVFrame *frame)
{
	const struct plan *plan = p->setup.plan;
	int64_t every = (int64_t)ceil(av_q2d(plan->frame_rate));
	bool last = output + 1 == plan->n_rungs;
	double worth;

	if (frame->pts % every != 0 || frame->pts > POSTER_SECONDS * every || frame->height > POSTER_LINES)
		return;
	if (!last && plan->rungs[output + 1].height <= POSTER_LINES)
		return;
	worth = poster_worth(frame);
	if (p->poster != NULL && worth <= POSTER_BETTER * p->poster_worth)
		return;
	av_frame_free(&p->poster);
	p->poster = av_frame_clone(frame);
	p->poster_worth = worth;
}

static int filtered(void *ctx, size_t output, AVFrame *frame)
{
	struct reel *p = ctx;
	int r = output == tiles_rung(p->setup.plan) ? tiles_take(p->tiles, frame, p->fault) : 0;

	if (r != 0)
		return r;
	if (output < p->setup.plan->n_rungs)
		consider_poster(p, output, frame);
	if (output == 0 && (uint64_t)frame->pts + 1 > p->frames)
		p->frames = (uint64_t)frame->pts + 1;
	if (output < p->setup.plan->n_rungs)
		r = rendition_push(p->renditions[output], frame, p->fault);
	for (size_t i = 0; r == 0 && i < p->setup.av1->n_rungs; i++)
		if (p->feeds[i] == output)
			r = rendition_push(p->av1[i], frame, p->fault);
	return r;
}

/* Shows the newest picture on every place of the grid up to `end`. */
static int show_until(struct reel *p, int64_t end)
{
	int r = 0;

	for (; r == 0 && p->place < end; p->place++) {
		p->picture->pts = p->place;
		r = filter_push(p->filter, p->picture, filtered, p, p->fault);
	}
	return r;
}

/* Of slides the last one stands too, but not beyond what the container says. */
static int64_t end_of(const struct reel *p, const AVFrame *frame, int64_t place, AVRational time_base)
{
	AVRational grid = av_inv_q(p->setup.info->frame_rate);
	int64_t own = frame->pkt_duration > 0 ? av_rescale_q_rnd(frame->pkt_duration, time_base, grid, AV_ROUND_NEAR_INF) : 1;
	int64_t left = llround(p->setup.info->container_seconds / av_q2d(grid)) - place;

	own = own < left ? own : left;
	return place + (own > 1 && (double)own * av_q2d(grid) < MAX_GAP ? own : 1);
}

/* --- in ---------------------------------------------------------------------------------- */

static int check_gap(struct reel *p, int64_t place, double at)
{
	double gap = (double)(place - p->place) / av_q2d(p->setup.info->frame_rate);

	if (gap < MAX_GAP)
		return 0;
	return fault_set(p->fault, ERR_CORRUPT, _("%s: its time stamps jump from %.1f s to %.1f s; remux it with new ones (ffmpeg -fflags +genpts)"),
	                 p->setup.master, at - gap, at);
}

int reel_take(struct reel *p, const AVFrame *frame, AVRational time_base, struct fault *f)
{
	int64_t place = av_rescale_q_rnd(frame->pts, time_base, av_inv_q(p->setup.info->frame_rate), AV_ROUND_NEAR_INF);
	double at = (double)frame->pts * av_q2d(time_base);
	int r;

	p->fault = f;
	r = p->picture == NULL ? start(p, frame) : check_gap(p, place, at);
	if (r == 0 && p->picture != NULL)
		r = show_until(p, place);
	if (r != 0)
		return r;
	av_frame_free(&p->picture);
	p->picture = av_frame_clone(frame);
	MUST(p->picture != NULL);
	p->time = at;
	p->end = end_of(p, frame, place, time_base);
	return 0;
}

static void end_renditions(struct reel *p)
{
	for (size_t i = 0; i < p->setup.plan->n_rungs; i++)
		rendition_end(p->renditions[i]);
	for (size_t i = 0; i < p->setup.av1->n_rungs; i++)
		rendition_end(p->av1[i]);
}

int reel_end(struct reel *p, struct fault *f)
{
	int r;

	p->fault = f;
	if (p->picture == NULL)
		return fault_set(f, ERR_MEDIA, _("%s: not one picture could be decoded"), p->setup.master);
	r = show_until(p, p->end > p->place ? p->end : p->place + 1);
	if (r == 0)
		r = filter_push(p->filter, NULL, filtered, p, f);
	if (r == 0)
		r = tiles_end(p->tiles, f);
	end_renditions(p);
	for (size_t i = 0; r == 0 && i < p->setup.plan->n_rungs; i++)
		r = rendition_finish(p->renditions[i], p->frames, f);
	for (size_t i = 0; r == 0 && i < p->setup.av1->n_rungs; i++)
		r = rendition_finish(p->av1[i], p->frames, f);
	return r;
}

/* --- seen from outside ------------------------------------------------------------------- */

double reel_time(const struct reel *p)
{
	return p->time;
}

uint64_t reel_frames(const struct reel *p)
{
	return p->frames;
}

double reel_kept(const struct reel *p)
{
	const struct plan *plan = p->setup.plan;
	double kept = 0, all = 0;

	for (size_t i = 0; i < plan->n_rungs; i++) {
		double area = (double)plan->rungs[i].width * plan->rungs[i].height;

		kept += p->renditions[i] != NULL ? area * (double)rendition_kept(p->renditions[i]) : 0;
		all += area;
	}
	return kept / all / av_q2d(plan->frame_rate);
}

const struct tiles_facts *reel_tiles(const struct reel *p)
{
	return tiles_facts(p->tiles);
}

const AVFrame *reel_poster(const struct reel *p)
{
	return p->poster;
}

const struct track_facts *reel_facts(const struct reel *p, size_t rung)
{
	return rendition_facts(p->renditions[rung]);
}

const struct track_facts *reel_av1_facts(const struct reel *p, size_t rung)
{
	return rendition_facts(p->av1[rung]);
}

bool reel_met_fields(const struct reel *p)
{
	return p->filter != NULL && filter_met_fields(p->filter);
}

const struct tone *reel_tone(const struct reel *p)
{
	return &p->tone;
}
