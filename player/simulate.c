/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One run is a loop over downloads; the line gives each its time, the rule its
 * rung.  Times are milliseconds and sizes bits in here, as in the traces.
 */
#include "player/simulate.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/words.h"
#include "player/abr_rule.h"
#include "player/flow.h"
#include "player/tcp_line.h"

#define PENSIEVE_RTT 80.0
#define PENSIEVE_NAP 500.0
#define LOOK 50.0            /* between two thoughts about abandoning */
#define LOOK_BITS 12000.0
#define TCP_LOOK 100.0       /* as the player does (LANE_TICK) */
#define LONGEST 3.6e6        /* what is not here by then is waited for without a further thought: a line may stand still for years */

struct run {
	const struct trace *trace;
	const struct ladder *ladder;
	struct abr *abr;
	struct tcp_line *tcp;    /* NULL: a body has the whole line, at once */
	bool pensieve;
	double segment, cap;     /* ms */
	double now;              /* on the line's clock */
	double wall;             /* with the round trips that the line does not notice */
	double buffer, stalled;
	unsigned index, last;
	struct simulate_result result;
};

struct download {
	double size, got;        /* bits */
	double first_byte, total;
	int restart;             /* rung it was abandoned for; -1 */
};

static dur_us to_us(double ms)
{
	return (dur_us)llround(1000 * fmin(ms, 1e15));
}

static double size_of(const struct run *x, unsigned rung)
{
	return 8.0 * x->ladder->sizes[(size_t)x->index * x->ladder->n_rungs + rung];
}

/* Looks in as the player does while the bytes come; the time when it ended. */
static double watch(struct run *x, unsigned rung, double begin, double end, struct download *d)
{
	double base = trace_bits(x->trace, begin), at = begin, pause = LOOK - d->first_byte;

	while (rung > 0) {
		double next = fmax(at + pause, trace_time(x->trace, trace_bits(x->trace, at) + LOOK_BITS));
		struct abr_progress p = {.segment = x->index, .rung = rung, .size = (uint64_t)(d->size / 8),
			.elapsed = to_us(next - x->now), .first_byte = to_us(d->first_byte),
			.buffer = to_us(fmax(0, x->buffer - (next - x->now)))};
		double got = trace_bits(x->trace, next) - base;

		if (next >= end || next - x->now > LONGEST)
			break;
		p.got = (uint64_t)(got / 8);
		d->restart = abr_abandon(x->abr, &p);
		if (d->restart >= 0) {
			d->got = got;
			return next;
		}
		at = next;
		pause = LOOK;
	}
	return end;
}

/* The same on a line as TCP uses it. */
static double watch_tcp(struct run *x, unsigned rung, bool first, struct download *d)
{
	double at = x->now, end;
	struct flow flow;

	flow_begin(&flow, to_us(at));
	while (!tcp_line_run(x->tcp, at += first || rung == 0 || at - x->now > LONGEST ? INFINITY : TCP_LOOK, &end)) {
		struct abr_progress p = {.segment = x->index, .rung = rung, .size = (uint64_t)(d->size / 8), .got = tcp_line_got(x->tcp),
			.elapsed = to_us(at - x->now), .buffer = to_us(fmax(0, x->buffer - (at - x->now)))};

		if (p.got == 0 || !flow_tells(&flow, p.got, to_us(at)))
			continue;
		p.first_byte = to_us(tcp_line_first(x->tcp) - x->now);
		d->restart = abr_abandon(x->abr, &p);
		if (d->restart >= 0) {
			d->got = 8.0 * (double)p.got;
			d->first_byte = (double)p.first_byte / 1000;
			tcp_line_leave(x->tcp, at);
			return at;
		}
	}
	return end;
}

static struct download download(struct run *x, unsigned rung, bool first)
{
	struct download d = {.size = size_of(x, rung), .restart = -1};
	double begin, end;

	d.got = d.size;
	if (x->pensieve) {
		d.first_byte = PENSIEVE_RTT;
		end = trace_time(x->trace, trace_bits(x->trace, x->now) + d.size);
		d.total = end - x->now + PENSIEVE_RTT;
	} else if (x->tcp != NULL) {
		tcp_line_ask(x->tcp, x->now, (uint64_t)(d.size / 8));
		end = watch_tcp(x, rung, first, &d);
		if (d.restart < 0)
			d.first_byte = tcp_line_first(x->tcp) - x->now;
		d.total = end - x->now;
	} else {
		d.first_byte = trace_latency(x->trace, x->now);
		begin = x->now + d.first_byte;
		end = trace_time(x->trace, trace_bits(x->trace, begin) + d.size);
		if (!first)
			end = watch(x, rung, begin, end, &d);
		d.total = end - x->now;
	}
	x->now = end;
	x->wall += d.total;
	return d;
}

static void tell(struct run *x, unsigned rung, const struct download *d)
{
	struct abr_sample s = {.segment = x->index, .rung = rung, .bytes = (uint64_t)(d->got / 8),
		.first_byte = to_us(d->first_byte), .total = to_us(d->total), .aborted = d->restart >= 0};

	abr_add_sample(x->abr, &s);
}

static void wait(struct run *x, double t)
{
	x->stalled += fmax(0, t - x->buffer);
	x->buffer = fmax(0, x->buffer - t);
	x->now += t;
	x->wall += t;
}

static double mbps(const struct run *x, unsigned rung)
{
	return x->ladder->bitrates[rung] / 1e6;
}

static void count(struct run *x, unsigned rung)
{
	double jump = fabs(mbps(x, rung) - mbps(x, x->last));

	x->result.bitrate_kbps += 1000 * mbps(x, rung);
	x->result.qoe += mbps(x, rung) - jump;
	x->result.switch_kbps += 1000 * jump;
	x->result.switches += rung != x->last;
	x->last = rung;
	x->index++;
}

static void begin(struct run *x)
{
	unsigned rung = x->pensieve && x->ladder->n_rungs > 1 ? 1 : 0;
	struct download d = download(x, rung, true);

	x->result.startup = d.total / 1000;
	x->result.bitrate_kbps = 1000 * mbps(x, rung);
	x->buffer = x->segment;
	x->last = rung;
	tell(x, rung, &d);
	x->index = 1;
}

static void step(struct run *x)
{
	struct abr_state s = {.segment = x->index, .last_rung = (int)x->last};
	struct abr_decision choice;
	struct download d;
	double late;

	if (!x->pensieve && x->buffer + x->segment > x->cap)
		wait(x, x->buffer + x->segment - x->cap);
	s.buffer = to_us(x->buffer);
	s.now = to_us(x->wall);
	choice = abr_next(x->abr, &s);
	if (choice.wait > 0)
		wait(x, (double)choice.wait / 1000);
	d = download(x, choice.rung, false);
	late = fmax(0, d.total - x->buffer);
	x->stalled += late;
	x->result.stalls += late > 0 && x->buffer > 0;
	x->buffer = fmax(0, x->buffer - d.total);
	tell(x, choice.rung, &d);
	if (d.restart >= 0) {
		x->result.abandoned++;
		x->result.wasted_bytes += d.got / 8;
		return;
	}
	x->buffer += x->segment;
	count(x, choice.rung);
	if (x->pensieve && x->buffer > x->cap) {
		double nap = ceil((x->buffer - x->cap) / PENSIEVE_NAP) * PENSIEVE_NAP;

		wait(x, nap);
	}
}

static void sum_up(struct run *x)
{
	struct simulate_result *r = &x->result;
	unsigned n = x->ladder->n_segments;
	double top = mbps(x, x->ladder->n_rungs - 1);

	r->segments = n;
	r->stalled = x->stalled / 1000;
	r->qoe = n > 1 ? (r->qoe - top * r->stalled) / (n - 1) : 0;
	r->bitrate_kbps /= n;
	r->switch_kbps /= n;
	r->stall_ratio = x->stalled / (x->stalled + n * x->segment);
}

int simulate(const struct trace *trace, const struct ladder *ladder, const struct simulate_setup *set,
             struct simulate_result *ret, struct fault *f)
{
	struct run x = {.trace = trace, .ladder = ladder, .pensieve = set->model == SIMULATE_PENSIEVE,
		.segment = (double)ladder->segment / 1000};
	dur_us cap = set->buffer > 0 ? set->buffer : x.pensieve ? 60 * DUR_S : 25 * DUR_S;
	struct abr_setup a = {.algorithm = set->algorithm, .n_rungs = ladder->n_rungs, .bitrates = ladder->bitrates,
		.n_segments = ladder->n_segments, .sizes = ladder->sizes, .segment = ladder->segment, .buffer_cap = cap};

	x.cap = fmax((double)cap / 1000, x.segment);
	x.abr = abr_new(&a);
	if (x.abr == NULL)
		return fault_set(f, ERR_USAGE, _("unknown adaptation \"%s\""), set->algorithm != NULL ? set->algorithm : "");
	x.tcp = set->model == SIMULATE_TCP ? tcp_line_new(trace) : NULL;
	begin(&x);
	while (x.index < ladder->n_segments)
		step(&x);
	sum_up(&x);
	tcp_line_free(&x.tcp);
	abr_free(&x.abr);
	*ret = x.result;
	return 0;
}

static int print(const char *path, const char *algorithm, const struct simulate_result *r, FILE *out)
{
	json_t *o = json_pack("{ss ss sI sf sf sf sI sf sf sI sf sI sf}", "trace", path, "abr",
		algorithm != NULL ? algorithm : abr_algorithms[0], "segments", (json_int_t)r->segments, "qoe", r->qoe,
		"bitrate_kbps", r->bitrate_kbps, "rebuf_ratio", r->stall_ratio, "switches", (json_int_t)r->switches,
		"switch_kbps", r->switch_kbps, "startup_s", r->startup, "stalls", (json_int_t)r->stalls, "stall_s",
		r->stalled, "abandoned", (json_int_t)r->abandoned, "wasted_bytes", r->wasted_bytes);
	int bad = o == NULL || json_dumpf(o, out, JSON_REAL_PRECISION(9)) < 0;

	json_decref(o);
	return bad || putc('\n', out) == EOF ? -EIO : 0;
}

int simulate_files(const char *const *traces, size_t n, const char *ladder_path, dur_us length,
                   const struct simulate_setup *set, FILE *out, struct fault *f)
{
	struct ladder *ladder = NULL;
	int r = ladder_read(ladder_path, length, &ladder, f);

	for (size_t i = 0; i < n && r == 0; i++) {
		struct simulate_result result;
		struct trace *trace = NULL;

		r = trace_read(traces[i], &trace, f);
		if (r == 0)
			r = simulate(trace, ladder, set, &result, f);
		if (r == 0)
			r = print(traces[i], set->algorithm, &result, out);
		trace_free(&trace);
	}
	if (r == 0 && fflush(out) != 0)
		r = -EIO;
	ladder_free(&ladder);
	return r == -EIO ? fault_set(f, r, _("standard output: %s"), words_error(r)) : r;
}
