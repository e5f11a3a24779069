/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An MPD whose parts stand elsewhere, made whole: remote elements (xlink,
 * ISO/IEC 23009-1 5.5) and the MPDs a list MPD imports (6th edition 5.3.2.6).
 * Bytes in, bytes out; how the parts are got is the caller's.
 */
#ifndef RIBERA_DASH_MPD_LINK_H
#define RIBERA_DASH_MPD_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct buf;
struct mpd;

#define MPD_MAX_LINKS 64  /* parts got for one MPD */
#define MPD_MAX_NESTING 4 /* a part of a part of ... */

/* Appends what stands at `url` to `out`; *ret_url is where it was found at last (caller frees). */
typedef int mpd_get_f(void *ctx, const char *url, struct buf *out, char **ret_url, struct fault *);
/* Is told of each part that is left out, and why. */
typedef void mpd_note_f(void *ctx, const char *text);

/* Is there anything to resolve? */
bool mpd_has_links(const struct mpd *);

/* Appends the document with every remote Period, AdaptationSet and SegmentList in
 * its place, whether it asks for that onLoad or onRequest.  What cannot be had, is
 * circular, too deep or no such element loses its link and keeps its own content;
 * an empty Period goes.  `url` is where the MPD was found: hrefs are relative to it.
 * `note` may be NULL.  ERR_SYNTAX, ERR_LIMIT, the buffer's errors. */
int mpd_resolve_links(const void *bytes, size_t n, const char *name, const char *url, mpd_get_f *get, mpd_note_f *note,
                      void *ctx, struct buf *out, struct fault *);

#endif
