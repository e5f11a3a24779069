/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: tile i is there if and only if the film is longer than i times the
 * distance, so that a player's count of sheets is ours.
 */
#include "ingest/tiles.h"

#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "ingest/poster.h"

#define AREA (320.0 * 180)
#define SIDE 5           /* tiles a row and rows a sheet, at most */
#define MOST_TILES 400
#define UNKNOWN_EVERY 10
#define QUALITY 6        /* of mjpeg: 1.6 megapixels in 100 to 200 KB */

struct tiles {
	char *folder;
	AVRational frame_rate;
	int tile_width, tile_height;
	struct tiles_facts facts;
	struct SwsContext *scaler;
	AVFrame *tile, *sheet;
	uint64_t on_sheet;
};

static int even(double v, int most)
{
	int i = 2 * (int)lround(v / 2);

	return i < 2 ? 2 : i > most ? most : i;
}

static uint32_t distance(double seconds)
{
	static const uint32_t steps[] = {1, 2, 4, 5, 10, 15, 20, 30, 60, 120, 300, 600, 3600};
	size_t i = 0;

	if (seconds <= 0)
		return UNKNOWN_EVERY;
	while (i + 1 < sizeof steps / sizeof steps[0] && seconds > (double)steps[i] * MOST_TILES)
		i++;
	return steps[i];
}

static AVFrame *picture(int width, int height)
{
	AVFrame *f = av_frame_alloc();

	MUST(f != NULL);
	f->width = width;
	f->height = height;
	f->format = AV_PIX_FMT_YUVJ420P;
	MUST(av_frame_get_buffer(f, 0) >= 0);
	return f;
}

static void blacken(AVFrame *f)
{
	memset(f->data[0], 0, (size_t)f->linesize[0] * (size_t)f->height);
	for (int i = 1; i < 3; i++)
		memset(f->data[i], 128, (size_t)f->linesize[i] * (size_t)(f->height / 2));
}

struct tiles *tiles_new(const char *folder, const struct plan *p, double seconds)
{
	struct tiles *t = mem_new(sizeof *t);
	double scale = fmin(1, sqrt(AREA / ((double)p->width * p->height)));
	int n;

	t->folder = mem_dup(folder);
	t->frame_rate = p->frame_rate;
	t->tile_width = even(p->width * scale, p->width);
	t->tile_height = even(p->height * scale, p->height);
	t->facts.every = distance(seconds);
	n = seconds <= 0 ? SIDE * SIDE : (int)fmin(fmax(ceil(seconds / t->facts.every), 1), SIDE * SIDE);
	t->facts.columns = n < SIDE ? n : SIDE;
	t->facts.rows = (n + t->facts.columns - 1) / t->facts.columns;
	t->facts.width = t->facts.columns * t->tile_width;
	t->facts.height = t->facts.rows * t->tile_height;
	t->tile = picture(t->tile_width, t->tile_height);
	t->sheet = picture(t->facts.width, t->facts.height);
	blacken(t->sheet);
	return t;
}

void tiles_free(struct tiles **pt)
{
	struct tiles *t = *pt;

	*pt = NULL;
	if (t == NULL)
		return;
	sws_freeContext(t->scaler);
	av_frame_free(&t->tile);
	av_frame_free(&t->sheet);
	free(t->folder);
	free(t);
}

size_t tiles_rung(const struct plan *p)
{
	size_t i = 0;

	while (i + 1 < p->n_rungs && (double)p->rungs[i].width * p->rungs[i].height < AREA)
		i++;
	return i;
}

static int finish_sheet(struct tiles *t, struct fault *f)
{
	char *name = mem_printf(TILES_FILE, (unsigned long long)++t->facts.n_sheets), *path = path_join(t->folder, name);
	uint64_t bytes = 0;
	int r = poster_write_full_range(t->sheet, QUALITY, path, &bytes, f);

	t->facts.largest = bytes > t->facts.largest ? bytes : t->facts.largest;
	t->on_sheet = 0;
	blacken(t->sheet);
	free(path);
	free(name);
	return r;
}

static void put_tile(struct tiles *t)
{
	int column = (int)(t->on_sheet % (uint64_t)t->facts.columns), row = (int)(t->on_sheet / (uint64_t)t->facts.columns);

	for (int i = 0; i < 3; i++) {
		int shift = i > 0, width = t->tile_width >> shift, height = t->tile_height >> shift;
		uint8_t *to = t->sheet->data[i] + (ptrdiff_t)(row * height) * t->sheet->linesize[i] + column * width;

		av_image_copy_plane(to, t->sheet->linesize[i], t->tile->data[i], t->tile->linesize[i], width, height);
	}
	t->on_sheet++;
	t->facts.n_tiles++;
}

int tiles_take(struct tiles *t, const AVFrame *frame, struct fault *f)
{
	int64_t seconds = (int64_t)t->facts.n_tiles * t->facts.every;

	/* the picture that stands at that time */
	if (frame->pts < av_rescale_rnd(seconds, t->frame_rate.num, t->frame_rate.den, AV_ROUND_DOWN))
		return 0;
	t->scaler = sws_getCachedContext(t->scaler, frame->width, frame->height, AV_PIX_FMT_YUV420P, t->tile_width, t->tile_height,
	                                 AV_PIX_FMT_YUVJ420P, SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL, NULL);
	if (t->scaler == NULL)
		return fault_set(f, ERR_MEDIA, _("the thumbnails cannot be scaled to %dx%d"), t->tile_width, t->tile_height);
	sws_scale(t->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, t->tile->data, t->tile->linesize);
	put_tile(t);
	return t->on_sheet == (uint64_t)(t->facts.columns * t->facts.rows) ? finish_sheet(t, f) : 0;
}

int tiles_end(struct tiles *t, struct fault *f)
{
	return t->on_sheet > 0 ? finish_sheet(t, f) : 0;
}

const struct tiles_facts *tiles_facts(const struct tiles *t)
{
	return &t->facts;
}
