/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * /v/TITLE/manifest.mpd: the current revision's MPD with the places in front
 * where its files are: edges that hold it and are up, in the viewer's own
 * stable order (cdn/steer), the origin last.
 *
 * /v/TITLE/main.m3u8: the HLS playlist likewise, a pathway a place.
 *
 * Made once per (file, revision, order of places) and kept in a bounded cache; a hit
 * takes no lock.  Any thread.
 */
#ifndef RIBERA_ORIGIN_MANIFEST_H
#define RIBERA_ORIGIN_MANIFEST_H

#include "base/err.h"
#include "origin/holders.h"

struct manifest_cache; /* hidden */
struct revision;
struct steering;
struct serve_object;

#define MANIFEST_MAX_EDGES 4        /* more places help no player */
#define MANIFEST_ORIGIN "origin"    /* the origin's serviceLocation; no edge may take it */

/* `holders` and `steering` are borrowed; `origin_url` ("http://host:port") is copied. */
struct manifest_cache *manifest_cache_new(const struct holders *, const struct steering *, const char *origin_url);
void manifest_cache_free(struct manifest_cache **);

/* PACKAGE_MANIFEST or PACKAGE_PLAYLIST for this viewer, one reference.  ERR_NOT_FOUND: the package has
 * none; -errno, and what mpd_localise and playlist_localise return. */
int manifest_get(struct manifest_cache *, struct revision *, const char *file, const char *client_address, const char *prefix,
                 size_t prefix_n, struct serve_object **ret_object, struct fault *);

#endif
