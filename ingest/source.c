/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Opening a master and understanding what it holds.
 */
#include "ingest/source.h"

#include <errno.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "ingest/language.h"
#include "ingest/source_in.h"

#define LOOK_MS 200

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
		                 errno == ENOENT ? _("; check the path") : "");
	if (S_ISDIR(st.st_mode))
		return fault_set(f, -EISDIR, _("%s: is a folder; give one master file"), path);
	if (access(path, R_OK) < 0)
		return fault_set(f, -errno, _("%s: %s; the user running this needs to be allowed to read it"), path,
		                 words_error(-errno));
	if (S_ISREG(st.st_mode) && st.st_size == 0)
		return fault_set(f, ERR_TRUNCATED, _("%s: is empty (0 bytes); copy the master again"), path);
	return 0;
}

/* Playlists and lists of files, which FFmpeg would follow wherever they lead. */
static bool is_list(const char *path)
{
	static const char *const heads[] = {"#EXTM3U", "ffconcat", "<?xml", "<MPD", "v=0"};
	char head[16] = "";
	FILE *file = strcmp(path, "-") != 0 ? fopen(path, "rbe") : NULL;
	bool is = false;

	if (file == NULL)
		return false;
	(void)!fread(head, 1, sizeof head - 1, file);
	fclose(file);
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
		is = is || strncmp(head, heads[i], strlen(heads[i])) == 0;
	return is;
}

/* libavformat asks before each read, and again when a signal has cut one short. */
static int is_stopped(void *ctx)
{
	const struct source *s = ctx;

	return s->stop != NULL && *s->stop != 0;
}

/* A signal that came just before it would begin to read from a pipe that says nothing would be lost: so this waits for it to
 * say something. */
static int is_stopped_at_pipe(void *ctx)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

	while (!is_stopped(ctx) && poll(&p, 1, LOOK_MS) == 0)
		;
	return is_stopped(ctx);
}

/* A master is one file: once it is open nothing in it may open another one, or a network address. */
static int open_one(AVFormatContext *format, AVIOContext **ret_io, const char *url, int flags, AVDictionary **options)
{
	const struct source *s = format->opaque;
	int r;

	if (strcmp(url, format->url) != 0)
		return AVERROR(EACCES);
	MUST(av_opt_set(format, "protocol_whitelist", strncmp(url, "pipe", 4) == 0 ? "pipe" : "file", 0) >= 0);
	r = s->open_plain(format, ret_io, url, flags, options);
	MUST(av_opt_set(format, "protocol_whitelist", "none", 0) >= 0); /* for what demuxers open by themselves */
	return r;
}

static int open_format(struct source *s, const char *path, struct fault *f)
{
	char *url;
	int r;

	if (is_list(path))
		return fault_set(f, ERR_UNSUPPORTED, _("%s: is a list that names other files, and a master is one file: give that, or join them first "
		                 "(ffmpeg -i LIST -c copy film.mkv)"), path);
	s->format = avformat_alloc_context();
	MUST(s->format != NULL);
	s->format->opaque = s;
	s->open_plain = s->format->io_open;
	s->format->io_open = open_one;
	s->format->interrupt_callback = (AVIOInterruptCB){strcmp(path, "-") == 0 ? is_stopped_at_pipe : is_stopped, s};
	url = strcmp(path, "-") == 0 ? mem_dup("pipe:0") : mem_printf("file:%s", path);
	r = avformat_open_input(&s->format, url, NULL, NULL);
	free(url);
	if (r < 0)
		return fault_set(f, ERR_MEDIA, _("%s: not a media file that FFmpeg can read (%s)"), path, av_text(r));
	r = avformat_find_stream_info(s->format, NULL);
	if (r < 0)
		return fault_set(f, ERR_MEDIA, _("%s: its streams cannot be understood (%s); is the file damaged?"), path,
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
		return fault_set(f, ERR_UNSUPPORTED, _("stream %d (%s): this FFmpeg has no decoder for %s \"%s\"; convert it with a program that has one"), stream,
		                 audio < 0 ? _("picture") : _("sound"), st->codecpar->codec_id != AV_CODEC_ID_NONE ? avcodec_get_name(st->codecpar->codec_id) : _("codec"),
		                 av_fourcc2str(st->codecpar->codec_tag));
	*d = (struct decoder){.stream = stream, .audio = audio, .last = AV_NOPTS_VALUE, .guess = AV_NOPTS_VALUE, .next = AV_NOPTS_VALUE};
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
		return fault_set(f, ERR_MEDIA, _("stream %d: the %s decoder does not take it (%s)"), stream, codec->name,
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

/* ISO/IEC 14496-12 8.2.2: all ones is a length that is not known. */
static bool is_endless(const AVFormatContext *format)
{
	for (unsigned i = 0; i < format->nb_streams; i++)
		if (format->streams[i]->duration == UINT32_MAX || format->streams[i]->duration == INT64_MAX)
			return true;
	return false;
}

/* What the container promises of the picture.  Some formats count from 0, some from the first time stamp. */
static void put_promise(const AVFormatContext *format, const AVStream *st, struct source_info *i)
{
	double all = format->duration > 0 ? (double)format->duration / AV_TIME_BASE : 0;
	double own = st->duration > 0 ? (double)st->duration * av_q2d(st->time_base) : tagged_seconds(st);
	double start = format->start_time > 0 ? (double)format->start_time / AV_TIME_BASE : 0;

	if (is_endless(format))
		return;
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
	i->stream = st;
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
	for (unsigned i = 0; i < s->format->nb_streams; i++) {
		AVStream *st = s->format->streams[i];
		struct source_audio *a;
		int r;

		if (st->codecpar->codec_type != AVMEDIA_TYPE_AUDIO || st->codecpar->sample_rate <= 0 ||
		    st->codecpar->ch_layout.nb_channels <= 0)
			continue;
		if (s->info.n_audio == SOURCE_MAX_AUDIO) {
			s->info.n_more_audio++;
			continue;
		}
		a = &s->info.audio[s->info.n_audio];
		r = open_decoder(s, (int)i, (int)s->info.n_audio, f);
		if (r != 0)
			return r;
		a->stream = (int)i;
		put_language(st, a->language);
		snprintf(a->label, sizeof a->label, "%s", meta(st, "title"));
		a->channels = st->codecpar->ch_layout.nb_channels;
		a->sample_rate = st->codecpar->sample_rate;
		a->is_default = (st->disposition & AV_DISPOSITION_DEFAULT) != 0;
		a->is_commentary = (st->disposition & AV_DISPOSITION_COMMENT) != 0;
		a->is_description = (st->disposition & AV_DISPOSITION_VISUAL_IMPAIRED) != 0;
		a->is_dub = (st->disposition & AV_DISPOSITION_DUB) != 0;
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

/* Covers are pictures of the file, not of the film. */
static int best_video(const struct source *s)
{
	int best = av_find_best_stream(s->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);

	for (unsigned i = 0; best >= 0 && s->format->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC; i++) {
		if (i == s->format->nb_streams)
			return -1;
		if (s->format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO)
			best = (int)i;
	}
	return best;
}

static int choose_video(struct source *s, const char *path, struct fault *f)
{
	int best = best_video(s);

	if (best < 0)
		return fault_set(f, ERR_MEDIA, _("%s: has no picture (%s); a master needs a video stream"), path,
		                 av_find_best_stream(s->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0) >= 0 ? _("sound only")
		                                                                                         : _("no video stream"));
	if (av_stream_get_side_data(s->format->streams[best], AV_PKT_DATA_ENCRYPTION_INIT_INFO, NULL) != NULL)
		return fault_set(f, ERR_UNSUPPORTED, SOURCE_ENCRYPTED, path);
	s->video_stream = best;
	if (s->format->streams[best]->codecpar->width < 16 || s->format->streams[best]->codecpar->height < 16)
		return fault_set(f, ERR_UNSUPPORTED, _("%s: a picture of %dx%d is too small; 16x16 is the least"), path,
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
	s->n_streams = s->format->nb_streams;
	s->n_shifts = 1; /* by nothing */
	s->decoders = mem_new_array(SOURCE_MAX_AUDIO + 1, sizeof *s->decoders);
	r = choose_video(s, path, f);
	if (r == 0)
		r = open_audio(s, f);
	if (r != 0)
		return r;
	describe_video(s);
	describe_texts(s);
	s->info.chapters = (const AVChapter *const *)s->format->chapters;
	s->info.n_chapters = s->format->nb_chapters;
	for (unsigned i = 0; i < s->format->nb_streams; i++)
		s->format->streams[i]->discard = AVDISCARD_ALL;
	for (size_t i = 0; i < s->n_decoders; i++)
		s->format->streams[s->decoders[i].stream]->discard = AVDISCARD_DEFAULT;
	for (size_t i = 0; i < s->info.n_text; i++) /* what is read on looking is read once */
		s->format->streams[s->info.text[i].stream]->discard = AVDISCARD_DEFAULT;
	source_look(s);
	for (size_t i = 0; i < s->info.n_text; i++)
		s->format->streams[s->info.text[i].stream]->discard = AVDISCARD_ALL;
	return 0;
}

int source_open(const char *path, const volatile sig_atomic_t *stop, struct source **ret_source, struct fault *f)
{
	struct source *s = mem_new(sizeof *s);
	int r;

	s->stop = stop;
	s->packet = av_packet_alloc();
	s->frame = av_frame_alloc();
	MUST(s->packet != NULL && s->frame != NULL);
	r = open_all(s, path, f);
	if (r != 0) {
		source_close(&s);
		return r;
	}
	s->path = mem_dup(path);
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
	source_forget(s);
	free(s->kept);
	free(s->waiting);
	free(s->waiting_of);
	free(s->decoders);
	free(s->path);
	avformat_close_input(&s->format);
	av_packet_free(&s->packet);
	av_frame_free(&s->frame);
	free(s);
}

const struct source_info *source_info(const struct source *s)
{
	return &s->info;
}
