/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles: a thread gets the cues of the chosen track around the playhead, of a live
 * title from the MPD as it is then; what is shown at a time can be asked by the presenter.
 */
#ifndef RIBERA_PLAYER_SUBTITLES_H
#define RIBERA_PLAYER_SUBTITLES_H

#include <stddef.h>

#include "base/clock.h"
#include "player/source.h"

struct cues_shown;
struct hub;
struct live;
struct subtitles; /* hidden */

/* Starts the thread.  The source must not change; with `live` it is not used.  `lang`: the
 * track to begin with, or NULL for none until one is asked for.  NULL: no thread. */
struct subtitles *subtitles_new(struct fetch *, struct hub *, const struct source *, struct live *live, const char *lang);
/* After hub_quit; joins the thread. */
void subtitles_free(struct subtitles **);
/* The next track, behind the last one none. */
void subtitles_next(struct subtitles *);
/* "en", "2" or "" when there is none. */
void subtitles_name(struct subtitles *, char *out, size_t n);
/* What is shown at t. */
void subtitles_at(struct subtitles *, dur_us t, struct cues_shown *);

#endif
