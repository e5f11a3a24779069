/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One store and what belongs in it, learnt from what is played: the rule that
 * the nightly plan and the edge's admission share.  An item is one file (a
 * title's rendition).
 *
 * What an item is worth per byte is its decayed plays (bytes streamed / its
 * bytes), so that neither long nor short items are favoured.  How fast memory
 * should fade differs (films: months, news: hours), and so does how far a young
 * item's plays stand for its whole life.  So a fixed ladder of half-lives and of
 * credits for youth is tried all the time: each rung has a shadow, metadata
 * only, of the store it would keep, and the rung whose hits were best of late is
 * the one in use.  Of very many items the shadows see a random part, in stores as much
 * smaller, so learning has a bounded price.  No figure here is fitted to one catalogue.
 *
 *   night   adds what outranks the worst that is held by a margin, within a
 *           budget of bytes that carries over and is never more than a
 *           twentieth of what was played meanwhile; the first fill is exempt
 *   day     a missed item is kept only if it outranks what it would displace,
 *           else streamed through
 *
 * Pure: no clock, no I/O, no randomness; equal calls give equal answers.  The
 * owner's thread.  A second that lies before one seen already is taken as that one.
 */
#ifndef RIBERA_CDN_RANKED_H
#define RIBERA_CDN_RANKED_H

#include "cdn/tier.h"

/* Part of the capacity that a night may bring when nobody says otherwise. */
#define RANKED_NIGHT_SHARE 0.05

/* Items that the shadows see at most, when nobody says otherwise. */
#define RANKED_SAMPLE 16384

struct ranked; /* hidden */

struct ranked_settings {
	uint64_t capacity;     /* bytes */
	uint64_t night_budget; /* bytes each night may bring, no more; 0: a share of the capacity, carried over */
	bool admits;           /* misses can be kept by day */
	size_t sample;         /* items that the shadows see at most; 0: RANKED_SAMPLE */
};

struct ranked *ranked_new(const struct ranked_settings *);
void ranked_free(struct ranked **);

/* Makes an item known, or gives it other bytes.  Numbers are small and dense. */
void ranked_know(struct ranked *, uint32_t item, uint64_t bytes);
/* As if it had never been known; its number can be another's. */
void ranked_forget(struct ranked *, uint32_t item);
void ranked_set_capacity(struct ranked *, uint64_t bytes); /* what is held stays until something outranks it */
bool ranked_knows(const struct ranked *, uint32_t item);
/* An item that is known was played: `bytes` of it were streamed. */
void ranked_played(struct ranked *, uint32_t item, uint64_t bytes, int64_t second);

bool ranked_holds(const struct ranked *, uint32_t item);
/* What came without having been asked for here (found on disk), or has gone. */
void ranked_set_held(struct ranked *, uint32_t item, bool held);

/* After a miss: whether to keep the item.  The changes (evictions first, the item
 * last; valid until the next call) have been made in here; none: stream it through. */
const struct tier_changes *ranked_admit(struct ranked *, uint32_t item);
/* The night's changes, what goes before what comes in its place. */
const struct tier_changes *ranked_night(struct ranked *, int64_t second);
/* A night of history: what is learnt from it is learnt, what is held stays. */
void ranked_night_past(struct ranked *, int64_t second);

/* What one night hands to the next, for a rule that is made anew from history each night. */
struct ranked_state {
	double saved, earned; /* of the budget, bytes */
	unsigned nights;      /* seen */
	bool filled;          /* once: from now on the budget counts */
};
void ranked_state(const struct ranked *, struct ranked_state *ret_state);
/* Takes the state over and lets go of everything held; what is held is told by ranked_set_held. */
void ranked_resume(struct ranked *, const struct ranked_state *);

double ranked_half_life(const struct ranked *);                            /* in use, seconds */
double ranked_worth(const struct ranked *, uint32_t item, int64_t second); /* plays, as the rule sees them */

#endif
