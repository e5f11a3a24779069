/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What one store holds, worst on top, and the one rule by which it changes: an
 * item comes in only if it fits, or is worth more per byte, by a margin, than
 * everything that must go for it.  Keys are log2 of worth, so a margin is a
 * ratio.  Pure; the owner's thread.
 */
#ifndef RIBERA_CDN_TIER_H
#define RIBERA_CDN_TIER_H

#include "cdn/heap.h"

/* What a newcomer must be worth more: 2^0.2 is 15 %. */
#define TIER_MARGIN 0.2

struct tier_change {
	uint32_t item;
	bool add;
};

/* A list that grows; zeroed: empty. */
struct tier_changes {
	struct tier_change *v;
	size_t n, cap;
};

/* Zeroed: nothing held. */
struct tier {
	struct heap held; /* by key */
	uint64_t used;    /* bytes */
};

/* What all items of a store are; views. */
struct tier_items {
	const uint64_t *bytes; /* 0: not known, never comes in */
	const double *keys;    /* log2 of worth; -INFINITY: worth nothing */
	size_t n;
	uint64_t capacity;
};

void tier_fini(struct tier *);
void tier_drop(struct tier *, const struct tier_items *, uint32_t item);
/* Puts the item in whatever the room: what is there without having been asked for. */
void tier_put(struct tier *, const struct tier_items *, uint32_t item);

/* Appends what must go, then the item, and does it; or changes nothing and returns false. */
bool tier_admit(struct tier *, const struct tier_items *, uint32_t item, struct tier_changes *);

/* The night: the best that are not held come in, best first, while they are worth
 * it and their bytes fit the budget; one too large for what is left is passed over.
 * Appends every change; returns the bytes that come in. */
uint64_t tier_night(struct tier *, const struct tier_items *, uint64_t budget, struct tier_changes *);

#endif
