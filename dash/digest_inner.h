/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the digest's reader and builder share.
 */
#ifndef RIBERA_DASH_DIGEST_INNER_H
#define RIBERA_DASH_DIGEST_INNER_H

#include "dash/digest.h"

/* Piece hashes and root of a file from its n block hashes; root untouched for an empty file. */
void digest_root_of_file(const struct sha256 *blocks, size_t n, uint64_t size, struct sha256 *pieces, size_t n_pieces,
                         struct sha256 *ret_root);

#endif
