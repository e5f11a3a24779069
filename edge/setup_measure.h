/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the set-up measures: the disk of the store, the way to the origin and
 * the line from it.  Each takes some seconds at most; the caller's thread.
 */
#ifndef RIBERA_EDGE_SETUP_MEASURE_H
#define RIBERA_EDGE_SETUP_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct fetch;

struct disk_speed {
	uint64_t free_bytes, total_bytes; /* of the file system */
	double write_rate;                /* bytes per second, made durable */
	double read_rate;                 /* in pieces of 1 MiB here and there, past the page cache where that can be */
	bool cached;                      /* it could not: the figure is the memory's */
};

/* Writes and reads a file in `folder` for at most about 2 s each, and removes it.  -errno. */
int measure_disk(const char *folder, struct disk_speed *, struct fault *);

struct setup_origin {
	const char *url;   /* control listener, no '/' at the end */
	const char *token; /* or NULL */
	struct fetch *fetch;
};

/* Does something like an origin answer there?  *ret_ill gets what it says of itself, "" when it is
 * well; caller frees. */
int origin_probe(const struct setup_origin *, char **ret_ill, dur_us *ret_round_trip, struct fault *);
/* May a token (or nobody) act as this edge? */
int origin_probe_token(const struct setup_origin *, const char *name, struct fault *);

struct line_speed {
	double rate;        /* bytes per second; 0: there was nothing to take */
	dur_us round_trip;
	const char *why_not; /* of a rate of 0 */
};

/* Registers the edge as it will be and takes bytes of its largest title, in parallel, for about 4 s. */
int measure_line(const struct setup_origin *, const char *name, const char *public_url, uint64_t capacity,
                 struct line_speed *, struct fault *);

#endif
