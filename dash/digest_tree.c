/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Merkle tree, level by level in one scratch array.  Padding is never stored:
 * an odd end is paired with the pad of its level.
 */
#include "dash/digest_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "dash/digest.h"

static size_t power_of_two(size_t n)
{
	size_t w = 1;

	while (w < n)
		w *= 2;
	return w;
}

void digest_tree_root(const struct sha256 *hashes, size_t n, size_t width, const struct sha256 *pad,
                      struct sha256 *ret_root)
{
	struct sha256 level_pad = *pad, few[DIGEST_BLOCKS_PER_PIECE / 2], *level = few;

	MUST(n >= 1 && (width == 0 || width >= n));
	if (width == 0)
		width = power_of_two(n);
	if (width == 1) {
		*ret_root = hashes[0];
		return;
	}
	if ((n + 1) / 2 > DIGEST_BLOCKS_PER_PIECE / 2)
		level = mem_new_array((n + 1) / 2, sizeof *level);
	for (; width > 1; width /= 2) {
		for (size_t i = 0; i < n; i += 2)
			sha256_of_pair(&hashes[i], i + 1 < n ? &hashes[i + 1] : &level_pad, &level[i / 2]);
		sha256_of_pair(&level_pad, &level_pad, &level_pad);
		hashes = level;
		n = (n + 1) / 2;
	}
	*ret_root = level[0];
	if (level != few)
		free(level);
}

void digest_tree_piece_pad(struct sha256 *ret_pad)
{
	struct sha256 zero = {{0}};

	digest_tree_root(&zero, 1, DIGEST_BLOCKS_PER_PIECE, &zero, ret_pad);
}

void digest_tree_of_pieces(const struct sha256 *pieces, size_t n, struct sha256 *ret_root)
{
	struct sha256 pad;

	digest_tree_piece_pad(&pad);
	digest_tree_root(pieces, n, 0, &pad, ret_root);
}
