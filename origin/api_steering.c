/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GET /api/v1/steering: why a viewer at an address gets edges in this order, by
 * the functions that decide it.  Asking changes nothing and counts nobody.
 */
#include "origin/api.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/str.h"
#include "origin/library.h"
#include "origin/origin.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "origin/revision.h"
#include "origin/steer.h"
#include "serve/serve.h"

#define MAX_PLACES 16

struct asked {
	const char *address, *current;
	char key[600];
};

struct seen {
	char *name;
	struct steer_edge edge;   /* its name is not valid */
	dur_us held_out;
	uint32_t witnesses;
	bool unreachable, doubtful;
	size_t place;             /* from 1; 0: none */
};

struct view {
	struct seen *v;
	size_t n;
	json_t *edges;            /* in order of name; sorted at the end */
};

static struct seen see(const struct holders_edge *e, const struct steer_edge *as, mono_us now)
{
	mono_us out_until = __atomic_load_n(&e->out_until, __ATOMIC_RELAXED);

	return (struct seen){
		.name = mem_dup(e->name),
		.edge = *as,
		.held_out = out_until > now ? out_until - now : 0,
		.witnesses = __atomic_load_n(&e->witnesses, __ATOMIC_RELAXED),
		.unreachable = __atomic_load_n(&e->unreachable, __ATOMIC_RELAXED),
		.doubtful = __atomic_load_n(&e->doubtful, __ATOMIC_RELAXED),
	};
}

/* What steering sees and decides now; copied, since the registry's lock must not be waited for in a read section. */
static void look(const struct origin *o, const struct asked *q, struct view *ret)
{
	const struct holders_set *set;
	size_t order[MAX_PLACES], n;

	rcu_read_begin();
	set = holders_find(registry_holders(o->registry), q->key);
	*ret = (struct view){.edges = json_array(), .n = set != NULL ? set->n : 0};
	ret->v = mem_new_array(ret->n + 1, sizeof *ret->v);
	if (set != NULL) {
		struct steer_edge *edges = mem_new_array(set->n, sizeof *edges);

		steering_describe(o->steering, set, q->address, edges);
		n = steer_choose(steer_client_key(q->address), q->current, edges, set->n, MAX_PLACES, order);
		for (size_t i = 0; i < set->n; i++)
			ret->v[i] = see(set->edges[i], &edges[i], clock_mono());
		for (size_t i = 0; i < n; i++)
			ret->v[order[i]].place = i + 1;
		free(edges);
	}
	rcu_read_end();
}

static void say_why(const struct asked *q, const struct registry_edge *e, const struct seen *s, unsigned measured, struct buf *b)
{
	if (!e->up)
		buf_printf(b, "down: no heartbeats");
	else if (s == NULL)
		buf_printf(b, "does not hold it");
	else if (s->edge.draining)
		buf_printf(b, "being drained");
	else if (s->unreachable)
		buf_printf(b, "sends heartbeats, but the origin cannot reach it");
	else if (s->held_out > 0 && s->edge.up)
		buf_printf(b, "came and went too often, as all others did: not held out");
	else if (s->held_out > 0)
		buf_printf(b, "came and went too often: held out for %lld s more", (long long)((s->held_out + DUR_S - 1) / DUR_S));
	else if (s->doubtful)
		buf_printf(b, "behind the others: the origin never reached it");
	else if (s->witnesses >= STEER_WITNESSES)
		buf_printf(b, "behind the others: players could not use it");
	else if (s->edge.load >= 1)
		buf_printf(b, "behind the others: no room");
	else if (measured > 0)
		buf_printf(b, "%u ms away, as it measured", measured);
	else if (s->edge.distance < PREFIX_FAR)
		buf_printf(b, "%u ms away", s->edge.distance);
	else
		buf_printf(b, "nothing says how near it is");
	if (s == NULL || s->place == 0)
		return;
	if (q->current != NULL && s->place == 1 && strcmp(q->current, e->name) == 0)
		buf_printf(b, "; the viewer is there already");
	if (s->edge.hold_back > 0)
		buf_printf(b, "; slow start");
}

struct explaining {
	const struct steering *steering;
	const struct asked *q;
	const struct view *view;
};

static bool add_edge(void *ctx, const struct registry_edge *e)
{
	const struct explaining *x = ctx;
	const struct seen *s = NULL;
	unsigned measured = steering_measured(x->steering, x->q->address, e->name);
	struct buf b;
	json_t *o;

	for (size_t i = 0; i < x->view->n && s == NULL; i++)
		if (strcmp(x->view->v[i].name, e->name) == 0)
			s = &x->view->v[i];
	buf_init(&b, 4096);
	say_why(x->q, e, s, measured, &b);
	o = json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "name", e->name, "why", buf_text(&b), "holds", (int)registry_edge_holds(e, x->q->key),
	              "place", s != NULL && s->place > 0 ? json_integer((json_int_t)s->place) : json_null(),
	              "distance_ms", s != NULL && s->edge.distance < PREFIX_FAR ? json_integer(s->edge.distance) : json_null(),
	              "round_trip_ms", measured > 0 ? json_integer(measured) : json_null(),
	              "load", e->heard ? json_real(e->load) : json_null(),
	              "sent", s != NULL ? json_integer(s->edge.sent) : json_null());
	buf_fini(&b);
	json_array_append_new(x->view->edges, o);
	return true;
}

/* Those with a place, in its order, then the others by name. */
static json_t *in_order(const struct view *view)
{
	json_t *list = json_array(), *e;
	size_t i;

	for (json_int_t place = 1; place <= MAX_PLACES; place++)
		json_array_foreach(view->edges, i, e)
			if (json_integer_value(json_object_get(e, "place")) == place)
				json_array_append(list, e);
	json_array_foreach(view->edges, i, e)
		if (json_is_null(json_object_get(e, "place")))
			json_array_append(list, e);
	return list;
}

static bool is_address(const char *s)
{
	unsigned char bytes[16];

	return s != NULL && (inet_pton(AF_INET, s, bytes) == 1 || inet_pton(AF_INET6, s, bytes) == 1);
}

static const char *name_param(struct serve_request *req, const char *name)
{
	const char *v = serve_param(req, name);

	return v != NULL && str_is_name(v, strlen(v)) ? v : NULL;
}

static json_t *located(const struct geo_place *at)
{
	json_t *names = json_array();

	for (size_t i = 0; i < at->n; i++)
		json_array_append_new(names, json_string(at->names[i]));
	return names;
}

void api_explain_steering(struct api_call *c)
{
	struct asked q = {.address = serve_param(c->req, "ip"), .current = name_param(c->req, "current")};
	const char *title = name_param(c->req, "title"), *revision = name_param(c->req, "revision");
	struct revision *r = title != NULL ? library_current(c->origin->library, title, strlen(title)) : NULL;
	struct geo_place at;
	unsigned network;
	struct view view;

	if (!is_address(q.address) || title == NULL) {
		reply_problem(c->req, 400, "give ?ip=ADDRESS&title=TITLE, an IPv4 or IPv6 address and a title's name");
	} else if (r == NULL) {
		reply_problem(c->req, 404, "there is no title \"%s\"", title);
	} else {
		revision = revision != NULL ? revision : r->revision;
		snprintf(q.key, sizeof q.key, "%s/%s", title, revision);
		look(c->origin, &q, &view);
		network = steering_locate(c->origin->steering, q.address, &at);
		registry_each(c->origin->registry, NULL, add_edge, &(struct explaining){c->origin->steering, &q, &view});
		reply_json(c->req, 200, json_pack("{s:s, s:s, s:s, s:b, s:o, s:o}", "ip", q.address, "title", title, "revision", revision,
		                                  "network_known", (int)(network != 0), "located", located(&at), "edges", in_order(&view)));
		for (size_t i = 0; i < view.n; i++)
			free(view.v[i].name);
		free(view.v);
		json_decref(view.edges);
	}
	revision_unref(&r);
}
