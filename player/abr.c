/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two rules behind one door.  "mpc" plans a few segments ahead over a grid of
 * buffer levels with the true sizes, for a rate that is pessimistic by as much
 * as the forecasts of this session were wrong.  "rate" takes what fits the
 * forecast and is bolder with a full buffer.  Both fit quality in Mbit/s minus
 * the top rate per second of stall minus the size of switches.
 */
#include "player/abr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MAX_RUNGS 64
#define HISTORY 8
#define HORIZON 7
#define BINS 160
#define TERMINAL 0.5      /* share of its worth that media left behind the horizon counts with */
#define PRIOR_SPREAD 0.30  /* standard deviation of log(actual / forecast) before any is known */
#define PRIOR_WEIGHT 2.0
#define PESSIMISM 0.8      /* standard deviations below the forecast */
#define FIRST_BPS 600e3    /* what an unknown line is trusted with */
#define MIN_BYTES 2000     /* a smaller transfer says nothing about the rate */

struct abr {
	bool plans;
	unsigned n_rungs, n_segments;
	uint32_t bitrates[MAX_RUNGS];
	uint32_t *sizes; /* or NULL */
	dur_us segment, cap;
	double start_bps;
	double rates[HISTORY], weights[HISTORY]; /* bit/s, newest at (n_rates - 1) % HISTORY */
	double errors[HISTORY];                  /* log(actual / forecast) */
	unsigned n_rates, n_errors;
	double first_byte;                       /* seconds, smoothed */
	int abandoned_segment;
	/* The planner's tables: value of a buffer level after a rung. */
	float value[2][BINS + 1][MAX_RUNGS];
};

const char *const abr_algorithms[] = {"mpc", "rate", NULL};

static bool known(const char *name)
{
	for (unsigned i = 0; abr_algorithms[i] != NULL; i++)
		if (strcmp(name, abr_algorithms[i]) == 0)
			return true;
	return false;
}

struct abr *abr_new(const struct abr_setup *s)
{
	const char *name = s->algorithm != NULL ? s->algorithm : abr_algorithms[0];
	struct abr *a;

	if (!known(name) || s->n_rungs < 1 || s->n_rungs > MAX_RUNGS || s->segment <= 0 || s->buffer_cap <= 0)
		return NULL;
	a = mem_new(sizeof *a);
	a->plans = strcmp(name, "mpc") == 0;
	a->n_rungs = s->n_rungs;
	a->n_segments = s->n_segments;
	a->segment = s->segment;
	a->cap = s->buffer_cap > s->segment ? s->buffer_cap : s->segment;
	a->start_bps = (double)s->start_bps;
	a->abandoned_segment = -1;
	memcpy(a->bitrates, s->bitrates, s->n_rungs * sizeof *s->bitrates);
	if (s->sizes != NULL && s->n_segments > 0) {
		a->sizes = mem_try((size_t)s->n_segments * s->n_rungs, sizeof *a->sizes);
		if (a->sizes != NULL)
			memcpy(a->sizes, s->sizes, (size_t)s->n_segments * s->n_rungs * sizeof *a->sizes);
	}
	return a;
}

void abr_free(struct abr **a)
{
	if (*a != NULL)
		free((*a)->sizes);
	free(*a);
	*a = NULL;
}

static double seconds(dur_us d)
{
	return (double)d / 1e6;
}

static double size_bits(const struct abr *a, unsigned segment, unsigned rung)
{
	if (a->sizes != NULL && segment < a->n_segments && a->sizes[(size_t)segment * a->n_rungs + rung] > 0)
		return 8.0 * a->sizes[(size_t)segment * a->n_rungs + rung];
	return (double)a->bitrates[rung] * seconds(a->segment);
}

/* Harmonic mean: the time that the bytes took, not the mean of the speeds; newer and larger transfers weigh more. */
static double forecast(const struct abr *a)
{
	unsigned n = a->n_rates < HISTORY ? a->n_rates : HISTORY;
	double weight = 0, inverse = 0, age = 1;

	for (unsigned i = 0; i < n; i++, age *= 0.7) {
		unsigned at = (a->n_rates - 1 - i) % HISTORY;

		weight += a->weights[at] * age;
		inverse += a->weights[at] * age / a->rates[at];
	}
	return inverse > 0 ? weight / inverse : a->start_bps;
}

static double spread(const struct abr *a)
{
	unsigned n = a->n_errors < HISTORY ? a->n_errors : HISTORY;
	double sum = PRIOR_WEIGHT * PRIOR_SPREAD * PRIOR_SPREAD;

	for (unsigned i = 0; i < n; i++)
		sum += a->errors[i] * a->errors[i];
	return sqrt(sum / (PRIOR_WEIGHT + n));
}

void abr_add_sample(struct abr *a, const struct abr_sample *s)
{
	double body = seconds(s->total - s->first_byte), rate, before = forecast(a);
	double latency = seconds(s->first_byte);

	a->first_byte = a->n_rates == 0 ? latency : 0.7 * a->first_byte + 0.3 * latency;
	if (s->bytes < MIN_BYTES)
		return;
	rate = 8.0 * (double)s->bytes / (body > 1e-4 ? body : 1e-4);
	if (before > 0 && !s->aborted) {
		a->errors[a->n_errors % HISTORY] = log(rate / before);
		a->n_errors++;
	}
	a->rates[a->n_rates % HISTORY] = rate;
	a->weights[a->n_rates % HISTORY] = fmin((double)s->bytes, 250e3) / 250e3;
	a->n_rates++;
}

static double mbps(const struct abr *a, unsigned rung)
{
	return a->bitrates[rung] / 1e6;
}

/* What a segment brings: quality, stall and switch, and the buffer after it. */
static double step(const struct abr *a, double bps, unsigned segment, unsigned rung, int last, double *buffer)
{
	double t = a->first_byte + size_bits(a, segment, rung) / bps;
	double stall = t > *buffer ? t - *buffer : 0;
	double left = (t > *buffer ? 0 : *buffer - t) + seconds(a->segment);
	double jump = last < 0 ? 0 : fabs(mbps(a, rung) - mbps(a, (unsigned)last));

	*buffer = left < seconds(a->cap) ? left : seconds(a->cap);
	return mbps(a, rung) - mbps(a, a->n_rungs - 1) * stall - jump;
}

static unsigned bin_of(const struct abr *a, double buffer)
{
	return (unsigned)(buffer / seconds(a->cap) * BINS);
}

/* Backwards over the horizon: value[..][bin][last] is the best that can still come. */
static unsigned plan(struct abr *a, const struct abr_state *s, double bps)
{
	unsigned left = a->n_segments > s->segment ? a->n_segments - s->segment : HORIZON;
	unsigned depth = left < HORIZON ? left : HORIZON, best_rung = 0;
	double best = -INFINITY;
	/* With film left behind the horizon, media in hand then is worth what it will buy. */
	double worth = left > HORIZON ? TERMINAL * bps / 1e6 / seconds(a->segment) : 0;

	for (unsigned bin = 0; bin <= BINS; bin++)
		for (unsigned r = 0; r < a->n_rungs; r++)
			a->value[depth & 1][bin][r] = (float)(worth * bin * seconds(a->cap) / BINS);
	for (unsigned d = depth - 1; d >= 1; d--) {
		float(*next)[MAX_RUNGS] = a->value[(d + 1) & 1], (*here)[MAX_RUNGS] = a->value[d & 1];

		for (unsigned bin = 0; bin <= BINS; bin++) {
			for (unsigned last = 0; last < a->n_rungs; last++)
				here[bin][last] = -INFINITY;
			for (unsigned r = 0; r < a->n_rungs; r++) {
				double after = bin * seconds(a->cap) / BINS;
				double gain = step(a, bps, s->segment + d, r, -1, &after) + next[bin_of(a, after)][r];

				for (unsigned last = 0; last < a->n_rungs; last++) {
					double v = gain - fabs(mbps(a, r) - mbps(a, last));

					if (v > here[bin][last])
						here[bin][last] = (float)v;
				}
			}
		}
	}
	for (unsigned r = 0; r < a->n_rungs; r++) {
		double after = seconds(s->buffer);
		double v = step(a, bps, s->segment, r, s->last_rung, &after);

		v += a->value[1][bin_of(a, after)][r];
		if (v > best) {
			best = v;
			best_rung = r;
		}
	}
	return best_rung;
}

static unsigned fitting(const struct abr *a, double bps)
{
	unsigned r = 0;

	while (r + 1 < a->n_rungs && a->bitrates[r + 1] <= bps)
		r++;
	return r;
}

/* What fits the forecast, with a share that grows with the buffer. */
static unsigned by_rate(const struct abr *a, const struct abr_state *s, double bps)
{
	double full = (double)s->buffer / (double)a->cap;

	return fitting(a, bps * (full < 0.25 ? 0.6 : full < 0.6 ? 0.85 : 1.0));
}

/* The floor under every plan: no rung that would arrive, at a pessimistic rate, after the buffer is spent. */
static unsigned arriving(const struct abr *a, const struct abr_state *s, unsigned rung, double bps)
{
	while (rung > 0 && s->last_rung >= 0 &&
	       a->first_byte + size_bits(a, s->segment, rung) / bps > seconds(s->buffer))
		rung--;
	return rung;
}

struct abr_decision abr_next(struct abr *a, const struct abr_state *s)
{
	double bps = forecast(a);
	dur_us over = s->buffer + a->segment - a->cap;
	struct abr_decision d = {0, over > 0 ? over : 0};

	if (bps <= 0) {
		d.rung = fitting(a, FIRST_BPS);
		return d;
	}
	bps *= exp(-PESSIMISM * spread(a));
	d.rung = a->plans && s->last_rung >= 0 ? plan(a, s, bps) : by_rate(a, s, bps);
	d.rung = arriving(a, s, d.rung, bps);
	return d;
}

/* Worth it when the rest would come after the buffer is spent and a lower rung, whole, clearly before.  On a dead
 * line neither would, and starting over only throws bytes away. */
int abr_abandon(struct abr *a, const struct abr_progress *p)
{
	double body = seconds(p->elapsed - p->first_byte), rate, rest;

	if (p->rung == 0 || a->abandoned_segment == (int)p->segment || body < 0.5 || p->got < MIN_BYTES)
		return -1;
	rate = 8.0 * (double)p->got / body;
	rest = 8.0 * (double)(p->size - p->got) / rate;
	if (rest < seconds(p->buffer) || rest < 1.0)
		return -1;
	if (a->n_rates == 0) /* the very first one: the viewer waits, and any rung is in time */
		return rest > 2 * (a->first_byte + size_bits(a, p->segment, 0) / rate) ? (a->abandoned_segment = (int)p->segment, 0) : -1;
	for (unsigned r = p->rung; r-- > 0;) {
		double t = a->first_byte + size_bits(a, p->segment, r) / rate;

		if (t < 0.5 * rest && t < seconds(p->buffer)) {
			a->abandoned_segment = (int)p->segment;
			return (int)r;
		}
	}
	return -1;
}

uint64_t abr_forecast(const struct abr *a)
{
	return (uint64_t)forecast(a);
}
