/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who has to go when the disk is full: first packages the plan does not list,
 * then what was pulled through, what is worth least first (edge/admit.h).  What the plan wants held is never
 * given up.  The engine's thread.
 */
#ifndef RIBERA_EDGE_SPACE_H
#define RIBERA_EDGE_SPACE_H

#include "base/counter.h"
#include "edge/admit.h"
#include "edge/flights.h"
#include "edge/store.h"

struct space {
	struct store *store;
	struct flights *flights;
	struct admit *admit;
	struct counters *counters;
	uint64_t pull_percent; /* of the capacity: what pulled files may take */
	/* A package was removed: its names must leave the index before it is. */
	void (*forget)(void *ctx, struct package *);
	void *ctx;
	bool displaced; /* something that was outranked is still here: others were at it */
};

/* Is a piece of this copy to be kept?  If so there is room for it then, as far as something can go for it. */
/* Bytes that files beside the plan may have. */
uint64_t space_share(const struct space *);
bool space_keeps(struct space *, struct copy *, uint64_t bytes);
/* It was outranked: goes now, or when nobody is at it any more. */
void space_displace(struct space *, struct copy *);
void space_step(struct space *); /* from time to time */

/* Room for so much of what the plan wants held.  False: not even without everything else. */
bool space_for_fill(struct space *, uint64_t bytes);

#endif
