/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a picture looks like from very far: enough to tell whether two renditions
 * show the same moment.
 */
#ifndef RIBERA_INGEST_VERIFY_LOOK_H
#define RIBERA_INGEST_VERIFY_LOOK_H

#include <libavutil/frame.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOK_COLUMNS 16
#define LOOK_ROWS 9

struct look {
	bool seen;
	uint8_t luma[LOOK_ROWS][LOOK_COLUMNS]; /* means, 8 bit */
};

/* Planar YUV or grey of 8 to 16 bits; others leave it unseen. */
void look_at(const AVFrame *, struct look *);

/* Mean difference, 0 to 255; 0 when one was not seen. */
#define LOOK_NEAR 4.0 /* what compression does is mostly less */
#define LOOK_FAR 24.0 /* what it does never */
double look_apart(const struct look *, const struct look *);

#endif
