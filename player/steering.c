/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One request at a time.  The answer is filled by fetch's thread and looked at
 * under the hub's lock once `done` is set.
 */
#include "player/steering.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "dash/mpd.h"
#include "dash/timeline.h"
#include "fetch/fetch.h"
#include "player/hub.h"
#include "player/report.h"

#define WHERE "player/steering"
#define MAX_ANSWER ((size_t)1 << 20)
#define FIRST_TTL (300 * DUR_S) /* until an answer says otherwise */
#define PATIENCE (3 * DUR_S)
#define MAX_USED 8

struct used {
	char key[128];
	uint64_t throughput;
};

struct steering {
	struct steering_setup s;
	char *url;               /* absolute, without what this player says */
	dur_us ttl;
	mono_us due;
	bool stopped;            /* 410 */
	struct used used[MAX_USED]; /* since the last question, the present one first */
	unsigned n_used;
	bool running;
	fetch_id id;             /* of what runs */
	/* under the hub's lock while running */
	bool done;
	struct buf body;
	struct fetch_result result;
	dur_us retry_after;
	char *effective;
};

static char *resolve(const char *base, const char *reference)
{
	struct timeline_base b = {.url = (char *)base};
	struct timeline_rendition r = {.bases = &b, .n_bases = 1};

	return timeline_resolve(&r, 0, reference);
}

/* "alpha beta": the order until the server says one. */
static void take_default(struct steering *st)
{
	char *text = mem_dup(st->s.mpd->steering.default_service_location), *save = NULL;
	const char *ids[PATHWAY_MAX];
	unsigned n = 0;

	for (char *w = text != NULL ? strtok_r(text, " \t\r\n", &save) : NULL; w != NULL && n < PATHWAY_MAX; w = strtok_r(NULL, " \t\r\n", &save))
		ids[n++] = w;
	if (n > 0)
		pathway_steer(st->s.pathway, ids, n);
	free(text);
}

/* --- asking ---------------------------------------------------------------------------- */

static void put_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++)
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("-._~", *s) != NULL)
			buf_printf(b, "%c", *s);
		else
			buf_printf(b, "%%%02X", (unsigned char)*s);
}

/* TS 103 998 8.2: _DASH_pathway="a,b" and _DASH_throughput=1,2, what was used since the last question. */
static char *question(struct steering *st)
{
	struct buf b;
	char *text;

	buf_init(&b, 1 << 16);
	buf_puts(&b, st->url);
	for (unsigned i = 0; i < st->n_used; i++) {
		buf_puts(&b, i > 0 ? "%2C" : strchr(st->url, '?') != NULL ? "&_DASH_pathway=%22" : "?_DASH_pathway=%22");
		put_escaped(&b, st->used[i].key);
	}
	for (unsigned i = 0; i < st->n_used; i++) {
		buf_puts(&b, i > 0 ? "," : "%22&_DASH_throughput=");
		if (st->used[i].throughput > 0)
			buf_printf(&b, "%llu", (unsigned long long)st->used[i].throughput);
	}
	text = mem_dup(buf_error(&b) == 0 ? buf_text(&b) : st->url);
	buf_fini(&b);
	st->n_used = st->n_used > 0; /* where it is it remains */
	return text;
}

static int on_data(void *ctx, const void *bytes, size_t n)
{
	return buf_append(&((struct steering *)ctx)->body, bytes, n);
}

static void on_done(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct steering *st = ctx;

	hub_lock(st->s.hub);
	st->result = *result;
	st->retry_after = response != NULL ? response->retry_after : 0;
	st->effective = response != NULL ? mem_dup(response->effective_url) : NULL;
	st->done = true;
	hub_ring(st->s.hub);
	hub_unlock(st->s.hub);
}

static void ask(struct steering *st)
{
	char *url = question(st);
	struct fetch_request req = {.url = url, .max_bytes = MAX_ANSWER, .connect_timeout = PATIENCE, .stall_timeout = PATIENCE,
		.total_timeout = 3 * PATIENCE};

	buf_clear(&st->body);
	st->done = false;
	st->running = true;
	st->s.report->steering_asked++;
	st->id = fetch_start(st->s.fetch, &req, NULL, on_data, on_done, st);
	free(url);
}

/* --- answers --------------------------------------------------------------------------- */

static void follow(struct steering *st)
{
	char *reload = NULL;
	const char *text = buf_text(&st->body);
	int e = steering_take(text, st->body.size, st->s.pathway, &st->ttl, &reload);

	if (e != 0) {
		log_verbose(WHERE, "the steering server's answer is of no use: %s", err_text(e));
		return;
	}
	st->s.report->steering_answers++;
	if (reload != NULL) {
		char *url = resolve(st->effective != NULL ? st->effective : st->url, reload);

		if (url != NULL) {
			free(st->url);
			st->url = url;
		}
	}
	free(reload);
}

static void take(struct steering *st, mono_us now)
{
	int status = st->result.error == 0 ? st->result.status : 0;

	st->running = false;
	if (status == 200)
		follow(st);
	else
		log_verbose(WHERE, "the steering server does not answer, all stays as it is status=%d error=\"%s\"", status, st->result.text);
	st->stopped = status == 410;
	st->due = now + (status == 429 && st->retry_after > 0 ? st->retry_after : st->ttl);
	free(st->effective);
	st->effective = NULL;
}

void steering_step(struct steering *st, mono_us now, mono_us *ret_next)
{
	bool done;

	if (st == NULL)
		return;
	hub_lock(st->s.hub);
	done = st->running && st->done;
	hub_unlock(st->s.hub);
	if (done)
		take(st, now);
	if (!st->running && !st->stopped && now >= st->due)
		ask(st);
	if (st->running && now + DUR_S < *ret_next)
		*ret_next = now + DUR_S;
	else if (!st->running && !st->stopped && st->due < *ret_next)
		*ret_next = st->due;
}

void steering_used(struct steering *st, const char *key, uint64_t throughput)
{
	struct used now = {.throughput = throughput};
	unsigned at = 0;

	if (st == NULL || key[0] == '\0')
		return;
	snprintf(now.key, sizeof now.key, "%s", key);
	while (at < st->n_used && strcmp(st->used[at].key, key) != 0)
		at++;
	if (at == MAX_USED)
		at--;
	st->n_used += at == st->n_used;
	memmove(&st->used[1], &st->used[0], at * sizeof st->used[0]);
	st->used[0] = now;
}

/* --- its life -------------------------------------------------------------------------- */

static void wait_for_answer(struct steering *st)
{
	mono_us end = clock_mono() + PATIENCE;

	hub_lock(st->s.hub);
	while (!st->done && clock_mono() < end)
		hub_wait_until(st->s.hub, end);
	hub_unlock(st->s.hub);
}

struct steering *steering_new(const struct steering_setup *s, mono_us now)
{
	const struct mpd_steering *m = &s->mpd->steering;
	struct steering *st;
	char *url = m->present && m->url != NULL && m->url[0] != '\0' ? resolve(s->url, m->url) : NULL;
	mono_us next = INT64_MAX;

	if (url == NULL)
		return NULL;
	st = mem_new(sizeof *st);
	*st = (struct steering){.s = *s, .url = url, .ttl = FIRST_TTL, .due = now};
	buf_init(&st->body, MAX_ANSWER);
	take_default(st);
	if (m->query_before_start) {
		ask(st);
		wait_for_answer(st);
		steering_step(st, clock_mono(), &next);
	}
	st->s.mpd = NULL; /* a newer one may take its place */
	return st;
}

void steering_free(struct steering **pst)
{
	struct steering *st = *pst;

	if (st == NULL)
		return;
	*pst = NULL;
	if (st->running)
		fetch_cancel(st->s.fetch, st->id);
	hub_lock(st->s.hub);
	while (st->running && !st->done)
		hub_wait(st->s.hub);
	hub_unlock(st->s.hub);
	buf_fini(&st->body);
	free(st->effective);
	free(st->url);
	free(st);
}
