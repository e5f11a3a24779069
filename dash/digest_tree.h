/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The Merkle tree of BEP 52.  Private to the digest.
 */
#ifndef RIBERA_DASH_DIGEST_TREE_H
#define RIBERA_DASH_DIGEST_TREE_H

#include <stddef.h>

#include "base/sha256.h"

/* Root over n hashes, padded with `pad` to `width` (a power of two, at least n;
 * 0: the next power of two).  `hashes` is not changed.  Aborts without memory
 * for n/2 hashes.  n >= 1. */
void digest_tree_root(const struct sha256 *hashes, size_t n, size_t width, const struct sha256 *pad,
                      struct sha256 *ret_root);

/* Root over 64 zero hashes: what pads the layer of pieces. */
void digest_tree_piece_pad(struct sha256 *ret_pad);

/* Root over the layer of pieces of a file of more than one piece. */
void digest_tree_of_pieces(const struct sha256 *pieces, size_t n, struct sha256 *ret_root);

#endif
