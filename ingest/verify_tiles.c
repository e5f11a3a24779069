/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sheets of thumbnails: as many as the MPD's times mean, each a JPEG of the
 * size that is told.
 */
#include <libavcodec/avcodec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/mpd.h"
#include "dash/package.h"
#include "ingest/verify_seen.h"

#define SCHEME "http://dashif.org/guidelines/thumbnail_tile"
#define MAX_SHEET ((size_t)8 << 20)
#define MAX_SIDE 16384u
#define MAX_SHEETS 100000u

/* One JPEG; its size, or false. */
static bool decode(const struct buf *file, int *ret_width, int *ret_height)
{
	AVCodecContext *c = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();
	bool good = c != NULL && packet != NULL && frame != NULL && av_new_packet(packet, (int)file->size) >= 0;

	if (good) {
		memcpy(packet->data, file->bytes, file->size);
		c->err_recognition = AV_EF_EXPLODE;
		c->thread_count = 1;
		good = avcodec_open2(c, NULL, NULL) >= 0 && avcodec_send_packet(c, packet) >= 0 && avcodec_send_packet(c, NULL) >= 0 &&
		       avcodec_receive_frame(c, frame) >= 0 && frame->decode_error_flags == 0;
	}
	if (good) {
		*ret_width = frame->width;
		*ret_height = frame->height;
	}
	av_frame_free(&frame);
	av_packet_free(&packet);
	avcodec_free_context(&c);
	return good;
}

static int check_sheet(struct verify *v, const char *name, uint32_t width, uint32_t height)
{
	int have_width = 0, have_height = 0;
	struct buf file;
	bool good;
	int r = verify_read_file(v, name, MAX_SHEET, &file);

	if (r != 0)
		return r;
	good = decode(&file, &have_width, &have_height);
	buf_fini(&file);
	if (!good)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s: is no JPEG that can be decoded"), name);
	if ((uint32_t)have_width != width || (uint32_t)have_height != height)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s: is %dx%d, the MPD says %ux%u"), name, have_width, have_height, width, height);
	return 0;
}

static const char *grid_of(const struct mpd_descriptors *a, const struct mpd_descriptors *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].scheme != NULL && strcmp(a->v[i].scheme, SCHEME) == 0)
			return a->v[i].value;
	return b != NULL ? grid_of(b, NULL) : NULL;
}

/* ISO/IEC 23009-1 5.3.9.4.4: "$Number$" alone is what we write. */
static char *sheet_name(const char *media, uint64_t number)
{
	const char *at = strstr(media, "$Number$");

	return at == NULL ? NULL : mem_printf("%.*s%llu%s", (int)(at - media), media, (unsigned long long)number, at + strlen("$Number$"));
}

static int check_sheets(struct verify *v, const struct mpd_representation *m, uint64_t count)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i <= count && !verify_stopped(v); i++) {
		char *name = sheet_name(m->segments.media, m->segments.start_number + i);

		if (name == NULL || !str_is_name(name, strlen(name))) {
			r = verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: thumbnails named \"%s\""), PACKAGE_MANIFEST, m->line, m->segments.media);
		} else if (i < count) {
			r = check_sheet(v, name, m->common.width, m->common.height);
		} else {
			char *path = path_join(v->folder, name);

			if (file_exists(path))
				r = verify_wrong(v->fault, ERR_CORRUPT, _("%s: is behind the last of %llu sheets that the MPD's times mean"), name,
				              (unsigned long long)count);
			free(path);
		}
		free(name);
	}
	return r;
}

static int check_one(struct verify *v, const struct mpd *mpd, const struct mpd_set *set, const struct mpd_representation *m)
{
	const struct mpd_segments *s = &m->segments;
	const char *grid = grid_of(&m->common.essential, &set->common.essential);
	unsigned columns = 0, rows = 0;
	double sheet, count;
	char extra;

	if (grid == NULL || sscanf(grid, "%ux%u%c", &columns, &rows, &extra) != 2 || columns == 0 || rows == 0 || columns > 100 || rows > 100)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: thumbnails in a grid of \"%s\""), PACKAGE_MANIFEST, m->line, grid != NULL ? grid : "");
	if (m->common.width == 0 || m->common.height == 0 || m->common.width > MAX_SIDE || m->common.height > MAX_SIDE || m->common.width % columns != 0 ||
	    m->common.height % rows != 0)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: sheets of %ux%u cannot have %s tiles"), PACKAGE_MANIFEST, m->line, m->common.width,
		                 m->common.height, grid);
	if (s->kind != MPD_SEGMENT_TEMPLATE || s->media == NULL || !s->has_duration || s->duration == 0 || !mpd->has_duration)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: it is not said which sheet of thumbnails stands when"), PACKAGE_MANIFEST, m->line);
	sheet = (double)s->duration / (s->has_timescale && s->timescale > 0 ? s->timescale : 1);
	/* half a millisecond: the MPD writes its times rounded */
	count = ((double)mpd->duration / DUR_S - 0.0005) / sheet;
	if (count > MAX_SHEETS)
		return verify_wrong(v->fault, ERR_LIMIT, _("%s:%u: more than %u sheets of thumbnails"), PACKAGE_MANIFEST, m->line, MAX_SHEETS);
	return check_sheets(v, m, count > 0 ? (uint64_t)count + 1 : 1);
}

static bool is_tiled(const struct mpd_set *set, const struct mpd_representation *m)
{
	const char *mime = m->common.mime_type != NULL ? m->common.mime_type : set->common.mime_type;

	return mime != NULL && str_starts(mime, "image/") && m->base_urls.n != 1;
}

int verify_tiles(struct verify *v, const struct mpd *mpd)
{
	int r = 0;

	for (size_t p = 0; p < mpd->n_periods; p++)
		for (size_t s = 0; s < mpd->periods[p].n_sets; s++) {
			const struct mpd_set *set = &mpd->periods[p].sets[s];

			for (size_t i = 0; r == 0 && i < set->n_representations; i++)
				r = is_tiled(set, &set->representations[i]) ? check_one(v, mpd, set, &set->representations[i]) : 0;
		}
	return r;
}
