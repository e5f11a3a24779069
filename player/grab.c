/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rounds over the bases.  Invariant: the bytes in hand are the first ones of one
 * entity, whichever transfers (transfer.h) they came by.
 */
#include "player/grab.h"

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

#define TELLING 32768                 /* bytes from which a body says how fast its place is */

struct grab {
	struct grab_world *world;
	struct grab_want want;
	char *reference, *mime_type; /* copied, as below */
	struct cmcd cmcd;
	struct timeline_rendition places; /* its bases, copied: an MPD may be replaced meanwhile */
	const char **keys;       /* per base */
	char **hosts;
	size_t n_bases;
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
	struct traceparent trace; /* one for the resource, a span for each attempt */
	mono_us started, asked, pause_end;
	dur_us first_byte, total;
	dur_us slow;             /* that bodies ran from places left for slowness */
	struct meter before, after;
	enum grab_state state;
	char error[256];
};

/* scheme://authority of a URL */
static char *host_of(const char *url)
{
	const char *slashes = strstr(url, "://");
	size_t n = slashes != NULL ? (size_t)(slashes + 3 - url) + strcspn(slashes + 3, "/?#") : strlen(url);

	return mem_dup_n(url, n);
}

/* Takes the url over. */
static void add_base(struct grab *g, char *url, const char *service_location)
{
	struct timeline_base *b = &g->places.bases[g->n_bases];

	if (g->n_bases == PATHWAY_MAX) {
		free(url);
		return;
	}
	b->url = url;
	b->service_location = mem_dup(service_location);
	g->hosts[g->n_bases] = host_of(b->url);
	g->keys[g->n_bases] = b->service_location != NULL ? b->service_location : g->hosts[g->n_bases];
	g->places.n_bases = ++g->n_bases;
}

/* A place the steering server knows and the MPD does not. */
static void add_clone(struct grab *g, const struct timeline_rendition *r, const struct pathway_clone *c)
{
	char *url = NULL;

	for (size_t i = 0; i < g->n_bases; i++)
		if (strcmp(g->keys[i], c->id) == 0)
			return;
	for (size_t i = 0; i < r->n_bases && url == NULL; i++)
		if (r->bases[i].service_location != NULL && strcmp(r->bases[i].service_location, c->base) == 0)
			url = pathway_clone_url(c, r->bases[i].url);
	if (url != NULL)
		add_base(g, url, c->id);
}

struct grab *grab_new(struct grab_world *world, const struct grab_want *want, mono_us now)
{
	struct grab *g = mem_new(sizeof *g);
	const struct timeline_rendition *r = want->rendition;

	g->world = world;
	g->want = *want;
	g->want.feed = feed_ref(want->feed);
	g->reference = mem_dup(want->reference);
	g->mime_type = mem_dup(want->mime_type);
	g->places.bases = mem_new_array(PATHWAY_MAX, sizeof *g->places.bases);
	g->keys = mem_new_array(PATHWAY_MAX, sizeof *g->keys);
	g->hosts = mem_new_array(PATHWAY_MAX, sizeof *g->hosts);
	for (size_t i = 0; i < r->n_bases; i++)
		add_base(g, mem_dup(r->bases[i].url), r->bases[i].service_location);
	for (unsigned i = 0; i < world->pathway->n_clones; i++)
		add_clone(g, r, &world->pathway->clones[i]);
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
	if (g->want.feed != NULL)
		feed_end(g->want.feed);
	feed_unref(&g->want.feed);
	for (size_t i = 0; i < g->n_bases; i++) {
		free(g->hosts[i]);
		free(g->places.bases[i].url);
		free(g->places.bases[i].service_location);
	}
	free(g->places.bases);
	free(g->hosts);
	free(g->keys);
	free(g->reference);
	free(g->mime_type);
	free(g->etag);
	buf_fini(&g->have);
	free(g);
	*pg = NULL;
}

/* With another base to go to, a silent one is given up before the buffer is. */
static dur_us stall_patience(const struct grab *g)
{
	dur_us d = g->want.buffer / 2;

	if (g->n_bases < 2)
		return 8 * DUR_S;
	if (g->want.feed != NULL) /* its maker pauses, too */
		return 2 * DUR_S;
	return d < 700 * DUR_MS ? 700 * DUR_MS : d > 5 * DUR_S ? 5 * DUR_S : d;
}

/* One that gave bytes and falls silent is given up sooner: the rest is to be had elsewhere before the buffer is empty. */
static dur_us pause_patience(const struct grab *g)
{
	dur_us d = g->want.buffer / 4;

	return g->n_bases < 2 ? 0 : d < 400 * DUR_MS ? 400 * DUR_MS : d;
}

/* A place that does not answer at all is left in time for another, while something plays; before that nothing is lost by waiting. */
static dur_us connect_patience(const struct grab *g)
{
	dur_us d = g->want.buffer / 3;

	if (g->n_bases < 2)
		return 4 * DUR_S;
	return d == 0 || d > 1500 * DUR_MS ? 1500 * DUR_MS : d < 600 * DUR_MS ? 600 * DUR_MS : d;
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

static void ask(struct grab *g, mono_us now)
{
	char *url = timeline_resolve(&g->places, (size_t)g->base, g->reference);
	struct transfer *t = rest_of(g);
	struct cmcd_request told;
	struct fetch_request req = {.has_range = t->has_range, .first = t->first, .last = t->last,
		.stall_timeout = stall_patience(g), .pause_timeout = pause_patience(g), .connect_timeout = connect_patience(g),
		.max_bytes = 0, .trace = &g->trace};

	cmcd_request_init(&told, g->world->cmcd, g->want.cmcd != NULL ? &g->cmcd : NULL, url != NULL ? url : "");
	req.url = told.url;
	req.fields = (const char *const *)told.fields;
	req.n_fields = told.n;
	if (g->attempts > 0)
		traceparent_step(&g->trace);
	log_debug("player/grab", "ask url=%s first=%llu last=%llu trace=%s id=%s", req.url, (unsigned long long)t->first,
	          (unsigned long long)t->last, g->trace.trace, g->trace.span);
	g->transfer = t;
	g->asked = now;
	g->attempts++;
	g->id = transfer_start(t, &req);
	cmcd_request_fini(&told);
	free(url);
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

static void next_base(struct grab *g, const char *reason, mono_us now)
{
	int next = g->other >= 0 ? g->other : pathway_pick(g->world->pathway, g->keys, g->n_bases, g->tried, now);
	struct report_failover f = {.at = now - g->world->report->started, .lane = g->want.lane, .segment = g->want.index};

	g->other = -1;
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
	put(f.from, sizeof f.from, "%s", g->keys[g->base]);
	put(f.to, sizeof f.to, "%s", g->keys[next]);
	put(f.reason, sizeof f.reason, "%s", reason);
	report_add_failover(g->world->report, &f);
	g->base = next;
	ask(g, now);
}

static void failed(struct grab *g, const struct transfer *t, mono_us now)
{
	char reason[200];
	int status = t->result.status;

	describe(g, t, reason, sizeof reason);
	put(g->error, sizeof g->error, "%s: %s", g->hosts[g->base], reason);
	log_verbose("player/grab", "base=%s reference=\"%s\" have=%zu reason=\"%s\" trace=%s", g->keys[g->base], g->reference,
	            g->have.size, reason, g->trace.trace);
	/* 408, 429 and 5xx may pass (RFC 9110 15.5, 15.6), as may all that is no answer */
	if (t->retry_after < g->retry)
		g->retry = t->retry_after;
	g->transient = g->transient || atomic_load(&t->slow) || (t->wrong == NULL && (status < 400 || status == 408 || status == 429 || status >= 500));
	g->transient = g->transient || (g->want.fresh && status == 404);
	if (g->other >= 0 && t->wrong == transfer_too_slow) {
		g->slow += now - atomic_load(&t->began);
		pathway_left(g->world->pathway, g->keys[g->base], transfer_rate(t, now), now);
	} else {
		pathway_fail(g->world->pathway, g->keys[g->base], t->retry_after, now);
	}
	g->tried |= UINT32_C(1) << g->base;
	drop_unfinishable(g);
	next_base(g, reason, now);
}

static void finish(struct grab *g, struct transfer *t, mono_us now)
{
	keep_bytes(g, t);
	g->error[0] = '\0';
	if (t->changed) { /* no fault of this base's; it cannot come twice, as nothing is in hand now */
		ask(g, now);
	} else if (complete(g, t)) {
		pathway_ok(g->world->pathway, g->keys[g->base], g->asked);
		if (t->feed == NULL && t->body.size >= TELLING)
			pathway_rate(g->world->pathway, g->keys[g->base], transfer_rate(t, now), now);
		g->first_byte = t->result.first_byte;
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
	g->base = pathway_pick(g->world->pathway, g->keys, g->n_bases, 0, now);
	if (g->base >= 0) {
		ask(g, now);
	} else {
		put(g->error, sizeof g->error, "the MPD gives no place to ask");
		g->state = GRAB_FAILED;
	}
}

enum grab_state grab_step(struct grab *g, mono_us now, mono_us *ret_next)
{
	struct transfer *t = g->transfer;
	bool done;

	if (g->state != GRAB_RUNNING)
		return g->state;
	if (t != NULL) {
		hub_lock(g->world->hub);
		done = t->done;
		hub_unlock(g->world->hub);
		if (done) {
			g->transfer = NULL;
			finish(g, t, now);
		}
	} else if (now >= g->pause_end) {
		begin_round(g, now);
	}
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
		put(ret->key, sizeof ret->key, "%s", g->keys[g->base]);
		put(ret->host, sizeof ret->host, "%s", g->hosts[g->base]);
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
		other = pathway_pick(g->world->pathway, g->keys, g->n_bases, left_out, now);
		if (other < 0 || pathway_penalised(g->world->pathway, g->keys[other], now))
			return -1;
		left_out |= UINT32_C(1) << other;
	} while (rate > 0 && !pathway_promises(g->world->pathway, g->keys[other], rate));
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
	return true;
}

void grab_blame(const struct grab *g, uint64_t rate, mono_us now)
{
	if (g->base >= 0 && rate > 0 && find_faster(g, rate, now) >= 0)
		pathway_left(g->world->pathway, g->keys[g->base], rate, now);
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
