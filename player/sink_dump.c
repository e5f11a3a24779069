/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sink that records what is played, losslessly, at its presentation times:
 * H.264 without loss and ALAC in MP4.  Pictures of another size than the first are
 * scaled to it, as a window would.  A failure ends the recording, not the playing,
 * and is told at the end.  The file has its name when it is whole; until then it is
 * `.NAME.part` beside it, and one that cannot become whole is removed.
 */
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/words.h"
#include "player/sink.h"

#define CHUNK 4096      /* samples given to the encoder at once */
#define EARLY 128       /* pictures kept until it is known whether there is sound */

struct dump {
	struct sink sink;
	char *path, *part;      /* part: where it grows; the same for what is no plain file, a pipe or a device */
	AVFormatContext *file;
	AVCodecContext *video, *audio;
	AVStream *video_stream, *audio_stream;
	struct SwsContext *sws;
	AVPacket *packet;
	AVFrame *early[EARLY];
	unsigned n_early;
	bool made, open;        /* there is a file; the header is written */
	int64_t last_pts;       /* of the last picture; INT64_MIN: none */
	int64_t duration;       /* of the last picture; encoders forget it */
	int rate, channels;     /* 0: no sound yet */
	int64_t audio_start;    /* presentation time of sample 0, us */
	int64_t samples;        /* given to the encoder */
	float *pending;
	size_t n_pending, cap;  /* samples per channel */
	int error;
	char what[64];
};

static struct dump *of(struct sink *s)
{
	return (struct dump *)s;
}

static bool failed(struct dump *d, int code, const char *what)
{
	if (code >= 0)
		return false;
	if (d->error == 0) {
		d->error = code;
		snprintf(d->what, sizeof d->what, "%s", what);
	}
	return true;
}

/* What the encoder has ready goes to the file. */
static void drain(struct dump *d, AVCodecContext *c, AVStream *stream)
{
	while (d->error == 0 && avcodec_receive_packet(c, d->packet) == 0) {
		d->packet->stream_index = stream->index;
		if (c == d->video)
			d->packet->duration = d->duration;
		av_packet_rescale_ts(d->packet, c->time_base, stream->time_base);
		failed(d, av_interleaved_write_frame(d->file, d->packet), "writing");
	}
}

static bool open_video(struct dump *d, const AVFrame *f)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
	AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;

	if (c == NULL)
		return !failed(d, AVERROR_ENCODER_NOT_FOUND, "libx264");
	d->video = c;
	c->width = f->width;
	c->height = f->height;
	c->pix_fmt = f->format == AV_PIX_FMT_YUV420P10LE ? AV_PIX_FMT_YUV420P10LE : AV_PIX_FMT_YUV420P;
	c->sample_aspect_ratio = f->sample_aspect_ratio;
	c->time_base = (AVRational){1, 1000000};
	c->max_b_frames = 0;
	c->gop_size = 250;
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	av_opt_set(c->priv_data, "preset", "ultrafast", 0);
	av_opt_set(c->priv_data, "qp", "0", 0);
	if (failed(d, avcodec_open2(c, codec, NULL), "the video encoder"))
		return false;
	d->video_stream = avformat_new_stream(d->file, NULL);
	if (d->video_stream == NULL)
		return !failed(d, AVERROR(ENOMEM), "a stream");
	d->video_stream->time_base = c->time_base;
	return !failed(d, avcodec_parameters_from_context(d->video_stream->codecpar, c), "the video stream");
}

static bool open_audio(struct dump *d)
{
	const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_ALAC);
	AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;

	if (c == NULL)
		return !failed(d, AVERROR_ENCODER_NOT_FOUND, "alac");
	d->audio = c;
	c->sample_rate = d->rate;
	av_channel_layout_default(&c->ch_layout, d->channels);
	c->sample_fmt = AV_SAMPLE_FMT_S16P;
	c->time_base = (AVRational){1, d->rate};
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	if (failed(d, avcodec_open2(c, codec, NULL), "the sound encoder"))
		return false;
	d->audio_stream = avformat_new_stream(d->file, NULL);
	if (d->audio_stream == NULL)
		return !failed(d, AVERROR(ENOMEM), "a stream");
	d->audio_stream->time_base = c->time_base;
	return !failed(d, avcodec_parameters_from_context(d->audio_stream->codecpar, c), "the sound stream");
}

static void encode_picture(struct dump *d, const AVFrame *f)
{
	AVFrame *copy = av_frame_alloc();

	if (copy == NULL) {
		failed(d, AVERROR(ENOMEM), "a picture");
		return;
	}
	copy->format = d->video->pix_fmt;
	copy->width = d->video->width;
	copy->height = d->video->height;
	d->sws = sws_getCachedContext(d->sws, f->width, f->height, f->format, copy->width, copy->height, copy->format,
	                              SWS_BICUBIC, NULL, NULL, NULL);
	if (!failed(d, av_frame_get_buffer(copy, 0), "a picture") &&
	    !failed(d, d->sws != NULL ? 0 : AVERROR(EINVAL), "scaling")) {
		if (f->width == copy->width && f->height == copy->height && f->format == copy->format)
			av_frame_copy(copy, f);
		else
			sws_scale(d->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, copy->data, copy->linesize);
		copy->pts = f->pts;
		d->duration = f->pkt_duration;
		failed(d, avcodec_send_frame(d->video, copy), "the video encoder");
		drain(d, d->video, d->video_stream);
	}
	av_frame_free(&copy);
}

static bool make_file(struct dump *d)
{
	char *url = mem_printf("file:%s", d->part);
	int r = avio_open(&d->file->pb, url, AVIO_FLAG_WRITE);

	free(url);
	d->made = r >= 0;
	return !failed(d, r, "opening");
}

/* The streams must be known before the first byte. */
static bool open_file(struct dump *d)
{
	AVDictionary *options = NULL;
	bool bad;

	if (d->open || d->error != 0)
		return d->open;
	if ((d->n_early > 0 && !open_video(d, d->early[0])) || (d->rate > 0 && !open_audio(d)))
		return false;
	av_dict_set(&options, "video_track_timescale", "1000000", 0);
	bad = !make_file(d) || failed(d, avformat_write_header(d->file, &options), "the header");
	av_dict_free(&options);
	d->open = !bad;
	for (unsigned i = 0; i < d->n_early; i++) {
		if (d->open)
			encode_picture(d, d->early[i]);
		av_frame_free(&d->early[i]);
	}
	d->n_early = 0;
	return d->open;
}

static void show(struct sink *s, const AVFrame *f)
{
	struct dump *d = of(s);

	if (d->error != 0 || f->pts <= d->last_pts)
		return; /* a file goes forward only */
	d->last_pts = f->pts;
	if (!d->open && d->n_early < EARLY) {
		d->early[d->n_early] = av_frame_clone(f);
		d->n_early += d->early[d->n_early] != NULL;
		if (d->rate != 0) /* there is sound, and both are known */
			open_file(d);
	} else if (open_file(d) && d->video != NULL) {
		encode_picture(d, f);
	}
}

static int16_t to_16(float v)
{
	float x = v * 32767.0f;

	return (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x >= 0 ? x + 0.5f : x - 0.5f);
}

static void encode_sound(struct dump *d, size_t n)
{
	AVFrame *f = av_frame_alloc();

	if (f == NULL || n == 0) {
		av_frame_free(&f);
		return;
	}
	f->format = d->audio->sample_fmt;
	f->nb_samples = (int)n;
	f->sample_rate = d->rate;
	av_channel_layout_copy(&f->ch_layout, &d->audio->ch_layout);
	if (!failed(d, av_frame_get_buffer(f, 0), "sound")) {
		for (int c = 0; c < d->channels; c++)
			for (size_t i = 0; i < n; i++)
				((int16_t *)f->extended_data[c])[i] = to_16(d->pending[i * (size_t)d->channels + (size_t)c]);
		f->pts = av_rescale(d->audio_start, d->rate, 1000000) + d->samples;
		d->samples += (int64_t)n;
		d->n_pending -= n;
		memmove(d->pending, d->pending + n * (size_t)d->channels, d->n_pending * (size_t)d->channels * sizeof *d->pending);
		failed(d, avcodec_send_frame(d->audio, f), "the sound encoder");
		drain(d, d->audio, d->audio_stream);
	}
	av_frame_free(&f);
}

static int sound_open(struct sink *s, int rate, int *channels)
{
	struct dump *d = of(s);

	if (*channels == 8)
		*channels = 6; /* what ALAC has of eight channels is another arrangement of speakers */
	if (d->rate != 0 || d->open)
		return d->rate == rate && d->channels == *channels ? 0 : ERR_UNSUPPORTED;
	d->rate = rate;
	d->channels = *channels;
	return 0;
}

static void sound_put(struct sink *s, const float *samples, size_t n, dur_us at)
{
	struct dump *d = of(s);
	size_t channels = (size_t)d->channels;

	if (d->error != 0)
		return;
	if (d->samples == 0 && d->n_pending == 0)
		d->audio_start = at;
	if ((d->n_pending + n) * channels > d->cap) {
		d->cap = (d->n_pending + n) * channels * 2;
		d->pending = mem_resize(d->pending, d->cap, sizeof *d->pending);
	}
	memcpy(d->pending + d->n_pending * channels, samples, n * channels * sizeof *samples);
	d->n_pending += n;
	/* pictures first, when there are any: the header needs them */
	if (!d->open && d->n_early == 0 && d->n_pending < (size_t)d->rate * 2)
		return;
	while (open_file(d) && d->audio != NULL && d->error == 0 && d->n_pending >= CHUNK)
		encode_sound(d, CHUNK);
}

static struct command poll_events(struct sink *s)
{
	return (struct command){CMD_NOTHING, 0};
}

static int finish(struct sink *s, struct fault *f)
{
	struct dump *d = of(s);
	char text[AV_ERROR_MAX_STRING_SIZE] = "";

	if ((d->n_early > 0 || d->n_pending > 0) && open_file(d) && d->audio != NULL)
		while (d->n_pending > 0 && d->error == 0)
			encode_sound(d, d->n_pending < CHUNK ? d->n_pending : CHUNK);
	if (d->open && d->video != NULL && avcodec_send_frame(d->video, NULL) == 0)
		drain(d, d->video, d->video_stream);
	if (d->open && d->audio != NULL && avcodec_send_frame(d->audio, NULL) == 0)
		drain(d, d->audio, d->audio_stream);
	if (d->open)
		failed(d, av_write_trailer(d->file), "the end of the file");
	if (d->file->pb != NULL)
		failed(d, avio_closep(&d->file->pb), "closing");
	if (d->error == 0 && d->open && strcmp(d->part, d->path) != 0 && !failed(d, rename(d->part, d->path) < 0 ? AVERROR(errno) : 0, "giving it its name"))
		d->made = false; /* it is no longer ours to remove */
	if (d->error == 0 && !d->open)
		return fault_set(f, ERR_MEDIA, _("%s: nothing was played, so nothing was recorded"), d->path);
	if (d->error != 0)
		return fault_set(f, ERR_MEDIA, _("%s: recording: %s: %s"), d->path, d->what, av_make_error_string(text, sizeof text, d->error));
	return 0;
}

static void sink_free(struct sink *s)
{
	struct dump *d = of(s);

	for (unsigned i = 0; i < d->n_early; i++)
		av_frame_free(&d->early[i]);
	if (d->file != NULL && d->file->pb != NULL)
		avio_closep(&d->file->pb);
	if (d->made && strcmp(d->part, d->path) != 0)
		unlink(d->part);
	avcodec_free_context(&d->video);
	avcodec_free_context(&d->audio);
	avformat_free_context(d->file);
	av_packet_free(&d->packet);
	sws_freeContext(d->sws);
	free(d->pending);
	free(d->path);
	free(d->part);
	free(d);
}

static char *name_part(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return mem_dup(path);
	return mem_printf("%.*s.%s.part", (int)(name - path), path, name);
}

int sink_dump_new(const char *path, struct sink **ret_sink, struct fault *f)
{
	struct dump *d = mem_new(sizeof *d);

	d->sink = (struct sink){.show = show, .all = true, .sound_open = sound_open, .sound_put = sound_put, .poll = poll_events,
		.finish = finish, .free = sink_free};
	d->path = mem_dup(path);
	d->part = name_part(path);
	d->last_pts = INT64_MIN;
	d->packet = av_packet_alloc();
	if (d->packet == NULL || avformat_alloc_output_context2(&d->file, NULL, "mp4", path) < 0) {
		sink_free(&d->sink);
		return fault_set(f, -ENOMEM, _("%s: no memory for a recording"), path);
	}
	*ret_sink = &d->sink;
	return 0;
}
