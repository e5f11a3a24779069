/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The encoder threads of the sound.
 */
#include "ingest/encode.h"

#include <errno.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/opt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"

#define QUEUE_FRAMES 6

struct encode {
	/* the encoder thread's, or before it starts and after it ended the owner's */
	AVCodecContext *ctx;
	struct track *track;
	const struct plan *plan;
	char name[64];
	AVPacket *packet;
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

/* --- packets to the track --------------------------------------------------------------- */

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
			return fault_set(f, ERR_MEDIA, _("%s: the encoder failed: %s"), e->name, av_err2str(r));
		r = sound_out(e, f);
		av_packet_unref(e->packet);
		if (r != 0)
			return r;
	}
}

static int send(struct encode *e, AVFrame *frame, struct fault *f)
{
	int r = avcodec_send_frame(e->ctx, frame);

	if (r < 0 && r != AVERROR_EOF)
		return fault_set(f, ERR_MEDIA, _("%s: the encoder refused a frame: %s"), e->name, av_err2str(r));
	return packets_out(e, f);
}

/* --- frames in ---------------------------------------------------------------------------- */

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
	bool dropped;
	AVFrame *frame;
	int r;

	while ((frame = next_frame(e, &dropped)) != NULL) {
		r = sound_in(e, frame, f);
		av_frame_free(&frame);
		if (r != 0)
			return r;
	}
	if (dropped)
		return ERR_CANCELLED;
	r = end_sound(e, f);
	if (r == 0)
		r = send(e, NULL, f);
	if (r == 0)
		r = track_finish(e->track, e->has_length ? e->length : (uint64_t)e->samples_in, f);
	return r;
}

static void *run(void *ctx)
{
	struct encode *e = ctx;
	int r;

	pthread_setname_np(pthread_self(), "sound");
	r = run_to_end(e, &e->fault);

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
		fault_set(f, ERR_UNSUPPORTED, _("this FFmpeg has no encoder %s"), encoder);
		return NULL;
	}
	e = mem_new(sizeof *e);
	e->plan = plan;
	snprintf(e->name, sizeof e->name, "%s", name);
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->changed, NULL);
	e->ctx = avcodec_alloc_context3(codec);
	e->packet = av_packet_alloc();
	MUST(e->ctx != NULL && e->packet != NULL);
	e->ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
	return e;
}

/* Access units that a decoder needs before it gives what it should: one of AAC, 80 ms of Opus (Encapsulation of
 * Opus in ISOBMFF 4.3.6.2). */
static int16_t roll_of(const AVCodecContext *c)
{
	return c->codec_id == AV_CODEC_ID_OPUS ? (int16_t)-(c->sample_rate * 80 / 1000 / c->frame_size) : -1;
}

static int start(struct encode *e, const char *folder, struct fault *f)
{
	AVCodecParameters *par = avcodec_parameters_alloc();
	struct track_setup s = {.folder = folder, .name = e->name, .parameters = par, .timescale = (uint32_t)e->ctx->sample_rate, .frame_rate = {0, 1},
	                        .edit_start = e->ctx->initial_padding, .roll_distance = roll_of(e->ctx)};
	int r;

	MUST(par != NULL && avcodec_parameters_from_context(par, e->ctx) >= 0);
	r = track_new(&s, &e->track, f);
	avcodec_parameters_free(&par);
	if (r != 0)
		return r;
	r = pthread_create(&e->thread, NULL, run, e);
	if (r != 0)
		return fault_set(f, -r, _("cannot start a thread: %s"), words_error(-r));
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

enum AVSampleFormat encode_format(enum encode_codec codec)
{
	return codec == ENCODE_OPUS ? AV_SAMPLE_FMT_FLT : AV_SAMPLE_FMT_FLTP;
}

int encode_new_audio(const struct encode_audio *a, struct encode **ret_encode, struct fault *f)
{
	struct encode *e = make(a->name, a->plan, a->codec == ENCODE_OPUS ? "libopus" : "aac", f);
	AVCodecContext *c;
	int r;

	if (e == NULL)
		return ERR_UNSUPPORTED;
	c = e->ctx;
	c->sample_fmt = encode_format(a->codec);
	c->sample_rate = a->sample_rate;
	c->bit_rate = (int64_t)a->bitrate;
	c->time_base = (AVRational){1, a->sample_rate};
	av_channel_layout_default(&c->ch_layout, a->channels);
	e->fifo = av_audio_fifo_alloc(c->sample_fmt, a->channels, 8192);
	MUST(e->fifo != NULL);
	r = avcodec_open2(c, c->codec, NULL);
	r = r < 0 ? fault_set(f, ERR_MEDIA, _("%s: the encoder does not take %d Hz, %d channels: %s"), e->name, a->sample_rate, a->channels, av_err2str(r))
	          : start(e, a->folder, f);
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
		return fault_set(f, -ENOMEM, _("out of memory"));
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

