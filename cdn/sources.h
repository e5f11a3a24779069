/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which of several places the next piece comes from: peers that hold it first,
 * by what was measured, the origin last, nobody who fails or lies.  Pure; the
 * owner's thread.
 */
#ifndef RIBERA_CDN_SOURCES_H
#define RIBERA_CDN_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* What is known about one place.  Zeroed: nothing yet. */
struct source {
	bool origin;
	double rate;           /* bytes per second of one transfer, smoothed; 0: not measured */
	unsigned active;       /* transfers under way */
	unsigned failures;     /* in a row */
	unsigned lies;         /* ever */
	bool lied;             /* the penalty is for a lie */
	mono_us penalty_until;
};

/* The best of those with usable[i], or -1.  A place under penalty for failures
 * is taken only when nothing else is left, a liar not at all.  `random` spreads:
 * one choice in eight is a peer at random, so that rates stay known. */
int sources_pick(const struct source *, size_t n, const bool *usable, mono_us now, uint32_t random);

void sources_started(struct source *);
void sources_ended(struct source *); /* once for every sources_started */

/* `bytes` right bytes came in `took` after the first one was waited for. */
void sources_good(struct source *, uint64_t bytes, dur_us took);
void sources_failed(struct source *, mono_us now);
void sources_lied(struct source *, mono_us now);

/* How long a transfer of so many bytes may take before it is given up: eight
 * times what was measured, within 5 and 60 s. */
dur_us sources_deadline(const struct source *, uint64_t bytes);

#endif
