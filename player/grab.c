/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rounds over the bases.  Invariant: the bytes in hand are the first ones of one
 * entity, whichever transfers (transfer.h) they came by; a rival runs beside a
 * transfer that has given no byte, never beside one that has.
 */
#include "player/grab.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/traceparent.h"
#include "fetch/fetch.h"
#include "fetch/local.h"
#include "player/bases.h"
#include "player/demux.h"
#include "player/feed.h"
#include "player/hub.h"
#include "player/pathway.h"
#include "player/report.h"
#include "player/transfer.h"

#define FIRST_PAUSE (100 * DUR_MS)
#define MAX_PAUSE (2 * DUR_S)
#define MAX_RETRY (10 * DUR_S)        /* a server that wants us later than that is asked then all the same */
#define HOPELESS_ROUNDS 2             /* rounds of answers that will not change */

#define STALL_LEAST (700 * DUR_MS)
#define STALL_START (2 * DUR_S)       /* while nothing plays; there are rivals */
#define STALL_MOST (5 * DUR_S)
#define STALL_ALONE (8 * DUR_S)

#define RIVAL_START (700 * DUR_MS)    /* without a byte, while nothing plays: another base is asked too */
#define RIVAL_LEAST (400 * DUR_MS)
#define RIVAL_MOST (2 * DUR_S)
#define RIVAL_COST 10                 /* resources that must have come for each rival, in the long run: servers that are slow because all ask too */
#define RIVAL_BURST 4                 /* much of them must not be asked twice as much */
#define RIVAL_LOOK (50 * DUR_MS)      /* how often it is looked which of the two has bytes */

#define TELLING 32768                 /* bytes from which a body says how fast its place is */

struct grab {
	struct grab_world *world;
	struct grab_want want;
	char *reference, *mime_type; /* copied, as below */
	struct cmcd cmcd;
	struct bases bases;      /* copied: an MPD may be replaced meanwhile */
	uint32_t tried;
	unsigned attempts, round, hopeless;
	int base;                /* asked now or last */
	int other;               /* to be asked next, as this one is slow; -1: as the pathway has it */
	bool transient;          /* this round saw an error that may pass */
	dur_us retry;            /* least Retry-After of this round's answers, 0: one had none */
	struct buf have;
	uint64_t size;           /* of the whole resource; 0: unknown */
	char *etag;
	struct transfer *transfer;
	fetch_id id;
	mono_us asked;
	struct {                 /* of another base, for the same bytes */
		struct transfer *transfer; /* NULL: there is none */
		fetch_id id;
		mono_us asked;
		int base;
	} rival;
	struct traceparent trace; /* one for the resource, a span for each attempt */
	mono_us started, pause_end;
	dur_us first_byte, total;
	dur_us slow;             /* that bodies ran from places left for slowness */
	struct meter before, after;
	enum grab_state state;
	char error[256];
};

struct grab *grab_new(struct grab_world *world, const struct grab_want *want, mono_us now)
{
	struct grab *g = mem_new(sizeof *g);

	g->world = world;
	g->want = *want;
	g->want.feed = feed_ref(want->feed);
	g->reference = mem_dup(want->reference);
	g->mime_type = mem_dup(want->mime_type);
	bases_init(&g->bases, want->rendition, world->pathway);
	for (size_t i = 0; i < g->bases.n; i++)
		fetch_know(world->fetch, g->bases.places.bases[i].url); /* names may be gone when it is its turn */
	if (want->cmcd != NULL)
		g->cmcd = *want->cmcd;
	if (want->has_range)
		g->size = want->last - want->first + 1;
	buf_init(&g->have, world->max_bytes);
	g->base = g->other = -1;
	g->retry = MAX_RETRY;
	g->started = now;
	traceparent_new(&g->trace);
	return g;
}

void grab_free(struct grab **pg)
{
	struct grab *g = *pg;

	if (g == NULL)
		return;
	transfer_leave(&g->transfer, g->id);
	transfer_leave(&g->rival.transfer, g->rival.id);
	if (g->want.feed != NULL)
		feed_end(g->want.feed);
	feed_unref(&g->want.feed);
	bases_fini(&g->bases);
	free(g->reference);
	free(g->mime_type);
	free(g->etag);
	buf_fini(&g->have);
	free(g);
	*pg = NULL;
}

/* What is left of the media that was in hand when the grab began; 0: nothing played then. */
static dur_us in_hand(const struct grab *g, mono_us now)
{
	dur_us left = g->want.buffer - (now - g->started);

	if (g->want.buffer == 0)
		return 0;
	return left > 0 ? left : 1;
}

/* With another base to go to, a silent one is given up before the buffer is; but where answers take long, and once all were silent,
 * later, or nothing would ever come from places that are only slow. */
static dur_us stall_patience(const struct grab *g, dur_us hand)
{
	dur_us d = hand / 2, least = hand == 0 ? STALL_START : STALL_LEAST;

	if (g->bases.n < 2)
		return STALL_ALONE;
	if (g->want.feed != NULL) /* its maker pauses, too */
		return 2 * DUR_S;
	least = (least > 3 * g->world->answer ? least : 3 * g->world->answer) << (g->round < 3 ? g->round : 3);
	d = d < least ? least : d > STALL_MOST ? STALL_MOST : d;
	return d < STALL_ALONE ? d : STALL_ALONE;
}

/* One that gave bytes and falls silent is given up sooner: the rest is to be had elsewhere before the buffer is empty. */
static dur_us pause_patience(const struct grab *g, dur_us hand)
{
	dur_us d = hand / 4;

	return g->bases.n < 2 ? 0 : d < 400 * DUR_MS ? 400 * DUR_MS : d;
}

/* A place that does not answer at all is left in time for another, while something plays; before that nothing is lost by waiting. */
static dur_us connect_patience(const struct grab *g, dur_us hand)
{
	dur_us d = hand / 3;

	if (g->bases.n < 2)
		return 4 * DUR_S;
	return hand == 0 || d > 1500 * DUR_MS ? 1500 * DUR_MS : d < 600 * DUR_MS ? 600 * DUR_MS : d;
}

/* A base that has given no byte for so long has a rival: well before what is in hand is spent, but not while it only takes what the line takes. */
static dur_us rival_patience(const struct grab *g, mono_us now)
{
	dur_us hand = in_hand(g, now), d = hand / 6 < RIVAL_LEAST ? RIVAL_LEAST : hand / 6 > RIVAL_MOST ? RIVAL_MOST : hand / 6;

	if (hand == 0)
		d = RIVAL_START;
	return d > 2 * g->world->answer ? d : 2 * g->world->answer;
}

static struct transfer *rest_of(const struct grab *g)
{
	struct transfer *t = transfer_new(g->world, g->want.feed, g->have.size);

	t->has_range = g->want.has_range || g->have.size > 0;
	if (t->has_range) {
		t->first = g->want.first + g->have.size;
		t->last = g->want.has_range ? g->want.last : g->size - 1;
		t->want = t->last - t->first + 1;
	}
	t->etag = g->have.size > 0 ? mem_dup(g->etag) : NULL;
	return t;
}

static struct transfer *start(struct grab *g, int base, mono_us now, fetch_id *ret_id)
{
	char *url = timeline_resolve(&g->bases.places, (size_t)base, g->reference);
	struct transfer *t = rest_of(g);
	dur_us hand = in_hand(g, now);
	struct cmcd_request told;
	struct fetch_request req = {.has_range = t->has_range, .first = t->first, .last = t->last,
		.stall_timeout = stall_patience(g, hand), .pause_timeout = pause_patience(g, hand), .connect_timeout = connect_patience(g, hand),
		.max_bytes = 0, .trace = &g->trace};

	cmcd_request_init(&told, g->world->cmcd, g->want.cmcd != NULL ? &g->cmcd : NULL, url != NULL ? url : "");
	req.url = told.url;
	req.fields = (const char *const *)told.fields;
	req.n_fields = told.n;
	if (g->attempts > 0)
		traceparent_step(&g->trace);
	log_debug("player/grab", "ask url=%s first=%llu last=%llu trace=%s id=%s", req.url, (unsigned long long)t->first,
	          (unsigned long long)t->last, g->trace.trace, g->trace.span);
	g->attempts++;
	*ret_id = transfer_start(t, &req);
	cmcd_request_fini(&told);
	free(url);
	return t;
}

static void ask(struct grab *g, mono_us now)
{
	g->transfer = start(g, g->base, now, &g->id);
	g->asked = now;
}

/* Reasons for people; cut where there is no more room. */
static void put(char *out, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void put(char *out, size_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, n, fmt, ap);
	va_end(ap);
}

static void describe(const struct grab *g, const struct transfer *t, char *out, size_t n)
{
	if (t->wrong != NULL)
		put(out, n, "%s", t->wrong);
	else if (t->result.status >= 400)
		put(out, n, "HTTP status %d", t->result.status);
	else if (t->result.error != 0)
		put(out, n, "%s%s%s", err_text(t->result.error), t->result.text[0] != '\0' ? ": " : "", t->result.text);
	else
		put(out, n, "%s", g->error[0] != '\0' ? g->error : "the body ends too early");
}

/* Bytes of one entity only: what came of another is thrown away. */
static void keep_bytes(struct grab *g, struct transfer *t)
{
	if (t->changed) {
		buf_clear(&g->have);
		free(g->etag);
		g->etag = NULL;
		return;
	}
	buf_append(&g->have, t->body.bytes, t->body.size);
	if (g->etag == NULL) {
		g->etag = t->new_etag;
		t->new_etag = NULL;
	}
	if (t->length > 0 && g->size == 0)
		g->size = t->length;
}

/* Of the right length and well formed, yet from elsewhere in the film: a cache mixed things up. */
static bool in_time(const struct grab_want *w, const struct blob *body)
{
	uint64_t t;

	return !demux_time(body, &t) || (t > w->time ? t - w->time : w->time - t) <= w->slack;
}

static bool complete(struct grab *g, const struct transfer *t)
{
	const char *why;
	struct blob view = {.bytes = g->have.bytes, .size = g->have.size};
	bool whole = g->size > 0 ? g->have.size == g->size : t->result.error == 0 && g->have.size > 0;

	if (buf_error(&g->have) != 0 || !whole || t->wrong != NULL || t->result.status >= 400)
		return false;
	why = g->mime_type != NULL && demux_check(&view, g->mime_type) < 0 ? "the bytes are no media segment"
	      : g->want.slack > 0 && !in_time(&g->want, &view)             ? "the bytes are another segment"
	                                                                   : NULL;
	if (why == NULL)
		return true;
	put(g->error, sizeof g->error, "%s", why);
	buf_clear(&g->have);
	free(g->etag);
	g->etag = NULL;
	return false;
}

/* Without the size, bytes in hand cannot be completed by a range. */
static void drop_unfinishable(struct grab *g)
{
	if (g->size == 0 && g->have.size > 0)
		buf_clear(&g->have);
}

static void report_move(struct grab *g, int next, const char *reason, mono_us now)
{
	struct report_failover f = {.at = now - g->world->report->started, .lane = g->want.lane, .segment = g->want.index};

	put(f.from, sizeof f.from, "%s", g->bases.keys[g->base]);
	put(f.to, sizeof f.to, "%s", g->bases.keys[next]);
	put(f.reason, sizeof f.reason, "%s", reason);
	report_add_failover(g->world->report, &f);
}

/* It has the work of the one that failed. */
static void take_rival(struct grab *g, const char *reason, mono_us now)
{
	report_move(g, g->rival.base, reason, now);
	g->base = g->rival.base;
	g->transfer = g->rival.transfer;
	g->id = g->rival.id;
	g->asked = g->rival.asked;
	g->rival.transfer = NULL;
}

static void next_base(struct grab *g, const char *reason, mono_us now)
{
	int next = g->other >= 0 ? g->other : pathway_pick(g->world->pathway, g->bases.keys, g->bases.n, g->tried, now);

	g->other = -1;
	if (g->rival.transfer != NULL) {
		take_rival(g, reason, now);
		return;
	}
	if (next < 0) {
		dur_us pause = FIRST_PAUSE << (g->round < 8 ? g->round : 8);

		if (pause > MAX_PAUSE)
			pause = MAX_PAUSE;
		if (pause < g->retry) /* RFC 9110 10.2.3 */
			pause = g->retry;
		g->retry = MAX_RETRY;
		g->hopeless += !g->transient;
		g->round++;
		g->tried = 0;
		g->transient = false;
		g->pause_end = now + pause;
		if (g->hopeless >= HOPELESS_ROUNDS || now - g->started > g->want.patience)
			g->state = GRAB_FAILED;
		return;
	}
	report_move(g, next, reason, now);
	g->base = next;
	ask(g, now);
}

static void failed(struct grab *g, const struct transfer *t, mono_us now)
{
	char reason[200];
	int status = t->result.status;

	describe(g, t, reason, sizeof reason);
	put(g->error, sizeof g->error, "%s: %s", g->bases.hosts[g->base], reason);
	log_verbose("player/grab", "base=%s reference=\"%s\" have=%zu reason=\"%s\" trace=%s", g->bases.keys[g->base], g->reference,
	            g->have.size, reason, g->trace.trace);
	/* 408, 429 and 5xx may pass (RFC 9110 15.5, 15.6), as may all that is no answer */
	if (t->retry_after < g->retry)
		g->retry = t->retry_after;
	/* what is not on a disk now will not be, unless it is still being made; what is no address will not become one */
	if (!local_is(g->bases.places.bases[g->base].url) && t->result.error != ERR_SYNTAX)
		g->transient = g->transient || atomic_load(&t->slow) || (t->wrong == NULL && (status < 400 || status == 408 || status == 429 || status >= 500));
	g->transient = g->transient || (g->want.fresh && (status == 404 || t->result.error == -ENOENT));
	if (g->other >= 0 && t->wrong == transfer_too_slow) {
		g->slow += now - atomic_load(&t->began);
		pathway_left(g->world->pathway, g->bases.keys[g->base], transfer_rate(t, now), now);
	} else {
		pathway_fail(g->world->pathway, g->bases.keys[g->base], t->retry_after, now);
	}
	g->tried |= UINT32_C(1) << g->base;
	drop_unfinishable(g);
	next_base(g, reason, now);
}

/* Quick to rise, as too little patience with a line that has become slow gets nothing at all. */
static void learn_answer(struct grab *g, const struct transfer *t)
{
	dur_us more = t->result.first_byte - g->world->answer;

	g->world->answer += more > 0 ? more / 2 : more / 8;
}

static void finish(struct grab *g, struct transfer *t, mono_us now)
{
	if (t->changed || t->body.size > 0) /* what it asked for is no longer what is missing */
		transfer_leave(&g->rival.transfer, g->rival.id);
	keep_bytes(g, t);
	g->error[0] = '\0';
	if (t->changed) { /* no fault of this base's; it cannot come twice, as nothing is in hand now */
		ask(g, now);
	} else if (complete(g, t)) {
		pathway_ok(g->world->pathway, g->bases.keys[g->base], g->asked);
		if (t->feed == NULL && t->body.size >= TELLING)
			pathway_rate(g->world->pathway, g->bases.keys[g->base], transfer_rate(t, now), now);
		learn_answer(g, t);
		g->world->rivals -= g->world->rivals > 0;
		g->first_byte = atomic_load(&t->began) != 0 ? atomic_load(&t->began) - g->asked : t->result.first_byte;
		g->total = now - g->started;
		hub_lock(g->world->hub);
		g->before = t->before;
		g->after = g->world->meter;
		hub_unlock(g->world->hub);
		g->state = GRAB_DONE;
	} else {
		failed(g, t, now);
	}
	transfer_free(t);
}

static void begin_round(struct grab *g, mono_us now)
{
	g->base = pathway_pick(g->world->pathway, g->bases.keys, g->bases.n, 0, now);
	if (g->base >= 0) {
		ask(g, now);
	} else {
		put(g->error, sizeof g->error, "the MPD gives no place to ask");
		g->state = GRAB_FAILED;
	}
}

/* --- rivals ------------------------------------------------------------------------------ */

static bool has_ended(const struct grab *g, const struct transfer *t)
{
	bool done;

	hub_lock(g->world->hub);
	done = t->done;
	hub_unlock(g->world->hub);
	return done;
}

static void begin_rival(struct grab *g, mono_us now)
{
	int base = pathway_second(g->world->pathway, g->bases.keys, g->bases.n, g->tried | UINT32_C(1) << g->base, now);

	if (base < 0 || g->world->rivals > (RIVAL_BURST - 1) * RIVAL_COST)
		return;
	g->world->rivals += RIVAL_COST;
	g->rival.base = base;
	g->rival.asked = now;
	g->rival.transfer = start(g, base, now, &g->rival.id);
}

/* It gave nothing: that is told of its base, and nothing else changes. */
static void lose_rival(struct grab *g, mono_us now)
{
	struct transfer *t = g->rival.transfer;

	pathway_fail(g->world->pathway, g->bases.keys[g->rival.base], t->retry_after, now);
	g->tried |= UINT32_C(1) << g->rival.base;
	g->transient = true; /* at the least it is not known to be for good */
	g->rival.transfer = NULL;
	transfer_free(t);
}

static void win_rival(struct grab *g, mono_us now)
{
	transfer_leave(&g->transfer, g->id);
	pathway_fail(g->world->pathway, g->bases.keys[g->base], 0, now);
	g->tried |= UINT32_C(1) << g->base;
	take_rival(g, "no byte yet, and another place that was asked later answers", now);
}

/* The first of the two with bytes has it.  What goes into a feed goes there as it comes, so it has one source. */
static void race(struct grab *g, mono_us now, mono_us *ret_next)
{
	mono_us look = g->asked + rival_patience(g, now);

	if (g->want.feed != NULL || g->bases.n < 2 || atomic_load(&g->transfer->got) > 0) {
		transfer_leave(&g->rival.transfer, g->rival.id);
		return;
	}
	if (g->rival.transfer != NULL && atomic_load(&g->rival.transfer->got) > 0)
		win_rival(g, now);
	else if (g->rival.transfer != NULL && has_ended(g, g->rival.transfer))
		lose_rival(g, now);
	else if (g->rival.transfer == NULL && now >= look)
		begin_rival(g, now);
	if (g->rival.transfer != NULL || look <= now)
		look = now + RIVAL_LOOK;
	if (look < *ret_next)
		*ret_next = look;
}

enum grab_state grab_step(struct grab *g, mono_us now, mono_us *ret_next)
{
	struct transfer *t = g->transfer;

	if (g->state != GRAB_RUNNING)
		return g->state;
	if (t != NULL && has_ended(g, t)) {
		g->transfer = NULL;
		finish(g, t, now);
	} else if (t == NULL && now >= g->pause_end) {
		begin_round(g, now);
	}
	if (g->state == GRAB_RUNNING && g->transfer != NULL)
		race(g, now, ret_next);
	if (g->state == GRAB_RUNNING && g->transfer == NULL && g->pause_end < *ret_next)
		*ret_next = g->pause_end;
	return g->state;
}

const char *grab_trouble(const struct grab *g)
{
	return g->error;
}

void grab_result(struct grab *g, struct grab_result *ret)
{
	*ret = (struct grab_result){.retries = g->attempts > 0 ? g->attempts - 1 : 0, .bytes = g->have.size,
		.first_byte = g->first_byte, .total = g->total};
	put(ret->error, sizeof ret->error, "%s", g->error);
	put(ret->trace, sizeof ret->trace, "%s", g->trace.trace);
	if (g->base >= 0) {
		put(ret->key, sizeof ret->key, "%s", g->bases.keys[g->base]);
		put(ret->host, sizeof ret->host, "%s", g->bases.hosts[g->base]);
	}
	if (g->state == GRAB_DONE) {
		ret->line_bytes = g->after.bytes - g->before.bytes;
		ret->line_busy = g->after.busy - g->before.busy;
		ret->throughput = meter_rate(&g->before, &g->after);
		ret->body = blob_take_buf(&g->have);
	}
}

/* Another base, free of penalty, that may give more than `rate` (0: any); -1: none. */
static int find_faster(const struct grab *g, uint64_t rate, mono_us now)
{
	uint32_t left_out = g->tried | (g->base >= 0 ? UINT32_C(1) << g->base : 0);
	int other;

	do {
		other = pathway_pick(g->world->pathway, g->bases.keys, g->bases.n, left_out, now);
		if (other < 0 || pathway_penalised(g->world->pathway, g->bases.keys[other], now))
			return -1;
		left_out |= UINT32_C(1) << other;
	} while (rate > 0 && !pathway_promises(g->world->pathway, g->bases.keys[other], rate));
	return other;
}

bool grab_leave_slow(struct grab *g, uint64_t rate, mono_us now)
{
	int other;

	if (g->state != GRAB_RUNNING || g->transfer == NULL || atomic_load(&g->transfer->slow))
		return false;
	other = find_faster(g, rate, now);
	if (other < 0)
		return false;
	g->other = other;
	atomic_store(&g->transfer->slow, true);
	fetch_cancel(g->world->fetch, g->id); /* with what is here; it may fall silent instead of going on slowly */
	return true;
}

void grab_blame(const struct grab *g, uint64_t rate, mono_us now)
{
	if (g->base >= 0 && rate > 0 && find_faster(g, rate, now) >= 0)
		pathway_left(g->world->pathway, g->bases.keys[g->base], rate, now);
}

void grab_progress(const struct grab *g, mono_us now, uint64_t *ret_got, uint64_t *ret_size, dur_us *ret_elapsed,
                   dur_us *ret_first_byte, dur_us *ret_before)
{
	mono_us began = g->transfer != NULL ? atomic_load(&g->transfer->began) : 0;

	*ret_got = g->transfer != NULL ? atomic_load(&g->transfer->got) : 0;
	*ret_size = g->size > g->have.size ? g->size - g->have.size : 0;
	*ret_elapsed = now - g->asked;
	*ret_before = g->slow;
	*ret_first_byte = began != 0 ? began - g->asked : now - g->asked;
}
