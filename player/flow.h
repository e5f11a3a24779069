/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Does what came of a body by now say how fast the line is?  When TCP has lost a
 * packet, all behind it waits in the kernel until it was sent again, behind a full
 * queue: for a second and more nothing is to be read, or a little, while the line is
 * as fast as ever.  A body given up then is given up for nothing.  Pure.
 */
#ifndef RIBERA_PLAYER_FLOW_H
#define RIBERA_PLAYER_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct flow {
	uint64_t got;      /* at the last look */
	unsigned in_row;   /* looks since which bytes came at every one */
	mono_us steady;    /* when it said so last */
};

void flow_begin(struct flow *, mono_us now);
/* A look at a body that runs, every LANE_TICK: true when what it has got is the line's doing. */
bool flow_tells(struct flow *, uint64_t got, mono_us now);

#endif
