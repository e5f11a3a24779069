/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The quiet hours: every day from a local time on, for a duration.  Pure.
 *
 * On the day the clocks go forward a start inside the missing hour moves to the
 * jump; on the day they go back a start inside the doubled hour is its first
 * pass.  The window is as long as its duration on both days, and there is
 * exactly one a day.
 */
#ifndef RIBERA_CDN_WINDOW_H
#define RIBERA_CDN_WINDOW_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "cdn/zone.h"

struct window {
	const struct zone *zone; /* not owned */
	dur_us start;            /* after local midnight as the clock shows it, less than a day */
	dur_us duration;         /* 0: never open; a day and more: always */
};

struct window_state {
	bool open;
	wall_us changes; /* when it closes (open) or opens; INT64_MAX: never */
	int32_t day;     /* open: the local date it belongs to, in days since 1970 */
};

void window_at(const struct window *, wall_us now, struct window_state *ret_state);

/* "02:00", "2:00", "23:30:15": since midnight.  ERR_SYNTAX. */
int window_parse_start(const char *s, dur_us *ret_start);

#endif
