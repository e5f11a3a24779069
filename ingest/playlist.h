/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * HLS playlists (RFC 8216 and its successor draft) over the package's track
 * files, with byte ranges.
 */
#ifndef RIBERA_INGEST_PLAYLIST_H
#define RIBERA_INGEST_PLAYLIST_H

#include "ingest/package.h"

struct buf;

int playlist_write_main(const struct package *, struct buf *out);
int playlist_write_track(const struct track_facts *, struct buf *out);
int playlist_write_text(const struct package_text *, double seconds, struct buf *out); /* of a film of `seconds` */

#endif
