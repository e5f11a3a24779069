/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The manifest and the HLS playlist as this edge hands them out: the package's own, with this edge
 * first among its base URLs, then the peers that hold the title, the origin last.
 */
#ifndef RIBERA_EDGE_MANIFEST_H
#define RIBERA_EDGE_MANIFEST_H

#include "edge/copy.h"
#include "edge/plan.h"

/* `prefix` ("/s/TOKEN", prefix_n bytes) goes into its URLs.  `file` is PACKAGE_MANIFEST or PACKAGE_PLAYLIST, `manifest` it, whole.  One reference; the text is made when
 * the object is opened.  Takes references of its own.  Any thread. */
struct serve_object *manifest_new(struct copy *manifest, const char *file, struct plan *, const char *name, const char *url, const char *prefix, size_t prefix_n);
/* It could not be made a moment ago. */
bool manifest_failed(const struct serve_object *, mono_us now);

#endif
