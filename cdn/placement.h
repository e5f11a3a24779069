/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Placement: which revisions an edge shall hold, in which order it fills them.
 * Pure: the same input gives the same plan, and an edge that has done what the
 * plan says gets the same plan again (no churn).
 */
#ifndef RIBERA_CDN_PLACEMENT_H
#define RIBERA_CDN_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* One revision that could be held. */
struct placement_item {
	const char *title, *revision; /* views; the order of last resort */
	uint64_t bytes;               /* on the edge's disk */
	wall_us published;
	double demand;                /* plays expected, any unit, comparable between items; 0: unknown */
	bool pinned;                  /* by the operator: before all others */
	bool banned;                  /* by the operator: never held by plan */
	bool current;                 /* the title's newest; older revisions are never filled */
	bool held;                    /* by this edge, complete */
};

enum placement_why {
	PLACEMENT_PINNED,
	PLACEMENT_RANKED,    /* worth its bytes */
	PLACEMENT_NO_ROOM,   /* would not fit behind the better ones */
	PLACEMENT_OLD,       /* a newer revision took its place */
	PLACEMENT_BANNED,    /* the operator does not want it here */
};

struct placement_choice {
	size_t item; /* index into the items */
	bool hold;
	enum placement_why why;
};

const char *placement_why_text(enum placement_why);

/* What a newcomer must be worth more, relative to what it displaces. */
#define PLACEMENT_HYSTERESIS 0.15

/* Fills ret_choices[0..n-1]: all items, in rank order, those to hold before
 * those not to hold.  The held sum never passes `capacity`. */
void placement_plan(const struct placement_item *, size_t n, uint64_t capacity, struct placement_choice *ret_choices);

#endif
