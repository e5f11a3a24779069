/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Planning ahead: dynamic programming over buffer levels and rungs with the true
 * sizes of the next segments, for a handful of futures in each of which the line
 * has its own rates.  The first segment is the same in all of them, what comes
 * later adapts.  Behind each segment the line may be drawn anew from all futures:
 * with no chance of that the plan thinks that it will know which one it is in.
 * Pure; about 1 KiB of work a future, rung and segment.
 */
#ifndef RIBERA_PLAYER_ABR_PLAN_H
#define RIBERA_PLAYER_ABR_PLAN_H

#include "player/abr_rule.h"

#define PLAN_LEVELS 160
#define PLAN_FUTURES 8
#define PLAN_DEPTH 20

/* The tables; no meaning between calls. */
struct plan {
	float value[PLAN_FUTURES][2][ABR_MAX_RUNGS][PLAN_LEVELS];
};

struct plan_question {
	unsigned segment, last;    /* to choose for; the rung before */
	unsigned depth;            /* segments to look ahead, at most PLAN_DEPTH */
	double buffer, latency;    /* seconds; time from request to first byte */
	unsigned n_futures;
	double mbps[PLAN_FUTURES][PLAN_DEPTH]; /* rate of the line in each, per segment ahead */
	double redraw;             /* chance after a segment that the line goes on as in any of them, 0 to 1 */
	double stall;              /* cost of a second of it, Mbit/s */
	double interruption;       /* what any stall costs besides, as so many seconds of it */
	double change;             /* cost of a Mbit/s of switching */
	bool running;              /* the segment is under way with the rung `last` and so many Mbit are left */
	double left;
};

/* Expected worth of each rung now, in Mbit/s summed over the segments; returns the best rung. */
unsigned plan_best(struct plan *, const struct abr_film *, const struct plan_question *,
                   double ret_worth[static ABR_MAX_RUNGS]);

#endif
