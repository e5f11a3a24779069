/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The encoder threads.  Invariant: an IDR picture stands exactly at every
 * boundary of the plan; if the encoder disobeys, the encode fails and says where.
 */
#include "ingest/encode.h"

#include <errno.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/opt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "ingest/quality.h"

#define QUEUE_FRAMES 6

struct encode {
	/* the encoder thread's, or before it starts and after it ended the owner's */
	AVCodecContext *ctx;
	struct track *track;
	const struct plan *plan;
	char name[64];
	AVPacket *packet;
	struct buf picture;      /* with lengths for start codes */
	AVAudioFifo *fifo;       /* sound waiting for a whole access unit */
	int64_t samples_in;      /* sound given to the encoder */
	uint64_t units_out;      /* access units out of it */
	uint64_t next_cut;       /* sound: index of the next segment */
	struct fault fault;

	pthread_t thread;
	bool has_thread;

	pthread_mutex_t lock;    /* guards what follows */
	pthread_cond_t changed;
	AVFrame *queue[QUEUE_FRAMES];
	size_t first, n;
	bool ended, dropped;
	int error;
	bool has_length;
	uint64_t length;
	uint64_t frames;
};

/* ISO/IEC 14496-15 5.3.2: start codes (Annex B) become lengths of 4 bytes. */
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

static int to_lengths(const uint8_t *p, size_t n, struct buf *out)
{
	size_t at = next_start_code(p, n, 0);

	buf_clear(out);
	while (at < n) {
		size_t start = at + 3, end = next_start_code(p, n, start), size;

		at = end;
		while (end > start && p[end - 1] == 0) /* trailing zeros and the long start code's first byte */
			end--;
		size = end - start;
		buf_be(out, size, 4);
		buf_append(out, p + start, size);
	}
	return buf_error(out);
}

/* --- packets to the track --------------------------------------------------------------- */

/* Pictures leave the encoder in decode order: the first is presented so much after it could be decoded. */
static int64_t delay_ticks(const struct encode *e)
{
	return (int64_t)e->ctx->has_b_frames * e->plan->frame_ticks;
}

static int picture_out(struct encode *e, struct fault *f)
{
	AVPacket *p = e->packet;
	int64_t frame = p->pts, decode = (int64_t)track_facts(e->track)->samples;
	bool boundary = frame % e->plan->segment_frames == 0, key = (p->flags & AV_PKT_FLAG_KEY) != 0;
	struct track_sample s = {
		.duration = e->plan->frame_ticks,
		.composition = (frame - decode) * (int64_t)e->plan->frame_ticks + delay_ticks(e),
		.sync = key,
		.starts_segment = boundary,
		.quality = quality_take(),
	};

	if (s.composition < 0)
		return fault_set(f, ERR_MEDIA, "%s: frame %lld left the encoder later than its delay of %d frames", e->name, (long long)frame, e->ctx->has_b_frames);
	if (boundary && !key)
		return fault_set(f, ERR_MEDIA, "%s: the encoder did not start segment %lld (frame %lld) with an IDR picture; try another --preset",
		                 e->name, (long long)(frame / e->plan->segment_frames), (long long)frame);
	if (to_lengths(p->data, (size_t)p->size, &e->picture) != 0)
		return fault_set(f, -ENOMEM, "%s: a picture of %d bytes", e->name, p->size);
	s.bytes = e->picture.bytes;
	s.size = e->picture.size;
	return track_add(e->track, &s, f);
}

static int sound_out(struct encode *e, struct fault *f)
{
	AVPacket *p = e->packet;
	int unit = e->ctx->frame_size, priming = e->ctx->initial_padding;
	int64_t cut = plan_audio_cut(e->plan, e->next_cut, e->ctx->sample_rate, unit, priming);
	struct track_sample s = {
		.bytes = p->data,
		.size = (size_t)p->size,
		.duration = (uint32_t)unit,
		.sync = true,
		.starts_segment = (int64_t)e->units_out >= cut,
	};

	if (s.starts_segment)
		e->next_cut++;
	e->units_out++;
	return track_add(e->track, &s, f);
}

static int packets_out(struct encode *e, struct fault *f)
{
	for (;;) {
		int r = avcodec_receive_packet(e->ctx, e->packet);

		if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
			return 0;
		if (r < 0)
			return fault_set(f, ERR_MEDIA, "%s: the encoder failed: %s", e->name, av_err2str(r));
		r = e->ctx->codec_type == AVMEDIA_TYPE_VIDEO ? picture_out(e, f) : sound_out(e, f);
		av_packet_unref(e->packet);
		if (r != 0)
			return r;
	}
}

static int send(struct encode *e, AVFrame *frame, struct fault *f)
{
	int r = avcodec_send_frame(e->ctx, frame);

	if (r < 0 && r != AVERROR_EOF)
		return fault_set(f, ERR_MEDIA, "%s: the encoder refused a frame: %s", e->name, av_err2str(r));
	return packets_out(e, f);
}

/* --- frames in ---------------------------------------------------------------------------- */

static int picture_in(struct encode *e, AVFrame *frame, struct fault *f)
{
	frame->pict_type = frame->pts % e->plan->segment_frames == 0 ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
	frame->key_frame = 0;
	return send(e, frame, f);
}

static int units_in(struct encode *e, int least, struct fault *f)
{
	while (av_audio_fifo_size(e->fifo) >= least && av_audio_fifo_size(e->fifo) > 0) {
		AVFrame *frame = av_frame_alloc();
		int n = av_audio_fifo_size(e->fifo), r;

		MUST(frame != NULL);
		frame->nb_samples = n < e->ctx->frame_size ? n : e->ctx->frame_size;
		frame->format = e->ctx->sample_fmt;
		frame->sample_rate = e->ctx->sample_rate;
		av_channel_layout_copy(&frame->ch_layout, &e->ctx->ch_layout);
		r = av_frame_get_buffer(frame, 0);
		MUST(r >= 0 && av_audio_fifo_read(e->fifo, (void **)frame->extended_data, frame->nb_samples) == frame->nb_samples);
		frame->pts = e->samples_in;
		e->samples_in += frame->nb_samples;
		r = send(e, frame, f);
		av_frame_free(&frame);
		if (r != 0)
			return r;
	}
	return 0;
}

static int sound_in(struct encode *e, AVFrame *frame, struct fault *f)
{
	MUST(av_audio_fifo_write(e->fifo, (void **)frame->extended_data, frame->nb_samples) == frame->nb_samples);
	/* One unit is kept back: the last one must not be longer than what is left. */
	return units_in(e, 2 * e->ctx->frame_size, f);
}

static int silence_in(struct encode *e, uint64_t missing, struct fault *f)
{
	while (missing > 0) {
		AVFrame *frame = av_frame_alloc();
		int r;

		MUST(frame != NULL);
		frame->nb_samples = missing < 1024 ? (int)missing : 1024;
		frame->format = e->ctx->sample_fmt;
		frame->sample_rate = e->ctx->sample_rate;
		av_channel_layout_copy(&frame->ch_layout, &e->ctx->ch_layout);
		MUST(av_frame_get_buffer(frame, 0) >= 0);
		av_samples_set_silence(frame->extended_data, 0, frame->nb_samples, frame->ch_layout.nb_channels, frame->format);
		missing -= (uint64_t)frame->nb_samples;
		r = sound_in(e, frame, f);
		av_frame_free(&frame);
		if (r != 0)
			return r;
	}
	return 0;
}

static int end_sound(struct encode *e, struct fault *f)
{
	uint64_t have = (uint64_t)e->samples_in + (uint64_t)av_audio_fifo_size(e->fifo);
	int r;

	if (e->has_length && have < e->length) {
		r = silence_in(e, e->length - have, f);
		if (r != 0)
			return r;
	}
	return units_in(e, 1, f);
}

/* --- the thread ----------------------------------------------------------------------------- */

static AVFrame *next_frame(struct encode *e, bool *ret_dropped)
{
	AVFrame *frame = NULL;

	pthread_mutex_lock(&e->lock);
	while (e->n == 0 && !e->ended && !e->dropped)
		pthread_cond_wait(&e->changed, &e->lock);
	*ret_dropped = e->dropped;
	if (e->n > 0 && !e->dropped) {
		frame = e->queue[e->first];
		e->first = (e->first + 1) % QUEUE_FRAMES;
		e->n--;
		e->frames++;
		pthread_cond_broadcast(&e->changed);
	}
	pthread_mutex_unlock(&e->lock);
	return frame;
}

static int run_to_end(struct encode *e, struct fault *f)
{
	bool sound = e->ctx->codec_type == AVMEDIA_TYPE_AUDIO, dropped;
	AVFrame *frame;
	int r;

	while ((frame = next_frame(e, &dropped)) != NULL) {
		r = sound ? sound_in(e, frame, f) : picture_in(e, frame, f);
		av_frame_free(&frame);
		if (r != 0)
			return r;
	}
	if (dropped)
		return ERR_CANCELLED;
	r = sound ? end_sound(e, f) : 0;
	if (r == 0)
		r = send(e, NULL, f);
	if (r == 0)
		r = track_finish(e->track, sound ? (e->has_length ? e->length : (uint64_t)e->samples_in) : 0, f);
	return r;
}

static void *run(void *ctx)
{
	struct encode *e = ctx;
	int r = run_to_end(e, &e->fault);

	pthread_mutex_lock(&e->lock);
	e->error = r;
	e->ended = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* --- for the owner ---------------------------------------------------------------------------- */

static struct encode *make(const char *name, const struct plan *plan, const char *encoder, struct fault *f)
{
	const AVCodec *codec = avcodec_find_encoder_by_name(encoder);
	struct encode *e;

	if (codec == NULL) {
		fault_set(f, ERR_UNSUPPORTED, "this FFmpeg has no encoder %s", encoder);
		return NULL;
	}
	e = mem_new(sizeof *e);
	e->plan = plan;
	snprintf(e->name, sizeof e->name, "%s", name);
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->changed, NULL);
	e->ctx = avcodec_alloc_context3(codec);
	e->packet = av_packet_alloc();
	buf_init(&e->picture, (size_t)256 << 20);
	MUST(e->ctx != NULL && e->packet != NULL);
	e->ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
	return e;
}

static int start(struct encode *e, const char *folder, uint32_t timescale, AVRational rate, struct fault *f)
{
	AVCodecParameters *par = avcodec_parameters_alloc();
	bool sound = e->ctx->codec_type == AVMEDIA_TYPE_AUDIO;
	struct track_setup s = {.folder = folder, .name = e->name, .parameters = par, .timescale = timescale, .frame_rate = rate,
	                        .edit_start = sound ? e->ctx->initial_padding : delay_ticks(e), .lead = sound ? 0 : delay_ticks(e),
	                        .roll_distance = sound ? -1 : 0};
	int r;

	MUST(par != NULL && avcodec_parameters_from_context(par, e->ctx) >= 0);
	r = track_new(&s, &e->track, f);
	avcodec_parameters_free(&par);
	if (r != 0)
		return r;
	r = pthread_create(&e->thread, NULL, run, e);
	if (r != 0)
		return fault_set(f, -r, "cannot start a thread: %s", strerror(r));
	e->has_thread = true;
	return 0;
}

static int finish_new(struct encode *e, int r, struct encode **ret_encode)
{
	if (r != 0)
		encode_free(&e);
	else
		*ret_encode = e;
	return r;
}

int encode_new_video(const struct encode_video *v, struct encode **ret_encode, struct fault *f)
{
	struct encode *e = make(v->rung->name, v->plan, "libx264", f);
	AVDictionary *options = NULL;
	AVCodecContext *c;
	int r;

	if (e == NULL)
		return ERR_UNSUPPORTED;
	c = e->ctx;
	c->width = v->rung->width;
	c->height = v->rung->height;
	c->pix_fmt = AV_PIX_FMT_YUV420P;
	c->time_base = av_inv_q(v->plan->frame_rate);
	c->framerate = v->plan->frame_rate;
	c->sample_aspect_ratio = (AVRational){1, 1};
	c->color_primaries = v->primaries;
	c->color_trc = v->transfer;
	c->colorspace = v->matrix;
	c->color_range = AVCOL_RANGE_MPEG;
	c->bit_rate = (int64_t)v->rung->bitrate;
	c->rc_max_rate = (int64_t)v->rung->max_rate;
	c->rc_buffer_size = (int)v->rung->vbv;
	c->gop_size = (int)v->plan->segment_frames;
	c->thread_count = v->threads;
	quality_listen();
	av_dict_set(&options, "preset", v->preset, 0);
	av_dict_set(&options, "profile", "high", 0);
	av_dict_set(&options, "forced-idr", "1", 0);
	av_dict_set(&options, "x264-params", "open-gop=0:nal-hrd=none:" QUALITY_X264, 0);
	r = avcodec_open2(c, c->codec, &options);
	av_dict_free(&options);
	r = r < 0 ? fault_set(f, ERR_MEDIA, "%s: libx264 does not take these settings (preset \"%s\"): %s", e->name, v->preset, av_err2str(r))
	          : start(e, v->folder, v->plan->video_timescale, v->plan->frame_rate, f);
	return finish_new(e, r, ret_encode);
}

int encode_new_audio(const struct encode_audio *a, struct encode **ret_encode, struct fault *f)
{
	struct encode *e = make(a->name, a->plan, "aac", f);
	AVCodecContext *c;
	int r;

	if (e == NULL)
		return ERR_UNSUPPORTED;
	c = e->ctx;
	c->sample_fmt = AV_SAMPLE_FMT_FLTP;
	c->sample_rate = a->sample_rate;
	c->bit_rate = (int64_t)a->bitrate;
	c->time_base = (AVRational){1, a->sample_rate};
	av_channel_layout_default(&c->ch_layout, a->channels);
	e->fifo = av_audio_fifo_alloc(c->sample_fmt, a->channels, 8192);
	MUST(e->fifo != NULL);
	r = avcodec_open2(c, c->codec, NULL);
	r = r < 0 ? fault_set(f, ERR_MEDIA, "%s: the AAC encoder does not take %d Hz, %d channels: %s", e->name, a->sample_rate, a->channels, av_err2str(r))
	          : start(e, a->folder, (uint32_t)a->sample_rate, (AVRational){0, 1}, f);
	return finish_new(e, r, ret_encode);
}

static int wait_thread(struct encode *e, bool drop, struct fault *f)
{
	if (e->has_thread) {
		pthread_mutex_lock(&e->lock);
		e->ended = true;
		e->dropped = e->dropped || drop;
		pthread_cond_broadcast(&e->changed);
		pthread_mutex_unlock(&e->lock);
		pthread_join(e->thread, NULL);
		e->has_thread = false;
	}
	if (e->error != 0 && f != NULL)
		*f = e->fault;
	return e->error;
}

void encode_free(struct encode **pe)
{
	struct encode *e = *pe;

	*pe = NULL;
	if (e == NULL)
		return;
	wait_thread(e, true, NULL);
	for (size_t i = 0; i < e->n; i++)
		av_frame_free(&e->queue[(e->first + i) % QUEUE_FRAMES]);
	track_free(&e->track);
	avcodec_free_context(&e->ctx);
	av_packet_free(&e->packet);
	buf_fini(&e->picture);
	if (e->fifo != NULL)
		av_audio_fifo_free(e->fifo);
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

int encode_push(struct encode *e, const AVFrame *frame, struct fault *f)
{
	AVFrame *mine = av_frame_clone(frame);
	int r;

	if (mine == NULL)
		return fault_set(f, -ENOMEM, "out of memory");
	pthread_mutex_lock(&e->lock);
	while (e->n == QUEUE_FRAMES && !e->ended)
		pthread_cond_wait(&e->changed, &e->lock);
	r = e->ended ? (e->error != 0 ? e->error : ERR_CANCELLED) : 0;
	if (r == 0) {
		e->queue[(e->first + e->n++) % QUEUE_FRAMES] = mine;
		mine = NULL;
		pthread_cond_broadcast(&e->changed);
	} else if (f != NULL) {
		*f = e->fault;
	}
	pthread_mutex_unlock(&e->lock);
	av_frame_free(&mine);
	return r;
}

void encode_set_length(struct encode *e, uint64_t samples)
{
	pthread_mutex_lock(&e->lock);
	e->has_length = true;
	e->length = samples;
	pthread_mutex_unlock(&e->lock);
}

int encode_finish(struct encode *e, struct fault *f)
{
	return wait_thread(e, false, f);
}

const struct track_facts *encode_facts(const struct encode *e)
{
	return track_facts(e->track);
}

uint64_t encode_frames(const struct encode *e)
{
	struct encode *w = (struct encode *)(uintptr_t)e;
	uint64_t n;

	pthread_mutex_lock(&w->lock);
	n = w->frames;
	pthread_mutex_unlock(&w->lock);
	return n;
}

