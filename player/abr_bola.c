/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two published rules, for comparison: BOLA-E (Spiteri, Urgaonkar, Sitaraman,
 * ACM TOMM 2020) and DYNAMIC (Spiteri, Sitaraman, Sparacio, MMSys 2018), which
 * goes by throughput while the buffer is low and by BOLA above.  Times here are
 * milliseconds and rates kbit/s, as in the papers.
 */
#include <math.h>

#include "player/abr_rule.h"

#define GAMMA 5.0
#define SWITCH_LEVEL 10000.0    /* DYNAMIC: throughput below, BOLA above */
#define SAFETY 0.9
#define ABANDON_AFTER 500.0
#define ABANDON_FACTOR 1.8

/* Two exponential means, the smaller rate and the larger latency count. */
struct estimate {
	double rate[2], latency[2], time, count;
};

struct line {
	struct estimate e;
	double rate, latency; /* kbit/s, ms; rate 0: nothing is known */
};

static const double half_lives[2] = {3000, 8000};

static void line_add(struct line *l, double segment, double duration, double rate, double latency)
{
	double least = INFINITY, most = 0;

	l->e.time += duration;
	l->e.count += 1;
	for (int i = 0; i < 2; i++) {
		double keep = pow(0.5, duration / half_lives[i]), per = half_lives[i] / segment, keep_latency = pow(0.5, 1 / per);

		l->e.rate[i] = keep * l->e.rate[i] + (1 - keep) * rate;
		l->e.latency[i] = keep_latency * l->e.latency[i] + (1 - keep_latency) * latency;
		least = fmin(least, l->e.rate[i] / (1 - pow(0.5, l->e.time / half_lives[i])));
		most = fmax(most, l->e.latency[i] / (1 - pow(0.5, l->e.count / per)));
	}
	l->rate = least;
	l->latency = most;
}

struct state {
	struct line line;
	double safety;                 /* of the rule against an empty buffer */
	double vp, gp;
	double utility[ABR_MAX_RUNGS];
	unsigned last;
	double placeholder;            /* media that is not there but was not needed either, ms */
	bool started, by_buffer;
	double buffer, requested;      /* at the last decision, and when the next download begins; ms */
	bool asked;                    /* a decision has been made, so `requested` counts */
	int aborted_to;
};

static double kbps(const struct abr_film *f, unsigned r)
{
	return 1000 * f->mbps[r];
}

static double segment_ms(const struct abr_film *f)
{
	return 1000 * f->segment;
}

/* The highest rung that arrives within its own duration. */
static unsigned by_rate(const struct abr_film *f, double rate, double latency)
{
	unsigned q = 0;

	while (q + 1 < f->n_rungs && latency + segment_ms(f) * kbps(f, q + 1) / rate <= segment_ms(f))
		q++;
	return q;
}

/* The rule against an empty buffer: what surely arrives before. */
static unsigned limit_by_buffer(struct state *s, const struct abr_film *f, double buffer, unsigned q, bool *ret_hit)
{
	double safe = s->safety * (buffer - s->line.latency) * s->line.rate;

	s->safety = fmax(s->safety * 0.9, 0.5);
	*ret_hit = false;
	for (unsigned k = 0; k < q; k++)
		if (kbps(f, k + 1) * segment_ms(f) > safe) {
			*ret_hit = true;
			return k;
		}
	return q;
}

static unsigned best_of(const struct state *s, const struct abr_film *f, double level)
{
	unsigned best = 0;
	double top = -INFINITY;

	for (unsigned q = 0; q < f->n_rungs; q++) {
		double x = (s->vp * (s->utility[q] + s->gp) - level) / kbps(f, q);

		if (x > top) {
			top = x;
			best = q;
		}
	}
	return best;
}

static void add_line_sample(struct state *s, const struct abr_film *f, const struct abr_sample *x)
{
	double body = 1000 * abr_seconds(x->total - x->first_byte);

	if (!x->aborted && body > 0)
		line_add(&s->line, segment_ms(f), body, 8.0 * (double)x->bytes / body, 1000 * abr_seconds(x->first_byte));
}

static double forecast(const void *state)
{
	return ((const struct state *)state)->line.rate / 1000;
}

/* --- BOLA-E ------------------------------------------------------------------------------ */

static void init_bola_e(void *state, const struct abr_film *f)
{
	struct state *s = state;
	double buffer = fmax(10000 + 2000 * f->n_rungs, 1000 * f->cap);

	for (unsigned q = 0; q < f->n_rungs; q++)
		s->utility[q] = log(kbps(f, q)) + 1 - log(kbps(f, 0));
	s->gp = fmax(s->utility[f->n_rungs - 1] - 1, 1e-6) / (buffer / 10000 - 1);
	s->vp = 10000 / s->gp;
	s->safety = 0.9;
	s->aborted_to = -1;
}

/* The buffer from which a rung is chosen, and that up to which it is worth loading at all. */
static double min_buffer(const struct state *s, const struct abr_film *f, unsigned q)
{
	double most = 0;

	for (unsigned k = 0; k < q; k++)
		most = fmax(most, s->vp * (s->gp + (kbps(f, q) * s->utility[k] - kbps(f, k) * s->utility[q]) / (kbps(f, q) - kbps(f, k))));
	return most;
}

static double max_buffer(const struct state *s, unsigned q)
{
	return s->vp * (s->utility[q] + s->gp);
}

static void sample_bola_e(void *state, const struct abr_film *f, const struct abr_sample *x)
{
	struct state *s = state;
	double total = 1000 * abr_seconds(x->total), level = fmax(0, s->buffer - total);

	add_line_sample(s, f, x);
	if (!s->asked)
		return;
	s->requested += total;
	if (x->aborted && s->aborted_to >= 0) {
		double want = s->aborted_to > 0 ? min_buffer(s, f, (unsigned)s->aborted_to) : 10000;

		s->placeholder = fmin(s->placeholder, fmax(0, want - level));
	} else if (!x->aborted) {
		level += segment_ms(f);
		s->placeholder = fmin(s->placeholder, fmax(0, max_buffer(s, x->rung) - level - total));
		s->placeholder = fmax(s->placeholder, min_buffer(s, f, x->rung) - level - total);
	}
	s->last = x->rung;
	s->aborted_to = -1;
}

static unsigned start_bola_e(struct state *s, const struct abr_film *f, double buffer)
{
	unsigned q = by_rate(f, s->line.rate, s->line.latency);

	s->started = true;
	s->placeholder = fmax(0, min_buffer(s, f, q) - buffer);
	return q;
}

static unsigned pick_bola_e(struct state *s, const struct abr_film *f, double buffer, double *ret_delay)
{
	unsigned q = best_of(s, f, buffer + s->placeholder), fits = by_rate(f, s->line.rate, s->line.latency);
	double delay;
	bool hit;

	if (q > s->last && q > fits)
		q = s->last > fits ? s->last : fits;
	delay = fmax(0, buffer + s->placeholder - max_buffer(s, q));
	if (delay <= s->placeholder) {
		s->placeholder -= delay;
		delay = 0;
	} else {
		delay -= s->placeholder;
		s->placeholder = 0;
	}
	if (q == f->n_rungs - 1)
		delay = 0;
	q = limit_by_buffer(s, f, buffer, q, &hit);
	if (hit) {
		delay = 0;
		s->placeholder = fmin(s->placeholder, fmax(0, min_buffer(s, f, q) - buffer));
	}
	*ret_delay = delay;
	return q;
}

static struct abr_decision next_bola_e(void *state, const struct abr_film *f, const struct abr_state *now)
{
	struct state *s = state;
	double buffer = 1000 * abr_seconds(now->buffer), t = (double)now->now / 1000, delay = 0;
	unsigned q;

	if (s->asked && t > s->requested) /* the buffer was full, not the line slow */
		s->placeholder += t - s->requested;
	q = s->started ? pick_bola_e(s, f, buffer, &delay) : start_bola_e(s, f, buffer);
	s->asked = true;
	s->buffer = buffer - delay;
	s->requested = t + delay;
	return (struct abr_decision){q, (dur_us)(1000 * delay)};
}

static int abandon_bola_e(void *state, const struct abr_film *f, const struct abr_progress *p)
{
	struct state *s = state;
	double t = 1000 * abr_seconds(p->elapsed), first = 1000 * abr_seconds(p->first_byte), size = 8.0 * (double)p->size;
	double level = fmax(0, 1000 * abr_seconds(p->buffer) + s->placeholder - first), rate = 8.0 * (double)p->got / (t - first);
	double left = size - 8.0 * (double)p->got - first * rate, best;
	int to = -1;

	if (t <= first || left <= 0)
		return -1;
	best = (s->vp * (s->gp + s->utility[p->rung]) - level) / left;
	for (unsigned k = 0; k < p->rung; k++) {
		double other = size * kbps(f, k) / kbps(f, p->rung), x = (s->vp * (s->gp + s->utility[k]) - level) / other;

		if (other < left && x > best) {
			best = x;
			to = (int)k;
		}
	}
	s->aborted_to = to;
	return to;
}

const struct abr_rule abr_bola_e = {"bola-e", sizeof(struct state), init_bola_e, sample_bola_e, next_bola_e, abandon_bola_e, forecast};

/* --- DYNAMIC ------------------------------------------------------------------------------ */

static void init_dynamic(void *state, const struct abr_film *f)
{
	struct state *s = state;

	for (unsigned q = 0; q < f->n_rungs; q++)
		s->utility[q] = log(kbps(f, q)) - log(kbps(f, 0));
	s->gp = GAMMA;
	s->safety = 0.9;
}

static void sample_dynamic(void *state, const struct abr_film *f, const struct abr_sample *x)
{
	add_line_sample(state, f, x);
}

/* BOLA with a buffer that grows from the start and shrinks to the end, and without oscillation. */
static unsigned pick_bola(struct state *s, const struct abr_film *f, unsigned segment, double buffer, double *ret_delay)
{
	unsigned left = f->n_segments > segment ? f->n_segments - segment : segment, q, fits;
	double t = fmax((segment < left ? segment : left) / 2.0, 3) * segment_ms(f);

	s->vp = (fmin(1000 * f->cap, t) - segment_ms(f)) / (s->utility[f->n_rungs - 1] + s->gp);
	q = best_of(s, f, buffer);
	*ret_delay = 0;
	fits = by_rate(f, s->line.rate, s->line.latency);
	if (q > s->last && q > fits) {
		if (s->last > fits) {
			q = s->last;
		} else {
			q = fits;
			if (q + 1 < f->n_rungs)
				*ret_delay = fmax(0, buffer - s->vp * (s->gp + s->utility[q]));
		}
	}
	s->last = q;
	return q;
}

static struct abr_decision next_dynamic(void *state, const struct abr_film *f, const struct abr_state *now)
{
	struct state *s = state;
	double buffer = 1000 * abr_seconds(now->buffer), delay;
	unsigned bola = pick_bola(s, f, now->segment, buffer, &delay), rate;
	bool hit;

	rate = limit_by_buffer(s, f, buffer, by_rate(f, s->line.rate * SAFETY, s->line.latency), &hit);
	if (s->by_buffer)
		s->by_buffer = !(buffer < SWITCH_LEVEL && bola < rate);
	else
		s->by_buffer = buffer > SWITCH_LEVEL && bola >= rate;
	return s->by_buffer ? (struct abr_decision){bola, (dur_us)(1000 * delay)} : (struct abr_decision){rate, 0};
}

static int abandon_dynamic(void *state, const struct abr_film *f, const struct abr_progress *p)
{
	struct state *s = state;
	double t = 1000 * abr_seconds(p->elapsed), body = t - 1000 * abr_seconds(p->first_byte), rate, left;
	unsigned n;

	if (t < ABANDON_AFTER || body <= 0)
		return -1;
	rate = 8.0 * (double)p->got / body;
	left = 8.0 * (double)(p->size - p->got);
	if (t + left / rate <= ABANDON_FACTOR * segment_ms(f))
		return -1;
	n = by_rate(f, rate * SAFETY, s->line.latency);
	return n >= p->rung || 8.0 * (double)p->size * kbps(f, n) / kbps(f, p->rung) >= left ? -1 : (int)n;
}

const struct abr_rule abr_dynamic = {"dynamic", sizeof(struct state), init_dynamic, sample_dynamic, next_dynamic, abandon_dynamic, forecast};
