/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Eviction removes whole files: a viewer in the middle of one keeps the unlinked
 * file, so nothing that is being sent ever changes.
 */
#include "edge/space.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cdn/evict.h"
#include "edge/counts.h"

#define WHERE "edge/space"

static uint64_t held(const struct copy *c)
{
	return __atomic_load_n(&c->held, __ATOMIC_RELAXED);
}

static bool package_touched(struct space *s, const struct package *p)
{
	for (size_t i = 0; i < p->n_copies; i++)
		if (p->copies[i] != NULL && flights_touch(s->flights, p->copies[i]))
			return true;
	return false;
}

static void remove_package(struct space *s, struct package *p)
{
	uint64_t bytes = package_held(p);
	size_t files = p->n_copies;
	int r;

	log_info(WHERE, "removing a package the plan does not list title=%s revision=%s", p->title, p->revision);
	package_ref(p);
	s->forget(s->ctx, p);
	r = store_remove_package(s->store, p);
	package_unref(&p);
	if (r != 0) {
		log_error(WHERE, "cannot remove a package: %s", err_text(r));
		return;
	}
	counters_add(s->counters, COUNT_EVICTED_BYTES, bytes);
	counters_add(s->counters, COUNT_EVICTED_FILES, files);
}

static bool remove_unlisted(struct space *s)
{
	size_t n;
	struct package **packages = store_packages(s->store, &n);

	for (size_t i = 0; i < n; i++)
		if (!packages[i]->listed && !package_touched(s, packages[i])) {
			remove_package(s, packages[i]);
			return true;
		}
	return false;
}

/* --- pulled files ---------------------------------------------------------------------- */

struct pulled {
	struct copy **copies;
	struct evict_item *items;
	size_t n, cap_copies, cap_items;
	uint64_t bytes;
};

static void add_pulled(struct pulled *p, struct copy *c)
{
	MEM_GROW(p->copies, p->cap_copies, p->n);
	MEM_GROW(p->items, p->cap_items, p->n);
	p->copies[p->n] = c;
	p->items[p->n++] = (struct evict_item){held(c), c->order, __atomic_load_n(&c->uses, __ATOMIC_RELAXED)};
}

/* The manifest stays: without it nobody would come for the rest. */
static bool may_go(struct space *s, const struct copy *c, const struct copy *except)
{
	return c != except && held(c) > 0 && strcmp(c->name, PACKAGE_MANIFEST) != 0 && !flights_touch(s->flights, c);
}

static void find_pulled(struct space *s, struct pulled *p, const struct copy *except)
{
	size_t n;
	struct package **packages = store_packages(s->store, &n);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < packages[i]->digest->n_files; k++) {
			struct copy *c = packages[i]->copies[k];

			if (package_keeps(packages[i], k))
				continue;
			p->bytes += held(c);
			if (may_go(s, c, except))
				add_pulled(p, c);
		}
	}
}

static void evict_copy(struct space *s, struct copy *c)
{
	struct package *p = c->package;
	size_t index = c->index;
	uint64_t bytes = held(c);
	int r = store_reset_copy(s->store, c);

	if (r != 0) {
		log_error(WHERE, "cannot remove a file: %s title=%s", err_text(r), p->title);
		return;
	}
	__atomic_store_n(&p->copies[index]->evicted, true, __ATOMIC_RELAXED);
	counters_add(s->counters, COUNT_EVICTED_BYTES, bytes);
	counters_add(s->counters, COUNT_EVICTED_FILES, 1);
}

static void evict(struct space *s, struct pulled *p, uint64_t need)
{
	size_t *victims = mem_new_array(p->n + 1, sizeof *victims);
	size_t n = evict_pick(p->items, p->n, need, victims);

	for (size_t i = 0; i < p->n; i++) {
		p->copies[i]->order = p->items[i].order;
		__atomic_store_n(&p->copies[i]->uses, p->items[i].uses, __ATOMIC_RELAXED);
	}
	for (size_t i = 0; i < n; i++)
		evict_copy(s, p->copies[victims[i]]);
	free(victims);
}

static void evict_pulled(struct space *s, uint64_t need, const struct copy *except)
{
	struct pulled p = {0};

	find_pulled(s, &p, except);
	evict(s, &p, need);
	free(p.copies);
	free(p.items);
}

/* --- what callers ask ------------------------------------------------------------------ */

static uint64_t pull_share(const struct space *s)
{
	return store_capacity(s->store) / 100 * s->pull_percent;
}

static void keep_share(struct space *s, struct copy *c, uint64_t bytes)
{
	uint64_t share = pull_share(s);
	struct pulled p = {0};

	find_pulled(s, &p, c);
	if (p.bytes + bytes > share)
		evict(s, &p, p.bytes + bytes - share);
	free(p.copies);
	free(p.items);
}

static void make_available(struct space *s, uint64_t bytes, const struct copy *except)
{
	uint64_t available;

	while ((available = store_available(s->store)) < bytes && remove_unlisted(s))
		;
	if (available < bytes)
		evict_pulled(s, bytes - available, except);
}

void space_make_room(struct space *s, struct copy *c, uint64_t bytes)
{
	if (!package_keeps(c->package, c->index))
		keep_share(s, c, bytes);
	if (store_available(s->store) < bytes)
		make_available(s, bytes, c);
}

bool space_for_fill(struct space *s, uint64_t bytes)
{
	if (store_available(s->store) < bytes)
		make_available(s, bytes, NULL);
	return store_available(s->store) >= bytes;
}
