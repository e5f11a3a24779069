/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A round looks at every item at most once in order, so at most
 * EVICT_MAX_USES + 1 rounds end with everything picked.
 */
#include "cdn/evict.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct place {
	uint64_t order;
	size_t index;
};

static int by_order(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

size_t evict_pick(struct evict_item *items, size_t n, uint64_t need, size_t *ret_victims)
{
	struct place *queue = mem_new_array(n + 1, sizeof *queue);
	uint64_t freed = 0, last;
	size_t victims = 0, left = n;

	for (size_t i = 0; i < n; i++)
		queue[i] = (struct place){items[i].order, i};
	qsort(queue, n, sizeof *queue, by_order);
	last = n > 0 ? queue[n - 1].order : 0;
	while (left > 0 && freed < need) {
		size_t kept = 0, q = 0;

		for (; q < left && freed < need; q++) {
			struct evict_item *item = &items[queue[q].index];

			if (item->uses > 0) {
				item->uses = (item->uses < EVICT_MAX_USES ? item->uses : EVICT_MAX_USES) - 1;
				item->order = ++last;
				queue[kept++] = queue[q];
			} else {
				freed += item->bytes;
				ret_victims[victims++] = queue[q].index;
			}
		}
		if (q < left)
			break; /* enough */
		left = kept;
	}
	free(queue);
	return victims;
}
