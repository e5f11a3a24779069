/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: a chunk has as many samples as frames went in, every segment in it starts
 * with a sync sample, and no sample is decoded after it is shown.
 */
#include "ingest/coder.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "ingest/judge.h"
#include "ingest/options.h"
#include "ingest/quality.h"

#define MAX_PICTURE ((size_t)256 << 20) /* bytes */

struct work {
	const struct coder *coder;
	const struct coder_settings *settings;
	AVCodecContext *ctx;
	AVPacket *packet;
	struct buf picture;      /* as it stands in the file */
	uint64_t first;          /* number of the chunk's first frame */
	struct judge *judge;     /* NULL: the coder measures by itself, or nobody asks */
	bool begun, ended;       /* the encoder was given a frame; the end of frames */
	struct chunk *out;
	struct fault *fault;
};

/* --- packets ------------------------------------------------------------------------------- */

static int check(const struct work *w, const struct chunk_sample *s, uint64_t frame)
{
	const char *name = w->settings->rung->name;

	if (s->composition < 0 || (!w->coder->reorders && s->composition != 0))
		return fault_set(w->fault, ERR_MEDIA, _("%s: frame %llu left the encoder %lld frames off its place"), name, (unsigned long long)frame,
		                 (long long)s->composition);
	if (s->starts_segment && !s->sync)
		return fault_set(w->fault, ERR_MEDIA, _("%s: the encoder did not start segment %llu (frame %llu) with a key frame; try another %s"), name,
		                 (unsigned long long)(frame / w->settings->plan->segment_frames), (unsigned long long)frame, w->coder->option);
	return 0;
}

static int take_packet(struct work *w)
{
	const char *name = w->settings->rung->name;
	const AVPacket *p = w->packet;
	uint64_t frame = w->first + (uint64_t)p->pts;
	struct chunk_sample s = {
		.sync = (p->flags & AV_PKT_FLAG_KEY) != 0,
		.starts_segment = frame % w->settings->plan->segment_frames == 0,
		.composition = p->pts - (int64_t)w->out->n_samples + (w->coder->reorders ? w->ctx->has_b_frames : 0),
		.quality = quality_take(),
	};
	int r = check(w, &s, frame);

	if (r != 0)
		return r;
	r = w->coder->pack(p, w->first == 0, &w->picture);
	if (r != 0)
		return fault_set(w->fault, r, _("%s: frame %llu, %d bytes: %s"), name, (unsigned long long)frame, p->size,
		                 r == ERR_CORRUPT ? _("what the encoder made is no bitstream") : words_error(r));
	s.size = (uint32_t)w->picture.size;
	if (chunk_add(w->out, &s, w->picture.bytes) != 0)
		return fault_set(w->fault, ERR_LIMIT, _("%s: the segments from frame %llu are over %zu MiB; is the bitrate right?"), name,
		                 (unsigned long long)w->first, CHUNK_MAX_BYTES >> 20);
	return 0;
}

static int look_at_stop(const struct work *w)
{
	return w->settings->stop != NULL && *w->settings->stop != 0 ? fault_set(w->fault, ERR_CANCELLED, _("stopped")) : 0;
}

static int take_packets(struct work *w)
{
	for (;;) {
		int r = look_at_stop(w);

		if (r != 0)
			return r;
		r = avcodec_receive_packet(w->ctx, w->packet);
		if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
			return 0;
		if (r < 0)
			return fault_set(w->fault, ERR_MEDIA, _("%s: the encoder failed: %s"), w->settings->rung->name, av_err2str(r));
		r = take_packet(w);
		if (r == 0)
			judge_packet(w->judge, w->packet, w->out);
		av_packet_unref(w->packet);
		if (r != 0)
			return r;
	}
}

/* --- the encoder --------------------------------------------------------------------------- */

static void set_basics(const struct coder_settings *s, AVCodecContext *c)
{
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
}

static int open_encoder(const struct coder *coder, const struct coder_settings *s, AVCodecContext **ret_ctx, struct fault *f)
{
	const AVCodec *codec = avcodec_find_encoder_by_name(coder->library);
	AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
	AVDictionary *options = NULL;
	int r;

	if (codec == NULL)
		return fault_set(f, ERR_UNSUPPORTED, _("this FFmpeg has no encoder %s%s"), coder->library, coder->without);
	MUST(c != NULL);
	set_basics(s, c);
	options_set(&options, "preset", s->preset);
	coder->configure(s, c, &options);
	r = avcodec_open2(c, codec, &options);
	av_dict_free(&options);
	if (r < 0) {
		avcodec_free_context(&c);
		return fault_set(f, ERR_MEDIA, _("%s: %s does not take these settings (%s \"%s\"): %s"), s->rung->name, coder->library, coder->option, s->preset,
		                 av_err2str(r));
	}
	*ret_ctx = c;
	return 0;
}

static void close_encoder(const struct coder *coder, AVCodecContext **pc, bool begun, bool ended)
{
	if (coder->wind_up != NULL)
		coder->wind_up(*pc, begun, ended);
	avcodec_free_context(pc);
}

/* One that must make all it has been given before it ends, which may take minutes: left to the end of the process, which comes soon. */
static void leave(AVCodecContext *c)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct left {
		AVCodecContext *ctx;
		struct left *next;
	} *all;
	struct left *l = mem_new(sizeof *l);

	l->ctx = c;
	pthread_mutex_lock(&lock);
	l->next = all;
	all = l;
	pthread_mutex_unlock(&lock);
}

int coder_parameters(const struct coder *coder, const struct coder_settings *s, AVCodecParameters **ret_parameters, int *ret_delay, struct fault *f)
{
	AVCodecContext *c = NULL;
	int r = open_encoder(coder, s, &c, f);

	if (r != 0)
		return r;
	*ret_parameters = avcodec_parameters_alloc();
	MUST(*ret_parameters != NULL && avcodec_parameters_from_context(*ret_parameters, c) >= 0);
	*ret_delay = coder->reorders ? c->has_b_frames : 0;
	close_encoder(coder, &c, false, false);
	return 0;
}

static int send_frame(struct work *w, AVFrame *frame, uint64_t number)
{
	bool starts = w->coder->is_told_starts && number % w->settings->plan->segment_frames == 0;
	int r;

	if (frame != NULL) {
		frame->pict_type = starts ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
		frame->key_frame = 0;
		frame->pts = (int64_t)(number - w->first);
		judge_frame(w->judge, frame);
	}
	r = avcodec_send_frame(w->ctx, frame);
	w->begun = w->begun || frame != NULL;
	w->ended = frame == NULL;
	if (r < 0 && r != AVERROR_EOF)
		return fault_set(w->fault, ERR_MEDIA, _("%s: the encoder refused frame %llu: %s"), w->settings->rung->name, (unsigned long long)number, av_err2str(r));
	return take_packets(w);
}

int coder_encode(const struct coder *coder, const struct coder_settings *s, uint64_t first, coder_next_f next, void *ctx, struct chunk *out, struct fault *f)
{
	struct work w = {.coder = coder, .settings = s, .first = first, .out = out, .fault = f};
	uint64_t number = first;
	AVFrame *frame;
	int r = open_encoder(coder, s, &w.ctx, f);

	if (r != 0)
		return r;
	w.packet = av_packet_alloc();
	MUST(w.packet != NULL);
	if (s->measure && !coder->measures)
		w.judge = judge_new(w.ctx);
	buf_init(&w.picture, MAX_PICTURE);
	while (r == 0 && (r = look_at_stop(&w)) == 0 && (frame = next(ctx)) != NULL) {
		r = send_frame(&w, frame, number++);
		av_frame_free(&frame);
	}
	if (r == 0)
		r = look_at_stop(&w);
	if (r == 0 && w.begun)
		r = send_frame(&w, NULL, number);
	if (r == 0)
		judge_packet(w.judge, NULL, out);
	if (r == 0 && out->n_samples != number - first)
		r = fault_set(f, ERR_MEDIA, _("%s: the encoder made %zu pictures of %llu"), s->rung->name, out->n_samples, (unsigned long long)(number - first));
	judge_free(&w.judge);
	buf_fini(&w.picture);
	av_packet_free(&w.packet);
	if (coder->wind_up != NULL && w.begun && look_at_stop(&w) != 0)
		leave(w.ctx);
	else
		close_encoder(coder, &w.ctx, w.begun, w.ended);
	return r;
}
