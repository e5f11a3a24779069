/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Is this machine's clock to be believed?  Nothing here goes by it that viewers
 * would notice, but tokens and signed URLs end by it, demand is counted by its hours
 * and plans are made by its days.
 *
 * Two witnesses: the newest entry of the catalogue's log cannot lie in the future, and
 * most edges that say what their clocks show cannot all be wrong.
 */
#ifndef RIBERA_ORIGIN_DOUBT_H
#define RIBERA_ORIGIN_DOUBT_H

#include <stddef.h>

#include "base/clock.h"

#define DOUBT_SIZE 256

struct catalogue;
struct doubt; /* hidden */
struct registry;

struct doubt *doubt_new(void);
void doubt_free(struct doubt **);
/* Hears the witnesses; the log is told when the answer is another.  A thread that may wait for the catalogue. */
void doubt_tick(struct doubt *, struct registry *, struct catalogue *, wall_us now);
/* Why it is not to be believed, or "", as of the last tick.  Any thread. */
void doubt_text(struct doubt *, char ret[static DOUBT_SIZE]);

#endif
