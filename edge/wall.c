/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One number: the origin's clock less the monotonic one.  So what is heard holds
 * however often this machine's clock is set afterwards, and is exact to what the
 * machine's oscillator drifts until the next heartbeat.
 */
#include "edge/wall.h"

#include <stdlib.h>

#include "base/mem.h"

#define UNHEARD INT64_MIN

struct wall {
	int64_t ahead; /* atomic: the origin's clock before clock_mono */
};

struct wall *wall_new(void)
{
	struct wall *w = mem_new(sizeof *w);

	w->ahead = UNHEARD;
	return w;
}

void wall_free(struct wall **pw)
{
	free(*pw);
	*pw = NULL;
}

void wall_hear(struct wall *w, wall_us origin, mono_us when)
{
	__atomic_store_n(&w->ahead, origin - when, __ATOMIC_RELAXED);
}

wall_us wall_now(const struct wall *w)
{
	int64_t ahead = __atomic_load_n(&w->ahead, __ATOMIC_RELAXED);
	wall_us own = clock_wall(), origins;

	if (ahead == UNHEARD)
		return own;
	origins = clock_mono() + ahead;
	return own - origins > WALL_MAX || origins - own > WALL_MAX ? origins : own;
}
