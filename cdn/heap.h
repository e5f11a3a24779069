/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A heap of numbered things with the least key on top; a thing's key can be
 * changed, and it can be taken out of the middle.  Equal keys: the smaller
 * number first, so that the order never depends on history.  Pure; the owner's thread.
 */
#ifndef RIBERA_CDN_HEAP_H
#define RIBERA_CDN_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: empty. */
struct heap {
	uint32_t *things;  /* the heap */
	double *keys;      /* beside it */
	uint32_t *place;   /* by thing: 1 + its index in `things`, 0: not in */
	size_t n, cap, cap_place;
};

void heap_fini(struct heap *);
void heap_put(struct heap *, uint32_t thing, double key); /* or changes its key */
void heap_drop(struct heap *, uint32_t thing);            /* one that is not in is let be */
void heap_clear(struct heap *);

static inline bool heap_has(const struct heap *h, uint32_t thing)
{
	return thing < h->cap_place && h->place[thing] != 0;
}

/* The one on top; the heap is not empty. */
static inline uint32_t heap_top(const struct heap *h)
{
	return h->things[0];
}

static inline double heap_top_key(const struct heap *h)
{
	return h->keys[0];
}

#endif
