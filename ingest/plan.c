/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ladder and boundaries.  The rungs are the well-known 16:9 ladder, told by
 * pixel count, so that other shapes get the same quality.
 */
#include "ingest/plan.h"

#include <libavutil/mathematics.h>
#include <math.h>
#include <stdio.h>

#include "base/must.h"
#include "base/words.h"

/* bits per second at up to 30 pictures a second, and the 16:9 size they are meant for */
static const struct {
	uint64_t bitrate;
	int width, height;
} ladder[] = {
	{235000, 416, 234},   {375000, 480, 270},    {560000, 640, 360},     {750000, 640, 360},     {1050000, 768, 432},
	{1750000, 960, 540},  {2350000, 1280, 720},  {3000000, 1280, 720},   {4300000, 1920, 1080},  {5800000, 1920, 1080},
	{10500000, 2560, 1440}, {18000000, 3840, 2160},
};
#define N_LADDER (sizeof ladder / sizeof ladder[0])

static int even(double v)
{
	int i = 2 * (int)lround(v / 2);

	return i < 2 ? 2 : i;
}

/* Upright, square pixels: the longer way is kept, so nothing is upscaled in sum. */
static void upright(const struct plan_input *in, struct plan *p)
{
	double w = in->width, h = in->height, sar = av_q2d(in->sar);

	if (sar > 1)
		h /= sar; /* wide pixels: fewer lines rather than invented columns */
	else if (sar > 0)
		w *= sar;
	if (in->rotation % 180 != 0) {
		double t = w;

		w = h;
		h = t;
	}
	p->width = (int)(w + 1e-6) / 2 * 2;
	p->height = (int)(h + 1e-6) / 2 * 2;
}

/* A rung for this shape: as many pixels as the 16:9 one, not more than the master. */
static void shape(const struct plan *p, size_t step, struct plan_rung *r)
{
	double want = (double)ladder[step].width * ladder[step].height;
	double have = (double)p->width * p->height;
	double scale = want < 0.9 * have ? sqrt(want / have) : 1;

	r->width = scale < 1 ? even(p->width * scale) : p->width;
	r->height = scale < 1 ? even(p->height * scale) : p->height;
}

static void set_rate(const struct plan *p, size_t step, double share, struct plan_rung *r)
{
	double fps = av_q2d(p->frame_rate);
	double factor = fps > 30 ? 1 + 0.5 * (fps - 30) / 30 : fps < 15 ? 0.75 : 1;

	r->bitrate = (uint64_t)(lround((double)ladder[step].bitrate * factor * share / 1000) * 1000);
	/* a VBV of one second at 1.5 times the average: MPD@bandwidth is this rate */
	r->max_rate = r->bitrate * 3 / 2;
	r->vbv = r->max_rate;
	snprintf(r->name, sizeof r->name, "video-%dp-%lluk", r->height, (unsigned long long)(r->bitrate / 1000));
}

static bool same_size(size_t a, size_t b)
{
	return b < N_LADDER && ladder[a].width == ladder[b].width;
}

static void add_rungs(const struct plan_input *in, struct plan *p)
{
	double have = (double)p->width * p->height;

	for (size_t i = 0; i < N_LADDER && p->n_rungs < PLAN_MAX_RUNGS; i++) {
		double want = (double)ladder[i].width * ladder[i].height;
		struct plan_rung *r = &p->rungs[p->n_rungs];
		bool top = want >= 0.9 * have;

		shape(p, i, r);
		if (p->n_rungs > 0 && in->max_height > 0 && r->height > in->max_height)
			break;
		/* bits in proportion where the master is smaller than the step */
		set_rate(p, i, top && want > have ? fmax(0.4, pow(have / want, 0.75)) : 1, r);
		if (p->n_rungs == 0 || r->bitrate > p->rungs[p->n_rungs - 1].bitrate * 5 / 4)
			p->n_rungs++;
		else if (r->width > p->rungs[p->n_rungs - 1].width)
			p->rungs[p->n_rungs - 1] = *r;
		if (top && !same_size(i, i + 1))
			break;
	}
}

/* Keeps the top and spreads the others. */
static void thin_out(struct plan *p, size_t max)
{
	size_t n = p->n_rungs;

	if (max == 0 || n <= max)
		return;
	for (size_t i = 0; i < max; i++)
		p->rungs[i] = p->rungs[max == 1 ? n - 1 : i * (n - 1) / (max - 1)];
	p->n_rungs = max;
}

#define AVERAGED_SECONDS 16.0 /* rate control that aims at an average needs some film to do so */

/* How much is encoded by itself: little, so that many cores have work and little is lost to an interruption; and in all
 * renditions alike, for an encoder that ends a chunk codes all that it has looked ahead and takes no frames meanwhile. */
static void set_chunks(struct plan *p)
{
	double segment = p->segment_frames / av_q2d(p->frame_rate);

	for (size_t i = 0; i < p->n_rungs; i++) {
		struct plan_rung *r = &p->rungs[i];

		r->chunk_segments = r->crf <= 0 ? (uint32_t)ceil(AVERAGED_SECONDS / segment) : 1;
	}
}

int plan_make(const struct plan_input *in, struct plan *ret_plan, struct fault *f)
{
	struct plan p = {.frame_rate = in->frame_rate, .fields = in->fields};
	double frames = in->segment_seconds * av_q2d(in->frame_rate);

	upright(in, &p);
	if (p.width < 16 || p.height < 16 || p.width > 16384 || p.height > 16384)
		return fault_set(f, ERR_UNSUPPORTED, _("a picture of %dx%d with pixels of %d:%d cannot be made into a ladder; 16x16 to 16384x16384 can"),
		                 in->width, in->height, in->sar.num, in->sar.den);
	p.segment_frames = frames < 1 ? 1 : (uint32_t)lround(frames);
	/* a timescale in which a frame is a whole number of ticks, and fine enough for players */
	p.frame_ticks = (uint32_t)in->frame_rate.den;
	p.video_timescale = (uint32_t)in->frame_rate.num;
	while (p.video_timescale < 10000) {
		p.video_timescale *= 2;
		p.frame_ticks *= 2;
	}
	add_rungs(in, &p);
	thin_out(&p, in->max_rungs);
	set_chunks(&p);
	*ret_plan = p;
	return 0;
}

void plan_set_rungs(struct plan *p, const struct plan_rung *rungs, size_t n)
{
	MUST(n >= 1 && n <= PLAN_MAX_RUNGS);
	for (size_t i = 0; i < n; i++) {
		struct plan_rung *r = &p->rungs[i];

		*r = rungs[i];
		snprintf(r->name, sizeof r->name, "video-%dp-%lluk", r->height, (unsigned long long)(r->bitrate / 1000));
	}
	p->n_rungs = n;
	set_chunks(p);
}

size_t plan_sizes(const struct plan_input *in, const struct plan *p, int ret_widths[static PLAN_MAX_RUNGS], int ret_heights[static PLAN_MAX_RUNGS])
{
	struct plan all = {.width = p->width, .height = p->height, .frame_rate = p->frame_rate};
	size_t n = 0;

	add_rungs(in, &all);
	for (size_t i = 0; i < all.n_rungs; i++) {
		if (n > 0 && ret_widths[n - 1] == all.rungs[i].width && ret_heights[n - 1] == all.rungs[i].height)
			continue;
		ret_widths[n] = all.rungs[i].width;
		ret_heights[n++] = all.rungs[i].height;
	}
	return n;
}

int64_t plan_audio_cut(const struct plan *p, uint64_t segment, int sample_rate, int unit, int priming)
{
	int64_t frames = (int64_t)segment * p->segment_frames;
	int64_t samples = av_rescale(frames, (int64_t)p->frame_rate.den * sample_rate, p->frame_rate.num);

	return segment == 0 ? 0 : av_rescale(samples + priming, 1, unit);
}
