/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How near one picture's luma is to another's.  Pure.
 */
#ifndef RIBERA_INGEST_COMPARE_H
#define RIBERA_INGEST_COMPARE_H

#include <stddef.h>
#include <stdint.h>

struct compare_plane {
	const uint8_t *bytes;
	ptrdiff_t step;  /* bytes from line to line */
	unsigned depth;  /* bits: 8, a byte a sample; 9 to 12, two, as this machine has them */
};

/* SSIM (Wang 2004) in blocks of 8x8 side by side, and the mean squared error relative to full scale squared.  Both planes have
 * the same depth; a picture without a whole block is equal to any. */
void compare_luma(struct compare_plane, struct compare_plane, int width, int height, double *ret_ssim, double *ret_error);

#endif
