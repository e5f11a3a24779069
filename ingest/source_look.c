/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Many masters say in their pictures alone that these are made of fields, and some say
 * so in the header and have none; so the first ones are decoded before anything is planned.
 * Invariant: what was read for that is read again by source_run, on a pipe too.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "ingest/source_in.h"

#define LOOK_PICTURES 25
#define LOOK_PACKETS 4096
#define LOOK_BYTES ((size_t)64 << 20)
#define FLAGGED_SHARE 4 /* one in so many makes it an interlaced master */

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

void source_forget(struct source *s)
{
	while (s->next_kept < s->n_kept)
		av_packet_free(&s->kept[s->next_kept++]);
}
