/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What goes from a full share of a disk: first in, first out, but what was
 * asked for again while it waited gets another round (up to three).  A scan
 * of many files nobody asks for twice passes through without harm.  Pure.
 */
#ifndef RIBERA_CDN_EVICT_H
#define RIBERA_CDN_EVICT_H

#include <stddef.h>
#include <stdint.h>

#define EVICT_MAX_USES 3

struct evict_item {
	uint64_t bytes; /* freed when it goes */
	uint64_t order; /* smaller came earlier; raised when an item gets another round */
	unsigned uses;  /* since it came in or got its last round; lowered by a round */
};

/* Picks items until their bytes reach `need`, or all are picked.  Writes their
 * indexes to ret_victims (room for n), in the order in which they go, and
 * returns how many; `order` and `uses` of those who stay are brought up to date. */
size_t evict_pick(struct evict_item *, size_t n, uint64_t need, size_t *ret_victims);

#endif
