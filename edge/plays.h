/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was played of files that the plan does not want, kept over restarts: the
 * memory that admission ranks by.  Lines of text, appended; when PLAYS_MAX_BYTES
 * are written they become the old ones, so twice that is kept and no more.  What
 * is lost in a crash is what came since the last plays_flush.
 *
 * One owner (the engine).
 */
#ifndef RIBERA_EDGE_PLAYS_H
#define RIBERA_EDGE_PLAYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define PLAYS_MAX_BYTES ((size_t)2 << 20)

struct plays; /* hidden */

struct plays *plays_new(const char *path); /* PATH and PATH.old */
void plays_free(struct plays **);          /* takes NULL; flushes */

/* `key` is TITLE/REVISION/FILE; of it so many bytes were streamed up to `when`. */
void plays_note(struct plays *, const char *title, const char *revision, const char *file, uint64_t bytes, wall_us when);
/* Appends what was noted.  A disk that does not take it: it is noted on, up to a bound, and tried again. */
void plays_flush(struct plays *);

/* All that is kept, oldest first; what is no line of ours (a torn end) is passed over. */
typedef void plays_row_f(void *ctx, const char *title, const char *revision, const char *file, uint64_t bytes, wall_us when);
void plays_read(struct plays *, plays_row_f *, void *ctx);

#endif
