/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Our rule: plan ahead for a few futures of the line that are as far apart as
 * the forecasts of this session were wrong.
 *
 * After each download the forecast made one, two, four and eight downloads ago
 * is held against what came since: a line that jitters around a mean errs much
 * over one segment and little over eight, one that wanders errs more and more,
 * a calm one does not err.  Mean and spread of these logarithmic errors, started
 * from a cautious prior, give the futures; equal slices of the distribution, so
 * that all count the same.  The plan reaches as far as a full buffer does: less
 * leaves it blind to what the buffer is for, more lets far fears decide.
 */
#include <math.h>

#include "player/abr_plan.h"

/* One configuration for every line; doc/BENCHMARKS.md says what it reaches and how it was found. */
struct tuning {
	double keep0, keep1, keep2, keep3;  /* of the past per download, in each expert's mean */
	double harmonic_share;              /* of the means; the rest is geometric */
	double trial, forget;               /* how fast an expert that erred loses its say, and how much of its errors is kept */
	double latency;                     /* kept of the first-byte time */
	double memory, max_error, max_mean; /* kept of the forecast's errors; an error counts at most so much, and in their mean */
	double prior_spread, prior_weight;  /* standard deviation before any error is known, and for how many it counts */
	double prior_keep, prior_least;     /* of that weight per download, and what stays of it for ever */
	double shift, width;                /* of the futures, in standard deviations */
	double caution, caution_decay;      /* below the forecast for the first picks */
	double reach, futures;              /* how far to look ahead, in full buffers */
	double redraw, jitter;              /* chance that the line is drawn anew behind a segment, and more of it where errors even out */
	double tail;                        /* seconds: memory of the rate within downloads */
	double change, interruption;        /* as in abr_plan.h */
	double trust, wild, gain;           /* seconds for which the forecast counts against a running download where its errors
	                                       have this spread, less on calmer lines; top rates a restart must bring */
	double full_time, full_size;        /* seconds and Mbit from which a download counts as a whole one */
	double slow_time;                   /* seconds from which a small one is no worse than others */
};
static const struct tuning T = {.keep0 = 0.0171, .keep1 = 0.363, .keep2 = 0.389, .keep3 = 0.88, .harmonic_share = 0.239,
	.trial = 0.962, .forget = 0.758, .latency = 0.498, .memory = 0.98, .max_error = 1.02, .max_mean = 0.446,
	.prior_spread = 0.27, .prior_weight = 2.77, .prior_keep = 0.85, .prior_least = 0.225, .shift = -0.653, .width = 1.04,
	.caution = 0.302, .caution_decay = 0.586, .reach = 0.92, .futures = 7, .redraw = -0.2, .jitter = 0.9, .tail = 0.3,
	.change = 1.11, .interruption = 0.1, .trust = 15, .wild = 0.5, .gain = 0.159, .full_time = 0.05, .full_size = 0.25, .slow_time = 0.5};

enum { N_MEANS = 4, N_EXPERTS = N_MEANS + 1, N_SPANS = 4, HISTORY = 16 };
static const unsigned spans[N_SPANS] = {1, 2, 4, 8};
#define LEAST_DEPTH 4           /* segments, however small the buffer */
#define MOST_WORK 240.0         /* segments times rungs, so that a decision stays below 1 ms */
#define MIN_MBIT 0.016          /* a smaller transfer says nothing about the rate */
#define MIN_BODY 1e-4
#define KNOWN_WEIGHT 0.5        /* of a download, for what earlier sessions had */
#define ABANDON_AFTER 0.5       /* seconds of body before a running download is judged */
#define NOVICE 3                /* downloads */

struct means {
	double weight, log, inverse;
};

/* A forecaster: what it says (the logarithm of Mbit/s), and how wrong it was of late. */
struct expert {
	double said, loss;
};

/* The line of the last moments: Mbit and seconds, fading; what was already seen of the download that runs. */
struct tail {
	double mbit, time, seen_mbit, seen_time;
	int segment; /* -1: none runs */
};

struct errors {
	double weight, sum, squares;
};

struct state {
	struct plan plan;
	struct means means[N_MEANS];
	struct tail tail;
	struct expert experts[N_EXPERTS]; /* one for each mean, and the tail */
	struct errors errors[N_SPANS];
	double inverse[HISTORY], forecasts[HISTORY]; /* per download, newest at (n - 1) % HISTORY */
	double mbps, latency;          /* the forecast */
	double known;                  /* Mbit/s of earlier sessions, 0: none */
	double z[PLAN_FUTURES];
	unsigned n, n_latencies;
	int forced, judged;            /* rung the segment is asked anew with; segment that was: -1 */
};

/* Of the standard normal distribution, by halving. */
static double quantile(double p)
{
	double low = -6, high = 6;

	for (int i = 0; i < 50; i++) {
		double mid = (low + high) / 2;

		*(0.5 * erfc(-mid / sqrt(2)) < p ? &low : &high) = mid;
	}
	return (low + high) / 2;
}

static void init(void *state, const struct abr_film *f)
{
	struct state *s = state;

	s->forced = s->judged = s->tail.segment = -1;
	s->known = f->start_mbps;
	for (int i = 0; i < (int)T.futures; i++)
		s->z[i] = quantile((i + 0.5) / T.futures);
}

/* --- what is learnt -------------------------------------------------------------------------- */

static double bounded(double v, double most)
{
	return fmax(-most, fmin(most, v));
}

static void means_add(struct means *m, double keep, double weight, double rate)
{
	keep = pow(keep, weight);
	m->weight = m->weight * keep + weight;
	m->log = m->log * keep + weight * log(rate);
	m->inverse = m->inverse * keep + weight / rate;
}

static double means_log(const struct means *m)
{
	return (1 - T.harmonic_share) * m->log / m->weight - T.harmonic_share * log(m->inverse / m->weight);
}

/* So much more came. */
static void tail_add(struct tail *t, double mbit, double time)
{
	double keep = exp(-time / T.tail);

	if (time <= 0 || mbit < 0) /* another base began anew */
		return;
	t->mbit = t->mbit * keep + mbit / time * T.tail * (1 - keep);
	t->time = t->time * keep + T.tail * (1 - keep);
}

/* How far a download has come; the end of it is told with `ended`. */
static void tail_see(struct tail *t, unsigned segment, double mbit, double time, bool ended)
{
	if (t->segment != (int)segment)
		t->seen_mbit = t->seen_time = 0;
	tail_add(t, mbit - t->seen_mbit, time - t->seen_time);
	t->seen_mbit = mbit;
	t->seen_time = time;
	t->segment = ended ? -1 : (int)segment;
}

static void tell_experts(struct state *s, double weight, double rate)
{
	const double keep[N_MEANS] = {T.keep0, T.keep1, T.keep2, T.keep3};

	for (int i = 0; i < N_MEANS; i++) {
		if (s->means[i].weight == 0 && s->known > 0)
			means_add(&s->means[i], 1, KNOWN_WEIGHT, s->known);
		means_add(&s->means[i], keep[i], weight, rate);
		s->experts[i].said = means_log(&s->means[i]);
	}
	s->experts[N_MEANS].said = s->tail.mbit > 0 ? log(s->tail.mbit / s->tail.time) : log(rate);
}

/* Every expert is held against what came, and then told of it; what all say counts by how wrong each was of late, so
 * that a jump to a new rate is followed at once on a line that stays, and waited for on one that swings. */
static void ask_experts(struct state *s, double weight, double rate)
{
	double least = INFINITY, sum = 0, all = 0;

	for (int i = 0; i < N_EXPERTS; i++) {
		struct expert *e = &s->experts[i];
		double error = s->n > 1 ? bounded(log(rate) - e->said, T.max_error) : 0;

		e->loss = e->loss * pow(T.forget, weight) + weight * error * error;
		least = fmin(least, e->loss);
	}
	tell_experts(s, weight, rate);
	for (int i = 0; i < N_EXPERTS; i++) {
		double say = exp(-T.trial * (s->experts[i].loss - least));

		sum += say * s->experts[i].said;
		all += say;
	}
	s->mbps = exp(sum / all);
}

static void errors_add(struct errors *e, double weight, double error)
{
	double keep = pow(T.memory, weight);

	e->weight = e->weight * keep + weight;
	e->sum = e->sum * keep + weight * bounded(error, T.max_mean);
	error = bounded(error, T.max_error);
	e->squares = e->squares * keep + weight * error * error;
}

/* The forecasts of some downloads ago against all that came since. */
static void learn_errors(struct state *s, double weight)
{
	double sum = 0;
	unsigned k = 0;

	for (int i = 0; i < N_SPANS && spans[i] < s->n; i++) {
		for (; k < spans[i]; k++)
			sum += s->inverse[(s->n - 1 - k) % HISTORY];
		errors_add(&s->errors[i], weight, log(k / sum / s->forecasts[(s->n - 1 - k) % HISTORY]));
	}
}

/* Little that came in no time is of a cache nearby, or of the beginnings of a transfer; little in a long time is a line that is slow. */
static double weight_of(double mbit, double body)
{
	double size = fmin(1, mbit / T.full_size);

	return fmin(1, body / T.full_time) * size * fmax(size, fmin(1, body / T.slow_time));
}

static void add_sample(void *state, const struct abr_film *f, const struct abr_sample *x)
{
	struct state *s = state;
	double first = abr_seconds(x->first_byte), mbit = 8e-6 * (double)x->bytes;
	double body = fmax(abr_seconds(x->total) - first, MIN_BODY), rate = mbit / body;
	double weight = weight_of(mbit, body);

	(void)f;
	s->latency = s->n_latencies++ == 0 ? first : T.latency * s->latency + (1 - T.latency) * first;
	/* what came at memory speed, or was small, moves the tail as little as it moves the means */
	tail_see(&s->tail, x->segment, s->mbps > 0 ? mbit * pow(s->mbps / rate, 1 - weight) : mbit, body, true);
	if (mbit < MIN_MBIT)
		return;
	s->inverse[s->n++ % HISTORY] = 1 / rate;
	learn_errors(s, weight);
	ask_experts(s, weight, rate);
	s->forecasts[(s->n - 1) % HISTORY] = s->mbps;
}

static double forecast(const void *state)
{
	return ((const struct state *)state)->mbps;
}

/* --- what is decided ------------------------------------------------------------------------- */

/* Mean and spread of the logarithmic error over so many segments. */
static void expect(const struct state *s, unsigned span, double *ret_mean, double *ret_spread)
{
	const struct errors *e = &s->errors[span];
	double prior = fmax(T.prior_least, T.prior_weight * pow(T.prior_keep, s->n)), weight = e->weight + prior;
	double mean = e->sum / weight;

	*ret_spread = sqrt(fmax((e->squares + prior * T.prior_spread * T.prior_spread) / weight - mean * mean, 1e-4));
	*ret_mean = mean + T.shift * *ret_spread;
	if (s->n <= NOVICE)
		*ret_mean -= T.caution * pow(T.caution_decay, s->n - 1.0) * T.prior_spread;
}

/* The mean rate up to each segment is the forecast with the error of that span; between spans by the logarithm. */
static void set_future(const double *mean, const double *spread, double mbps, double z, unsigned depth, double *ret_mbps)
{
	double before = 0;

	for (unsigned k = 0; k < depth; k++) {
		double at = fmin(log2(k + 1.0), N_SPANS - 1), part, time;
		unsigned i = at >= N_SPANS - 1 ? N_SPANS - 2 : (unsigned)at;

		part = at - i;
		time = (k + 1) / (mbps * exp(mean[i] + part * (mean[i + 1] - mean[i]) +
		                             z * (spread[i] + part * (spread[i + 1] - spread[i]))));
		ret_mbps[k] = 1 / fmax(time - before, 0.2 * time / (k + 1));
		before = fmax(before, time);
	}
}

static void set_question(const struct state *s, const struct abr_film *f, double mbps, struct plan_question *q)
{
	double mean[N_SPANS], spread[N_SPANS], even;
	unsigned left = f->n_segments > q->segment ? f->n_segments - q->segment : PLAN_DEPTH;
	double reach = fmin(T.reach * f->cap / f->segment + 0.5, MOST_WORK / f->n_rungs);
	unsigned most = (unsigned)fmax(LEAST_DEPTH, fmin(PLAN_DEPTH, reach));

	q->depth = left < most ? left : most;
	q->latency = s->latency;
	q->stall = f->mbps[f->n_rungs - 1];
	q->change = T.change;
	q->interruption = T.interruption;
	q->n_futures = (unsigned)T.futures;
	for (unsigned i = 0; i < N_SPANS; i++)
		expect(s, i, &mean[i], &spread[i]);
	/* errors that even out over many segments are of a line that comes back, not of one that stays where it is */
	even = bounded((1 - spread[N_SPANS - 1] / spread[0]) / (1 - 1 / sqrt(spans[N_SPANS - 1])), 1);
	q->redraw = fmax(0, T.redraw + T.jitter * fmax(0, even));
	for (unsigned i = 0; i < q->n_futures; i++)
		set_future(mean, spread, mbps, T.width * s->z[i], q->depth, q->mbps[i]);
}

static struct abr_decision next(void *state, const struct abr_film *f, const struct abr_state *now)
{
	struct state *s = state;
	struct plan_question q = {.segment = now->segment, .last = (unsigned)now->last_rung, .buffer = abr_seconds(now->buffer)};
	double worth[ABR_MAX_RUNGS];
	int forced = s->judged == (int)now->segment ? s->forced : -1;

	s->forced = -1;
	if (forced >= 0)
		return (struct abr_decision){(unsigned)forced, 0};
	set_question(s, f, s->mbps, &q);
	return (struct abr_decision){plan_best(&s->plan, f, &q, worth), 0};
}

/* The very first one, with nothing known: the viewer waits, and the lowest rung in less than half the time is better. */
static int abandon_first(struct state *s, const struct abr_film *f, const struct abr_progress *p, double left, double rate)
{
	double anew = abr_seconds(p->first_byte) + abr_film_mbit(f, p->segment, 0) / rate;

	if (left / rate < 1 || left / rate < 2 * anew)
		return -1;
	s->judged = (int)p->segment;
	s->forced = 0;
	return 0;
}

/* The rate to go on with, between the session's and that of this download: a line that was calm and is slow now has
 * changed, one that swings will come back. */
static double running_rate(const struct state *s, double rate, double body)
{
	double mean, spread, trust, share;

	expect(s, 0, &mean, &spread);
	trust = T.trust * fmin(1, spread * spread / (T.wild * T.wild));
	share = trust / (trust + body);
	return exp((1 - share) * log(rate) + share * log(s->mbps));
}

/* A download that would come too late is planned anew: what is left of it against lower rungs from their beginning.
 * Once a segment: a line that is dead is dead for every rung. */
static int abandon(void *state, const struct abr_film *f, const struct abr_progress *p)
{
	struct state *s = state;
	double body = abr_seconds(p->elapsed - p->first_byte), buffer = abr_seconds(p->buffer);
	double got = 8e-6 * (double)p->got, left = 8e-6 * (double)(p->size - p->got), rate = got / body;
	struct plan_question q = {.segment = p->segment, .last = p->rung, .buffer = buffer, .running = true, .left = left};
	double worth[ABR_MAX_RUNGS];
	unsigned best;

	tail_see(&s->tail, p->segment, got, body, false);
	if (s->judged == (int)p->segment || body < ABANDON_AFTER || left / rate <= buffer)
		return -1;
	if (s->n == 0)
		return abandon_first(s, f, p, left, rate);
	rate = running_rate(s, rate, body + abr_seconds(p->before));
	if (left / rate <= buffer)
		return -1;
	set_question(s, f, rate, &q);
	best = plan_best(&s->plan, f, &q, worth);
	if (best >= p->rung || worth[best] < worth[p->rung] + T.gain * q.stall)
		return -1;
	s->judged = (int)p->segment;
	s->forced = (int)best;
	return (int)best;
}

const struct abr_rule abr_ribera = {"ribera", sizeof(struct state), init, add_sample, next, abandon, forecast};
