/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What viewers asked for and took, per file and hour, on its way to the origin.
 *
 * Viewers' loops count without locks (struct copy, demand_see).  The contact
 * thread takes the differences now and then and writes them to the disk as a
 * numbered batch, which is sent until the origin has said that it has it.  The
 * number is part of the batch, so what is sent twice is counted once.  While the
 * origin is away batches become hourly, and the oldest go when there are too many.
 *
 * A crash loses what was counted since the last batch, and nothing else.
 */
#ifndef RIBERA_EDGE_DEMAND_H
#define RIBERA_EDGE_DEMAND_H

#include "base/clock.h"
#include "base/counter.h"
#include "edge/copy.h"

struct demand; /* hidden */
struct serve_request;

/* Marks who got some of the file (its session by CMCD, else address and program) in
 * this hour's set.  Any loop thread; no lock. */
void demand_see(struct copy *, struct serve_request *);

/* `folder` is made; batches that are there are sent first. */
struct demand *demand_new(const char *folder, dur_us interval, struct counters *);
void demand_free(struct demand **);

/* All below: the contact thread. */
/* Takes the differences when it is time; or at once; cheap otherwise.  `wall` says to which hour they belong: where it was
 * set since the last time, all of them to the hour it shows now. */
void demand_collect(struct demand *, struct package *const *packages, size_t n, wall_us wall, mono_us now, bool at_once);
/* The oldest batch as JSON text; NULL: none.  Caller frees. */
char *demand_next(struct demand *);
/* The origin has the oldest, or will never want it. */
void demand_delivered(struct demand *);

#endif
