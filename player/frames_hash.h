/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A line for each picture that is presented: its presentation time in microseconds,
 * its duration, its size in bytes, the MD5 of its pixels (planes one after the
 * other without padding, as ffmpeg's framemd5 has it), width x height.
 */
#ifndef RIBERA_PLAYER_FRAMES_HASH_H
#define RIBERA_PLAYER_FRAMES_HASH_H

#include "base/err.h"

struct frames_hash; /* hidden */
struct media_frame;

/* "-" is standard output.  -errno. */
int frames_hash_new(const char *path, struct frames_hash **ret, struct fault *);
void frames_hash_put(struct frames_hash *, const struct media_frame *);
/* Closes the file; -EIO when a line could not be written. */
int frames_hash_end(struct frames_hash **, struct fault *);

#endif
