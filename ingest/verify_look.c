/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Means of blocks of luma; a grid of sampled pixels would see compression, means do not.
 */
#include "ingest/verify_look.h"

#include <libavutil/pixdesc.h>
#include <stdlib.h>

/* The mean of a block; every second line and pixel is enough. */
static uint8_t mean(const AVFrame *f, int depth, int left, int top, int right, int bottom)
{
	uint64_t sum = 0, n = 0;

	for (int y = top; y < bottom; y += 2) {
		const uint8_t *line = f->data[0] + (ptrdiff_t)y * f->linesize[0];

		for (int x = left; x < right; x += 2, n++)
			sum += depth > 8 ? (uint64_t)(line[2 * x] | line[2 * x + 1] << 8) >> (depth - 8) : line[x];
	}
	return n > 0 ? (uint8_t)(sum / n) : 0;
}

void look_at(const AVFrame *f, struct look *look)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);

	if (d == NULL || (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_HWACCEL)) != 0 ||
	    d->comp[0].step != (d->comp[0].depth > 8 ? 2 : 1) || f->data[0] == NULL)
		return;
	for (int r = 0; r < LOOK_ROWS; r++)
		for (int c = 0; c < LOOK_COLUMNS; c++)
			look->luma[r][c] = mean(f, d->comp[0].depth, f->width * c / LOOK_COLUMNS, f->height * r / LOOK_ROWS,
			                        f->width * (c + 1) / LOOK_COLUMNS, f->height * (r + 1) / LOOK_ROWS);
	look->seen = true;
}

double look_apart(const struct look *a, const struct look *b)
{
	unsigned sum = 0;

	if (!a->seen || !b->seen)
		return 0;
	for (int r = 0; r < LOOK_ROWS; r++)
		for (int c = 0; c < LOOK_COLUMNS; c++)
			sum += (unsigned)abs(a->luma[r][c] - b->luma[r][c]);
	return (double)sum / (LOOK_ROWS * LOOK_COLUMNS);
}
