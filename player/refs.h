/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which reference pictures a place in an H.264 stream is really made of.  Encoders mark pictures as references
 * that no other but a neighbour is made of (B pyramids); on the way to a place far behind them they need not be
 * decoded.  A decoder must still meet them, or its books (frame_num, the marking) are wrong for what comes: of such
 * a picture the head of its first slice is enough.
 *
 * Bytes in, decisions out: the slice headers tell every list of references (ITU-T H.264 8.2.4), and what can be reached
 * from the pictures that are wanted is needed.  What is not understood (fields, long-term references, gaps,
 * parameter sets on the way, streams without CABAC) makes everything needed.  One thread.
 */
#ifndef RIBERA_PLAYER_REFS_H
#define RIBERA_PLAYER_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct refs; /* hidden */

/* `config`: avcC, as it stands in the sample entry; NULL when it is none, or of a kind that is not understood. */
struct refs *refs_new(const uint8_t *config, size_t n);
void refs_free(struct refs **);
/* The next access unit in decoding order, the first of them an IDR picture.  `wanted`: it is to be shown, or may be. */
void refs_add(struct refs *, const uint8_t *unit, size_t n, bool wanted);
/* All have been added. */
void refs_solve(struct refs *);
/* The i-th access unit that was added, from 0, the same bytes again: when it need not be decoded, `unit` is
 * changed to the head of its first slice, and the new size is returned; n otherwise. */
size_t refs_cut(const struct refs *, size_t i, uint8_t *unit, size_t n);

#endif
