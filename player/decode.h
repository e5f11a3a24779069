/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One lane's decoder in its own thread: takes segments from the hub, gives
 * frames back to it.  A new rendition gets a new decoder after the old one has
 * given its last frame, so a switch neither loses nor doubles a picture.
 */
#ifndef RIBERA_PLAYER_DECODE_H
#define RIBERA_PLAYER_DECODE_H

#include <stdint.h>

#include "player/hub.h"

struct decode; /* hidden */

struct decode_stats {
	uint64_t decoded; /* frames out of the decoder */
	uint64_t errors;  /* packets or segments that could not be decoded */
};

/* Starts the thread.  `lane` is LANE_VIDEO or LANE_AUDIO. */
struct decode *decode_new(struct hub *, int lane);
/* After hub_quit: joins the thread. */
void decode_free(struct decode **);
struct decode_stats decode_stats(const struct decode *); /* any thread */

#endif
