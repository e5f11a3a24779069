/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * MPD patches (ISO/IEC 23009-1 5.15, RFC 5261): add, replace and remove on the
 * MPD's document.  Selectors are the simple ones the standard allows: steps by
 * name, [number], [@attribute='value'], and an attribute or text() at the end.
 */
#ifndef RIBERA_DASH_MPD_PATCH_H
#define RIBERA_DASH_MPD_PATCH_H

#include <stddef.h>

#include "base/err.h"

struct buf;

/* Appends the patched document.  Nothing is appended on failure: ERR_SYNTAX (one of
 * the documents, or a selector that finds nothing), ERR_EXISTS when the patch is for
 * another MPD@id or @publishTime than this document's, ERR_LIMIT, the buffer's errors. */
int mpd_patch(const void *mpd, size_t n_mpd, const void *patch, size_t n_patch, const char *patch_name,
              struct buf *out, struct fault *);

#endif
