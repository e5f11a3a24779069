/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The adaptation engine behind lines of text, for scorers and simulators.
 * Times in ms, sizes in bytes, rates in kbit/s:
 *
 *   V qualities segments segment_ms buffer_cap_ms    the video
 *   B rate...                                        one per quality
 *   S index size...                                  one line per segment
 *   G                                                -> FIRST_QUALITY WANTS_PROGRESS
 *   R index quality bytes first_byte_ms total_ms abandoned_to
 *   D index last_quality buffer_ms now_ms            -> QUALITY DELAY_MS
 *   P index quality size got elapsed_ms first_byte_ms buffer_ms -> -1 or a quality
 */
#ifndef RIBERA_PLAYER_ABR_SERVE_H
#define RIBERA_PLAYER_ABR_SERVE_H

#include <stdio.h>

#include "base/err.h"

/* Until the end of `in`.  ERR_SYNTAX names the line. */
int abr_serve(const char *algorithm, FILE *in, FILE *out, struct fault *);

#endif
