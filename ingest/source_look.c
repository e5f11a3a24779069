/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Many masters say in their pictures alone that these are made of fields, and some say
 * so in the header and have none; so the first ones are decoded before anything is planned.
 * Invariant: what was read for that is read again by source_run, on a pipe too.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "ingest/source_in.h"

#define LOOK_PICTURES 25
#define LOOK_PACKETS 4096
#define LOOK_BYTES ((size_t)64 << 20)
#define FLAGGED_SHARE 4 /* one in so many makes it an interlaced master */
#define LOOK_PLACES 12  /* of a film whose first pictures are whole */
#define PEEK_PACKETS 1024

struct look {
	AVCodecContext *decoder;
	AVFrame *frame;
	unsigned seen, flagged;
};

static bool has_no_fields(enum AVCodecID id)
{
	return id == AV_CODEC_ID_AV1 || id == AV_CODEC_ID_VP8 || id == AV_CODEC_ID_VP9;
}

/* These tell of each picture what it is; what a container says of all of them is a guess beside that. */
static bool knows_fields(enum AVCodecID id)
{
	return id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_MPEG2VIDEO;
}

static AVCodecContext *open_decoder(const AVStream *st)
{
	const AVCodec *codec = avcodec_find_decoder(st->codecpar->codec_id);
	AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;

	if (c == NULL)
		return NULL;
	c->thread_count = 1; /* no delay */
	c->skip_idct = c->skip_loop_filter = AVDISCARD_ALL; /* what they are is asked, not how they look */
	if (avcodec_parameters_to_context(c, st->codecpar) < 0 || avcodec_open2(c, codec, NULL) < 0)
		avcodec_free_context(&c);
	return c;
}

static void decode(struct look *l, const AVPacket *p)
{
	(void)!avcodec_send_packet(l->decoder, p);
	while (avcodec_receive_frame(l->decoder, l->frame) >= 0) {
		l->seen++;
		l->flagged += l->frame->interlaced_frame != 0;
		av_frame_unref(l->frame);
	}
}

static void keep(struct source *s)
{
	AVPacket *mine = av_packet_alloc();

	MUST(mine != NULL);
	if (s->next_kept == s->n_kept)
		s->next_kept = s->n_kept = 0;
	av_packet_move_ref(mine, s->packet);
	MEM_GROW(s->kept, s->cap_kept, s->n_kept);
	s->kept[s->n_kept++] = mine;
}

static void look_around(struct source *s, struct look *l)
{
	size_t bytes = 0;

	while (l->seen < LOOK_PICTURES && s->n_kept < LOOK_PACKETS && bytes < LOOK_BYTES && av_read_frame(s->format, s->packet) >= 0) {
		bytes += (size_t)s->packet->size;
		if (s->packet->stream_index == s->video_stream)
			decode(l, s->packet);
		keep(s);
	}
	if (l->seen < LOOK_PICTURES)
		decode(l, NULL);
}

void source_look(struct source *s)
{
	AVStream *st = s->format->streams[s->video_stream];
	enum AVCodecID id = st->codecpar->codec_id;
	struct look l = {0};

	if (has_no_fields(id) || (s->info.interlaced && !knows_fields(id)))
		return;
	l.decoder = open_decoder(st);
	l.frame = av_frame_alloc();
	MUST(l.frame != NULL);
	if (l.decoder != NULL)
		look_around(s, &l);
	if (l.seen > 0)
		s->info.interlaced = l.flagged * FLAGGED_SHARE >= l.seen;
	av_frame_free(&l.frame);
	avcodec_free_context(&l.decoder);
}

int source_read(struct source *s)
{
	if (s->next_kept == s->n_kept)
		return av_read_frame(s->format, s->packet);
	av_packet_move_ref(s->packet, s->kept[s->next_kept]);
	av_packet_free(&s->kept[s->next_kept++]);
	return 0;
}

const AVPacket *source_peek(struct source *s, size_t ahead)
{
	AVPacket *now = s->packet;

	if (ahead >= PEEK_PACKETS)
		return NULL;
	if (s->n_kept - s->next_kept <= ahead) {
		int r;

		s->packet = av_packet_alloc(); /* the other is still somebody's */
		MUST(s->packet != NULL);
		r = av_read_frame(s->format, s->packet);
		if (r >= 0)
			keep(s);
		av_packet_free(&s->packet);
		s->packet = now;
		if (r < 0)
			return NULL;
	}
	return s->kept[s->next_kept + ahead];
}

static bool has_fields_at(struct source *s, double seconds)
{
	AVStream *st = s->format->streams[s->video_stream];
	int64_t start = s->format->start_time != AV_NOPTS_VALUE ? s->format->start_time : 0;
	struct look l = {.decoder = open_decoder(st), .frame = av_frame_alloc()};

	MUST(l.frame != NULL);
	source_forget(s);
	if (l.decoder != NULL && avformat_seek_file(s->format, -1, INT64_MIN, start + (int64_t)(seconds * AV_TIME_BASE), INT64_MAX, 0) >= 0)
		look_around(s, &l);
	av_frame_free(&l.frame);
	avcodec_free_context(&l.decoder);
	return l.seen > 0 && l.flagged * FLAGGED_SHARE >= l.seen;
}

bool source_has_fields_later(const char *path, const volatile sig_atomic_t *stop)
{
	struct source *s;
	struct fault f = {0};
	bool found = false;

	if (strcmp(path, "-") == 0 || source_open(path, stop, &s, &f) != 0)
		return false;
	if (!has_no_fields(s->format->streams[s->video_stream]->codecpar->codec_id) && s->info.container_seconds > 0)
		for (int i = 1; i <= LOOK_PLACES && !found; i++)
			found = has_fields_at(s, s->info.container_seconds * i / (LOOK_PLACES + 1));
	source_close(&s);
	return found;
}

void source_forget(struct source *s)
{
	while (s->next_kept < s->n_kept)
		av_packet_free(&s->kept[s->next_kept++]);
}
