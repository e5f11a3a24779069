/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One resource, brought home whatever it takes: from the base that comes next
 * when one refuses, stalls, cuts off or answers wrongly, keeping the bytes that
 * came already; then in further rounds with a growing pause.  One that does not answer
 * while little is in hand has a rival: another base is asked too, and the first to give
 * bytes has it.  Runs in the engine's thread; transfers run in fetch's.
 */
#ifndef RIBERA_PLAYER_GRAB_H
#define RIBERA_PLAYER_GRAB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "dash/timeline.h"
#include "player/cmcd.h"
#include "player/meter.h"

struct blob;
struct feed;
struct fetch;
struct hub;
struct pathway;
struct report;

/* What all grabs of a player share. */
struct grab_world {
	struct fetch *fetch;
	struct hub *hub;         /* its lock guards the meter and the transfers' ends */
	struct meter meter;
	struct pathway *pathway;
	dur_us answer;           /* how long a base takes to give its first byte, smoothed; 0: none did yet */
	unsigned rivals;         /* a measure of those lately asked: RIVAL_COST each, one less with each resource that came */
	struct report *report;
	enum cmcd_mode cmcd;
	const char *session_id, *content_id; /* of CMCD */
	uint64_t max_bytes;      /* of one resource */
};

struct grab_want {
	const struct timeline_rendition *rendition; /* its bases are copied */
	const char *reference;   /* against the rendition's bases; copied */
	bool has_range;
	bool fresh;              /* just made: a 404 may pass */
	uint64_t first, last;    /* inclusive */
	struct feed *feed;       /* NULL, or: bytes go there too as they come; ended with the grab */
	const char *mime_type;   /* for the look at the finished bytes; NULL: none; copied */
	uint64_t time, slack;    /* its decode time must be this, more or less; slack 0: whatever it is */
	int lane;
	unsigned index;          /* for reports */
	dur_us buffer;           /* media in hand: how patient to be */
	dur_us patience;         /* give up after so long without success; transient errors only */
	const struct cmcd *cmcd; /* copied into the first request; or NULL */
};

enum grab_state { GRAB_RUNNING, GRAB_DONE, GRAB_FAILED };

/* What a finished grab knows. */
struct grab_result {
	struct blob *body;       /* taken by the caller */
	unsigned retries;
	char key[128], host[128];/* of the base that finished it */
	uint64_t bytes;
	dur_us first_byte, total;/* of the last transfer's body, since it was asked for; of the whole grab */
	uint64_t throughput;     /* of the line while its body came, bit/s */
	uint64_t line_bytes;     /* that came over the line meanwhile, all transfers */
	dur_us line_busy;
	char error[256];         /* of a failed one */
	char trace[33];          /* by which servers' logs know it (base/traceparent.h) */
};

struct grab; /* hidden */
struct grab *grab_new(struct grab_world *, const struct grab_want *, mono_us now);
/* Moves it on; call it at every bell and at *ret_next.  The hub's lock must not be held. */
enum grab_state grab_step(struct grab *, mono_us now, mono_us *ret_next);
void grab_result(struct grab *, struct grab_result *ret_result); /* once, when done or failed */
/* For abandoning: of the request that runs, bytes here so far, of how many (0: unknown), and the time since; how long
 * bodies ran before from places that were too slow. */
void grab_progress(const struct grab *, mono_us now, uint64_t *ret_got, uint64_t *ret_size, dur_us *ret_elapsed,
                   dur_us *ret_first_byte, dur_us *ret_before);
/* It is about to be freed, as its base is too slow: the next grab asks another one, if one may be faster than `rate`. */
void grab_blame(const struct grab *, uint64_t rate, mono_us now);
/* Why the last attempt failed; "" before any did. */
const char *grab_trouble(const struct grab *);
/* Its base is too slow: the rest comes from another one that is free of penalty and may be faster than `rate` (bit/s; 0:
 * any), if there is one.  The bytes in hand are kept.  true when it will be so. */
bool grab_leave_slow(struct grab *, uint64_t rate, mono_us now);
/* Cancels what runs; the transfer frees itself when fetch lets go of it. */
void grab_free(struct grab **);

#endif
