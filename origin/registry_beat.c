/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What edges say of themselves in their heartbeats: what they hold, whole or in
 * part, how they are, who sent them wrong bytes.  Invariant: `holds` and `parts` are
 * sorted and have nothing twice.
 */
#include "origin/registry_inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "origin/catalogue.h"
#include "origin/events.h"

#define SAID_KEYS 20 /* of what an edge holds anew, in an event */

void registry_beat_fini(struct registry_beat *b)
{
	registry_free_keys(b->holds, b->n_holds);
	registry_free_keys(b->parts, b->n_parts);
	registry_free_filling(b->filling, b->n_filling);
	registry_free_keys(b->liars, b->n_liars);
	free(b->trouble);
	*b = (struct registry_beat){0};
}

/* --- what it holds --- */

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t sort_unique(char **keys, size_t n)
{
	size_t kept = 0, sorted = 1;

	while (sorted < n && strcmp(keys[sorted - 1], keys[sorted]) < 0)
		sorted++;
	if (sorted >= n) /* as edges send them */
		return n;
	qsort(keys, n, sizeof *keys, compare_keys);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && strcmp(keys[kept - 1], keys[i]) == 0)
			free(keys[i]);
		else
			keys[kept++] = keys[i];
	}
	return kept;
}

/* Views of those in `a` and not in `b`; both sorted. */
static char **difference(char **a, size_t n_a, char **b, size_t n_b, size_t *ret_n)
{
	char **d = mem_new_array(n_a + 1, sizeof *d);
	size_t n = 0, j = 0;

	for (size_t i = 0; i < n_a; i++) {
		while (j < n_b && strcmp(b[j], a[i]) < 0)
			j++;
		if (j == n_b || strcmp(b[j], a[i]) != 0)
			d[n++] = a[i];
	}
	*ret_n = n;
	return d;
}

/* The first of the keys, and how many there are. */
static json_t *some_keys(char *const *keys, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n && i < SAID_KEYS; i++)
		json_array_append_new(list, json_string(keys[i]));
	return json_pack("{s:I, s:o}", "count", (json_int_t)n, "first", list);
}

static bool is_same(char *const *a, char *const *b, size_t n)
{
	size_t i = 0;

	while (i < n && strcmp(a[i], b[i]) == 0)
		i++;
	return i == n;
}

static void set_holds(struct registry *r, struct registry_edge *e, char **holds, size_t n)
{
	size_t n_added, n_dropped;
	char **added, **dropped;
	struct fault f = {0};

	if (n == e->n_holds && is_same(holds, e->holds, n)) {
		registry_free_keys(holds, n);
		return;
	}
	added = difference(holds, n, e->holds, e->n_holds, &n_added);
	dropped = difference(e->holds, e->n_holds, holds, n, &n_dropped);
	if (e->up) {
		holders_add(r->holders, e->shown, added, n_added);
		holders_drop(r->holders, e->shown, dropped, n_dropped);
	}
	e->holds_version = ++r->version;
	events_say(r->events, EVENT_EDGE_HOLDS, json_pack("{s:s, s:o, s:o}", "edge", e->name, "added", some_keys(added, n_added),
	                                                  "dropped", some_keys(dropped, n_dropped)));
	if (catalogue_put_holdings(r->catalogue, e->name, added, n_added, dropped, n_dropped, &f) != 0)
		log_verbose("origin/registry", "holdings are not recorded: %s edge=%s", fault_text(&f), e->name);
	registry_free_keys(e->holds, e->n_holds);
	e->holds = holds;
	e->n_holds = n;
	free(added);
	free(dropped);
}

/* Who holds a part of a title can serve it: the rest is pulled through. */
static void add_keys_of_parts(struct registry_beat *b)
{
	size_t cap = b->n_holds;

	for (size_t i = 0; i < b->n_parts; i++) {
		size_t n = (size_t)(strrchr(b->parts[i], '/') - b->parts[i]);

		if (i > 0 && strncmp(b->parts[i - 1], b->parts[i], n + 1) == 0)
			continue;
		MEM_GROW(b->holds, cap, b->n_holds);
		b->holds[b->n_holds++] = mem_dup_n(b->parts[i], n);
	}
}

static void set_parts(struct registry *r, struct registry_edge *e, struct registry_beat *b)
{
	b->n_parts = sort_unique(b->parts, b->n_parts);
	r->version += b->n_parts != e->n_parts || !is_same(e->parts, b->parts, b->n_parts);
	add_keys_of_parts(b);
	registry_free_keys(e->parts, e->n_parts);
	e->parts = b->parts;
	e->n_parts = b->n_parts;
}

/* Somebody got wrong bytes from these; nothing wrong was kept or shown, but a disk or a line there is ill. */
static void accuse(struct registry *r, const struct registry_edge *by, char *const *liars, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct registry_edge *e = registry_find(r, liars[i]);

		if (e != NULL)
			e->accused++;
		log_warn("origin/registry", "an edge got wrong bytes from another: check the other's disk name=%s from=%s", by->name,
		         liars[i]);
	}
}

/* How many more than last time; after a restart they count from 0 again. */
static double more_than(uint64_t now, uint64_t before)
{
	return (double)(now >= before ? now - before : now);
}

static void take_hits(struct registry_edge *e, const struct registry_beat *b, mono_us now)
{
	double keep = exp2(-(double)(now - e->last) / (double)REGISTRY_HITS_FADE);

	e->hits_of_late = e->hits_of_late * keep + (e->has_hits ? more_than(b->hits, e->hits) : 0);
	e->misses_of_late = e->misses_of_late * keep + (e->has_hits ? more_than(b->misses, e->misses) : 0);
	e->hits = b->hits;
	e->misses = b->misses;
	e->has_hits = true;
}

static void take_health(struct registry_edge *e, struct registry_beat *b, mono_us now)
{
	if (b->trouble != NULL && (e->trouble == NULL || strcmp(e->trouble, b->trouble) != 0))
		log_warn("origin/registry", "an edge is not well: %s name=%s", b->trouble, e->name);
	else if (b->trouble == NULL && e->trouble != NULL)
		log_info("origin/registry", "an edge is well again name=%s", e->name);
	free(e->trouble);
	e->trouble = b->trouble;
	e->store_errors = b->store_errors;
	if (b->up > 0 && b->up < e->up_for)
		health_began_anew(e, b->up, now);
	e->up_for = b->up;
	e->has_clock = b->has_clock;
	e->clock_offset = b->clock_offset;
}

static void take_beat(struct registry *r, struct registry_edge *e, struct registry_beat *b, mono_us now)
{
	double permille = b->load * 1000;

	take_hits(e, b, now);
	e->last = now;
	e->heard = true;
	e->free_bytes = b->free_bytes;
	e->load = b->load;
	__atomic_store_n(&e->shown->load_permille, permille < 1e9 ? (uint32_t)permille : 1000000000u, __ATOMIC_RELAXED);
	set_parts(r, e, b);
	set_holds(r, e, b->holds, sort_unique(b->holds, b->n_holds));
	registry_free_filling(e->filling, e->n_filling);
	e->filling = b->filling;
	e->n_filling = b->n_filling;
	take_health(e, b, now);
	accuse(r, e, b->liars, b->n_liars);
	registry_free_keys(b->liars, b->n_liars);
	*b = (struct registry_beat){0};
	if (!e->up) {
		health_back(e, now);
		registry_show(r, e);
		registry_record_up(r, e, true);
	}
}

int registry_heartbeat(struct registry *r, const char *name, struct registry_beat *b, mono_us now, struct fault *f)
{
	struct registry_edge *e;

	pthread_mutex_lock(&r->lock);
	e = registry_find(r, name);
	if (e != NULL)
		take_beat(r, e, b, now);
	pthread_mutex_unlock(&r->lock);
	registry_beat_fini(b);
	return e != NULL ? 0 : fault_set(f, ERR_NOT_FOUND, "there is no edge \"%s\": register it first", name);
}

/* --- reading --- */

bool registry_edge_holds(const struct registry_edge *e, const char *key)
{
	return e->n_holds > 0 && bsearch(&key, e->holds, e->n_holds, sizeof *e->holds, compare_keys) != NULL;
}

char *const *registry_edge_parts(const struct registry_edge *e, const char *key, size_t *ret_n)
{
	size_t low = 0, high = e->n_parts, n = strlen(key);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(e->parts[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	high = low;
	while (high < e->n_parts && strncmp(e->parts[high], key, n) == 0 && e->parts[high][n] == '/')
		high++;
	*ret_n = high - low;
	return high > low ? e->parts + low : NULL;
}

bool registry_edge_holds_file(const struct registry_edge *e, const char *key, const char *file)
{
	size_t n, skip = strlen(key) + 1;
	char *const *parts = registry_edge_parts(e, key, &n);

	if (parts == NULL)
		return registry_edge_holds(e, key);
	for (size_t i = 0; i < n; i++)
		if (strcmp(parts[i] + skip, file) == 0)
			return true;
	return false;
}
