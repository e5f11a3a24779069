/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A token bucket: how fast a fill may go.  Pure; the owner's thread.
 */
#ifndef RIBERA_CDN_BUCKET_H
#define RIBERA_CDN_BUCKET_H

#include <stdint.h>

#include "base/clock.h"

struct bucket {
	uint64_t rate;   /* bytes per second; 0: no limit */
	uint64_t burst;  /* bytes that may go at once after a pause, at least the greatest single take */
	double tokens;   /* bytes */
	mono_us filled;  /* when `tokens` was true */
};

/* The bucket starts full. */
void bucket_init(struct bucket *, uint64_t rate, uint64_t burst, mono_us now);

/* Changes the rate from now on; what was saved up stays. */
void bucket_set_rate(struct bucket *, uint64_t rate, mono_us now);

/* Takes n bytes and returns 0, or takes nothing and returns how long to wait
 * (at least 1) before asking again.  More than `burst` is taken from a full bucket, as debt. */
dur_us bucket_take(struct bucket *, uint64_t n, mono_us now);

/* Gives back what was taken and not used. */
void bucket_return(struct bucket *, uint64_t n);

#endif
