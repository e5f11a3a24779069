/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Placement by one ranked list: pins, then demand (what is held counts a little
 * more, so that near ties do not move bytes), then the newest; taken greedily
 * while it fits.  Invariant: the ranking is a total order that does not depend
 * on the order of the input.
 */
#include "cdn/placement.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static double worth(const struct placement_item *i)
{
	return i->held ? i->demand * (1 + PLACEMENT_HYSTERESIS) : i->demand;
}

static int compare(const void *pa, const void *pb, void *ctx)
{
	const struct placement_item *items = ctx;
	const struct placement_item *a = &items[((const struct placement_choice *)pa)->item];
	const struct placement_item *b = &items[((const struct placement_choice *)pb)->item];
	int r;

	if (a->current != b->current)
		return a->current ? -1 : 1;
	if (a->pinned != b->pinned)
		return a->pinned ? -1 : 1;
	if (worth(a) != worth(b))
		return worth(a) > worth(b) ? -1 : 1;
	if (a->published != b->published)
		return a->published > b->published ? -1 : 1;
	r = strcmp(a->title, b->title);
	return r != 0 ? r : strcmp(a->revision, b->revision);
}

static enum placement_why decide(const struct placement_item *i, uint64_t *room)
{
	if (!i->current)
		return PLACEMENT_OLD;
	if (i->banned)
		return PLACEMENT_BANNED;
	if (i->bytes > *room)
		return PLACEMENT_NO_ROOM;
	*room -= i->bytes;
	return i->pinned ? PLACEMENT_PINNED : PLACEMENT_RANKED;
}

/* Stable: moves the choices to hold to the front. */
static void held_first(struct placement_choice *c, size_t n)
{
	struct placement_choice *rest = mem_new_array(n + 1, sizeof *rest);
	size_t n_held = 0, n_rest = 0;

	for (size_t i = 0; i < n; i++) {
		if (c[i].hold)
			c[n_held++] = c[i];
		else
			rest[n_rest++] = c[i];
	}
	if (n_rest > 0)
		memcpy(c + n_held, rest, n_rest * sizeof *rest);
	free(rest);
}

void placement_plan(const struct placement_item *items, size_t n, uint64_t capacity,
                    struct placement_choice *ret_choices)
{
	uint64_t room = capacity;

	for (size_t i = 0; i < n; i++)
		ret_choices[i] = (struct placement_choice){.item = i};
	qsort_r(ret_choices, n, sizeof *ret_choices, compare, (void *)items);
	for (size_t i = 0; i < n; i++) {
		struct placement_choice *c = &ret_choices[i];

		c->why = decide(&items[c->item], &room);
		c->hold = c->why == PLACEMENT_PINNED || c->why == PLACEMENT_RANKED;
	}
	held_first(ret_choices, n);
}

const char *placement_why_text(enum placement_why why)
{
	static const char *const texts[] = {
		[PLACEMENT_PINNED] = "pinned",
		[PLACEMENT_RANKED] = "ranked",
		[PLACEMENT_NO_ROOM] = "no room",
		[PLACEMENT_OLD] = "old revision",
		[PLACEMENT_BANNED] = "banned",
	};
	return texts[why];
}
