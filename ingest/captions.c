/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libavcodec makes ASS of every text format but loses what WebVTT says of
 * places, so WebVTT is taken as it is.
 */
#include "ingest/captions.h"

#include <errno.h>
#include <libavformat/avformat.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "ingest/options.h"

#define MAX_CUES 200000             /* a talkative film of 3 h has 4000 */
#define MAX_TEXT ((size_t)16 << 20) /* bytes of all cues */
#define MAX_CUE ((size_t)64 << 10)
#define ASS_FIELDS 8                /* in front of the text, in libavcodec's ASS */

struct captions {
	AVCodecContext *ctx;     /* NULL for WebVTT */
	AVRational time_base;
	struct cue *cues;
	size_t n, cap, bytes;
	uint64_t bad;
};

/* Matroska's S_TEXT/WEBVTT, which libavformat 59 has no name for, tells itself by its header. */
static bool is_vtt(const AVCodecParameters *p)
{
	return p->codec_id == AV_CODEC_ID_WEBVTT ||
	       (p->codec_id == AV_CODEC_ID_NONE && p->extradata_size >= 6 && memcmp(p->extradata, "WEBVTT", 6) == 0);
}

bool captions_can_read(const AVCodecParameters *p)
{
	const AVCodecDescriptor *d = avcodec_descriptor_get(p->codec_id);

	return is_vtt(p) || (d != NULL && (d->props & AV_CODEC_PROP_TEXT_SUB) && avcodec_find_decoder(p->codec_id) != NULL);
}

int captions_new(const AVCodecParameters *p, AVRational time_base, struct captions **ret_captions, struct fault *f)
{
	struct captions *c = mem_new(sizeof *c);
	int r = 0;

	c->time_base = time_base;
	if (!is_vtt(p)) {
		const AVCodec *codec = avcodec_find_decoder(p->codec_id);

		c->ctx = avcodec_alloc_context3(codec);
		MUST(c->ctx != NULL);
		r = codec == NULL ? AVERROR_DECODER_NOT_FOUND : avcodec_parameters_to_context(c->ctx, p);
		c->ctx->pkt_timebase = time_base;
		if (r >= 0)
			r = avcodec_open2(c->ctx, codec, NULL);
	}
	if (r < 0) {
		captions_free(&c);
		return fault_set(f, ERR_MEDIA, _("the %s decoder does not take it (%s)"), avcodec_get_name(p->codec_id), av_err2str(r));
	}
	*ret_captions = c;
	return 0;
}

void captions_free(struct captions **pc)
{
	struct captions *c = *pc;

	*pc = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		free(c->cues[i].text);
	free(c->cues);
	avcodec_free_context(&c->ctx);
	free(c);
}

/* --- cues ----------------------------------------------------------------------------------- */

static int add(struct captions *c, int64_t start, int64_t end, const char *settings, struct buf *text, struct fault *f)
{
	if (buf_error(text) != 0 || text->size == 0) {
		c->bad += buf_error(text) != 0;
		return 0;
	}
	if (c->n >= MAX_CUES || c->bytes + text->size > MAX_TEXT)
		return fault_set(f, ERR_LIMIT, _("has more than %d cues or %zu MiB of text; is it damaged?"), MAX_CUES, MAX_TEXT >> 20);
	MEM_GROW(c->cues, c->cap, c->n);
	c->bytes += text->size;
	c->cues[c->n] = (struct cue){.start = start, .end = end};
	snprintf(c->cues[c->n].settings, sizeof c->cues[c->n].settings, "%s", settings);
	c->cues[c->n++].text = buf_take(text);
	return 0;
}

static int take_vtt(struct captions *c, const AVPacket *p, int64_t start, int64_t end, struct fault *f)
{
	size_t n = 0;
	const uint8_t *side = av_packet_get_side_data(p, AV_PKT_DATA_WEBVTT_SETTINGS, &n);
	char settings[CUE_SETTINGS_SIZE] = "";
	struct buf text;
	int r;

	buf_init(&text, MAX_CUE);
	if (side != NULL)
		cue_settings((const char *)side, n, settings);
	cue_from_vtt((const char *)p->data, (size_t)p->size, &text);
	r = add(c, start, end, settings, &text, f);
	buf_fini(&text);
	return r;
}

static const char *text_of(const char *ass)
{
	for (int i = 0; i < ASS_FIELDS && ass != NULL; i++) {
		ass = strchr(ass, ',');
		ass = ass != NULL ? ass + 1 : NULL;
	}
	return ass != NULL ? ass : "";
}

static int take_rects(struct captions *c, const AVSubtitle *s, int64_t start, int64_t end, struct fault *f)
{
	char settings[CUE_SETTINGS_SIZE] = "";
	struct buf text;
	int r;

	buf_init(&text, MAX_CUE);
	for (unsigned i = 0; i < s->num_rects; i++) {
		const AVSubtitleRect *rect = s->rects[i];
		size_t before = text.size;

		if (before > 0)
			buf_putc(&text, '\n');
		if (rect->type == SUBTITLE_ASS && rect->ass != NULL)
			cue_from_ass(text_of(rect->ass), settings, &text);
		else if (rect->type == SUBTITLE_TEXT && rect->text != NULL)
			cue_from_ass(rect->text, settings, &text);
		if (before > 0 && text.size == before + 1)
			text.size = before; /* it had nothing visible */
	}
	r = add(c, start, end, settings, &text, f);
	buf_fini(&text);
	return r;
}

/* Its own times, when the decoder tells others than the packet (closed captions end later than they come). */
static int decode(struct captions *c, AVPacket *p, int64_t start, int64_t end, struct fault *f)
{
	AVSubtitle s = {0};
	int got = 0, r = avcodec_decode_subtitle2(c->ctx, &s, &got, p);

	if (r < 0) {
		c->bad++;
		return 0;
	}
	if (!got)
		return 0;
	if (c->ctx->codec_id == AV_CODEC_ID_EIA_608 && s.pts != AV_NOPTS_VALUE) {
		start = s.pts + (int64_t)s.start_display_time * 1000;
		end = s.end_display_time > 0 && s.end_display_time != UINT32_MAX ? s.pts + (int64_t)s.end_display_time * 1000 : CUE_OPEN;
	}
	r = take_rects(c, &s, start, end, f);
	avsubtitle_free(&s);
	return r;
}

int captions_take(struct captions *c, const AVPacket *p, struct fault *f)
{
	int64_t start, end = CUE_OPEN;

	if (p->pts == AV_NOPTS_VALUE) {
		c->bad++;
		return 0;
	}
	start = av_rescale_q(p->pts, c->time_base, AV_TIME_BASE_Q);
	if (p->duration > 0)
		end = av_rescale_q(p->pts + p->duration, c->time_base, AV_TIME_BASE_Q);
	return c->ctx == NULL ? take_vtt(c, p, start, end, f) : decode(c, (AVPacket *)(uintptr_t)p, start, end, f);
}

void captions_end(struct captions *c, int64_t zero, int64_t length, struct captions_found *ret_found)
{
	AVPacket *nothing = av_packet_alloc();

	MUST(nothing != NULL);
	if (c->ctx != NULL && (c->ctx->codec->capabilities & AV_CODEC_CAP_DELAY))
		decode(c, nothing, 0, CUE_OPEN, NULL);
	av_packet_free(&nothing);
	c->n = cue_arrange(c->cues, c->n, zero, length, &ret_found->outside);
	ret_found->cues = c->cues;
	ret_found->n = c->n;
	ret_found->bad = c->bad;
}

/* --- files ---------------------------------------------------------------------------------- */

static bool is_utf8(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t more = p[i] < 0x80 ? 0 : p[i] >= 0xc2 && p[i] < 0xe0 ? 1 : p[i] >= 0xe0 && p[i] < 0xf0 ? 2 : p[i] >= 0xf0 && p[i] < 0xf5 ? 3 : 9;

		if (more > n - i - 1)
			return false;
		for (size_t k = 1; k <= more; k++)
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
		i += 1 + more;
	}
	return true;
}

static int check_text(const char *path, struct fault *f)
{
	struct buf text;
	bool wide, good;
	int r;

	buf_init(&text, MAX_TEXT);
	r = file_read(path, &text);
	if (r != 0) {
		buf_fini(&text);
		return fault_set(f, r, "%s: %s%s", path, words_error(r), r == -ENOENT ? _("; check the path") : r == ERR_LIMIT ? _("; subtitles are text") : "");
	}
	wide = text.size >= 2 && ((text.bytes[0] == 0xff && text.bytes[1] == 0xfe) || (text.bytes[0] == 0xfe && text.bytes[1] == 0xff));
	good = wide || is_utf8(text.bytes, text.size);
	buf_fini(&text);
	return good ? 0 : fault_set(f, ERR_SYNTAX, _("%s: is not UTF-8; convert it: iconv -f WINDOWS-1252 -t UTF-8 (or what it was written in)"), path);
}

static int read_packets(AVFormatContext *format, int stream, struct captions *c, const char *path, struct fault *f)
{
	AVPacket *p = av_packet_alloc();
	int r = 0;

	MUST(p != NULL);
	while (r == 0 && av_read_frame(format, p) >= 0) {
		if (p->stream_index == stream)
			r = captions_take(c, p, f);
		av_packet_unref(p);
	}
	av_packet_free(&p);
	if (r != 0) {
		fault_prefix(f, "%s", path);
		return r;
	}
	return c->n > 0 ? 0 : fault_set(f, ERR_MEDIA, _("%s: holds no subtitles; SRT, WebVTT and ASS are read"), path);
}

int captions_read_file(const char *path, struct captions **ret_captions, struct fault *f)
{
	AVFormatContext *format = NULL;
	struct captions *c = NULL;
	AVDictionary *options = NULL;
	char *url;
	int r = check_text(path, f), stream;

	if (r != 0)
		return r;
	url = mem_printf("file:%s", path);
	options_set(&options, "protocol_whitelist", "file");
	r = avformat_open_input(&format, url, NULL, &options);
	av_dict_free(&options);
	free(url);
	stream = r < 0 ? r : av_find_best_stream(format, AVMEDIA_TYPE_SUBTITLE, -1, -1, NULL, 0);
	if (stream < 0 || !captions_can_read(format->streams[stream]->codecpar)) {
		r = fault_set(f, ERR_MEDIA, _("%s: is no subtitle file; SRT, WebVTT and ASS are read"), path);
	} else {
		r = captions_new(format->streams[stream]->codecpar, format->streams[stream]->time_base, &c, f);
		if (r == 0)
			r = read_packets(format, stream, c, path, f);
		else
			fault_prefix(f, "%s", path);
	}
	avformat_close_input(&format);
	if (r != 0)
		captions_free(&c);
	else
		*ret_captions = c;
	return r;
}
