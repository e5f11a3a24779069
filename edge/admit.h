/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is kept of what viewers ask for beside the plan: the rule of cdn/ranked.h
 * over the store's pull share, per file.  A file that is worth more per byte than
 * all that must go for it is kept, the others are streamed through.
 *
 * Hits are counted by the copies themselves, without locks, and read here when
 * something is to be decided.  Nothing of it is on the disk: after a restart what is here has been
 * played once.  The engine's thread.
 */
#ifndef RIBERA_EDGE_ADMIT_H
#define RIBERA_EDGE_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "edge/copy.h"
#include "edge/store.h"

#define ADMIT_MAX_FILES 50000 /* remembered; then the half of least worth is forgotten */

struct admit; /* hidden */

/* `evict` gives a file's bytes back, at once or later. */
struct admit *admit_new(void (*evict)(void *ctx, struct copy *), void *ctx);
void admit_free(struct admit **);

/* Bytes of this file are about to come: are they kept?  `share`: bytes all such files may have. */
bool admit_keeps(struct admit *, struct copy *, uint64_t share, mono_us now);
/* It outranked others once and has not been displaced. */
bool admit_holds(const struct admit *, const struct copy *);
/* It has gone for other reasons. */
void admit_dropped(struct admit *, const struct copy *);
/* Plays as the rule sees them. */
double admit_worth(struct admit *, struct copy *, mono_us now);

/* The plan or the packages have changed: what is here beside the plan belongs to the share. */
void admit_take_stock(struct admit *, const struct store *, mono_us now);
void admit_forget(struct admit *, struct package *);

#endif
