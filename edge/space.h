/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who has to go when the disk is full: first packages the plan does not list,
 * then what was pulled through (cdn/evict.h).  What the plan wants held is never
 * given up.  The engine's thread.
 */
#ifndef RIBERA_EDGE_SPACE_H
#define RIBERA_EDGE_SPACE_H

#include "base/counter.h"
#include "edge/flights.h"
#include "edge/store.h"

struct space {
	struct store *store;
	struct flights *flights;
	struct counters *counters;
	uint64_t pull_percent; /* of the capacity: what pulled files may take */
	/* A package was removed: its names must leave the index before it is. */
	void (*forget)(void *ctx, struct package *);
	void *ctx;
};

/* Room for a piece of this copy, as far as something can go for it. */
void space_make_room(struct space *, struct copy *, uint64_t bytes);

/* Room for so much of what the plan wants held.  False: not even without everything else. */
bool space_for_fill(struct space *, uint64_t bytes);

#endif
