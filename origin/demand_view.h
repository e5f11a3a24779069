/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sums of demand that are dear.  What is counted quickly is counted anew whenever it is asked for.  What takes more than
 * DEMAND_VIEW_DEAR of the processor is kept as the text it became: whoever asks again gets that at once, and a thread of its own counts
 * it anew while it is asked for, so rarely that it takes a twentieth of a core at most.  The same thread counts what is
 * popular.  Any thread may ask.
 */
#ifndef RIBERA_ORIGIN_DEMAND_VIEW_H
#define RIBERA_ORIGIN_DEMAND_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct blob;
struct catalogue;
struct demand_view; /* hidden */
struct popular;

#define DEMAND_VIEW_DEAR (20 * DUR_MS)
#define DEMAND_VIEW_OLDEST (3 * DUR_MIN) /* what could not be counted for longer is not told any more */

struct demand_view_query {
	bool by_hour;
	uint64_t hours;          /* back from now, this one among them */
	const char *edge, *title; /* NULL: all; borrowed for the call */
};

/* Borrows both.  Starts the thread; its error when that is not possible. */
int demand_view_new(struct catalogue *, struct popular *, struct demand_view **);
void demand_view_free(struct demand_view **); /* waits for the thread; NULL is fine */

/* The same if it is known, else false: does not wait. */
bool demand_view_look(struct demand_view *, const struct demand_view_query *, struct blob **ret_json, dur_us *ret_age);
/* The answer as JSON (owned by the caller), and how long ago it was counted.  The catalogue's errors. */
int demand_view_ask(struct demand_view *, const struct demand_view_query *, struct blob **ret_json, dur_us *ret_age, struct fault *);

#endif
