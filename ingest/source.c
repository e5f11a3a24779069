/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Demuxing and decoding of a master.  Invariant: frames of one stream leave with
 * strictly increasing time stamps; what goes back is moved behind its forerunner.
 */
#include "ingest/source.h"

#include <errno.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "ingest/language.h"

#define DECODER_FRAMES_MAX 64 /* what one packet may give before we call it a fault */

struct decoder {
	int stream;
	int audio;              /* index into info.audio, -1: picture */
	AVCodecContext *ctx;
	AVRational time_base;
	int64_t last;           /* last time stamp given out; AV_NOPTS_VALUE: none yet */
	int64_t guess;          /* for frames without one */
	uint64_t packets, bad;
};

struct source {
	AVFormatContext *format;
	struct source_info info;
	struct decoder *decoders;
	size_t n_decoders;
	int video_stream;
	bool has_start;
	int64_t start;          /* of the first picture, AV_TIME_BASE units */
	double video_end;
	int64_t read_end;       /* of all that was read, AV_TIME_BASE units, the container's time */
	AVPacket *packet;
	AVFrame *frame;
	source_text_f take_text; /* NULL: they are not read */
	void *text_ctx;
	AVFrame **waiting;      /* sound decoded before the first picture is known */
	int *waiting_of;
	size_t n_waiting, cap_waiting, cap_waiting_of;
};

#define WAITING_MAX 4096

static const char *av_text(int code)
{
	static _Thread_local char text[AV_ERROR_MAX_STRING_SIZE];

	av_strerror(code, text, sizeof text);
	return text;
}

/* --- opening ------------------------------------------------------------------------- */

static int look_at_file(const char *path, struct fault *f)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return 0;
	if (stat(path, &st) < 0)
		return fault_set(f, -errno, "%s: %s%s", path, strerror(errno),
		                 errno == ENOENT ? "; check the path" : "");
	if (S_ISDIR(st.st_mode))
		return fault_set(f, -EISDIR, "%s: is a folder; give one master file", path);
	if (access(path, R_OK) < 0)
		return fault_set(f, -errno, "%s: %s; the user running this needs to be allowed to read it", path,
		                 strerror(errno));
	if (S_ISREG(st.st_mode) && st.st_size == 0)
		return fault_set(f, ERR_TRUNCATED, "%s: is empty (0 bytes); copy the master again", path);
	return 0;
}

static int open_format(struct source *s, const char *path, struct fault *f)
{
	char *url = strcmp(path, "-") == 0 ? mem_dup("pipe:0") : mem_printf("file:%s", path);
	AVDictionary *options = NULL;
	int r;

	/* a master is one file: nothing in it may open another file or a network address */
	av_dict_set(&options, "protocol_whitelist", strcmp(path, "-") == 0 ? "pipe" : "file", 0);
	r = avformat_open_input(&s->format, url, NULL, &options);
	av_dict_free(&options);
	free(url);
	if (r < 0)
		return fault_set(f, ERR_MEDIA, "%s: not a media file that FFmpeg can read (%s)", path, av_text(r));
	r = avformat_find_stream_info(s->format, NULL);
	if (r < 0)
		return fault_set(f, ERR_MEDIA, "%s: its streams cannot be understood (%s); is the file damaged?", path,
		                 av_text(r));
	return 0;
}

static int open_decoder(struct source *s, int stream, int audio, struct fault *f)
{
	AVStream *st = s->format->streams[stream];
	const AVCodec *codec = avcodec_find_decoder(st->codecpar->codec_id);
	struct decoder *d = &s->decoders[s->n_decoders];
	int r;

	if (codec == NULL)
		return fault_set(f, ERR_UNSUPPORTED, "stream %d: no decoder for %s", stream,
		                 avcodec_get_name(st->codecpar->codec_id));
	*d = (struct decoder){.stream = stream, .audio = audio, .last = AV_NOPTS_VALUE, .guess = AV_NOPTS_VALUE};
	d->ctx = avcodec_alloc_context3(codec);
	MUST(d->ctx != NULL);
	s->n_decoders++;
	r = avcodec_parameters_to_context(d->ctx, st->codecpar);
	if (r >= 0) {
		d->ctx->pkt_timebase = st->time_base;
		d->ctx->thread_count = audio < 0 ? 0 : 1;
		r = avcodec_open2(d->ctx, codec, NULL);
	}
	if (r < 0)
		return fault_set(f, ERR_MEDIA, "stream %d: the %s decoder does not take it (%s)", stream, codec->name,
		                 av_text(r));
	d->time_base = st->time_base;
	return 0;
}

static int rotation_of(const AVStream *st)
{
	const uint8_t *matrix = av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, NULL);
	double turn;

	if (matrix == NULL)
		return 0;
	turn = -av_display_rotation_get((const int32_t *)(const void *)matrix);
	if (isnan(turn))
		return 0;
	return ((int)lround(turn / 90) % 4 + 4) % 4 * 90;
}

/* The grid: the stream's own rate when it is sane, else the average one. */
static AVRational rate_of(AVFormatContext *format, AVStream *st)
{
	AVRational r = av_guess_frame_rate(format, st, NULL), avg = st->avg_frame_rate;

	if (avg.num > 0 && avg.den > 0 && (r.num <= 0 || av_q2d(r) > 1.9 * av_q2d(avg) || av_q2d(r) > 120))
		r = avg;
	if (r.num <= 0 || r.den <= 0)
		return (AVRational){25, 1};
	if (av_q2d(r) > 120)
		return (AVRational){60, 1};
	if (av_q2d(r) < 1)
		return (AVRational){1, 1};
	/* 243090000/8111111 is 29.97 told badly: take the near standard rate */
	static const AVRational standard[] = {{24000, 1001}, {24, 1}, {25, 1}, {30000, 1001}, {30, 1},
	                                      {50, 1}, {60000, 1001}, {60, 1}, {25, 2}, {15, 1}, {12, 1}, {10, 1}};
	for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
		if (fabs(av_q2d(r) / av_q2d(standard[i]) - 1) < 0.0004)
			return standard[i];
	av_reduce(&r.num, &r.den, r.num, r.den, 60060);
	return r;
}

static const char *meta(const AVStream *st, const char *key)
{
	const AVDictionaryEntry *e = av_dict_get(st->metadata, key, NULL, 0);

	return e != NULL ? e->value : "";
}

/* Matroska says nothing of a track's length but in a tag "00:01:02.345000000". */
static double tagged_seconds(const AVStream *st)
{
	unsigned hours, minutes;
	double seconds;

	return sscanf(meta(st, "DURATION"), "%u:%u:%lf", &hours, &minutes, &seconds) == 3 ? hours * 3600.0 + minutes * 60.0 + seconds : 0;
}

/* What the container promises of the picture.  Some formats count from 0, some from the first time stamp. */
static void put_promise(const AVFormatContext *format, const AVStream *st, struct source_info *i)
{
	double all = format->duration > 0 ? (double)format->duration / AV_TIME_BASE : 0;
	double own = st->duration > 0 ? (double)st->duration * av_q2d(st->time_base) : tagged_seconds(st);
	double start = format->start_time > 0 ? (double)format->start_time / AV_TIME_BASE : 0;

	if (all > start)
		all -= start;
	if (st->duration <= 0 && own > start)
		own -= start;
	i->is_pictures_own = own > 0 && (all <= 0 || own < all);
	i->container_seconds = i->is_pictures_own ? own : all;
}

static void describe_video(struct source *s)
{
	AVStream *st = s->format->streams[s->video_stream];
	const AVPixFmtDescriptor *pix = av_pix_fmt_desc_get(st->codecpar->format);
	struct source_info *i = &s->info;

	i->format = s->format->iformat->long_name;
	put_promise(s->format, st, i);
	i->width = st->codecpar->width;
	i->height = st->codecpar->height;
	i->sar = av_guess_sample_aspect_ratio(s->format, st, NULL);
	if (i->sar.num <= 0 || i->sar.den <= 0)
		i->sar = (AVRational){1, 1};
	i->rotation = rotation_of(st);
	i->frame_rate = rate_of(s->format, st);
	i->interlaced = st->codecpar->field_order > AV_FIELD_PROGRESSIVE;
	i->depth = pix != NULL ? pix->comp[0].depth : 8;
	i->transfer = st->codecpar->color_trc;
}

/* As the master says it: what it means is for others. */
static void put_language(const AVStream *st, char ret[static LANGUAGE_SIZE])
{
	const char *said = meta(st, "language");

	snprintf(ret, LANGUAGE_SIZE, "%s", language_is_tag(said) ? said : "und");
}

static int open_audio(struct source *s, struct fault *f)
{
	for (unsigned i = 0; i < s->format->nb_streams && s->info.n_audio < SOURCE_MAX_AUDIO; i++) {
		AVStream *st = s->format->streams[i];
		struct source_audio *a = &s->info.audio[s->info.n_audio];
		int r;

		if (st->codecpar->codec_type != AVMEDIA_TYPE_AUDIO || st->codecpar->sample_rate <= 0 ||
		    st->codecpar->ch_layout.nb_channels <= 0)
			continue;
		r = open_decoder(s, (int)i, (int)s->info.n_audio, f);
		if (r != 0)
			return r;
		a->stream = (int)i;
		put_language(st, a->language);
		snprintf(a->label, sizeof a->label, "%s", meta(st, "title"));
		a->channels = st->codecpar->ch_layout.nb_channels;
		a->sample_rate = st->codecpar->sample_rate;
		a->is_default = (st->disposition & AV_DISPOSITION_DEFAULT) != 0;
		s->info.n_audio++;
	}
	return 0;
}

static void describe_texts(struct source *s)
{
	struct source_info *info = &s->info;

	for (unsigned i = 0; i < s->format->nb_streams && info->n_text < SOURCE_MAX_TEXT; i++) {
		const AVStream *st = s->format->streams[i];
		struct source_text *t = &info->text[info->n_text];

		if (st->codecpar->codec_type != AVMEDIA_TYPE_SUBTITLE)
			continue;
		*t = (struct source_text){
			.stream = (int)i,
			.parameters = st->codecpar,
			.time_base = st->time_base,
			.is_forced = (st->disposition & AV_DISPOSITION_FORCED) != 0,
			.is_for_deaf = (st->disposition & (AV_DISPOSITION_HEARING_IMPAIRED | AV_DISPOSITION_CAPTIONS)) != 0,
			.is_commentary = (st->disposition & AV_DISPOSITION_COMMENT) != 0,
		};
		put_language(st, t->language);
		snprintf(t->label, sizeof t->label, "%s", meta(st, "title"));
		info->n_text++;
	}
}

static int choose_video(struct source *s, const char *path, struct fault *f)
{
	int best = av_find_best_stream(s->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);

	if (best >= 0 && (s->format->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC))
		best = -1;
	if (best < 0)
		return fault_set(f, ERR_MEDIA, "%s: has no picture (%s); a master needs a video stream", path,
		                 av_find_best_stream(s->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) >= 0 ? "sound only"
		                                                                                         : "no video stream");
	s->video_stream = best;
	if (s->format->streams[best]->codecpar->width < 16 || s->format->streams[best]->codecpar->height < 16)
		return fault_set(f, ERR_UNSUPPORTED, "%s: a picture of %dx%d is too small; 16x16 is the least", path,
		                 s->format->streams[best]->codecpar->width, s->format->streams[best]->codecpar->height);
	return open_decoder(s, best, -1, f);
}

static int open_all(struct source *s, const char *path, struct fault *f)
{
	int r = look_at_file(path, f);

	if (r == 0)
		r = open_format(s, path, f);
	if (r != 0)
		return r;
	s->decoders = mem_new_array(SOURCE_MAX_AUDIO + 1, sizeof *s->decoders);
	r = choose_video(s, path, f);
	if (r == 0)
		r = open_audio(s, f);
	if (r != 0)
		return r;
	describe_video(s);
	describe_texts(s);
	for (unsigned i = 0; i < s->format->nb_streams; i++)
		s->format->streams[i]->discard = AVDISCARD_ALL;
	for (size_t i = 0; i < s->n_decoders; i++)
		s->format->streams[s->decoders[i].stream]->discard = AVDISCARD_DEFAULT;
	return 0;
}

int source_open(const char *path, struct source **ret_source, struct fault *f)
{
	struct source *s = mem_new(sizeof *s);
	int r;

	s->packet = av_packet_alloc();
	s->frame = av_frame_alloc();
	MUST(s->packet != NULL && s->frame != NULL);
	r = open_all(s, path, f);
	if (r != 0) {
		source_close(&s);
		return r;
	}
	*ret_source = s;
	return 0;
}

void source_close(struct source **ps)
{
	struct source *s = *ps;

	*ps = NULL;
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_decoders; i++)
		avcodec_free_context(&s->decoders[i].ctx);
	for (size_t i = 0; i < s->n_waiting; i++)
		av_frame_free(&s->waiting[i]);
	free(s->waiting);
	free(s->waiting_of);
	free(s->decoders);
	avformat_close_input(&s->format);
	av_packet_free(&s->packet);
	av_frame_free(&s->frame);
	free(s);
}

const struct source_info *source_info(const struct source *s)
{
	return &s->info;
}

/* --- decoding ------------------------------------------------------------------------- */

struct run {
	struct source *s;
	source_frame_f give;
	void *ctx;
	struct fault *f;
};

/* Gives the frame a time stamp that is there and grows. */
static void mend_time(struct decoder *d, AVFrame *frame)
{
	int64_t t = frame->best_effort_timestamp != AV_NOPTS_VALUE ? frame->best_effort_timestamp : d->guess;
	int64_t length;

	if (t == AV_NOPTS_VALUE)
		t = 0;
	if (d->last != AV_NOPTS_VALUE && t <= d->last)
		t = d->last + 1;
	d->last = t;
	if (d->audio >= 0)
		length = av_rescale_q(frame->nb_samples, (AVRational){1, frame->sample_rate > 0 ? frame->sample_rate : 48000}, d->time_base);
	else
		length = frame->pkt_duration > 0 ? frame->pkt_duration : 1;
	d->guess = t + length;
	frame->pts = t;
}

static int give(struct run *run, struct decoder *d, AVFrame *frame)
{
	struct source *s = run->s;

	frame->pts -= av_rescale_q(s->start, AV_TIME_BASE_Q, d->time_base);
	if (d->audio < 0) {
		int64_t end = frame->pts + (frame->pkt_duration > 0 ? frame->pkt_duration : 0);

		s->video_end = fmax(s->video_end, (double)end * av_q2d(d->time_base));
	}
	return run->give(run->ctx, d->audio, frame, d->time_base);
}

static struct decoder *decoder_of_audio(struct source *s, int audio)
{
	for (size_t i = 0; i < s->n_decoders; i++)
		if (s->decoders[i].audio == audio)
			return &s->decoders[i];
	return NULL;
}

static int flush_waiting(struct run *run)
{
	struct source *s = run->s;
	int r = 0;

	for (size_t i = 0; i < s->n_waiting; i++) {
		if (r == 0)
			r = give(run, decoder_of_audio(s, s->waiting_of[i]), s->waiting[i]);
		av_frame_free(&s->waiting[i]);
	}
	s->n_waiting = 0;
	return r;
}

static int hold_back(struct run *run, struct decoder *d, AVFrame *frame)
{
	struct source *s = run->s;

	if (s->n_waiting >= WAITING_MAX)
		return fault_set(run->f, ERR_MEDIA, "no picture within the first %d blocks of sound; is the file damaged?", WAITING_MAX);
	MEM_GROW(s->waiting, s->cap_waiting, s->n_waiting);
	MEM_GROW(s->waiting_of, s->cap_waiting_of, s->n_waiting);
	s->waiting[s->n_waiting] = av_frame_clone(frame);
	MUST(s->waiting[s->n_waiting] != NULL);
	s->waiting_of[s->n_waiting++] = d->audio;
	return 0;
}

static int take_frame(struct run *run, struct decoder *d, AVFrame *frame)
{
	struct source *s = run->s;
	int r = 0;

	mend_time(d, frame);
	if (d->audio >= 0 && !s->has_start)
		return hold_back(run, d, frame);
	if (!s->has_start) {
		s->has_start = true;
		s->start = av_rescale_q(frame->pts, d->time_base, AV_TIME_BASE_Q);
		r = flush_waiting(run);
	}
	return r != 0 ? r : give(run, d, frame);
}

static int drain(struct run *run, struct decoder *d)
{
	for (;;) {
		int r = avcodec_receive_frame(d->ctx, run->s->frame);

		if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
			return 0;
		if (r == AVERROR(ENOMEM))
			return fault_set(run->f, -ENOMEM, "out of memory while decoding");
		if (r < 0) {
			d->bad++;
			return 0;
		}
		if (run->s->frame->flags & AV_FRAME_FLAG_CORRUPT || run->s->frame->decode_error_flags != 0)
			d->bad++;
		r = take_frame(run, d, run->s->frame);
		av_frame_unref(run->s->frame);
		if (r != 0)
			return r;
	}
}

static int feed(struct run *run, struct decoder *d, AVPacket *packet)
{
	int r = avcodec_send_packet(d->ctx, packet);

	if (packet != NULL)
		d->packets++;
	if (r == AVERROR(ENOMEM))
		return fault_set(run->f, -ENOMEM, "out of memory while decoding");
	if (r < 0 && r != AVERROR_EOF && r != AVERROR(EAGAIN))
		d->bad++;
	return drain(run, d);
}

static struct decoder *decoder_of(struct source *s, int stream)
{
	for (size_t i = 0; i < s->n_decoders; i++)
		if (s->decoders[i].stream == stream)
			return &s->decoders[i];
	return NULL;
}

static int take_text(struct source *s)
{
	for (size_t i = 0; i < s->info.n_text; i++)
		if (s->info.text[i].stream == s->packet->stream_index)
			return s->take_text(s->text_ctx, i, s->packet);
	return 0;
}

static void note_end(struct source *s)
{
	const AVPacket *p = s->packet;
	int64_t end = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;

	if (end == AV_NOPTS_VALUE)
		return;
	end = av_rescale_q(end + (p->duration > 0 ? p->duration : 0), s->format->streams[p->stream_index]->time_base, AV_TIME_BASE_Q);
	s->read_end = end > s->read_end ? end : s->read_end;
}

static int read_all(struct run *run)
{
	struct source *s = run->s;
	int r;

	while ((r = av_read_frame(s->format, s->packet)) >= 0) {
		struct decoder *d = decoder_of(s, s->packet->stream_index);

		note_end(s);
		r = d != NULL ? feed(run, d, s->packet) : s->take_text != NULL ? take_text(s) : 0;
		av_packet_unref(s->packet);
		if (r != 0)
			return r;
	}
	if (r != AVERROR_EOF && r != AVERROR_INVALIDDATA)
		return fault_set(run->f, ERR_MEDIA, "reading the master failed after %.1f s: %s", s->video_end, av_text(r));
	for (size_t i = 0; i < s->n_decoders; i++) {
		r = feed(run, &s->decoders[i], NULL);
		if (r != 0)
			return r;
	}
	return 0;
}

int source_run(struct source *s, source_frame_f frame, void *ctx, struct source_result *ret_result, struct fault *f)
{
	struct run run = {s, frame, ctx, f};
	struct source_result result = {0};
	int r = read_all(&run);

	if (r != 0)
		return r;
	if (!s->has_start)
		return fault_set(f, ERR_MEDIA, "not one picture could be decoded; is the file damaged, or (through a pipe) its index at its end?");
	for (size_t i = 0; i < s->n_decoders; i++) {
		struct decoder *d = &s->decoders[i];

		*(d->audio < 0 ? &result.video_packets : &result.audio_packets) += d->packets;
		*(d->audio < 0 ? &result.video_bad : &result.audio_bad) += d->bad;
	}
	result.seconds = s->video_end;
	result.start = s->start;
	result.all_seconds = (double)(s->read_end - s->start) / AV_TIME_BASE;
	*ret_result = result;
	return 0;
}

void source_hear_texts(struct source *s, source_text_f take, void *ctx)
{
	s->take_text = take;
	s->text_ctx = ctx;
	for (size_t i = 0; i < s->info.n_text; i++)
		s->format->streams[s->info.text[i].stream]->discard = AVDISCARD_DEFAULT;
}

void source_pictures_only(struct source *s)
{
	for (size_t i = 0; i < s->n_decoders; i++)
		if (s->decoders[i].audio >= 0)
			s->format->streams[s->decoders[i].stream]->discard = AVDISCARD_ALL;
}

int source_seek(struct source *s, double seconds, struct fault *f)
{
	int64_t at = s->start + llround(seconds * AV_TIME_BASE);
	int r = avformat_seek_file(s->format, -1, INT64_MIN, at, at, 0);

	if (r < 0)
		return fault_set(f, ERR_UNSUPPORTED, "it cannot be sought in: %s", av_text(r));
	for (size_t i = 0; i < s->n_decoders; i++) {
		avcodec_flush_buffers(s->decoders[i].ctx);
		s->decoders[i].last = s->decoders[i].guess = AV_NOPTS_VALUE;
	}
	return 0;
}
