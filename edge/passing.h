/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pieces that pass through: asked for by viewers, not to be kept, or the disk
 * has no room for them.  They stand in memory (memfd) for a while, shared by all
 * who wait for them; the oldest go first.  What has gone is fetched again when
 * somebody still needs it.
 *
 * The engine's thread.  Readers see a copy's passage inside RCU sections; the
 * bytes of a piece are given back to the system only when no section is left
 * that saw its bits.
 */
#ifndef RIBERA_EDGE_PASSING_H
#define RIBERA_EDGE_PASSING_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "edge/copy.h"

#define PASSING_PIECES 64          /* that nothing is on its way to any more: 64 MiB */
#define PASSING_LINGER (20 * DUR_S) /* since the last of its bytes came */

struct passing; /* hidden */

struct passing *passing_new(void);
void passing_free(struct passing **); /* after the servers; before the store is closed */

/* A piece is about to come.  Ended by passing_end.  -errno: no memory for it. */
int passing_begin(struct passing *, struct copy *, size_t piece);
/* Bytes of such a piece, whole blocks from `first` on: written and shown.  -errno. */
int passing_show(struct copy *, size_t piece, uint64_t first, const uint8_t *bytes, uint64_t n);
/* Nothing more comes: the piece may go when its time is over. */
void passing_end(struct passing *, struct copy *, size_t piece, mono_us now);

/* Lets go of what is old; returns when to come again. */
mono_us passing_step(struct passing *, mono_us now);

#endif
