/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The scrub: re-reads what is held at a low rate, in a thread of its own, and
 * reports pieces that are not what they were.
 */
#ifndef RIBERA_EDGE_SCRUB_H
#define RIBERA_EDGE_SCRUB_H

#include "base/counter.h"
#include "edge/copy.h"

struct scrub; /* hidden */

struct scrub_settings {
	uint64_t rate;   /* bytes per second; 0: no scrub */
	dur_us every;    /* from the beginning of one pass to the next, at least */
	struct counters *counters;
	/* References of all packages; the scrub unrefs and frees. */
	struct package **(*packages)(void *ctx, size_t *ret_n);
	/* The piece is bad; called in the scrub's thread. */
	void (*bad)(void *ctx, struct copy *, size_t piece);
	void *ctx;
};

struct scrub *scrub_new(const struct scrub_settings *); /* starts */
void scrub_free(struct scrub **);                       /* stops and joins */

#endif
