/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What time it is, for all that goes by the time of day: window, rates, hours
 * of demand, signed requests.  An edge may boot with any clock and have it set
 * under way; where it differs from the origin's by more than WALL_MAX, the
 * origin's counts, carried on by the monotonic clock from when it was heard.
 * Any thread.
 */
#ifndef RIBERA_EDGE_WALL_H
#define RIBERA_EDGE_WALL_H

#include "base/clock.h"

#define WALL_MAX (3 * DUR_S)

struct wall; /* hidden */

struct wall *wall_new(void);
void wall_free(struct wall **);
/* The origin's clock showed `origin` at `when`. */
void wall_hear(struct wall *, wall_us origin, mono_us when);
/* The machine's own until the origin was heard. */
wall_us wall_now(const struct wall *);

#endif
