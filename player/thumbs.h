/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small pictures for the seek bar, out of the tiled image set of an MPD (DASH-IF IOP
 * 4.3, 6.2.6).  A thread gets and decodes sheets; the presenter asks for a time and
 * takes what is there.
 */
#ifndef RIBERA_PLAYER_THUMBS_H
#define RIBERA_PLAYER_THUMBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "player/source.h"

struct fetch;
struct hub;
struct thumbs; /* hidden */

/* ARGB, width x height; `id` is another for another picture. */
struct thumb {
	const uint32_t *pixels;
	int width, height;
	unsigned id;
};

/* Starts the thread; NULL when the title has no pictures of that kind.  The source must not change. */
struct thumbs *thumbs_new(struct fetch *, struct hub *, const struct source *);
/* After hub_quit; joins the thread. */
void thumbs_free(struct thumbs **);
/* The picture that stands for t, if it is there; if not, it is being got, and asking again
 * gives it soon.  Valid until the next call.  One thread, without the hub's lock. */
bool thumbs_at(struct thumbs *, dur_us t, struct thumb *ret_thumb);

#endif
