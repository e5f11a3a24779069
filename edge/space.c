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
	struct copy *copy;
	double worth;
};

static int least_first(const void *a, const void *b)
{
	const struct pulled *x = a, *y = b;

	return (x->worth > y->worth) - (x->worth < y->worth);
}

/* The manifest stays: without it nobody would come for the rest. */
static bool may_go(struct space *s, const struct copy *c, const struct copy *except)
{
	return c != except && !package_keeps(c->package, c->index) && held(c) > 0 && !copy_is_manifest(c) &&
	       !flights_touch(s->flights, c);
}

static struct pulled *find_pulled(struct space *s, const struct copy *except, size_t *ret_n)
{
	size_t count, n = 0, cap = 0;
	struct package **packages = store_packages(s->store, &count);
	struct pulled *pulled = NULL;
	mono_us now = clock_mono();

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < packages[i]->digest->n_files; k++) {
			struct copy *c = packages[i]->copies[k];

			if (!may_go(s, c, except))
				continue;
			MEM_GROW(pulled, cap, n);
			pulled[n++] = (struct pulled){c, admit_worth(s->admit, c, now)};
		}
	*ret_n = n;
	return pulled;
}

static void evict_copy(struct space *s, struct copy *c)
{
	struct package *p = c->package;
	size_t index = c->index;
	uint64_t bytes = held(c);
	int r;

	admit_dropped(s->admit, c);
	r = store_reset_copy(s->store, c);
	if (r != 0) {
		log_error(WHERE, "cannot remove a file: %s title=%s", err_text(r), p->title);
		return;
	}
	__atomic_store_n(&p->copies[index]->evicted, true, __ATOMIC_RELAXED);
	counters_add(s->counters, COUNT_EVICTED_BYTES, bytes);
	counters_add(s->counters, COUNT_EVICTED_FILES, 1);
}

static void evict_pulled(struct space *s, uint64_t need, const struct copy *except)
{
	size_t n;
	struct pulled *pulled = find_pulled(s, except, &n);
	uint64_t freed = 0;

	if (n > 1)
		qsort(pulled, n, sizeof *pulled, least_first);
	for (size_t i = 0; i < n && freed < need; i++) {
		freed += held(pulled[i].copy);
		evict_copy(s, pulled[i].copy);
	}
	free(pulled);
}

void space_displace(struct space *s, struct copy *c)
{
	if (may_go(s, c, NULL))
		evict_copy(s, c);
	else if (held(c) > 0 || flights_touch(s->flights, c))
		s->displaced = true;
}

void space_step(struct space *s)
{
	size_t n;
	struct pulled *pulled;

	if (!s->displaced)
		return;
	s->displaced = false;
	pulled = find_pulled(s, NULL, &n);
	for (size_t i = 0; i < n; i++)
		if (!admit_holds(s->admit, pulled[i].copy))
			evict_copy(s, pulled[i].copy);
	free(pulled);
}

/* --- what callers ask ------------------------------------------------------------------ */

static void make_available(struct space *s, uint64_t bytes, const struct copy *except)
{
	uint64_t available;

	while ((available = store_available(s->store)) < bytes && remove_unlisted(s))
		;
	if (available < bytes)
		evict_pulled(s, bytes - available, except);
}

uint64_t space_share(const struct space *s)
{
	return store_capacity(s->store) / 100 * s->pull_percent;
}

bool space_keeps(struct space *s, struct copy *c, uint64_t bytes)
{
	if (!package_keeps(c->package, c->index) && !copy_is_manifest(c)) {
		bool held_before = admit_holds(s->admit, c);

		if (!admit_keeps(s->admit, c, space_share(s), clock_mono()))
			return false;
		counters_add(s->counters, COUNT_ADMITTED, !held_before);
	}
	if (store_available(s->store) < bytes)
		make_available(s, bytes, c);
	return true;
}

bool space_for_fill(struct space *s, uint64_t bytes)
{
	if (store_available(s->store) < bytes)
		make_available(s, bytes, NULL);
	return store_available(s->store) >= bytes;
}
