/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How fast to play a live title that says how far behind the edge it wants its viewers
 * (ServiceDescription, ISO/IEC 23009-1 Annex K): what a stall cost is caught up again,
 * by a speed that the MPD allows.  Pure.
 */
#ifndef RIBERA_PLAYER_PACE_H
#define RIBERA_PLAYER_PACE_H

#include <stdbool.h>

#include "base/clock.h"
#include "dash/mpd.h"

struct pace {
	dur_us target;      /* wanted latency; 0: the MPD does not say, and the speed stays 1 */
	double slow, fast;  /* speeds to use, 1 between them */
	int way;            /* under way: -1 slower, 1 faster, 0 as it is */
};

/* Without PlaybackRate it plays at most 5 % faster, which is not heard, and never slower. */
struct pace pace_of(const struct mpd_service *);

/* The speed to go on with, given how far behind the edge the playhead is and how much
 * media is in hand.  It does not spend the last of the buffer: an edge that is out of
 * reach (segments longer than the target) is followed as closely as the line allows. */
double pace_speed(struct pace *, dur_us latency, dur_us buffer);

#endif
