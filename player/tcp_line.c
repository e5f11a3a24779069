/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Three things happen: a packet comes to the client, its acknowledgement to the
 * server, and a timer ends where neither will.  Packets keep their order, so those
 * under way are a log in the order of sending: one that is behind was dropped when
 * one that is before it arrives.
 */
#include "player/tcp_line.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#define PAYLOAD 1448              /* bytes, of packets of 1500 */
#define QUEUE (200000 / 1500)     /* packets */
#define FIRST_WINDOW 10.0         /* packets (RFC 6928) */
#define LEAST_WINDOW 2.0
#define LEAST_RTO 200.0
#define MOST_RTO 120000.0
#define REORDER 3                 /* packets after which one that did not come is lost */
#define BETA 0.7                  /* RFC 9438 4.6 */
#define CUBE 0.4e-9               /* packets per ms^3; RFC 9438 5 */
#define RENO 0.53                 /* packets per window; RFC 9438 4.3 */
#define BLIND_GROWTH 20.0         /* windows' part to grow by while no loss was seen */
#define HYSTART_FROM 16.0         /* packets */
#define HYSTART_SAMPLES 8
#define HYSTART_TRAIN 1.0         /* ms between acknowledgements that come in a train */

struct sent {
	uint64_t number;          /* of the packet in the body */
	double at, arrives;       /* arrives INFINITY: dropped */
	bool arrived;
};

struct window {
	double size, threshold;   /* packets */
	double last_max, epoch, k, origin, reno, grown; /* epoch 0: begins with the next acknowledgement */
	uint64_t limited;         /* place in the log up to which it, not the body, was the limit */
	double least_rtt;
	/* HyStart */
	bool found;
	uint64_t round_end;
	double round_began, round_rtt, last_ack;
	unsigned samples;
	/* recovery */
	bool recovers;
	uint64_t recovery_end;    /* places in the log */
	double flight, delivered, out;
};

struct tcp_line {
	const struct trace *trace;
	double free;              /* the link is, from then on */
	double last_arrival;
	double *queue;            /* when each packet in it is sent: a ring of QUEUE */
	size_t queue_first, queued;
	/* the connection */
	struct window w;
	double srtt, variance, last_sent;
	/* the body */
	double now;
	uint64_t bytes, packets, next; /* next: never sent yet */
	bool *acked, *come;       /* per packet */
	uint64_t in_order, n_acked;
	double first, end;
	struct sent *log;
	size_t cap, n, to_arrive, to_ack, judged; /* places in the log: arrived, acknowledged, known to have come or not */
	uint64_t *lost;           /* to be sent again */
	size_t cap_lost, n_lost, lost_done;
	uint64_t flight;          /* packets sent that are neither acknowledged nor known as lost */
	double timer;             /* where nothing is under way; INFINITY */
	bool probed;
	int timeouts;             /* since anything was acknowledged */
};

static void new_connection(struct tcp_line *l)
{
	l->w = (struct window){.size = FIRST_WINDOW, .threshold = INFINITY, .least_rtt = INFINITY, .round_rtt = INFINITY};
	l->srtt = l->variance = 0;
	l->last_sent = -INFINITY;
}

struct tcp_line *tcp_line_new(const struct trace *trace)
{
	struct tcp_line *l = mem_new(sizeof *l);

	l->trace = trace;
	l->queue = mem_new_array(QUEUE, sizeof *l->queue);
	l->first = l->end = l->timer = INFINITY;
	new_connection(l);
	return l;
}

void tcp_line_free(struct tcp_line **pl)
{
	struct tcp_line *l = *pl;

	if (l == NULL)
		return;
	free(l->queue);
	free(l->acked);
	free(l->come);
	free(l->log);
	free(l->lost);
	free(l);
	*pl = NULL;
}

/* --- the line ------------------------------------------------------------------------------ */

static double half_trip(const struct tcp_line *l, double t)
{
	return trace_latency(l->trace, t) / 2;
}

static double payload(const struct tcp_line *l, uint64_t number)
{
	return number + 1 < l->packets ? PAYLOAD : (double)(l->bytes - number * PAYLOAD);
}

/* When it comes out of the line; INFINITY when the queue is full. */
static double carry(struct tcp_line *l, double t, double bytes)
{
	double from = t > l->free ? t : l->free, arrival;

	for (; l->queued > 0 && l->queue[l->queue_first] <= t; l->queued--)
		l->queue_first = (l->queue_first + 1) % QUEUE;
	if (l->queued == QUEUE)
		return INFINITY;
	l->free = fmax(from, trace_time(l->trace, trace_bits(l->trace, from) + 8 * bytes));
	l->queue[(l->queue_first + l->queued++) % QUEUE] = l->free;
	arrival = l->free + half_trip(l, t);
	l->last_arrival = fmax(arrival, l->last_arrival);
	return l->last_arrival;
}

/* --- the window ---------------------------------------------------------------------------- */

static bool slow_start(const struct window *w)
{
	return w->size < w->threshold;
}

/* RFC 9406, as Linux has it: slow start ends where round trips grow, or a train of acknowledgements is half as long as one. */
static void hystart(struct window *w, double rtt, double now)
{
	if (w->found || w->size < HYSTART_FROM)
		return;
	if (now - w->last_ack <= HYSTART_TRAIN) {
		w->last_ack = now;
		w->found = now - w->round_began > w->least_rtt / 2;
	}
	w->round_rtt = fmin(w->round_rtt, rtt);
	if (++w->samples > HYSTART_SAMPLES)
		w->found = w->found || w->round_rtt > w->least_rtt + fmin(16, fmax(4, w->least_rtt / 8));
	if (w->found)
		w->threshold = w->size;
}

static void begin_epoch(struct window *w, double now)
{
	w->epoch = now;
	w->grown = 0;
	w->reno = w->size;
	w->k = w->last_max > w->size ? cbrt((w->last_max - w->size) / CUBE) : 0;
	w->origin = fmax(w->last_max, w->size);
}

/* RFC 9438 4.2 to 4.5, for one packet acknowledged */
static void grow_cubic(struct window *w, double now)
{
	double t, target, per;

	if (w->epoch == 0)
		begin_epoch(w, now);
	t = now + w->least_rtt - w->epoch - w->k;
	target = w->origin + CUBE * t * t * t;
	per = target > w->size ? w->size / (target - w->size) : 100 * w->size;
	if (w->last_max == 0)
		per = fmin(per, BLIND_GROWTH);
	w->reno += RENO / w->size;
	if (w->reno > w->size)
		per = fmin(per, w->size / (w->reno - w->size));
	w->grown += 1 / fmax(per, 2);
	if (w->grown >= 1) {
		w->size += 1;
		w->grown -= 1;
	}
}

static void begin_recovery(struct tcp_line *l)
{
	struct window *w = &l->w;

	w->last_max = w->size < w->last_max ? w->size * (1 + BETA) / 2 : w->size;
	w->threshold = fmax(LEAST_WINDOW, w->size * BETA);
	w->epoch = 0;
	w->recovers = true;
	w->recovery_end = l->n;
	w->flight = fmax(1, (double)l->flight);
	w->delivered = w->out = 0;
}

/* RFC 6937 3: how many may go out now. */
static double proportional(const struct tcp_line *l)
{
	const struct window *w = &l->w;
	double pipe = (double)l->flight;

	if (pipe > w->threshold)
		return ceil(w->delivered * w->threshold / w->flight) - w->out;
	return fmin(w->threshold - pipe, fmax(w->delivered - w->out, 0) + 1);
}

/* --- the server ---------------------------------------------------------------------------- */

static void send_one(struct tcp_line *l, uint64_t number, double t)
{
	MEM_GROW(l->log, l->cap, l->n);
	l->log[l->n++] = (struct sent){.number = number, .at = t, .arrives = carry(l, t, payload(l, number))};
	l->flight++;
	l->w.out++;
	l->last_sent = t;
	l->timer = t + 2 * fmax(l->srtt, 5);
}

static bool has_more(const struct tcp_line *l)
{
	return l->lost_done < l->n_lost || l->next < l->packets;
}

static void send_window(struct tcp_line *l, double t)
{
	double room = l->w.recovers ? proportional(l) : floor(l->w.size) - (double)l->flight;

	for (; room >= 1 && has_more(l); room--) {
		if (l->lost_done == l->n_lost)
			send_one(l, l->next++, t);
		else if (!l->acked[l->lost[l->lost_done++]])
			send_one(l, l->lost[l->lost_done - 1], t);
	}
	if (has_more(l))
		l->w.limited = l->n;
}

static void lose(struct tcp_line *l, const struct sent *s)
{
	l->flight--;
	MEM_GROW(l->lost, l->cap_lost, l->n_lost);
	l->lost[l->n_lost++] = s->number;
}

/* RFC 8985 6.2: what was sent before something that came, and did not. */
static void find_lost(struct tcp_line *l, size_t came)
{
	double reorder = fmin(l->w.least_rtt, l->srtt) / 4;

	for (; l->judged < came; l->judged++) {
		const struct sent *s = &l->log[l->judged];

		if (isfinite(s->arrives))
			continue;
		if (l->judged + REORDER > came && s->at + reorder > l->log[came].at && !l->probed)
			return;
		lose(l, s);
		if (!l->w.recovers)
			begin_recovery(l);
	}
}

static void measure(struct tcp_line *l, double rtt)
{
	if (l->srtt == 0)
		l->variance = rtt / 2;
	else
		l->variance += (fabs(rtt - l->srtt) - l->variance) / 4;
	l->srtt += l->srtt == 0 ? rtt : (rtt - l->srtt) / 8;
	l->w.least_rtt = fmin(l->w.least_rtt, rtt);
}

static double rto(const struct tcp_line *l)
{
	return l->srtt + fmax(LEAST_RTO, 4 * l->variance);
}

static void grow(struct tcp_line *l, size_t came, double t, double rtt, bool limited)
{
	struct window *w = &l->w;

	if (came >= w->round_end) { /* a round trip has passed */
		w->round_end = l->n;
		w->round_began = w->last_ack = t;
		w->round_rtt = INFINITY;
		w->samples = 0;
	}
	if (slow_start(w))
		hystart(w, rtt, t);
	if (!limited)
		return;
	if (slow_start(w))
		w->size += 1;
	else
		grow_cubic(w, t);
}

/* The acknowledgement of what stands there in the log. */
static void acknowledge(struct tcp_line *l, size_t i, double t)
{
	const struct sent *s = &l->log[i];
	bool limited = i < l->w.limited || (slow_start(&l->w) && l->w.size < 2 * (double)l->flight); /* RFC 9438 5.8 */

	l->flight--;
	measure(l, t - s->at);
	l->n_acked += !l->acked[s->number];
	l->acked[s->number] = true;
	l->w.delivered++;
	find_lost(l, i);
	l->probed = false;
	l->timeouts = 0;
	if (l->w.recovers && i >= l->w.recovery_end) {
		l->w.recovers = false;
		l->w.size = fmax(LEAST_WINDOW, l->w.threshold);
	}
	if (!l->w.recovers)
		grow(l, i, t, t - s->at, limited);
	l->timer = t + 2 * fmax(l->srtt, 5);
	send_window(l, t);
}

/* RFC 8985 7: the last packets were dropped, and nothing behind them says so. */
static void probe(struct tcp_line *l, double t)
{
	uint64_t number = l->log[l->n - 1].number;

	l->probed = true;
	if (l->next < l->packets)
		number = l->next++;
	send_one(l, number, t);
	l->timer = t + rto(l);
}

/* RFC 6298 5.4 to 5.7: nor does what was sent then.  All is lost; the first of it again, and then waiting for twice as long. */
static void time_out(struct tcp_line *l, double t)
{
	struct window *w = &l->w;

	for (; l->judged < l->n; l->judged++)
		if (isinf(l->log[l->judged].arrives))
			lose(l, &l->log[l->judged]);
	if (l->timeouts++ == 0 && !w->recovers)
		begin_recovery(l); /* for what it makes of the window */
	w->recovers = false;
	w->size = 1;
	send_window(l, t);
	l->timer = t + fmin(MOST_RTO, ldexp(rto(l), l->timeouts));
}

/* --- the client ---------------------------------------------------------------------------- */

static void arrive(struct tcp_line *l, const struct sent *s)
{
	l->come[s->number] = true;
	while (l->in_order < l->packets && l->come[l->in_order])
		l->in_order++;
	if (l->in_order > 0 && isinf(l->first))
		l->first = s->arrives;
	if (l->in_order == l->packets && isinf(l->end))
		l->end = s->arrives;
}

/* The place of the next packet that comes, from i on; l->n when none does. */
static size_t next_come(const struct tcp_line *l, size_t i)
{
	while (i < l->n && isinf(l->log[i].arrives))
		i++;
	return i;
}

/* The next thing that happens, if it does by t. */
static bool step(struct tcp_line *l, double t)
{
	double arrival, ack, timer;

	l->to_arrive = next_come(l, l->to_arrive);
	l->to_ack = next_come(l, l->to_ack);
	arrival = l->to_arrive < l->n ? l->log[l->to_arrive].arrives : INFINITY;
	ack = l->to_ack < l->to_arrive ? l->log[l->to_ack].arrives + half_trip(l, l->log[l->to_ack].arrives) : INFINITY;
	timer = l->to_ack == l->n ? fmax(l->timer, l->now) : INFINITY;
	if (fmin(fmin(arrival, ack), timer) > t)
		return false;
	l->now = fmin(fmin(arrival, ack), timer);
	if (arrival <= ack && arrival <= timer)
		arrive(l, &l->log[l->to_arrive++]);
	else if (ack <= timer)
		acknowledge(l, l->to_ack++, ack);
	else if (!l->probed)
		probe(l, timer);
	else
		time_out(l, timer);
	return true;
}

/* --- the door ------------------------------------------------------------------------------ */

static void clear(struct tcp_line *l, uint64_t bytes)
{
	l->bytes = bytes;
	l->packets = (bytes + PAYLOAD - 1) / PAYLOAD;
	l->next = l->in_order = l->n_acked = l->flight = 0;
	l->n = l->to_arrive = l->to_ack = l->judged = l->n_lost = l->lost_done = 0;
	l->w.round_end = l->w.limited = 0;
	l->w.recovers = l->probed = false;
	l->timeouts = 0;
	l->first = l->end = l->timer = INFINITY;
	free(l->acked);
	free(l->come);
	l->acked = mem_new_array(l->packets, sizeof *l->acked);
	l->come = mem_new_array(l->packets, sizeof *l->come);
}

/* RFC 5681 4.1 */
static void slow_after_idle(struct tcp_line *l, double t)
{
	struct window *w = &l->w;
	double idle = t - l->last_sent;

	if (w->epoch > 0)
		w->epoch += idle;
	if (idle <= rto(l))
		return;
	w->threshold = isinf(w->threshold) ? w->threshold : fmax(w->threshold, 0.75 * w->size);
	for (; idle > rto(l) && w->size > FIRST_WINDOW; idle -= rto(l))
		w->size = fmax(FIRST_WINDOW, floor(w->size / 2));
}

void tcp_line_ask(struct tcp_line *l, double t, uint64_t bytes)
{
	double there = t + half_trip(l, t);

	while (l->n_acked < l->packets && step(l, there))
		;
	if (l->w.recovers)
		l->w.size = fmax(LEAST_WINDOW, l->w.threshold);
	if (l->srtt == 0) /* of the handshake */
		measure(l, 2 * half_trip(l, t));
	clear(l, bytes);
	slow_after_idle(l, there);
	l->now = there;
	send_window(l, there);
}

bool tcp_line_run(struct tcp_line *l, double t, double *ret_end)
{
	while (isinf(l->end) && step(l, t))
		;
	if (isinf(l->end))
		return false;
	*ret_end = l->end;
	return true;
}

void tcp_line_leave(struct tcp_line *l, double t)
{
	double there = t + half_trip(l, t);

	/* the server goes on until it hears of it, with what was acknowledged by then */
	while (l->to_ack < l->to_arrive && step(l, there))
		;
	clear(l, 1);
	l->packets = 0;
	new_connection(l);
}

uint64_t tcp_line_got(const struct tcp_line *l)
{
	return l->in_order < l->packets ? l->in_order * PAYLOAD : l->bytes;
}

double tcp_line_first(const struct tcp_line *l)
{
	return l->first;
}
