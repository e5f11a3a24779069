/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A segment's bytes while they come: a live segment that is still being made is
 * decoded chunk by chunk (CMAF, ISO/IEC 23000-19 7.3.3).  The transfer puts, the
 * decoder reads; all under the hub's lock, whose bell says that more has come.
 */
#ifndef RIBERA_PLAYER_FEED_H
#define RIBERA_PLAYER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feed; /* hidden; counted */
struct hub;

struct feed *feed_new(struct hub *, uint64_t max_bytes);
struct feed *feed_ref(struct feed *); /* NULL stays NULL */
void feed_unref(struct feed **);

/* n bytes that stand at `at` of the segment.  What is here already (a transfer that begins
 * anew) is passed over; a gap, or more than the maximum, ends it. */
void feed_put(struct feed *, uint64_t at, const void *bytes, size_t n);
/* Nothing more will come. */
void feed_end(struct feed *);
uint64_t feed_size(struct feed *);

/* Bytes from `at` on, as soon as there are some: how many (n at most), 0 at the end, or -1
 * when nobody wants them any more (the player quits, or `generation` is over).  While it
 * waits, hub->busy[lane] is false: this decoder has no work. */
int feed_read(struct feed *, int lane, unsigned generation, uint64_t at, void *out, size_t n);

#endif
