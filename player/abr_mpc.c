/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two more published rules, for comparison: the plain rate rule, and RobustMPC
 * (Yin, Jindal, Sekar, Sinopoli, SIGCOMM 2015): five segments ahead by exact
 * search with the true sizes, for the harmonic mean of the last five download
 * rates divided by one plus the largest recent error.
 */
#include <math.h>
#include <stdbool.h>

#include "player/abr_rule.h"

#define WINDOW 5
#define AHEAD 5
#define TIE 1e-9
#define MANY 3000

struct state {
	double rates[WINDOW];  /* Mbit/s over the whole download, newest at (n - 1) % WINDOW */
	double errors[WINDOW]; /* relative, of the forecasts for them */
	unsigned n, n_errors;
	double predicted;
};

static double harmonic(const struct state *s)
{
	unsigned n = s->n < WINDOW ? s->n : WINDOW;
	double inverse = 0;

	for (unsigned i = 0; i < n; i++)
		inverse += 1 / s->rates[i];
	return n > 0 ? n / inverse : 0;
}

static double forecast(const void *state)
{
	return harmonic(state);
}

static void init(void *state, const struct abr_film *f)
{
	(void)state;
	(void)f;
}

static void add_sample(void *state, const struct abr_film *f, const struct abr_sample *x)
{
	struct state *s = state;

	(void)f;
	if (!x->aborted)
		s->rates[s->n++ % WINDOW] = 8e-6 * (double)x->bytes / abr_seconds(x->total);
}

static struct abr_decision next_rate(void *state, const struct abr_film *f, const struct abr_state *now)
{
	(void)now;
	return (struct abr_decision){abr_film_rung_at(f, harmonic(state)), 0};
}

const struct abr_rule abr_rate = {"rate", sizeof(struct state), init, add_sample, next_rate, NULL, forecast};

/* --- RobustMPC ----------------------------------------------------------------------------- */

/* All paths are searched depth first, twice: for the best worth, then for the first rung of the paths that reach it.
 * Of those the one with the higher first rung wins; where a wide ladder makes many paths, only those count that have
 * the most in hand before the last segment, as where the paths that bring no more than another are thinned out. */
struct search {
	const struct abr_film *film;
	double time[AHEAD][ABR_MAX_RUNGS]; /* seconds a download takes */
	unsigned depth;
	double best;
	bool thin;
	unsigned first;                    /* of the path under way */
	int rung[ABR_MAX_RUNGS];           /* per rung before the last segment: the first rung of its best path, -1 */
	double hand[ABR_MAX_RUNGS];        /* and what that has in hand */
};

static void consider(struct search *x, unsigned before, double buffer)
{
	unsigned group = x->thin ? before : 0;
	bool more = x->thin && buffer > x->hand[group] + TIE, less = x->thin && buffer < x->hand[group] - TIE;

	if (x->rung[group] < 0 || more || (!less && (int)x->first > x->rung[group])) {
		x->rung[group] = (int)x->first;
		x->hand[group] = buffer;
	}
}

/* A branch that even the top rung throughout cannot save is left. */
static void descend(struct search *x, bool mark, unsigned d, unsigned last, double buffer, double value)
{
	const struct abr_film *f = x->film;
	double top = f->mbps[f->n_rungs - 1];

	if (value + (x->depth - d) * top < x->best - TIE)
		return;
	for (unsigned r = f->n_rungs; r-- > 0;) {
		double left = buffer - x->time[d][r];
		double v = value + f->mbps[r] - fabs(f->mbps[r] - f->mbps[last]) - top * fmax(-left, 0);

		if (d == 0)
			x->first = r;
		if (d + 1 < x->depth)
			descend(x, mark, d + 1, r, fmax(left, 0) + f->segment, v);
		else if (!mark)
			x->best = fmax(x->best, v);
		else if (v >= x->best - TIE)
			consider(x, last, buffer);
	}
}

static unsigned best_first(struct search *x, unsigned last, double buffer)
{
	int best = 0;

	x->best = -INFINITY;
	x->thin = x->depth == AHEAD && pow(x->film->n_rungs, AHEAD - 1) > MANY;
	for (unsigned r = 0; r < ABR_MAX_RUNGS; r++)
		x->rung[r] = -1;
	descend(x, false, 0, last, buffer, 0);
	descend(x, true, 0, last, buffer, 0);
	for (unsigned r = 0; r < x->film->n_rungs; r++)
		best = x->rung[r] > best ? x->rung[r] : best;
	return (unsigned)best;
}

static double predict(struct state *s)
{
	double actual = s->rates[(s->n - 1) % WINDOW], worst = 0;

	s->errors[s->n_errors++ % WINDOW] = s->predicted > 0 ? fabs(s->predicted - actual) / actual : 0;
	s->predicted = harmonic(s);
	for (unsigned i = 0; i < s->n_errors && i < WINDOW; i++)
		worst = fmax(worst, s->errors[i]);
	return s->predicted / (1 + worst);
}

static struct abr_decision next_robust(void *state, const struct abr_film *f, const struct abr_state *now)
{
	double mbps = predict(state);
	unsigned left = f->n_segments > now->segment ? f->n_segments - now->segment : AHEAD;
	struct search x = {.film = f, .depth = left < AHEAD ? left : AHEAD};

	for (unsigned d = 0; d < x.depth; d++)
		for (unsigned r = 0; r < f->n_rungs; r++)
			x.time[d][r] = abr_film_mbit(f, now->segment + d, r) / mbps;
	return (struct abr_decision){best_first(&x, (unsigned)now->last_rung, abr_seconds(now->buffer)), 0};
}

const struct abr_rule abr_robustmpc = {"robustmpc", sizeof(struct state), init, add_sample, next_robust, NULL, forecast};
