/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How near each coded picture is to the one the encoder was given, as x264 itself
 * measures it while it has both in its cache: luma PSNR and SSIM, at the rendition's
 * own size.  4 % of the encoding, where decoding and comparing again would be 20 %.
 */
#ifndef RIBERA_INGEST_QUALITY_H
#define RIBERA_INGEST_QUALITY_H

#include <stdbool.h>

struct quality {
	bool known;
	double psnr; /* dB, luma; 100 for no difference */
	double ssim; /* 0 to 1, luma */
};

/* Asked of libx264 ("x264-params"). */
#define QUALITY_X264 "psnr=1:ssim=1"

/* Begins to listen; before an encoder is opened.  Any thread, any number of times. */
void quality_listen(void);

/* What was measured of the picture whose packet this thread got last, or not known.  Each
 * is given once. */
struct quality quality_take(void);

#endif
