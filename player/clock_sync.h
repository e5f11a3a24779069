/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What time it is where a dynamic MPD is made (UTCTiming, ISO/IEC 23009-1 5.8.5.7).
 */
#ifndef RIBERA_PLAYER_CLOCK_SYNC_H
#define RIBERA_PLAYER_CLOCK_SYNC_H

#include <stdbool.h>

#include "dash/mpd.h"

struct fetch;

/* Asks the MPD's UTCTimings in their order (direct, http-head, http-xsdate,
 * http-iso), at last the MPD's server for its Date; *ret_offset is true time less
 * our clock.  false when nobody could say; then our clock has to do.  Blocks for a
 * few seconds at most.  `received` is when the MPD came, by our clock. */
bool clock_sync(struct fetch *, const char *mpd_url, const struct mpd *, wall_us received, dur_us *ret_offset);

#endif
