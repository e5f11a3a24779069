/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sound faster or slower at the same pitch (libavfilter's atempo): interleaved
 * floats in, interleaved floats out.
 */
#ifndef RIBERA_PLAYER_TEMPO_H
#define RIBERA_PLAYER_TEMPO_H

#include <stddef.h>
#include <stdint.h>

struct tempo; /* hidden */

/* speed from 0.25 to 4.  NULL when there is no such filter here. */
struct tempo *tempo_new(int rate, int channels, double speed);
void tempo_free(struct tempo **);
/* Takes n samples; *ret_out (valid until the next call) are those that are ready; returns how many. */
size_t tempo_put(struct tempo *, const float *samples, size_t n, const float **ret_out);
/* The last ones, as above; it takes no more. */
size_t tempo_end(struct tempo *, const float **ret_out);
/* Samples taken whose sound has not come out yet; less than 0 at the start. */
int64_t tempo_held(const struct tempo *);

#endif
