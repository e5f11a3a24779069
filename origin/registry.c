/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Edges in memory.  Invariant, under the lock: an edge stands in the holders'
 * sets of exactly the keys it holds if it is up, and in none if it is down.
 */
#include "origin/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "origin/catalogue.h"
#include "origin/events.h"

#define WITNESS_FADE (30 * DUR_S) /* half of what players witnessed against an edge, and of who was sent there, is forgotten */

void registry_free_keys(char **keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(keys[i]);
	free(keys);
}

void registry_free_filling(struct registry_filling *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].key);
	free(v);
}

struct registry *registry_new(struct catalogue *catalogue, struct events *events, dur_us heartbeat)
{
	struct registry *r = mem_new(sizeof *r);

	*r = (struct registry){
		.catalogue = catalogue, .events = events, .holders = holders_new(), .heartbeat = heartbeat, .version = 1};
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void registry_show(struct registry *r, struct registry_edge *e)
{
	if (e->up)
		return;
	e->up = true;
	holders_add(r->holders, e->shown, e->holds, e->n_holds);
	r->version++;
}

static void hide(struct registry *r, struct registry_edge *e)
{
	if (!e->up)
		return;
	e->up = false;
	holders_drop(r->holders, e->shown, e->holds, e->n_holds);
	r->version++;
}

static void edge_free(struct registry *r, struct registry_edge *e)
{
	hide(r, e);
	holders_edge_free(&e->shown);
	registry_free_keys(e->holds, e->n_holds);
	registry_free_keys(e->parts, e->n_parts);
	registry_free_filling(e->filling, e->n_filling);
	free(e->trouble);
	free(e->name);
	free(e->url);
	free(e);
}

void registry_free(struct registry **pr)
{
	struct registry *r = *pr;

	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n_edges; i++)
		edge_free(r, r->edges[i]);
	free(r->edges);
	holders_free(&r->holders);
	pthread_mutex_destroy(&r->lock);
	free(r);
	*pr = NULL;
}

const struct holders *registry_holders(const struct registry *r)
{
	return r->holders;
}

/* What the settings say, but no more than a hundred heartbeats a second from all together. */
static dur_us interval(const struct registry *r)
{
	dur_us least = (dur_us)r->n_edges * 10 * DUR_MS;

	return r->heartbeat > least ? r->heartbeat : least;
}

dur_us registry_heartbeat_interval(struct registry *r)
{
	dur_us d;

	pthread_mutex_lock(&r->lock);
	d = interval(r);
	pthread_mutex_unlock(&r->lock);
	return d;
}

/* Where the name stands, or would stand. */
static size_t place_of(const struct registry *r, const char *name)
{
	size_t low = 0, high = r->n_edges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(r->edges[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct registry_edge *registry_find(const struct registry *r, const char *name)
{
	size_t i = place_of(r, name);

	return i < r->n_edges && strcmp(r->edges[i]->name, name) == 0 ? r->edges[i] : NULL;
}

static struct registry_edge *insert(struct registry *r, const char *name, const char *url, uint64_t capacity, mono_us now)
{
	struct registry_edge *e = mem_new(sizeof *e);
	size_t at = place_of(r, name);

	*e = (struct registry_edge){.name = mem_dup(name), .url = mem_dup(url), .capacity = capacity, .last = now};
	e->shown = holders_edge_new(name, url);
	MEM_GROW(r->edges, r->cap_edges, r->n_edges);
	memmove(r->edges + at + 1, r->edges + at, (r->n_edges - at) * sizeof(struct registry_edge *));
	r->edges[at] = e;
	r->n_edges++;
	e->holds_version = ++r->version;
	return e;
}

static void set_draining(struct registry_edge *e, bool draining)
{
	e->draining = draining;
	__atomic_store_n(&e->shown->draining, draining, __ATOMIC_RELAXED);
}

/* --- from the catalogue --- */

struct loading {
	struct registry *r;
	struct registry_edge *now; /* the edge whose holdings come; NULL: known already */
	size_t cap_holds;
	bool up;
	mono_us at;
};

static void end_loading(struct loading *l)
{
	if (l->now != NULL && l->up)
		registry_show(l->r, l->now);
	l->now = NULL;
}

static void load_edge(void *ctx, const struct catalogue_edge *edge)
{
	struct loading *l = ctx;

	end_loading(l);
	if (registry_find(l->r, edge->name) != NULL)
		return;
	l->now = insert(l->r, edge->name, edge->url, edge->capacity, l->at);
	l->up = edge->up;
	set_draining(l->now, edge->draining);
	l->cap_holds = 0;
}

static void load_holding(void *ctx, const char *edge, const char *key)
{
	struct loading *l = ctx;

	if (l->now == NULL)
		return;
	MEM_GROW(l->now->holds, l->cap_holds, l->now->n_holds);
	l->now->holds[l->now->n_holds++] = mem_dup(key);
}

int registry_load(struct registry *r, mono_us now, struct fault *f)
{
	struct loading l = {.r = r, .at = now};
	int e;

	pthread_mutex_lock(&r->lock);
	e = catalogue_each_edge(r->catalogue, load_edge, load_holding, &l, f);
	end_loading(&l);
	pthread_mutex_unlock(&r->lock);
	return e;
}

/* --- registration --- */

static void renew(struct registry *r, struct registry_edge *e, const char *url, uint64_t capacity)
{
	if (strcmp(e->url, url) != 0) {
		hide(r, e);
		holders_edge_free(&e->shown);
		e->shown = holders_edge_new(e->name, url);
		set_draining(e, e->draining);
		health_moved(e);
		free(e->url);
		e->url = mem_dup(url);
	}
	e->capacity = capacity;
	r->version++;
}

static void say_state(struct registry *r, const struct registry_edge *e, bool up)
{
	events_say(r->events, up ? EVENT_EDGE_UP : EVENT_EDGE_DOWN, json_pack("{s:s, s:s}", "edge", e->name, "url", e->url));
}

static int put_locked(struct registry *r, const char *name, const char *url, uint64_t capacity, const char *who,
                      mono_us now, bool *ret_new, struct fault *f)
{
	struct registry_edge *e = registry_find(r, name);
	struct catalogue_edge row = {.name = name, .url = url, .capacity = capacity, .up = true};
	bool is_new = e == NULL, changed = is_new || strcmp(e->url, url) != 0 || e->capacity != capacity || !e->up;
	int err = 0;

	if (is_new && r->n_edges >= REGISTRY_MAX_EDGES)
		return fault_set(f, ERR_LIMIT, "there are %d edges already; remove some", REGISTRY_MAX_EDGES);
	if (changed)
		err = catalogue_put_edge(r->catalogue, &row, who, clock_wall(), f);
	if (err != 0)
		return err;
	if (is_new)
		e = insert(r, name, url, capacity, now);
	else if (changed)
		renew(r, e, url, capacity);
	e->last = now;
	e->heard = true;
	if (is_new)
		events_say(r->events, EVENT_EDGE_REGISTERED, json_pack("{s:s, s:s, s:I}", "edge", name, "url", url, "capacity",
		                                                       (json_int_t)capacity));
	else if (!e->up)
		say_state(r, e, true);
	if (!is_new && !e->up)
		health_back(e, now);
	registry_show(r, e);
	*ret_new = is_new;
	return 0;
}

int registry_put(struct registry *r, const char *name, const char *url, uint64_t capacity, const char *who, mono_us now,
                 bool *ret_new, struct fault *f)
{
	int e;

	pthread_mutex_lock(&r->lock);
	e = put_locked(r, name, url, capacity, who, now, ret_new, f);
	pthread_mutex_unlock(&r->lock);
	return e;
}

int registry_remove(struct registry *r, const char *name, const char *who, struct fault *f)
{
	size_t at;
	int e = 0;

	pthread_mutex_lock(&r->lock);
	at = place_of(r, name);
	if (at == r->n_edges || strcmp(r->edges[at]->name, name) != 0)
		e = fault_set(f, ERR_NOT_FOUND, "there is no edge \"%s\"", name);
	if (e == 0)
		e = catalogue_remove_edge(r->catalogue, name, who, clock_wall(), f);
	if (e == 0) {
		events_say(r->events, EVENT_EDGE_REMOVED, json_pack("{s:s}", "edge", name));
		edge_free(r, r->edges[at]);
		r->n_edges--;
		memmove(r->edges + at, r->edges + at + 1, (r->n_edges - at) * sizeof(struct registry_edge *));
		r->version++;
	}
	pthread_mutex_unlock(&r->lock);
	return e;
}

int registry_drain(struct registry *r, const char *name, bool draining, const char *who, struct fault *f)
{
	struct registry_edge *e;
	int err;

	pthread_mutex_lock(&r->lock);
	e = registry_find(r, name);
	err = e == NULL ? fault_set(f, ERR_NOT_FOUND, "there is no edge \"%s\"", name)
	                : catalogue_set_draining(r->catalogue, name, draining, who, clock_wall(), f);
	if (err == 0 && e->draining != draining) {
		log_info("origin/registry", "edge %s name=%s by=\"%s\"", draining ? "is being drained" : "takes viewers again", name, who);
		set_draining(e, draining);
		e->drained = clock_mono();
		events_say(r->events, EVENT_EDGE_DRAINING, json_pack("{s:s, s:b}", "edge", name, "draining", (int)draining));
		r->version++;
	}
	pthread_mutex_unlock(&r->lock);
	return err;
}

/* --- what changes by itself --- */

void registry_record_up(struct registry *r, const struct registry_edge *e, bool up)
{
	struct fault f = {0};

	say_state(r, e, up);
	log_info("origin/registry", "edge is %s name=%s url=%s", up ? "up" : "down", e->name, e->url);
	if (catalogue_set_up(r->catalogue, e->name, up, &f) != 0)
		log_verbose("origin/registry", "state is not recorded: %s edge=%s", fault_text(&f), e->name);
}

void registry_note_plan(struct registry *r, const char *name, const char *version)
{
	struct registry_edge *e;

	pthread_mutex_lock(&r->lock);
	e = registry_find(r, name);
	if (e != NULL && strncmp(e->plan, version, sizeof e->plan - 1) != 0) {
		snprintf(e->plan, sizeof e->plan, "%.*s", (int)sizeof e->plan - 1, version);
		events_say(r->events, EVENT_PLAN_CHANGED, json_pack("{s:s, s:s}", "edge", name, "version", version));
	}
	pthread_mutex_unlock(&r->lock);
}

void registry_note_probe(struct registry *r, const char *name, const char *url, bool answered)
{
	struct registry_edge *e;

	pthread_mutex_lock(&r->lock);
	e = registry_find(r, name);
	if (e != NULL && e->up && strcmp(e->url, url) == 0)
		health_probed(r->edges, r->n_edges, e, answered);
	pthread_mutex_unlock(&r->lock);
}

static uint32_t halve(uint32_t *v)
{
	uint32_t half = __atomic_load_n(v, __ATOMIC_RELAXED) / 2;

	__atomic_store_n(v, half, __ATOMIC_RELAXED);
	return half;
}

/* When nothing is left of what they said they may say it again. */
static void fade_witnesses(struct holders_edge *e)
{
	if (halve(&e->witnesses) > 0)
		return;
	for (size_t i = 0; i < HOLDERS_WITNESSES; i++)
		__atomic_store_n(&e->witnessed_by[i], 0, __ATOMIC_RELAXED);
}

void registry_tick(struct registry *r, mono_us now)
{
	bool fade = now - r->faded >= WITNESS_FADE;

	if (fade)
		r->faded = now;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n_edges; i++) {
		struct registry_edge *e = r->edges[i];

		if (fade) {
			fade_witnesses(e->shown);
			halve(&e->shown->sent);
		}
		if (e->up && now - e->last > REGISTRY_MISSED * interval(r)) {
			hide(r, e);
			health_fell(e, now);
			registry_record_up(r, e, false);
		}
	}
	pthread_mutex_unlock(&r->lock);
}

/* --- reading --- */

uint64_t registry_version(struct registry *r)
{
	uint64_t v;

	pthread_mutex_lock(&r->lock);
	v = r->version;
	pthread_mutex_unlock(&r->lock);
	return v;
}

void registry_counts(struct registry *r, size_t *ret_edges, size_t *ret_up)
{
	size_t up = 0;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n_edges; i++)
		up += r->edges[i]->up;
	*ret_edges = r->n_edges;
	pthread_mutex_unlock(&r->lock);
	*ret_up = up;
}

void registry_each(struct registry *r, const char *after, registry_each_f each, void *ctx)
{
	size_t i;

	pthread_mutex_lock(&r->lock);
	i = after != NULL ? place_of(r, after) : 0;
	if (after != NULL && i < r->n_edges && strcmp(r->edges[i]->name, after) == 0)
		i++;
	while (i < r->n_edges && each(ctx, r->edges[i]))
		i++;
	pthread_mutex_unlock(&r->lock);
}

int registry_with(struct registry *r, const char *name, registry_each_f with, void *ctx)
{
	struct registry_edge *e;

	pthread_mutex_lock(&r->lock);
	e = registry_find(r, name);
	if (e != NULL)
		with(ctx, e);
	pthread_mutex_unlock(&r->lock);
	return e != NULL ? 0 : ERR_NOT_FOUND;
}
