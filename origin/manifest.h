/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * /v/TITLE/manifest.mpd: the current revision's MPD with the places in front
 * where its files are: edges that hold it and are up, in the viewer's own
 * stable order (cdn/steer), the origin last.
 *
 * Made once per (revision, order of places) and kept in a bounded cache; a hit
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

/* The MPD for this viewer, one reference.  -errno, and what mpd_localise returns. */
int manifest_get(struct manifest_cache *, struct revision *, const char *client_address, const char *prefix, size_t prefix_n,
                 struct serve_object **ret_object, struct fault *);

#endif
