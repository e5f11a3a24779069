/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * value[..][rung][level] is what the segments from here on bring when the last
 * one was of that rung and so much media is in hand.  Levels are equally spaced,
 * so a download shifts the whole row by the same amount: the inner loops run
 * over levels without a gather.
 */
#include "player/abr_plan.h"

#include <math.h>
#include <string.h>

#define STEP 0.5  /* seconds between levels, more where the buffer is large */
#define LONG 1e6  /* seconds; nobody waits longer, and indexes stay small */

struct grid {
	unsigned n;
	double step;
};

static struct grid make_grid(const struct abr_film *f)
{
	double top = f->cap + f->segment + STEP, step = STEP;

	if (top / step + 1 > PLAN_LEVELS)
		step = top / (PLAN_LEVELS - 1);
	return (struct grid){(unsigned)(top / step) + 1, step};
}

/* Between two levels of a row. */
static double at(const float *row, const struct grid *g, double buffer)
{
	double p = buffer / g->step;
	unsigned i = (unsigned)p;

	if (i >= g->n - 1)
		return row[g->n - 1];
	return row[i] + (p - i) * (row[i + 1] - row[i]);
}

/* One rung downloaded in t seconds from every level: what it brings, with what follows it. */
static void take(const struct grid *g, double t, double segment, double reward, const struct plan_question *q,
                 const float *restrict next, float *restrict out)
{
	double shift = (segment - fmin(t, LONG)) / g->step;
	int first = (int)ceil(fmin(t, LONG) / g->step), whole = (int)floor(shift), end;
	float part = (float)(shift - whole), top = next[g->n - 1] + (float)reward;
	float empty = (float)(reward + at(next, g, segment)), per_level = (float)(q->stall * g->step);
	float worst = (float)(empty - q->stall * (t + q->interruption));

	if (first > (int)g->n)
		first = (int)g->n;
	for (int b = 0; b < first; b++)
		out[b] = worst + per_level * (float)b;
	end = (int)g->n - 1 - whole;
	if (end > (int)g->n)
		end = (int)g->n;
	for (int b = first; b < end; b++)
		out[b] = (float)reward + next[b + whole] + part * (next[b + whole + 1] - next[b + whole]);
	for (int b = end > first ? end : first; b < (int)g->n; b++)
		out[b] = top;
}

/* From "this rung now" to "that rung before": the best of going on and of paying for the switch. */
static void allow_switches(const struct abr_film *f, const struct grid *g, double change, float v[][PLAN_LEVELS])
{
	for (unsigned r = 1; r < f->n_rungs; r++) {
		float cost = (float)(change * (f->mbps[r] - f->mbps[r - 1]));

		for (unsigned b = 0; b < g->n; b++)
			v[r][b] = v[r][b] > v[r - 1][b] - cost ? v[r][b] : v[r - 1][b] - cost;
	}
	for (unsigned r = f->n_rungs - 1; r-- > 0;) {
		float cost = (float)(change * (f->mbps[r + 1] - f->mbps[r]));

		for (unsigned b = 0; b < g->n; b++)
			v[r][b] = v[r][b] > v[r + 1][b] - cost ? v[r][b] : v[r + 1][b] - cost;
	}
}

static double first_time(const struct abr_film *f, const struct plan_question *q, unsigned r, double mbps)
{
	if (q->running && r == q->last)
		return q->left / mbps;
	return q->latency + abr_film_mbit(f, q->segment, r) / mbps;
}

/* One segment back in every future, from the tables [from] into the others. */
static void step_back(struct plan *p, const struct abr_film *f, const struct grid *g, const struct plan_question *q, unsigned d,
                      unsigned from)
{
	for (unsigned i = 0; i < q->n_futures; i++) {
		for (unsigned r = 0; r < f->n_rungs; r++)
			take(g, q->latency + abr_film_mbit(f, q->segment + d, r) / q->mbps[i][d], f->segment, f->mbps[r], q,
			     p->value[i][from][r], p->value[i][from ^ 1][r]);
		allow_switches(f, g, q->change, p->value[i][from ^ 1]);
	}
}

/* What is to come, seen from each future: mostly its own, for the rest the mean of all. */
static void mix_futures(struct plan *p, const struct abr_film *f, const struct grid *g, const struct plan_question *q, unsigned at)
{
	float keep = (float)(1 - q->redraw), part = (float)(q->redraw / q->n_futures), mean[PLAN_LEVELS];

	for (unsigned r = 0; q->redraw > 0 && r < f->n_rungs; r++) {
		memset(mean, 0, sizeof mean);
		for (unsigned i = 0; i < q->n_futures; i++)
			for (unsigned b = 0; b < g->n; b++)
				mean[b] += part * p->value[i][at][r][b];
		for (unsigned i = 0; i < q->n_futures; i++)
			for (unsigned b = 0; b < g->n; b++)
				p->value[i][at][r][b] = keep * p->value[i][at][r][b] + mean[b];
	}
}

/* The first segment, in one future. */
static void add_future(const struct plan *p, const struct abr_film *f, const struct grid *g, const struct plan_question *q,
                       unsigned i, unsigned from, double *worth)
{
	for (unsigned r = 0; r < f->n_rungs; r++) {
		double t = first_time(f, q, r, q->mbps[i][0]), left = q->buffer - t;
		double then = at(p->value[i][from][r], g, fmax(left, 0) + f->segment);

		worth[r] += (f->mbps[r] + then - (left < 0 ? q->stall * (q->interruption - left) : 0)) / q->n_futures;
	}
}

unsigned plan_best(struct plan *p, const struct abr_film *f, const struct plan_question *q, double worth[static ABR_MAX_RUNGS])
{
	struct grid g = make_grid(f);
	unsigned best = 0, now = 0;

	memset(worth, 0, f->n_rungs * sizeof *worth);
	for (unsigned i = 0; i < q->n_futures; i++) /* what is left at the end is worth nothing */
		memset(p->value[i][now], 0, f->n_rungs * sizeof p->value[i][now][0]);
	for (unsigned d = q->depth - 1; d > 0; d--, now ^= 1) {
		step_back(p, f, &g, q, d, now);
		mix_futures(p, f, &g, q, now ^ 1);
	}
	for (unsigned i = 0; i < q->n_futures; i++)
		add_future(p, f, &g, q, i, now, worth);
	for (unsigned r = 0; r < f->n_rungs; r++) {
		worth[r] -= q->change * fabs(f->mbps[r] - f->mbps[q->last]);
		if (worth[r] > worth[best])
			best = r;
	}
	return best;
}
