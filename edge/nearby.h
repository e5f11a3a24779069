/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How far this edge's viewers are: the round trips that the kernel measures of their connections anyway, by network
 * (cdn/nearness.h: /24 and /48), for the origin's steering.  Of addresses nothing is kept.  Bounded: the network seen
 * longest ago makes room.  What is kept of a network follows low round trips at once and high ones slowly, so that one viewer with a
 * slow last mile says little of where all of them are.
 */
#ifndef RIBERA_EDGE_NEARBY_H
#define RIBERA_EDGE_NEARBY_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define NEARBY_NETWORKS 4096
#define NEARBY_LEAST 3                 /* measurements of a network, until it is told */
#define NEARBY_AGAIN (5 * DUR_MIN)     /* what has not changed is told again, while viewers come */
#define NEARBY_NEWS 256                /* in one heartbeat */

struct nearby; /* hidden */

struct nearby_row {
	uint64_t network;
	unsigned ms; /* 1 and more */
};

struct nearby *nearby_new(void);
void nearby_free(struct nearby **); /* takes NULL */

/* A viewer's connection at `peer` ("192.0.2.7") had this round trip.  Any thread; waits for nobody: it may be passed over. */
void nearby_saw(struct nearby *, const char *peer, dur_us round_trip, mono_us now);

/* What the origin does not know yet; at most `max`; and: it has heard these.  One thread. */
size_t nearby_news(struct nearby *, mono_us now, struct nearby_row *ret, size_t max);
void nearby_told(struct nearby *, const struct nearby_row *, size_t n, mono_us now);

#endif
