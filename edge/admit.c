/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Files are numbered when they are first met; a package knows the numbers of its
 * files (ranks), the table here knows the files of the numbers.
 */
#include "edge/admit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cdn/ranked.h"
#include "edge/plays.h"

#define SAVE_EVERY (5 * DUR_MIN)

struct item {
	struct package *package; /* NULL: the number is free */
	size_t index;
};

struct admit {
	struct ranked *ranked;
	struct item *items;
	size_t n, cap;
	uint32_t *spare; /* free numbers */
	size_t n_spare, cap_spare;
	struct plays *plays;
	const struct wall *wall;
	bool recalled;
	mono_us saved;
	void (*evict)(void *ctx, struct copy *);
	void *ctx;
};

struct admit *admit_new(const char *path, const struct wall *wall, void (*evict)(void *ctx, struct copy *), void *ctx)
{
	const struct ranked_settings s = {.admits = true};
	struct admit *a = mem_new(sizeof *a);

	a->ranked = ranked_new(&s);
	a->plays = plays_new(path);
	a->wall = wall;
	a->saved = clock_mono();
	a->evict = evict;
	a->ctx = ctx;
	return a;
}

/* --- numbers --------------------------------------------------------------------------- */

static struct rank *rank_of(const struct copy *c)
{
	return &c->package->ranks[c->index];
}

static struct copy *copy_at(const struct admit *a, uint32_t number)
{
	const struct item *item = &a->items[number];

	return item->package != NULL ? item->package->copies[item->index] : NULL;
}

static void forget(struct admit *a, uint32_t number)
{
	struct item *item = &a->items[number];

	item->package->ranks[item->index].number = 0;
	item->package = NULL;
	ranked_forget(a->ranked, number);
	MEM_GROW(a->spare, a->cap_spare, a->n_spare);
	a->spare[a->n_spare++] = number;
}

struct standing {
	double worth;
	uint32_t number;
};

static int least_first(const void *a, const void *b)
{
	const struct standing *x = a, *y = b;

	return (x->worth > y->worth) - (x->worth < y->worth);
}

/* Of what is not held, the half that is worth least. */
static void forget_half(struct admit *a, mono_us now)
{
	struct standing *all = mem_new_array(a->n + 1, sizeof *all);
	size_t n = 0;

	for (uint32_t i = 0; i < a->n; i++)
		if (a->items[i].package != NULL && !ranked_holds(a->ranked, i))
			all[n++] = (struct standing){ranked_worth(a->ranked, i, now / DUR_S), i};
	qsort(all, n, sizeof *all, least_first);
	for (size_t i = 0; i < n / 2 + 1 && i < n; i++)
		forget(a, all[i].number);
	free(all);
}

static uint32_t number_of(struct admit *a, const struct copy *c, mono_us now)
{
	struct rank *rank = rank_of(c);
	uint32_t number;

	if (rank->number > 0)
		return rank->number - 1;
	if (a->n_spare == 0 && a->n >= ADMIT_MAX_FILES)
		forget_half(a, now);
	if (a->n_spare > 0) {
		number = a->spare[--a->n_spare];
	} else {
		MEM_GROW(a->items, a->cap, a->n);
		number = (uint32_t)a->n++;
	}
	a->items[number] = (struct item){c->package, c->index};
	rank->number = number + 1;
	ranked_know(a->ranked, number, c->object.size);
	return number;
}

/* --- plays ----------------------------------------------------------------------------- */

/* What was streamed of it since the last look; at least `least` bytes. */
static void look(struct admit *a, const struct copy *c, uint64_t least, mono_us now)
{
	struct rank *rank = rank_of(c);
	uint32_t number = number_of(a, c, now);
	uint64_t bytes = __atomic_load_n(&c->bytes, __ATOMIC_RELAXED), fresh = bytes - rank->seen;

	rank->seen = bytes;
	fresh = fresh > least ? fresh : least;
	rank->unsaved += fresh;
	ranked_played(a->ranked, number, fresh, now / DUR_S);
}

/* At each decision: what was asked for a moment ago must not go as if nobody wanted it. */
static void look_at_held(struct admit *a, mono_us now)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->items[i].package != NULL && ranked_holds(a->ranked, i))
			look(a, copy_at(a, i), 0, now);
}

/* --- over restarts --------------------------------------------------------------------- */

static void save(struct admit *a)
{
	wall_us when = wall_now(a->wall);

	for (uint32_t i = 0; i < a->n; i++) {
		const struct package *p = a->items[i].package;
		struct rank *rank = p != NULL ? &p->ranks[a->items[i].index] : NULL;

		if (rank == NULL || rank->unsaved == 0)
			continue;
		plays_note(a->plays, p->title, p->revision, p->digest->files[a->items[i].index].name, rank->unsaved, when);
		rank->unsaved = 0;
	}
	plays_flush(a->plays);
}

void admit_step(struct admit *a, mono_us now)
{
	if (now - a->saved < SAVE_EVERY)
		return;
	a->saved = now;
	look_at_held(a, now);
	save(a);
}

void admit_free(struct admit **pa)
{
	if (*pa == NULL)
		return;
	save(*pa);
	plays_free(&(*pa)->plays);
	ranked_free(&(*pa)->ranked);
	free((*pa)->items);
	free((*pa)->spare);
	free(*pa);
	*pa = NULL;
}

/* --- what is asked ---------------------------------------------------------------------- */

bool admit_holds(const struct admit *a, const struct copy *c)
{
	return rank_of(c)->number > 0 && ranked_holds(a->ranked, rank_of(c)->number - 1);
}

double admit_worth(struct admit *a, struct copy *c, mono_us now)
{
	look(a, c, 0, now);
	return ranked_worth(a->ranked, number_of(a, c, now), now / DUR_S);
}

void admit_dropped(struct admit *a, const struct copy *c)
{
	if (rank_of(c)->number > 0)
		ranked_set_held(a->ranked, rank_of(c)->number - 1, false);
}

bool admit_keeps(struct admit *a, struct copy *c, uint64_t share, mono_us now)
{
	const struct tier_changes *changes;

	if (c->object.size == 0)
		return true;
	ranked_set_capacity(a->ranked, share);
	look(a, c, 1, now); /* one read ahead of all plays is worth next to nothing, but something */
	if (admit_holds(a, c))
		return true;
	look_at_held(a, now);
	changes = ranked_admit(a->ranked, rank_of(c)->number - 1);
	for (size_t i = 0; i < changes->n; i++)
		if (!changes->v[i].add)
			a->evict(a->ctx, copy_at(a, changes->v[i].item));
	return changes->n > 0;
}

/* --- stock ----------------------------------------------------------------------------- */

static void take_in(struct admit *a, struct package *p, size_t index, mono_us now)
{
	struct copy *c = p->copies[index];
	uint64_t held = __atomic_load_n(&c->held, __ATOMIC_RELAXED);

	if (package_keeps(p, index)) {
		admit_dropped(a, c);
	} else if (held > 0 && !copy_is_manifest(c) && !admit_holds(a, c)) {
		look(a, c, rank_of(c)->number == 0 ? held : 0, now); /* it was played to come here */
		ranked_set_held(a->ranked, rank_of(c)->number - 1, true);
	}
}

void admit_take_stock(struct admit *a, const struct store *store, mono_us now)
{
	size_t n;
	struct package **packages = store_packages(store, &n);

	if (!a->recalled)
		return;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < packages[i]->digest->n_files; k++)
			take_in(a, packages[i], k, now);
}

struct recalling {
	struct admit *admit;
	const struct store *store;
	mono_us now;
	wall_us wall;
};

/* When it was comes from the time of day; one that was wrong then must not make it a play of tomorrow. */
static void recall_play(void *ctx, const char *title, const char *revision, const char *file, uint64_t bytes, wall_us when)
{
	struct recalling *r = ctx;
	struct package *p = store_find(r->store, title, revision);
	int index = p != NULL ? package_find(p, file, strlen(file)) : -1;
	dur_us ago = r->wall > when ? r->wall - when : 0;

	if (index < 0 || (size_t)index >= p->digest->n_files || bytes == 0)
		return;
	ranked_played(r->admit->ranked, number_of(r->admit, p->copies[index], r->now), bytes, (r->now - ago) / DUR_S);
}

void admit_recall(struct admit *a, const struct store *store, uint64_t share, mono_us now)
{
	struct recalling r = {a, store, now, wall_now(a->wall)};

	ranked_set_capacity(a->ranked, share);
	plays_read(a->plays, recall_play, &r);
	a->recalled = true;
	admit_take_stock(a, store, now);
}

void admit_forget(struct admit *a, struct package *p)
{
	for (size_t i = 0; i < p->digest->n_files; i++)
		if (p->ranks[i].number > 0)
			forget(a, p->ranks[i].number - 1);
}
