/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: `used` is the sum of the bytes of what is in the heap.
 */
#include "cdn/tier.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

void tier_fini(struct tier *t)
{
	heap_fini(&t->held);
	t->used = 0;
}

void tier_drop(struct tier *t, const struct tier_items *items, uint32_t item)
{
	if (!heap_has(&t->held, item))
		return;
	heap_drop(&t->held, item);
	t->used -= items->bytes[item];
}

void tier_put(struct tier *t, const struct tier_items *items, uint32_t item)
{
	if (!heap_has(&t->held, item))
		t->used += items->bytes[item];
	heap_put(&t->held, item, items->keys[item]);
}

static void note(struct tier_changes *c, uint32_t item, bool add)
{
	MEM_GROW(c->v, c->cap, c->n);
	c->v[c->n++] = (struct tier_change){item, add};
}

bool tier_admit(struct tier *t, const struct tier_items *items, uint32_t item, struct tier_changes *changes)
{
	uint64_t bytes = items->bytes[item];
	size_t first = changes->n;

	if (bytes == 0 || bytes > items->capacity || items->keys[item] == -INFINITY)
		return false;
	while (t->held.n > 0 && t->used + bytes > items->capacity) {
		uint32_t worst = heap_top(&t->held);

		if (!(heap_top_key(&t->held) + TIER_MARGIN < items->keys[item])) {
			while (changes->n > first)
				tier_put(t, items, changes->v[--changes->n].item);
			return false;
		}
		tier_drop(t, items, worst);
		note(changes, worst, false);
	}
	tier_put(t, items, item);
	note(changes, item, true);
	return true;
}

struct candidate {
	double key;
	uint32_t item;
};

static int best_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

/* Those that may come in: worth more than the worst that is held, or than nothing while there is room. */
static size_t list(const struct tier *t, const struct tier_items *items, struct candidate *ret)
{
	bool full = t->held.n > 0 && t->used + items->capacity / 100 > items->capacity;
	double least = full ? heap_top_key(&t->held) : -INFINITY;
	size_t n = 0;

	for (size_t i = 0; i < items->n; i++)
		if (items->keys[i] > least && items->bytes[i] > 0 && !heap_has(&t->held, (uint32_t)i))
			ret[n++] = (struct candidate){items->keys[i], (uint32_t)i};
	qsort(ret, n, sizeof *ret, best_first);
	return n;
}

uint64_t tier_night(struct tier *t, const struct tier_items *items, uint64_t budget, struct tier_changes *changes)
{
	struct candidate *candidates = mem_new_array(items->n + 1, sizeof *candidates);
	size_t n = list(t, items, candidates);
	uint64_t spent = 0;
	bool only_room = false; /* nobody else outranks who is here; small ones may still fit beside */

	for (size_t i = 0; i < n; i++) {
		uint32_t item = candidates[i].item;

		if (items->bytes[item] > budget - spent || items->bytes[item] > items->capacity)
			continue;
		if (only_room && t->used + items->bytes[item] > items->capacity)
			continue;
		if (tier_admit(t, items, item, changes))
			spent += items->bytes[item];
		else
			only_room = true;
	}
	free(candidates);
	return spent;
}
