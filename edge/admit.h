/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is kept of what viewers ask for beside the plan: the rule of cdn/ranked.h
 * over the store's pull share, per file.  A file that is worth more per byte than
 * all that must go for it is kept, the others are streamed through.
 *
 * Hits are counted by the copies themselves, without locks, and read here when
 * something is to be decided.  What was played is written down now and then
 * (edge/plays) and played again to the rule after a restart.  The engine's thread.
 */
#ifndef RIBERA_EDGE_ADMIT_H
#define RIBERA_EDGE_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "edge/copy.h"
#include "edge/store.h"
#include "edge/wall.h"

#define ADMIT_MAX_FILES 50000 /* remembered; then the half of least worth is forgotten */

struct admit; /* hidden */

/* `evict` gives a file's bytes back, at once or later.  Plays are kept in the file PATH; `wall` is borrowed. */
struct admit *admit_new(const char *path, const struct wall *wall, void (*evict)(void *ctx, struct copy *), void *ctx);
/* Before store_close.  Writes down what is not yet. */
void admit_free(struct admit **);

/* Plays what was played before the restart; once, before anything else below (until then stock is not taken). */
void admit_recall(struct admit *, const struct store *, uint64_t share, mono_us now);
/* Writes down what was played, when it is time. */
void admit_step(struct admit *, mono_us now);

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
