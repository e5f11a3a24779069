/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One wish at a time: a mouse that runs along the bar wants the place where it is, not
 * all those it has passed.  The last few sheets stay decoded.
 */
#include "player/thumbs.h"

#include <libavcodec/avcodec.h>
#include <libavutil/mathematics.h>
#include <libswscale/swscale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "fetch/fetch.h"
#include "player/hub.h"

#define MAX_SHEET ((size_t)16 << 20)
#define MAX_SIDE 16384
#define MAX_PIXELS ((int64_t)1 << 25) /* of a sheet: a few bytes can be a picture of any size */
#define MAX_TILES 10000
#define MAX_WIDTH 320
#define SHEETS 4
#define NOWHERE INT64_MIN

/* Where a picture stands. */
struct place {
	unsigned period;
	int segment;
	unsigned tile;
};

struct picture {
	uint32_t *pixels;
	int width, height;
	struct place place;
};

struct thumbs {
	struct fetch *fetch;
	struct hub *hub;
	const struct source *source;
	pthread_t thread;
	/* the thread's */
	struct {
		struct place place;
		AVFrame *frame; /* NULL: it cannot be had */
		bool there;
	} sheets[SHEETS];
	unsigned next_sheet;
	/* under the hub's lock */
	dur_us wish;
	struct picture made;
	unsigned n_made;
	/* the presenter's */
	struct picture shown;
	unsigned id;
};

/* --- which -------------------------------------------------------------------------------------- */

/* "5x4": columns, rows */
static bool read_tiles(const struct mpd_descriptors *list, unsigned *ret_columns, unsigned *ret_rows)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct mpd_descriptor *d = &list->v[i];
		const char *x = d->value != NULL ? strchr(d->value, 'x') : NULL;
		uint64_t columns, rows;

		if (d->scheme == NULL || strstr(d->scheme, "thumbnail_tile") == NULL || x == NULL)
			continue;
		if (str_parse_u64(d->value, (size_t)(x - d->value), &columns) != 0 || str_parse_u64(x + 1, strlen(x + 1), &rows) != 0 ||
		    columns == 0 || rows == 0 || columns > MAX_TILES || rows > MAX_TILES || columns * rows > MAX_TILES)
			continue;
		*ret_columns = (unsigned)columns;
		*ret_rows = (unsigned)rows;
		return true;
	}
	return false;
}

struct sheets {
	const struct timeline_rendition *r;
	unsigned columns, rows;
};

/* The Period's smallest set of sheets. */
static bool find(const struct timeline_period *p, struct sheets *ret)
{
	for (size_t i = 0; i < p->n_tracks; i++) {
		const struct timeline_track *t = &p->tracks[i];

		for (size_t k = 0; t->kind == TIMELINE_IMAGE && k < t->n_renditions; k++) {
			struct sheets s = {.r = &t->renditions[k], .columns = 1, .rows = 1};

			if (s.r->fault != NULL || s.r->n_segments == 0)
				continue;
			if (!read_tiles(&s.r->representation->common.essential, &s.columns, &s.rows))
				read_tiles(&t->set->common.essential, &s.columns, &s.rows);
			*ret = s;
			return true;
		}
	}
	return false;
}

/* A sheet's own length: the last one's segment is cut at the Period's end, its tiles are not. */
static int64_t sheet_duration(const struct sheets *s, const struct timeline_period *p, int segment)
{
	const struct mpd_segments *levels[] = {&s->r->representation->segments, &s->r->set->segments, &p->period->segments};

	for (size_t i = 0; i < 3; i++)
		if (levels[i]->has_duration && levels[i]->duration <= INT64_MAX)
			return (int64_t)levels[i]->duration;
	return (int64_t)s->r->segments[segment].duration;
}

static bool find_place(const struct timeline *t, dur_us at, struct sheets *ret_sheets, struct place *ret)
{
	struct place w = {.period = source_period_at(t, at)};
	const struct timeline_period *p = &t->periods[w.period];
	uint32_t scale;
	int64_t n;
	dur_us length, in;

	if (!find(p, ret_sheets))
		return false;
	scale = ret_sheets->r->timescale;
	w.segment = timeline_find(ret_sheets->r, av_rescale_rnd(at - p->start, scale, DUR_S, AV_ROUND_DOWN));
	n = (int64_t)ret_sheets->columns * ret_sheets->rows;
	/* in microseconds: the timescale may be as coarse as a second */
	length = timeline_us(sheet_duration(ret_sheets, p, w.segment), scale);
	in = at - p->start - timeline_us(ret_sheets->r->segments[w.segment].start, scale);
	if (length <= 0)
		return false;
	w.tile = in <= 0 ? 0 : in >= length ? (unsigned)n - 1 : (unsigned)av_rescale_rnd(in, n, length, AV_ROUND_DOWN);
	*ret = w;
	return true;
}

static bool same(const struct place *a, const struct place *b)
{
	return a->period == b->period && a->segment == b->segment && a->tile == b->tile;
}

/* --- sheets --------------------------------------------------------------------------------------- */

static struct blob *get(struct thumbs *x, const struct timeline_rendition *r, const struct timeline_segment *s)
{
	struct blob *b = NULL;

	for (size_t i = 0; i < r->n_bases && b == NULL; i++) {
		char *url = timeline_resolve(r, i, s->url);
		struct fetch_request req = {.url = url, .has_range = s->has_range, .first = s->range.first, .last = s->range.last,
			.max_bytes = MAX_SHEET, .total_timeout = 10 * DUR_S};

		if (url != NULL && fetch_get(x->fetch, &req, &b, NULL, NULL, NULL) != 0)
			blob_unref(&b);
		free(url);
	}
	return b;
}

static AVFrame *decode(const struct blob *b)
{
	bool png = b->size > 4 && memcmp(b->bytes, "\x89PNG", 4) == 0;
	const AVCodec *codec = avcodec_find_decoder(png ? AV_CODEC_ID_PNG : AV_CODEC_ID_MJPEG);
	AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
	AVPacket *packet = av_packet_alloc();
	AVFrame *f = av_frame_alloc();
	bool ok = false;

	if (c != NULL)
		c->max_pixels = MAX_PIXELS;
	if (c != NULL && packet != NULL && f != NULL && avcodec_open2(c, codec, NULL) == 0 && av_new_packet(packet, (int)b->size) == 0) {
		memcpy(packet->data, b->bytes, b->size);
		ok = avcodec_send_packet(c, packet) == 0 && avcodec_send_packet(c, NULL) == 0 && avcodec_receive_frame(c, f) == 0 &&
		     f->width <= MAX_SIDE && f->height <= MAX_SIDE;
	}
	av_packet_free(&packet);
	avcodec_free_context(&c);
	if (!ok)
		av_frame_free(&f);
	return f;
}

static const AVFrame *sheet(struct thumbs *x, const struct sheets *s, const struct place *at)
{
	struct blob *b;
	unsigned i;

	for (i = 0; i < SHEETS; i++)
		if (x->sheets[i].there && x->sheets[i].place.period == at->period && x->sheets[i].place.segment == at->segment)
			return x->sheets[i].frame;
	i = x->next_sheet++ % SHEETS;
	av_frame_free(&x->sheets[i].frame);
	b = get(x, s->r, &s->r->segments[at->segment]);
	if (b != NULL)
		x->sheets[i].frame = decode(b);
	if (x->sheets[i].frame == NULL)
		log_verbose("player/thumbs", "a sheet cannot be had segment=%d", at->segment);
	blob_unref(&b);
	x->sheets[i].place = *at;
	x->sheets[i].there = true;
	return x->sheets[i].frame;
}

/* One tile, in the shape of the sheet's tiles, at most MAX_WIDTH wide. */
static bool cut(const AVFrame *f, const struct sheets *s, unsigned tile, struct picture *ret)
{
	int w = f->width / (int)s->columns & ~1, h = f->height / (int)s->rows & ~1, width = w < MAX_WIDTH ? w : MAX_WIDTH;
	int height = w > 0 ? (int)((int64_t)h * width / w) : 0;
	struct SwsContext *sws = width > 0 && height > 0 ? sws_getContext(w, h, f->format, width, height, AV_PIX_FMT_BGRA, SWS_BILINEAR, NULL, NULL, NULL) : NULL;
	AVFrame *part = sws != NULL ? av_frame_clone(f) : NULL;
	uint8_t *to[4] = {NULL};
	int stride[4] = {width * 4};

	if (part != NULL) {
		part->crop_left = tile % s->columns * (size_t)w;
		part->crop_top = tile / s->columns * (size_t)h;
		part->crop_right = (size_t)f->width - part->crop_left - (size_t)w;
		part->crop_bottom = (size_t)f->height - part->crop_top - (size_t)h;
		if (av_frame_apply_cropping(part, AV_FRAME_CROP_UNALIGNED) == 0) {
			ret->pixels = mem_new_array((size_t)width * (size_t)height, sizeof *ret->pixels);
			ret->width = width;
			ret->height = height;
			to[0] = (uint8_t *)ret->pixels;
			sws_scale(sws, (const uint8_t *const *)part->data, part->linesize, 0, h, to, stride);
		}
	}
	av_frame_free(&part);
	sws_freeContext(sws);
	return ret->pixels != NULL;
}

static void make(struct thumbs *x, dur_us wish)
{
	struct picture p = {0};
	struct sheets s;
	const AVFrame *f;

	if (!find_place(x->source->timeline, wish, &s, &p.place))
		return;
	f = sheet(x, &s, &p.place);
	if (f == NULL || !cut(f, &s, p.place.tile, &p))
		return;
	hub_lock(x->hub);
	free(x->made.pixels);
	x->made = p;
	x->n_made++;
	hub_unlock(x->hub);
}

/* --- the thread ------------------------------------------------------------------------------------ */

static void *run(void *ctx)
{
	struct thumbs *x = ctx;
	struct hub *h = x->hub;

	hub_lock(h);
	while (!h->quit) {
		dur_us wish = x->wish;

		if (wish == NOWHERE) {
			hub_wait(h);
			continue;
		}
		hub_unlock(h);
		make(x, wish);
		hub_lock(h);
		if (x->wish == wish)
			x->wish = NOWHERE;
	}
	hub_unlock(h);
	return NULL;
}

struct thumbs *thumbs_new(struct fetch *fetch, struct hub *hub, const struct source *source)
{
	struct thumbs *x;
	struct sheets s;
	bool any = false;

	for (size_t i = 0; i < source->timeline->n_periods && !any; i++)
		any = find(&source->timeline->periods[i], &s);
	if (!any)
		return NULL;
	x = mem_new(sizeof *x);
	x->fetch = fetch;
	x->hub = hub;
	x->source = source;
	x->wish = NOWHERE;
	if (pthread_create(&x->thread, NULL, run, x) != 0) {
		free(x);
		return NULL;
	}
	return x;
}

void thumbs_free(struct thumbs **px)
{
	struct thumbs *x = *px;

	if (x == NULL)
		return;
	pthread_join(x->thread, NULL);
	for (unsigned i = 0; i < SHEETS; i++)
		av_frame_free(&x->sheets[i].frame);
	free(x->made.pixels);
	free(x->shown.pixels);
	free(x);
	*px = NULL;
}

bool thumbs_at(struct thumbs *x, dur_us t, struct thumb *ret)
{
	struct sheets s;
	struct place at;

	if (!find_place(x->source->timeline, t, &s, &at))
		return false;
	hub_lock(x->hub);
	if (x->made.pixels != NULL) {
		free(x->shown.pixels);
		x->shown = x->made;
		x->made.pixels = NULL;
		x->id = x->n_made;
	}
	if (x->shown.pixels == NULL || !same(&x->shown.place, &at)) {
		x->wish = t;
		hub_ring(x->hub);
	}
	hub_unlock(x->hub);
	if (x->shown.pixels == NULL || !same(&x->shown.place, &at))
		return false;
	*ret = (struct thumb){.pixels = x->shown.pixels, .width = x->shown.width, .height = x->shown.height, .id = x->id};
	return true;
}
