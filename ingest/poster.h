/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One picture of the film as a JPEG file.
 */
#ifndef RIBERA_INGEST_POSTER_H
#define RIBERA_INGEST_POSTER_H

#include <libavutil/frame.h>

#include "base/err.h"

/* A yuvj420p picture; the frame's quality is set.  ERR_MEDIA, -errno. */
int poster_write_full_range(AVFrame *, int quality, const char *path, uint64_t *ret_bytes, struct fault *);
int poster_write(const AVFrame *yuv420p, const char *path, struct fault *);

/* How much there is to see: the spread of its brightness. Black and white pictures give about 0. */
double poster_worth(const AVFrame *yuv420p);

#endif
