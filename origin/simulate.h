/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One store on one log: what the placement rule makes of it, with and without
 * keeping by day, and what five pull caches do.  The rule sees a request only
 * after it happened; what a night brings can be served from the end of its window.
 */
#ifndef RIBERA_ORIGIN_SIMULATE_H
#define RIBERA_ORIGIN_SIMULATE_H

#include "cdn/pull.h"
#include "origin/trace.h"

struct simulate_settings {
	uint64_t capacity;
	double judged_from;   /* part of the log's time that only warms up */
	uint64_t night_budget; /* bytes; 0: the rule's own */
	unsigned window_hours;
};

struct simulate_result {
	double byte_hit, request_hit; /* parts of one, of what was judged */
	double fill;                  /* bytes pushed / bytes served */
	double writes;                /* capacities a day */
	double worst_night;           /* most a night brought, parts of the capacity */
	double half_life;             /* days, in use at the end; 0: none */
};

enum simulate_mode { SIMULATE_ADMIT, SIMULATE_PUSH };

void simulate_ranked(const struct trace *, const struct simulate_settings *, enum simulate_mode,
                     struct simulate_result *ret_result);
void simulate_pull(const struct trace *, const struct simulate_settings *, enum pull_rule,
                   struct simulate_result *ret_result);
/* Edges of one place, `capacity` each: alone (viewers come at random, a miss asks the
 * other edges before the origin) or together (viewers are sent to who owns the item). */
struct simulate_site_result {
	double origin;    /* bytes from the origin / bytes served */
	double most_load; /* bytes the busiest edge sent / the mean */
};
void simulate_site(const struct trace *, const struct simulate_settings *, size_t n_edges, bool together,
                   struct simulate_site_result *ret_result);
/* The hour of the day (UTC) at which the quietest window of the warm-up begins. */
unsigned simulate_quiet_hour(const struct trace *, const struct simulate_settings *);

#endif
