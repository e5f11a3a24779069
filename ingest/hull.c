/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Hull and rungs.
 */
#include "ingest/hull.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

#define CRF_STEP 0.5
#define MAX_DENSE 2048

/* Where more bits no longer show: an SSIM of 0.983 at the size of the display is what careful encodes of films have, and
 * from crf 24 on x264 leaves hardly a trace where SSIM forgives too much (text, drawings); and when a rate half as high
 * again adds less than a third of a decibel, it is spent for nothing. */
#define ENOUGH_DB 17.7
#define ENOUGH_CRF 24.0
#define LEAST_GAIN_DB 0.33
#define GAIN_FACTOR 1.5

#define STEP 1.75       /* of rate, about, from rung to rung */
#define LEAST_STEP_DB 0.5

static double lagrange(const double *x, const double *y, size_t n, double at)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		double term = y[i];

		for (size_t j = 0; j < n; j++)
			if (j != i)
				term *= (at - x[j]) / (x[i] - x[j]);
		sum += term;
	}
	return sum;
}

struct hull_point hull_at(const struct hull_probe *p, size_t size, double crf)
{
	const struct hull_size *s = &p->sizes[size];
	double logs[HULL_MAX_CRFS];
	struct hull_point point = {.size = size, .crf = crf};

	for (size_t i = 0; i < p->n_crfs; i++)
		logs[i] = log(s->rate[i]);
	point.rate = exp(lagrange(p->crfs, logs, p->n_crfs, crf));
	point.quality = lagrange(p->crfs, s->quality, p->n_crfs, crf);
	return point;
}

static int by_rate(const void *a, const void *b)
{
	const struct hull_point *x = a, *y = b;

	return x->rate != y->rate ? (x->rate < y->rate ? -1 : 1) : x->quality < y->quality ? 1 : x->quality > y->quality ? -1 : 0;
}

static size_t spread(const struct hull_probe *p, struct hull_point *all)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_sizes; i++)
		for (double crf = p->crfs[0]; crf <= p->crfs[p->n_crfs - 1] && n < MAX_DENSE; crf += CRF_STEP)
			all[n++] = hull_at(p, i, crf);
	qsort(all, n, sizeof *all, by_rate);
	return n;
}

/* Does b lie on or below the line from a to c? */
static int is_below(const struct hull_point *a, const struct hull_point *b, const struct hull_point *c)
{
	double ab = b->rate - a->rate, ac = c->rate - a->rate;

	return ac <= 0 || b->quality <= a->quality + (c->quality - a->quality) * ab / ac;
}

static size_t upper_line(struct hull_point *all, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && all[i].quality <= all[kept - 1].quality)
			continue;
		while (kept > 1 && is_below(&all[kept - 2], &all[kept - 1], &all[i]))
			kept--;
		all[kept++] = all[i];
	}
	return kept;
}

/* Quality of the line at a rate. */
static double line_at(const struct hull *h, double rate)
{
	const struct hull_point *p = h->points;

	for (size_t i = 1; i < h->n_points; i++)
		if (rate <= p[i].rate)
			return p[i - 1].quality + (p[i].quality - p[i - 1].quality) * log(rate / p[i - 1].rate) / log(p[i].rate / p[i - 1].rate);
	return p[h->n_points - 1].quality;
}

/* The point from which on more bits do not show. */
static double top_rate(const struct hull *h)
{
	for (size_t i = 0; i < h->n_points; i++) {
		double rate = h->points[i].rate;

		bool enough = h->points[i].quality >= ENOUGH_DB && h->points[i].crf <= ENOUGH_CRF;

		if (enough || line_at(h, rate * GAIN_FACTOR) - h->points[i].quality < LEAST_GAIN_DB)
			return rate;
	}
	return h->points[h->n_points - 1].rate;
}

static const struct hull_point *nearest(const struct hull *h, double rate)
{
	const struct hull_point *best = &h->points[0];

	for (size_t i = 1; i < h->n_points; i++)
		if (fabs(log(h->points[i].rate / rate)) < fabs(log(best->rate / rate)))
			best = &h->points[i];
	return best;
}

/* Rungs that look the same are one. */
static void add_rung(struct hull *h, const struct hull_point *p)
{
	struct hull_point *last = h->n_rungs > 0 ? &h->rungs[h->n_rungs - 1] : NULL;

	if (last != NULL && p->rate <= last->rate)
		return;
	if (last != NULL && (p->quality - last->quality < LEAST_STEP_DB || p->rate < 1.2 * last->rate) && h->n_rungs > 1)
		*last = *p;
	else if (last == NULL || p->quality - last->quality >= LEAST_STEP_DB / 2)
		h->rungs[h->n_rungs++] = *p;
}

void hull_make(const struct hull_probe *p, double floor_rate, size_t max_rungs, struct hull *ret_hull)
{
	struct hull_point *all = mem_new_array(MAX_DENSE, sizeof *all);
	struct hull *h = ret_hull;
	struct hull_point cheap;
	double top, bottom;
	size_t n, steps;

	*h = (struct hull){0};
	n = upper_line(all, spread(p, all));
	/* evenly thinned, both ends kept */
	h->n_points = n < HULL_MAX_POINTS ? n : HULL_MAX_POINTS;
	for (size_t i = 0; i < h->n_points; i++)
		h->points[i] = all[h->n_points == 1 ? 0 : i * (n - 1) / (h->n_points - 1)];
	free(all);
	cheap = hull_at(p, p->n_sizes - 1, fmin(ENOUGH_CRF, p->crfs[p->n_crfs - 1]));
	if (cheap.rate <= floor_rate) { /* still scenes: all of it in the full size, for everybody */
		h->rungs[h->n_rungs++] = cheap;
		return;
	}
	top = top_rate(h);
	bottom = fmin(fmax(floor_rate, h->points[0].rate), top);
	steps = (size_t)lround(log(top / bottom) / log(STEP));
	if (max_rungs > HULL_MAX_RUNGS)
		max_rungs = HULL_MAX_RUNGS;
	if (max_rungs > 0 && steps > max_rungs - 1)
		steps = max_rungs - 1;
	if (max_rungs != 1)
		for (size_t i = 0; i < steps; i++)
			add_rung(h, nearest(h, bottom * pow(top / bottom, (double)i / (double)steps)));
	add_rung(h, nearest(h, top));
	if (h->n_rungs == 0)
		h->rungs[h->n_rungs++] = *nearest(h, top);
}
