/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * x264 under a VBV gives other bits each time when several threads share one
 * encoder, so each has one thread, and the cores are filled by encoding chunks
 * side by side.
 */
#include "ingest/avc.h"

#include <errno.h>
#include <libavutil/opt.h>
#include <string.h>

#include "base/must.h"

struct avc {
	const struct avc_settings *settings;
	AVCodecContext *ctx;
	AVPacket *packet;
	struct buf picture;      /* with lengths for start codes */
	uint64_t first;          /* number of the chunk's first frame */
	struct chunk *out;
	struct fault *fault;
};

/* --- bytes ------------------------------------------------------------------------------- */

static size_t next_start_code(const uint8_t *p, size_t n, size_t from)
{
	for (size_t i = from; i + 3 <= n; i++) {
		const uint8_t *one = memchr(p + i + 2, 1, n - i - 2);

		if (one == NULL)
			return n;
		i = (size_t)(one - p) - 2;
		if (p[i] == 0 && p[i + 1] == 0)
			return i;
	}
	return n;
}

/* SEI with the encoder's name and settings: once a rendition is enough (ISO/IEC 14496-10 D.1.6). */
static bool is_encoder_name(const uint8_t *nal, size_t n)
{
	return n > 2 && (nal[0] & 31) == 6 && nal[1] == 5;
}

/* ISO/IEC 14496-15 5.3.2: start codes (Annex B) become lengths of 4 bytes. */
static int to_lengths(const uint8_t *p, size_t n, bool keep_name, struct buf *out)
{
	size_t at = next_start_code(p, n, 0);

	buf_clear(out);
	while (at < n) {
		size_t start = at + 3, end = next_start_code(p, n, start);

		at = end;
		while (end > start && p[end - 1] == 0) /* trailing zeros and the long start code's first byte */
			end--;
		if (!keep_name && is_encoder_name(p + start, end - start))
			continue;
		buf_be(out, end - start, 4);
		buf_append(out, p + start, end - start);
	}
	return buf_error(out);
}

/* --- packets ----------------------------------------------------------------------------- */

static int take_packet(struct avc *a)
{
	const struct plan *plan = a->settings->plan;
	const char *name = a->settings->rung->name;
	AVPacket *p = a->packet;
	uint64_t frame = a->first + (uint64_t)p->pts;
	int delay = a->ctx->has_b_frames;
	struct chunk_sample s = {
		.sync = (p->flags & AV_PKT_FLAG_KEY) != 0,
		.starts_segment = frame % plan->segment_frames == 0,
		.composition = p->pts - (int64_t)a->out->n_samples + delay,
		.quality = quality_take(),
	};

	if (s.composition < 0)
		return fault_set(a->fault, ERR_MEDIA, "%s: frame %llu left the encoder later than its delay of %d frames", name, (unsigned long long)frame, delay);
	if (s.starts_segment && !s.sync)
		return fault_set(a->fault, ERR_MEDIA, "%s: the encoder did not start segment %llu (frame %llu) with an IDR picture; try another --preset", name,
		                 (unsigned long long)(frame / plan->segment_frames), (unsigned long long)frame);
	if (to_lengths(p->data, (size_t)p->size, a->first == 0, &a->picture) != 0)
		return fault_set(a->fault, -ENOMEM, "%s: a picture of %d bytes", name, p->size);
	s.size = (uint32_t)a->picture.size;
	if (chunk_add(a->out, &s, a->picture.bytes) != 0)
		return fault_set(a->fault, ERR_LIMIT, "%s: the segments from frame %llu are over %zu MiB; is the bitrate right?", name,
		                 (unsigned long long)a->first, CHUNK_MAX_BYTES >> 20);
	return 0;
}

static int take_packets(struct avc *a)
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

/* --- the encoder ------------------------------------------------------------------------- */

static void set_rate(AVCodecContext *c, const struct plan_rung *rung, AVDictionary **options)
{
	c->rc_max_rate = (int64_t)rung->max_rate;
	c->rc_buffer_size = (int)rung->vbv;
	if (rung->crf > 0) {
		char crf[32];

		snprintf(crf, sizeof crf, "%.2f", rung->crf);
		av_dict_set(options, "crf", crf, 0);
	} else {
		c->bit_rate = (int64_t)rung->bitrate;
	}
}

static int open_encoder(const struct avc_settings *s, AVCodecContext **ret_ctx, struct fault *f)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
	AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
	AVDictionary *options = NULL;
	int r;

	if (codec == NULL)
		return fault_set(f, ERR_UNSUPPORTED, "this FFmpeg has no encoder libx264");
	MUST(c != NULL);
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
	c->width = s->rung->width;
	c->height = s->rung->height;
	c->pix_fmt = AV_PIX_FMT_YUV420P;
	c->time_base = av_inv_q(s->plan->frame_rate);
	c->framerate = s->plan->frame_rate;
	c->sample_aspect_ratio = (AVRational){1, 1};
	c->color_primaries = s->primaries;
	c->color_trc = s->transfer;
	c->colorspace = s->matrix;
	c->color_range = AVCOL_RANGE_MPEG;
	c->gop_size = (int)s->plan->segment_frames;
	c->thread_count = 1;
	set_rate(c, s->rung, &options);
	av_dict_set(&options, "preset", s->preset, 0);
	av_dict_set(&options, "profile", "high", 0);
	av_dict_set(&options, "forced-idr", "1", 0);
	if (s->measure)
		quality_listen();
	av_dict_set(&options, "x264-params", s->measure ? "open-gop=0:nal-hrd=none:" QUALITY_X264 : "open-gop=0:nal-hrd=none", 0);
	r = avcodec_open2(c, codec, &options);
	av_dict_free(&options);
	if (r < 0) {
		avcodec_free_context(&c);
		return fault_set(f, ERR_MEDIA, "%s: libx264 does not take these settings (preset \"%s\"): %s", s->rung->name, s->preset, av_err2str(r));
	}
	*ret_ctx = c;
	return 0;
}

int avc_parameters(const struct avc_settings *s, AVCodecParameters **ret_parameters, int *ret_delay, struct fault *f)
{
	AVCodecContext *c = NULL;
	int r = open_encoder(s, &c, f);

	if (r != 0)
		return r;
	*ret_parameters = avcodec_parameters_alloc();
	MUST(*ret_parameters != NULL && avcodec_parameters_from_context(*ret_parameters, c) >= 0);
	*ret_delay = c->has_b_frames;
	avcodec_free_context(&c);
	return 0;
}

static int send_frame(struct avc *a, AVFrame *frame, uint64_t number)
{
	int r;

	if (frame != NULL) {
		frame->pict_type = number % a->settings->plan->segment_frames == 0 ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
		frame->key_frame = 0;
		frame->pts = (int64_t)(number - a->first);
	}
	r = avcodec_send_frame(a->ctx, frame);
	if (r < 0 && r != AVERROR_EOF)
		return fault_set(a->fault, ERR_MEDIA, "%s: the encoder refused frame %llu: %s", a->settings->rung->name, (unsigned long long)number, av_err2str(r));
	return take_packets(a);
}

int avc_encode(const struct avc_settings *s, uint64_t first, avc_next_f next, void *ctx, struct chunk *out, struct fault *f)
{
	struct avc a = {.settings = s, .first = first, .out = out, .fault = f};
	uint64_t number = first;
	AVFrame *frame;
	int r = open_encoder(s, &a.ctx, f);

	if (r != 0)
		return r;
	a.packet = av_packet_alloc();
	MUST(a.packet != NULL);
	buf_init(&a.picture, (size_t)256 << 20);
	while (r == 0 && (frame = next(ctx)) != NULL) {
		r = send_frame(&a, frame, number++);
		av_frame_free(&frame);
	}
	if (r == 0)
		r = send_frame(&a, NULL, number);
	if (r == 0 && out->n_samples != number - first)
		r = fault_set(f, ERR_MEDIA, "%s: the encoder made %zu pictures of %llu", s->rung->name, out->n_samples, (unsigned long long)(number - first));
	buf_fini(&a.picture);
	av_packet_free(&a.packet);
	avcodec_free_context(&a.ctx);
	return r;
}

const struct coder avc_coder = {avc_parameters, avc_encode};
