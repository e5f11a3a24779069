/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The manifest as this edge hands it out: the package's own, with this edge
 * first among its base URLs, then the peers that hold the title, the origin last.
 */
#ifndef RIBERA_EDGE_MANIFEST_H
#define RIBERA_EDGE_MANIFEST_H

#include "edge/copy.h"
#include "edge/plan.h"

/* `prefix` ("/s/TOKEN", prefix_n bytes) goes into its URLs.  `manifest` is whole.  ret_object: one reference, its bytes in memory.
 * ERR_SYNTAX, -errno.  Any thread. */
int manifest_make(struct copy *manifest, const struct plan *, const char *name, const char *url,
                  const char *prefix, size_t prefix_n, struct serve_object **ret_object);

#endif
