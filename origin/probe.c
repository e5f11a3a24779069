/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Turns are by name: each tick goes on behind the edge that was asked last, as far
 * as the interval's pace allows, so that a thousand edges are asked evenly.
 */
#include "origin/probe.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fetch/fetch.h"
#include "origin/registry.h"

#define PATIENCE (4 * DUR_S)
#define MAX_ANSWER 65536
#define MAX_AT_ONCE 64

struct probe {
	struct registry *registry;
	struct fetch *fetch;
	dur_us interval;
	mono_us round;     /* when this round began */
	char *last;        /* asked last in it; NULL: none */
	unsigned asking;   /* atomic: under way */
};

int probe_new(struct registry *r, dur_us interval, struct probe **ret_probe)
{
	struct probe *p;
	int e;

	if (interval == 0) {
		*ret_probe = NULL;
		return 0;
	}
	p = mem_new(sizeof *p);
	*p = (struct probe){.registry = r, .interval = interval, .round = clock_mono()};
	e = fetch_new(&(struct fetch_settings){.user_agent = "ribera-origin", .max_per_host = 1, .http2 = true}, &p->fetch);
	if (e != 0)
		free(p);
	else
		*ret_probe = p;
	return e;
}

void probe_free(struct probe **pp)
{
	struct probe *p = *pp;

	if (p == NULL)
		return;
	fetch_free(&p->fetch);
	free(p->last);
	free(p);
	*pp = NULL;
}

struct asked {
	struct probe *probe;
	char *name, *url;
};

static void asked_free(struct asked *a)
{
	free(a->name);
	free(a->url);
	free(a);
}

static void answered(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct asked *a = ctx;

	(void)response;
	if (result->error != ERR_CANCELLED)
		registry_note_probe(a->probe->registry, a->name, a->url, result->status > 0 && result->status < 500);
	__atomic_sub_fetch(&a->probe->asking, 1, __ATOMIC_RELAXED);
	asked_free(a);
}

static void ask(struct probe *p, struct asked *a)
{
	char *url = mem_printf("%s/healthz/live", a->url);

	__atomic_add_fetch(&p->asking, 1, __ATOMIC_RELAXED);
	fetch_start(p->fetch, &(struct fetch_request){.url = url, .max_bytes = MAX_ANSWER, .connect_timeout = PATIENCE,
	                                              .stall_timeout = PATIENCE, .total_timeout = PATIENCE},
	            NULL, NULL, answered, a);
	free(url);
}

struct turn {
	struct probe *probe;
	struct asked *v[MAX_AT_ONCE];
	size_t n, most;
};

static bool take(void *ctx, const struct registry_edge *e)
{
	struct turn *t = ctx;

	if (t->n == t->most)
		return false;
	free(t->probe->last);
	t->probe->last = mem_dup(e->name);
	if (e->up) {
		t->v[t->n] = mem_new(sizeof *t->v[0]);
		*t->v[t->n++] = (struct asked){t->probe, mem_dup(e->name), mem_dup(e->url)};
	}
	return true;
}

void probe_tick(struct probe *p, mono_us now)
{
	unsigned asking = p != NULL ? __atomic_load_n(&p->asking, __ATOMIC_RELAXED) : 0;
	struct turn t = {.probe = p, .most = asking < MAX_AT_ONCE ? MAX_AT_ONCE - asking : 0};
	char *after;

	if (p == NULL || t.most == 0 || (p->last == NULL && now < p->round))
		return;
	after = p->last != NULL ? mem_dup(p->last) : NULL;
	registry_each(p->registry, after, take, &t);
	free(after);
	for (size_t i = 0; i < t.n; i++) /* outside the registry's lock, which an answer takes */
		ask(p, t.v[i]);
	if (t.n == t.most)
		return;
	free(p->last);
	p->last = NULL;
	p->round = now + p->interval;
}
