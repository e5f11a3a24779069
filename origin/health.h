/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What several observers make of an edge: its heartbeats (the registry), the
 * origin's own asking (origin/probe), and how often it came and went.  The
 * result stands in its holders_edge, where steering reads it.
 *
 * The origin's probe is believed only of edges that it could reach once: one that
 * it never could is perhaps not reachable from here alone, and comes behind those
 * that it can reach.  And where of three or more most fail at the same time, it is
 * the origin's own line that is ill, and nobody is left out.
 *
 * Under the registry's lock.
 */
#ifndef RIBERA_ORIGIN_HEALTH_H
#define RIBERA_ORIGIN_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "cdn/flap.h"

#define HEALTH_MISSES 2 /* probes without an answer, one after the other */

struct registry_edge;

struct health {
	struct flap flap;
	unsigned misses; /* of the probe, in a row */
	bool reached;    /* by the probe, ever */
	bool probed;
};

void health_fell(struct registry_edge *, mono_us now);
/* It is back: slow start, and held out when it fell often. */
void health_back(struct registry_edge *, mono_us now);
/* It has been well for `up` and said more before, or less than nothing: it began anew, too fast for its heartbeats to be missed.
 * Slow start. */
void health_began_anew(struct registry_edge *, dur_us up, mono_us now);
/* Its address changed: what was seen of the old one says nothing. */
void health_moved(struct registry_edge *);
/* The probe's result for `e`, one of the n edges. */
void health_probed(struct registry_edge *const *edges, size_t n, struct registry_edge *e, bool answered);

#endif
