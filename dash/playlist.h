/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A package's HLS multivariant playlist for a viewer: every variant and rendition
 * once for each place, as a pathway of its own (draft-pantos-hls-rfc8216bis 4.4.6.6
 * and 7), the nearest place's first.  Pure.
 */
#ifndef RIBERA_DASH_PLAYLIST_H
#define RIBERA_DASH_PLAYLIST_H

#include "base/buf.h"
#include "base/err.h"
#include "dash/mpd.h"

#define PLAYLIST_MAX_BYTES ((size_t)4 << 20)

/* Places as in an MPD; `steering` is where players ask, NULL: nowhere.  ERR_SYNTAX: no playlist,
 * or one that names pathways already; ERR_LIMIT. */
int playlist_localise(const void *text, size_t n, const struct mpd_place *, size_t n_places, const char *steering,
                      struct buf *out, struct fault *);

#endif
