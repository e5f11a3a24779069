/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A fresh demuxer for each segment: no state survives from one to the next, so
 * a lost or damaged segment cannot harm its neighbours.
 */
#include "player/demux.h"

#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <string.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "dash/bmff.h"
#include "dash/bmff_track.h"
#include "player/feed.h"
#include "player/hub.h"

#define IO_SIZE 32768

struct demux {
	struct blob *parts[2];
	size_t sizes[2];
	size_t pos;
	struct feed *feed;       /* in place of parts[1] */
	int lane;
	unsigned generation;
	AVIOContext *io;
	AVFormatContext *format;
	int stream;
};

static int read_feed(struct demux *d, uint8_t *out, int n)
{
	int got = feed_read(d->feed, d->lane, d->generation, d->pos - d->sizes[0], out, (size_t)n);

	if (got > 0)
		d->pos += (size_t)got;
	return got > 0 ? got : got == 0 ? AVERROR_EOF : AVERROR_EXIT;
}

static int read_bytes(void *ctx, uint8_t *out, int n)
{
	struct demux *d = ctx;
	size_t in_init = d->pos < d->sizes[0], at = in_init ? d->pos : d->pos - d->sizes[0];
	int part = in_init ? 0 : 1;
	size_t left = d->sizes[part] - (at < d->sizes[part] ? at : d->sizes[part]);
	size_t take = left < (size_t)n ? left : (size_t)n;

	if (!in_init && d->feed != NULL)
		return read_feed(d, out, n);
	if (take == 0)
		return AVERROR_EOF;
	memcpy(out, d->parts[part]->bytes + at, take);
	d->pos += take;
	return (int)take;
}

static int64_t seek_bytes(void *ctx, int64_t to, int whence)
{
	struct demux *d = ctx;
	int64_t size = (int64_t)(d->sizes[0] + d->sizes[1]);

	if (whence == AVSEEK_SIZE)
		return size;
	if (whence == SEEK_CUR)
		to += (int64_t)d->pos;
	else if (whence == SEEK_END)
		to += size;
	if (to < 0 || to > size)
		return AVERROR(EINVAL);
	d->pos = (size_t)to;
	return to;
}

static int find_stream(struct demux *d, int audio, struct fault *f)
{
	enum AVMediaType type = audio ? AVMEDIA_TYPE_AUDIO : AVMEDIA_TYPE_VIDEO;

	d->stream = -1;
	for (unsigned i = 0; i < d->format->nb_streams; i++) {
		AVStream *s = d->format->streams[i];

		if (d->stream < 0 && s->codecpar->codec_type == type)
			d->stream = (int)i;
		else
			s->discard = AVDISCARD_ALL;
	}
	return d->stream >= 0 ? 0 : fault_set(f, ERR_MEDIA, _("no %s in the segment"), audio ? _("audio") : _("video"));
}

static int open_format(struct demux *d, struct fault *f)
{
	unsigned char *buffer = av_malloc(IO_SIZE);
	char text[AV_ERROR_MAX_STRING_SIZE] = "";
	int r;

	/* what is still coming cannot be sought in, and is not to be waited for to be guessed at */
	d->io = buffer != NULL ? avio_alloc_context(buffer, IO_SIZE, 0, d, read_bytes, NULL, d->feed == NULL ? seek_bytes : NULL) : NULL;
	d->format = avformat_alloc_context();
	if (d->io == NULL || d->format == NULL) {
		if (d->io == NULL)
			av_free(buffer);
		return fault_set(f, -ENOMEM, _("no memory for a demuxer"));
	}
	d->format->pb = d->io;
	d->format->flags |= AVFMT_FLAG_CUSTOM_IO;
	/* what claims to be a segment may be a list of files, or a description of a stream to be listened for */
	MUST(av_opt_set(d->format, "protocol_whitelist", "none", 0) >= 0);
	r = avformat_open_input(&d->format, NULL, d->feed != NULL ? av_find_input_format("mp4") : NULL, NULL);
	if (r < 0)
		return fault_set(f, ERR_MEDIA, _("the segment cannot be read: %s"), av_make_error_string(text, sizeof text, r));
	return 0;
}

static struct demux *begin(struct blob *init)
{
	struct demux *d = mem_new(sizeof *d);

	if (init != NULL) {
		d->parts[0] = blob_ref(init);
		d->sizes[0] = init->size;
	}
	return d;
}

static int open_stream(struct demux *d, int audio, struct demux **ret_demux, struct fault *f)
{
	int r = open_format(d, f);

	if (r == 0)
		r = find_stream(d, audio, f);
	if (r < 0) {
		demux_free(&d);
		return r;
	}
	*ret_demux = d;
	return 0;
}

int demux_new(struct blob *init, struct blob *body, int audio, struct demux **ret_demux, struct fault *f)
{
	struct demux *d = begin(init);

	d->parts[1] = blob_ref(body);
	d->sizes[1] = body->size;
	return open_stream(d, audio, ret_demux, f);
}

int demux_new_feed(struct blob *init, struct feed *feed, int lane, unsigned generation, struct demux **ret_demux, struct fault *f)
{
	struct demux *d = begin(init);

	d->feed = feed_ref(feed);
	d->lane = lane;
	d->generation = generation;
	return open_stream(d, lane == LANE_AUDIO, ret_demux, f);
}

void demux_free(struct demux **pd)
{
	struct demux *d = *pd;

	if (d == NULL)
		return;
	avformat_close_input(&d->format);
	if (d->io != NULL)
		av_freep(&d->io->buffer);
	avio_context_free(&d->io);
	blob_unref(&d->parts[0]);
	blob_unref(&d->parts[1]);
	feed_unref(&d->feed);
	free(d);
	*pd = NULL;
}

const AVStream *demux_stream(const struct demux *d)
{
	return d->format->streams[d->stream];
}

int demux_read(struct demux *d, AVPacket *packet)
{
	for (;;) {
		int r = av_read_frame(d->format, packet);

		if (r == AVERROR_EOF)
			return ERR_NOT_FOUND;
		if (r < 0 || packet->stream_index == d->stream)
			return r;
		av_packet_unref(packet);
	}
}

int demux_check(const struct blob *body, const char *mime_type)
{
	struct bmff_box box;
	size_t pos = 0;
	bool header = false, mdat = false; /* a moof, or the moov of a file without fragments */
	int r;

	if (mime_type == NULL || strstr(mime_type, "mp4") == NULL)
		return body->size > 0 ? 0 : ERR_CORRUPT;
	while ((r = bmff_next(body->bytes, body->size, &pos, &box)) == 0) {
		header = header || box.type == BMFF_TYPE('m', 'o', 'o', 'f') || box.type == BMFF_TYPE('m', 'o', 'o', 'v');
		mdat = mdat || box.type == BMFF_TYPE('m', 'd', 'a', 't');
	}
	return r == ERR_NOT_FOUND && header && mdat ? 0 : ERR_CORRUPT;
}

bool demux_time(const struct blob *body, uint64_t *ret_time)
{
	static const uint32_t path[] = {BMFF_TYPE('m', 'o', 'o', 'f'), BMFF_TYPE('t', 'r', 'a', 'f'), BMFF_TYPE('t', 'f', 'd', 't')};
	const uint8_t *p = body->bytes;
	size_t n = body->size, wide;
	struct bmff_box box;

	for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
		if (bmff_find(p, n, path[i], &box) < 0)
			return false;
		p += box.payload;
		n = box.end - box.payload;
	}
	wide = n > 0 && p[0] == 1 ? 8 : 4;
	if (n < 4 + wide)
		return false;
	*ret_time = 0;
	for (size_t i = 0; i < wide; i++)
		*ret_time = *ret_time << 8 | p[4 + i];
	return true;
}

uint32_t demux_timescale(const struct blob *init)
{
	struct bmff_movie *m = NULL;
	uint32_t ticks = 0;

	if (bmff_movie_read(init->bytes, init->size, &m, NULL) == 0 && m->n_tracks > 0)
		ticks = m->tracks[0].timescale;
	bmff_movie_free(&m);
	return ticks;
}
