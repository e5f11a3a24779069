/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One request of a grab and its answer.  The body belongs to the fetch thread until
 * the end is posted under the hub's lock, to the grab afterwards; one that the grab
 * has left behind frees itself at its end.
 */
#ifndef RIBERA_PLAYER_TRANSFER_H
#define RIBERA_PLAYER_TRANSFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "fetch/fetch.h"
#include "player/grab.h"

struct transfer {
	struct grab_world *world;
	struct buf body;
	struct feed *feed;
	uint64_t in_feed;        /* where this body begins in it */
	mono_us came;            /* last bytes for the feed */
	uint64_t skip;           /* bytes in front of what we want */
	bool cut;                /* out of a whole answer: end when we have enough */
	bool has_range;
	uint64_t first, last;    /* asked for */
	uint64_t want;           /* bytes wanted; 0: all there are */
	char *etag;              /* of earlier bytes: theirs must be the same */
	char *new_etag;
	atomic_bool slow;        /* the grab wants it to end: another base is faster */
	atomic_uint_fast64_t got;
	_Atomic(mono_us) began;  /* first byte, 0: not yet */
	struct meter before;     /* the meter then */
	bool counted;            /* in the meter */
	/* under the hub's lock */
	bool done, orphan;
	struct fetch_result result;
	dur_us retry_after;
	uint64_t length;         /* Content-Length of a whole answer */
	bool changed;            /* another entity than before */
	const char *wrong;       /* what was wrong with the answer */
};

/* The reason of one that was ended because `slow` was set. */
extern const char transfer_too_slow[];

/* `feed` (or NULL) gets the bytes too, from `in_feed` on.  What is asked for is the caller's to fill in. */
struct transfer *transfer_new(struct grab_world *, struct feed *feed, uint64_t in_feed);
fetch_id transfer_start(struct transfer *, const struct fetch_request *);
/* Nobody waits for it any more; *t (or NULL) is NULL afterwards. */
void transfer_leave(struct transfer **, fetch_id);
/* One that has ended, or was never started. */
void transfer_free(struct transfer *);
/* bit/s of this body alone: what its place gave, whatever else came over the line. */
uint64_t transfer_rate(const struct transfer *, mono_us now);

#endif
