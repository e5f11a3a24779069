/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SVT-AV1 with one logical processor gives the same bits each time; cores are
 * filled by chunks side by side, as with x264.  A temporal unit shows one picture, so
 * samples leave in the order in which they are shown and there is no delay.
 */
#include "ingest/av1.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

#define QUALITY_APART 12.0 /* SVT-AV1's CRF above x264's at the same SSIM (preset 8 and veryfast) */
#define LEAST_CRF 20.0
#define MOST_CRF 55.0
#define USUAL_CRF 35.0     /* where the H.264 rung aims at a rate */
#define RATE_SHARE 0.7     /* of the H.264 rung's highest rate */

/* --- the plan ---------------------------------------------------------------------------------- */

static void set_rung(const struct plan_rung *avc, struct plan_rung *r)
{
	*r = *avc;
	r->crf = avc->crf > 0 ? round(fmin(fmax(avc->crf + QUALITY_APART, LEAST_CRF), MOST_CRF)) : USUAL_CRF;
	r->bitrate = (uint64_t)(RATE_SHARE * (double)avc->bitrate);
	r->max_rate = (uint64_t)(RATE_SHARE * (double)avc->max_rate);
	r->vbv = (uint64_t)(RATE_SHARE * (double)avc->vbv);
}

void av1_plan(const struct plan *p, struct plan *ret_plan)
{
	struct plan_rung rungs[PLAN_MAX_RUNGS];
	size_t n = 0;

	for (size_t i = 0; i < p->n_rungs; i++) {
		const struct plan_rung *r = &p->rungs[i];
		bool last = i + 1 == p->n_rungs || p->rungs[i + 1].width != r->width || p->rungs[i + 1].height != r->height;

		if (last && r->width >= AV1_LEAST_SIDE && r->height >= AV1_LEAST_SIDE)
			set_rung(r, &rungs[n++]);
	}
	*ret_plan = *p;
	ret_plan->n_rungs = 0;
	if (n == 0)
		return;
	plan_set_rungs(ret_plan, rungs, n);
	for (size_t i = 0; i < n; i++)
		snprintf(ret_plan->rungs[i].name, sizeof ret_plan->rungs[i].name, "video-av1-%dx%d-q%.0f", rungs[i].width, rungs[i].height, rungs[i].crf);
}

/* --- packets ----------------------------------------------------------------------------------- */

enum { OBU_TEMPORAL_DELIMITER = 2, OBU_TILE_LIST = 8, OBU_PADDING = 15 };

struct av1 {
	const struct avc_settings *settings;
	AVCodecContext *ctx;
	AVPacket *packet;
	struct buf unit;
	uint64_t first;
	struct chunk *out;
	bool begun, ended;       /* the encoder was given a frame; the end of frames */
	struct fault *fault;
};

/* One OBU's length with its head, 0: it has no sane one.  The encoder always tells sizes (AV1 5.3.1, 4.10.5). */
static size_t obu_length(const uint8_t *p, size_t n)
{
	size_t at = p[0] & 4 ? 2 : 1;
	uint64_t size = 0;

	if ((p[0] & 2) == 0)
		return 0;
	for (unsigned shift = 0; at < n && shift < 56; shift += 7) {
		size |= (uint64_t)(p[at] & 127) << shift;
		if ((p[at++] & 128) == 0)
			return size <= n - at ? at + (size_t)size : 0;
	}
	return 0;
}

/* AV1 in ISOBMFF 2.4: no temporal delimiters, padding or tile lists in a sample. */
static int to_sample(const uint8_t *p, size_t n, struct buf *out)
{
	buf_clear(out);
	while (n > 0) {
		size_t length = obu_length(p, n);
		int type = p[0] >> 3 & 15;

		if (length == 0)
			return ERR_CORRUPT;
		if (type != OBU_TEMPORAL_DELIMITER && type != OBU_TILE_LIST && type != OBU_PADDING)
			buf_append(out, p, length);
		p += length;
		n -= length;
	}
	return buf_error(out);
}

static int take_packet(struct av1 *a)
{
	const char *name = a->settings->rung->name;
	const AVPacket *p = a->packet;
	uint64_t frame = a->first + a->out->n_samples;
	struct chunk_sample s = {
		.sync = (p->flags & AV_PKT_FLAG_KEY) != 0,
		.starts_segment = frame % a->settings->plan->segment_frames == 0,
	};

	if (a->first + (uint64_t)p->pts != frame)
		return fault_set(a->fault, ERR_MEDIA, "%s: the encoder gave frame %lld where %llu was due", name, (long long)a->first + p->pts,
		                 (unsigned long long)frame);
	if (s.starts_segment && !s.sync)
		return fault_set(a->fault, ERR_MEDIA, "%s: the encoder did not start frame %llu, which begins a segment, with a key frame; try another --av1-preset", name,
		                 (unsigned long long)frame);
	if (to_sample(p->data, (size_t)p->size, &a->unit) != 0)
		return fault_set(a->fault, ERR_MEDIA, "%s: the encoder's frame %llu is no chain of OBUs", name, (unsigned long long)frame);
	s.size = (uint32_t)a->unit.size;
	if (chunk_add(a->out, &s, a->unit.bytes) != 0)
		return fault_set(a->fault, ERR_LIMIT, "%s: the segments from frame %llu are over %zu MiB; is the bitrate right?", name,
		                 (unsigned long long)a->first, CHUNK_MAX_BYTES >> 20);
	return 0;
}

static int take_packets(struct av1 *a)
{
	for (;;) {
		int r = avcodec_receive_packet(a->ctx, a->packet);

		if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
			return 0;
		if (r < 0)
			return fault_set(a->fault, ERR_MEDIA, "%s: the encoder failed: %s", a->settings->rung->name, av_err2str(r));
		r = take_packet(a);
		av_packet_unref(a->packet);
		if (r != 0)
			return r;
	}
}

/* --- the encoder -------------------------------------------------------------------------------- */

static int open_encoder(const struct avc_settings *s, AVCodecContext **ret_ctx, struct fault *f)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libsvtav1");
	AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
	AVDictionary *options = NULL;
	char crf[16];
	int r;

	if (codec == NULL)
		return fault_set(f, ERR_UNSUPPORTED, "this FFmpeg has no encoder libsvtav1; leave av1 out of --codecs");
	MUST(c != NULL);
	setenv("SVT_LOG", "1", 0); /* errors alone: it speaks to standard error by itself */
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
	c->width = s->rung->width;
	c->height = s->rung->height;
	c->pix_fmt = s->is_deep ? AV_PIX_FMT_YUV420P10 : AV_PIX_FMT_YUV420P;
	c->time_base = av_inv_q(s->plan->frame_rate);
	c->framerate = s->plan->frame_rate;
	c->sample_aspect_ratio = (AVRational){1, 1};
	c->color_primaries = s->primaries;
	c->color_trc = s->transfer;
	c->colorspace = s->matrix;
	c->color_range = AVCOL_RANGE_MPEG;
	c->gop_size = (int)s->plan->segment_frames;
	c->rc_max_rate = (int64_t)s->rung->max_rate;
	c->rc_buffer_size = (int)s->rung->vbv;
	snprintf(crf, sizeof crf, "%.0f", s->rung->crf);
	av_dict_set(&options, "crf", crf, 0);
	av_dict_set(&options, "preset", s->preset, 0);
	av_dict_set(&options, "svtav1-params", "lp=1", 0);
	r = avcodec_open2(c, codec, &options);
	av_dict_free(&options);
	if (r < 0) {
		avcodec_free_context(&c);
		return fault_set(f, ERR_MEDIA, "%s: SVT-AV1 does not take these settings (preset %s): %s", s->rung->name, s->preset, av_err2str(r));
	}
	*ret_ctx = c;
	return 0;
}

/* SVT-AV1 1.4 waits for ever when it is ended before it was given a frame and the end of frames. */
static void close_encoder(AVCodecContext **pc, bool begun, bool ended)
{
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();

	MUST(packet != NULL && frame != NULL);
	frame->format = (*pc)->pix_fmt;
	frame->width = (*pc)->width;
	frame->height = (*pc)->height;
	frame->pts = 0;
	if (!begun && av_frame_get_buffer(frame, 0) >= 0)
		avcodec_send_frame(*pc, frame);
	if (!ended)
		avcodec_send_frame(*pc, NULL);
	while (avcodec_receive_packet(*pc, packet) >= 0)
		av_packet_unref(packet);
	av_frame_free(&frame);
	av_packet_free(&packet);
	avcodec_free_context(pc);
}

static int parameters(const struct avc_settings *s, AVCodecParameters **ret_parameters, int *ret_delay, struct fault *f)
{
	AVCodecContext *c = NULL;
	int r = open_encoder(s, &c, f);

	if (r != 0)
		return r;
	*ret_parameters = avcodec_parameters_alloc();
	MUST(*ret_parameters != NULL && avcodec_parameters_from_context(*ret_parameters, c) >= 0);
	*ret_delay = 0;
	close_encoder(&c, false, false);
	return 0;
}

static int send_frame(struct av1 *a, AVFrame *frame, uint64_t number)
{
	int r;

	if (frame != NULL) {
		frame->pict_type = AV_PICTURE_TYPE_NONE;
		frame->pts = (int64_t)(number - a->first);
	}
	r = avcodec_send_frame(a->ctx, frame);
	a->begun = a->begun || frame != NULL;
	a->ended = frame == NULL;
	if (r < 0 && r != AVERROR_EOF)
		return fault_set(a->fault, ERR_MEDIA, "%s: the encoder refused frame %llu: %s", a->settings->rung->name, (unsigned long long)number, av_err2str(r));
	return take_packets(a);
}

static int encode(const struct avc_settings *s, uint64_t first, avc_next_f next, void *ctx, struct chunk *out, struct fault *f)
{
	struct av1 a = {.settings = s, .first = first, .out = out, .fault = f};
	uint64_t number = first;
	AVFrame *frame;
	int r = open_encoder(s, &a.ctx, f);

	if (r != 0)
		return r;
	a.packet = av_packet_alloc();
	MUST(a.packet != NULL);
	buf_init(&a.unit, (size_t)256 << 20);
	while (r == 0 && (frame = next(ctx)) != NULL) {
		r = send_frame(&a, frame, number++);
		av_frame_free(&frame);
	}
	if (r == 0 && a.begun)
		r = send_frame(&a, NULL, number);
	if (r == 0 && out->n_samples != number - first)
		r = fault_set(f, ERR_MEDIA, "%s: the encoder made %zu pictures of %llu", s->rung->name, out->n_samples, (unsigned long long)(number - first));
	buf_fini(&a.unit);
	av_packet_free(&a.packet);
	close_encoder(&a.ctx, a.begun, a.ended);
	return r;
}

const struct coder av1_coder = {parameters, encode};
