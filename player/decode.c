/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The decoding loop.  Frames are handed on in presentation order and at most
 * once: what lies before the last one given (an overlap at a switch) is
 * dropped, as is what lies outside the segment's window.
 */
#include "player/decode.h"

#include <limits.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "dash/mpd.h"
#include "player/demux.h"
#include "player/media.h"
#include "player/refs.h"
#include "player/skim.h"

#define NEVER INT64_MIN
#define SOON (100 * DUR_MS)   /* after a seek: where the place itself takes longer, a picture on the way is shown ... */
#define AGAIN (300 * DUR_MS)  /* ... and then another */
#define MAX_PIXELS 35651584   /* the largest picture that level 6.2 of H.264, HEVC and VP9 has, 8192x4352: a few bytes can ask for any */
#define LEARN 6               /* pictures before the place, all of which show a decoder how they are reordered */

struct decode {
	struct hub *hub;
	int lane;
	pthread_t thread;
	AVCodecContext *codec;
	AVCodecParameters *parameters; /* it was opened with; NULL: there is none */
	enum skim_codec skim;
	unsigned length_size;    /* before NAL units */
	mono_us sought, preview_next;
	struct refs *refs;       /* of the segment in hand on the way to a place in it; or NULL */
	size_t unit;             /* packets of it that were read from the key picture on */
	unsigned cut;            /* so many pictures of this generation were not decoded: what comes of them is none */
	bool key;                /* of this generation one key picture is wanted */
	bool holds;              /* the decoder's threads may hold pictures back until more comes */
	bool restarts;           /* the last segment began with a picture behind which none is made of one before */
	AVPacket *packet;
	AVFrame *frame;
	AVRational time_base;
	AVRational sar;          /* as the container says; 0: it does not */
	AVRational mpd_sar;      /* as the MPD says, for a stream that does not */
	int32_t matrix[9];       /* how to turn the picture; has_matrix */
	bool has_matrix;
	unsigned rendition, generation;
	dur_us offset, from, to; /* of the segment in hand */
	dur_us shift;            /* part of offset: see place() */
	dur_us agreed;           /* begin of the Period that shift is of; NEVER: none */
	dur_us given;            /* end of the last frame handed on */
	dur_us frame_duration;   /* the last known, for frames that do not say */
	atomic_uint_fast64_t decoded, errors;
};

struct decode_stats decode_stats(const struct decode *d)
{
	return (struct decode_stats){atomic_load(&d->decoded), atomic_load(&d->errors)};
}

static void note_error(struct decode *d, unsigned segment, const char *what, int code)
{
	char text[AV_ERROR_MAX_STRING_SIZE] = "";

	atomic_fetch_add(&d->errors, 1);
	log_warn("player/decode", "%s track=%s segment=%u reason=\"%s\"", what, d->lane == LANE_VIDEO ? "video" : "audio",
	         segment, code != 0 ? av_make_error_string(text, sizeof text, code) : "");
}

/* Waits for room; takes the frame in any case. */
static void hand_on(struct decode *d, struct media_frame *f)
{
	struct hub *h = d->hub;
	struct fifo *out = &h->frames[d->lane];

	hub_lock(h);
	while (!h->quit && h->generation == f->generation && fifo_full(out))
		hub_wait(h);
	if (!h->quit && h->generation == f->generation) {
		fifo_put(out, f);
		f = NULL;
		hub_ring(h);
	}
	hub_unlock(h);
	media_frame_free(&f);
}

/* The media's own times may be anything: these can be reckoned with. */
static dur_us to_us(int64_t t, AVRational base)
{
	int64_t us = av_rescale_q(t, base, AV_TIME_BASE_Q);

	return us < -MPD_MAX_TIME ? -MPD_MAX_TIME : us > MPD_MAX_TIME ? MPD_MAX_TIME : us;
}

/* Of the packet so many behind this one. */
static int64_t later(const AVPacket *p, int64_t n)
{
	return av_sat_add64(p->pts, n * (p->duration < INT64_MAX / LEARN ? p->duration : INT64_MAX / LEARN));
}

static dur_us duration_of(struct decode *d, const AVFrame *frame)
{
	if (frame->nb_samples > 0 && frame->sample_rate > 0)
		return av_rescale(frame->nb_samples, DUR_S, frame->sample_rate);
	if (frame->pkt_duration > 0)
		d->frame_duration = to_us(frame->pkt_duration, d->time_base);
	return d->frame_duration > 0 ? d->frame_duration : DUR_S / 25;
}

/* What the container says about the picture is stronger than what the stream says; the MPD fills in for both (@sar,
 * ISO/IEC 23009-1 5.3.7.2). */
static void describe(const struct decode *d, AVFrame *f)
{
	AVFrameSideData *side;

	if (d->sar.num > 0 && d->sar.den > 0)
		f->sample_aspect_ratio = d->sar;
	else if (f->sample_aspect_ratio.num == 0 && d->mpd_sar.num > 0)
		f->sample_aspect_ratio = d->mpd_sar;
	if (!d->has_matrix || av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX) != NULL)
		return;
	side = av_frame_new_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX, sizeof d->matrix);
	if (side != NULL)
		memcpy(side->data, d->matrix, sizeof d->matrix);
}

static void learn(struct decode *d, const AVStream *stream)
{
	size_t n = 0;
	const uint8_t *matrix = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &n);

	d->sar = stream->sample_aspect_ratio.num > 0 ? stream->sample_aspect_ratio : stream->codecpar->sample_aspect_ratio;
	d->has_matrix = matrix != NULL && n >= sizeof d->matrix;
	if (d->has_matrix)
		memcpy(d->matrix, matrix, sizeof d->matrix);
}

static struct media_frame *take_frame(struct decode *d, dur_us pts, dur_us duration)
{
	struct media_frame *f = mem_new(sizeof *f);

	*f = (struct media_frame){.generation = d->generation, .av = av_frame_alloc(), .pts = pts, .duration = duration};
	if (f->av == NULL) {
		media_frame_free(&f);
		return NULL;
	}
	av_frame_move_ref(f->av, d->frame);
	describe(d, f->av);
	return f;
}

/* A long way after a seek: somewhere near is better than nowhere. */
static void preview(struct decode *d, dur_us pts, dur_us duration)
{
	struct hub *h = d->hub;
	mono_us now = clock_mono();
	struct media_frame *f = NULL;

	if (d->lane != LANE_VIDEO || now < d->preview_next || (d->cut > 0 && d->frame->pict_type == AV_PICTURE_TYPE_B))
		return;
	d->preview_next = now + AGAIN;
	f = take_frame(d, pts, duration);
	hub_lock(h);
	if (f != NULL && h->generation == d->generation && h->preview == NULL) {
		h->preview = f;
		f = NULL;
		hub_ring(h);
	}
	hub_unlock(h);
	if (f != NULL)
		media_frame_free(&f);
}

static void give(struct decode *d)
{
	int64_t ts = d->frame->best_effort_timestamp;
	dur_us duration = duration_of(d, d->frame), pts;
	struct media_frame *f;

	atomic_fetch_add(&d->decoded, 1);
	pts = ts != AV_NOPTS_VALUE ? to_us(ts, d->time_base) + d->offset
	                           : (d->given != NEVER ? d->given : d->from);
	/* a frame that only reaches into the window from before it is kept when it is sound: the presenter cuts it */
	if (d->key) {
		if (d->given != NEVER)
			return;
	} else if (pts >= d->to || (d->lane == LANE_AUDIO ? pts + duration <= d->from : pts < d->from)) {
		if (pts < d->from)
			preview(d, pts, duration);
		return;
	}
	if (d->given != NEVER && pts < d->given - duration / 2)
		return;
	f = take_frame(d, pts, duration);
	if (f == NULL)
		return;
	d->given = pts + duration;
	hand_on(d, f);
}

static bool stale(struct decode *d)
{
	bool yes;

	hub_lock(d->hub);
	yes = d->hub->quit || d->hub->generation != d->generation;
	hub_unlock(d->hub);
	return yes;
}

static void receive(struct decode *d)
{
	while (!stale(d) && avcodec_receive_frame(d->codec, d->frame) == 0) {
		give(d);
		av_frame_unref(d->frame);
	}
}

static void close_codec(struct decode *d)
{
	d->holds = false;
	avcodec_free_context(&d->codec);
	avcodec_parameters_free(&d->parameters);
}

static void drain(struct decode *d)
{
	if (d->codec == NULL)
		return;
	avcodec_send_packet(d->codec, NULL);
	receive(d);
	close_codec(d);
}

/* Nothing more is here, and the last pictures of what was are wanted: in exchange for them the decoder begins anew. */
static void release(struct decode *d)
{
	avcodec_send_packet(d->codec, NULL);
	receive(d);
	avcodec_flush_buffers(d->codec);
	d->holds = false;
}

/* The next rendition's sound may go through the same decoder: its blocks overlap, and only so does the
 * first of the new one meet the last of the old one, without a dip. */
static bool goes_on(const struct decode *d, const AVCodecParameters *next)
{
	const AVCodecParameters *p = d->parameters;

	return d->lane == LANE_AUDIO && p != NULL && p->codec_id == next->codec_id && p->sample_rate == next->sample_rate &&
	       av_channel_layout_compare(&p->ch_layout, &next->ch_layout) == 0 && p->extradata_size == next->extradata_size &&
	       (p->extradata_size == 0 || memcmp(p->extradata, next->extradata, (size_t)p->extradata_size) == 0);
}

static int open_codec(struct decode *d, const AVStream *stream)
{
	const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
	AVDictionary *options = NULL;
	int r;

	if (codec == NULL)
		return AVERROR_DECODER_NOT_FOUND;
	if ((int64_t)stream->codecpar->width * stream->codecpar->height > MAX_PIXELS)
		return AVERROR(ERANGE);
	d->codec = avcodec_alloc_context3(codec);
	d->parameters = avcodec_parameters_alloc();
	if (d->codec == NULL || d->parameters == NULL) {
		close_codec(d);
		return AVERROR(ENOMEM);
	}
	r = avcodec_parameters_copy(d->parameters, stream->codecpar);
	if (r >= 0)
		r = avcodec_parameters_to_context(d->codec, stream->codecpar);
	d->codec->pkt_timebase = stream->time_base;
	d->codec->thread_count = d->lane == LANE_VIDEO ? 0 : 1;
	d->codec->max_pixels = MAX_PIXELS;
	if (r >= 0 && codec->id == AV_CODEC_ID_H264) /* what is cut short on purpose need not be made up (cut_short) */
		av_dict_set(&options, "enable_er", "0", 0);
	if (r >= 0)
		r = avcodec_open2(d->codec, codec, &options);
	av_dict_free(&options);
	if (r < 0)
		close_codec(d);
	d->skim = codec->id == AV_CODEC_ID_H264 ? SKIM_AVC : codec->id == AV_CODEC_ID_HEVC ? SKIM_HEVC : SKIM_OTHER;
	d->length_size = skim_length_size(d->skim, stream->codecpar->extradata, (size_t)stream->codecpar->extradata_size);
	return r;
}

/* On the way to a place in a segment, pictures that no other is made of are not decoded. */
static bool on_the_way(const struct decode *d)
{
	const AVPacket *p = d->packet;
	int64_t ahead = d->codec->has_b_frames > 0 ? 1 : LEARN;

	return d->lane == LANE_VIDEO && p->pts != AV_NOPTS_VALUE &&
	       to_us(later(p, ahead), d->time_base) + d->offset < d->from;
}

/* Nor are references that nothing wanted is made of: the decoder gets enough of them to keep its books. */
static void cut_short(struct decode *d)
{
	size_t n;

	if (d->refs == NULL || av_packet_make_writable(d->packet) < 0)
		return;
	n = refs_cut(d->refs, d->unit, d->packet->data, (size_t)d->packet->size);
	d->cut += n < (size_t)d->packet->size;
	av_shrink_packet(d->packet, (int)n);
}

static void decode_packet(struct decode *d, unsigned segment)
{
	bool passed = on_the_way(d);
	int r;

	if (passed && skim_needless(d->skim, d->length_size, d->packet->data, (size_t)d->packet->size))
		return;
	if (passed)
		cut_short(d);
	d->codec->skip_frame = passed ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
	d->holds = d->lane == LANE_VIDEO;
	r = avcodec_send_packet(d->codec, d->packet);
	if (r == AVERROR(EAGAIN)) {
		receive(d);
		r = avcodec_send_packet(d->codec, d->packet);
	}
	if (r < 0)
		note_error(d, segment, "packet cannot be decoded", r);
	receive(d);
}

static int ready_codec(struct decode *d, const struct media_segment *s, const struct demux *x)
{
	bool moved = d->lane == LANE_VIDEO && d->offset != s->offset + d->shift; /* a picture still in the decoder is of the old time */
	int r = 0;

	if (d->codec != NULL && (moved || (s->rendition != d->rendition && !goes_on(d, demux_stream(x)->codecpar))))
		drain(d);
	/* the window changes only now: what was drained belongs to the segment before */
	d->rendition = s->rendition;
	d->offset = s->offset + d->shift;
	d->from = s->from;
	d->to = s->to;
	d->time_base = demux_stream(x)->time_base;
	d->mpd_sar = s->sar_num <= INT_MAX && s->sar_den <= INT_MAX ? (AVRational){(int)s->sar_num, (int)s->sar_den} : (AVRational){0, 1};
	learn(d, demux_stream(x));
	if (d->codec == NULL)
		r = open_codec(d, demux_stream(x));
	return r;
}

/* ISO/IEC 23009-1 7.2.1 gives a segment half of its duration; MPDs with a coarse timescale take a little more. */
static bool lies_in(const struct media_segment *s, dur_us at)
{
	dur_us slack = (s->end - s->start) / 4 * 3;

	return llabs(at - s->start) <= (slack > DUR_S / 2 ? slack : DUR_S / 2);
}

/* Packagers that write transport streams from an hour on, or no @presentationTimeOffset, or a file of its own from 0 on for
 * each segment: where the media's times lie far from what the MPD says of the segment, it is the MPD that is believed.
 * Picture and sound are moved alike where that fits both; what was right once in a Period goes on as it is. */
static void place(struct decode *d, const struct media_segment *s, dur_us at)
{
	bool anew = s->init == NULL && s->index > 0 && at - s->offset < DUR_S / 2, fits = lies_in(s, at);
	struct hub *h = d->hub;

	if (s->first != d->agreed)
		d->shift = 0;
	if (s->end <= s->start || (fits && !anew) || (s->first == d->agreed && d->shift == 0 && !anew)) {
		d->shift = 0;
	} else if (anew || !lies_in(s, at + d->shift)) {
		hub_lock(h);
		if (!anew && lies_in(s, at - s->first)) /* they go on from the Period before */
			h->shift = -s->first;
		else if (anew || !lies_in(s, at + h->shift))
			h->shift = s->start - at;
		d->shift = h->shift;
		hub_unlock(h);
		log_verbose("player/decode", "times are not the MPD's: moved track=%s segment=%u by_ms=%lld",
		            d->lane == LANE_VIDEO ? "video" : "audio", s->index, (long long)(d->shift / DUR_MS));
	}
	d->agreed = s->first;
}

/* From the last key picture that is not behind s->from on, what is made of what. */
static void note_refs(struct decode *d, const struct media_segment *s, const struct demux *x, bool key)
{
	const AVCodecParameters *c = demux_stream(x)->codecpar;
	const AVPacket *p = d->packet;
	AVRational base = demux_stream(x)->time_base;

	if (key) {
		refs_free(&d->refs);
		d->refs = c->codec_id == AV_CODEC_ID_H264 && c->extradata_size > 0 ? refs_new(c->extradata, (size_t)c->extradata_size) : NULL;
	}
	if (d->refs != NULL)
		refs_add(d->refs, p->data, (size_t)p->size, p->pts == AV_NOPTS_VALUE ||
		         to_us(later(p, LEARN), base) + s->offset + d->shift >= s->from);
}

/* How many packets stand before the last key picture that is not behind s->from: nobody needs them. */
static unsigned before_key(struct decode *d, const struct media_segment *s)
{
	struct demux *x = NULL;
	unsigned n = 0, key = 0;

	refs_free(&d->refs);
	d->unit = 0;
	if (d->lane != LANE_VIDEO || s->feed != NULL || s->from <= s->start || demux_new(s->init, s->body, 0, &x, NULL) < 0)
		return 0;
	for (; demux_read(x, d->packet) == 0; n++) {
		const AVPacket *p = d->packet;
		dur_us at = to_us(p->pts, demux_stream(x)->time_base);

		if (n == 0 && p->pts != AV_NOPTS_VALUE)
			place(d, s, at + s->offset);
		if ((p->flags & AV_PKT_FLAG_KEY) != 0 && p->pts != AV_NOPTS_VALUE && at + s->offset + d->shift <= s->from)
			key = n;
		note_refs(d, s, x, key == n);
		av_packet_unref(d->packet);
	}
	if (d->refs != NULL)
		refs_solve(d->refs);
	demux_free(&x);
	return key;
}

/* The first packet, which says where the segment lies. */
static int read_first(struct decode *d, const struct media_segment *s, struct demux *x)
{
	int r = demux_read(x, d->packet);

	if (r == 0 && d->packet->pts != AV_NOPTS_VALUE)
		place(d, s, to_us(d->packet->pts, demux_stream(x)->time_base) + s->offset);
	return r;
}

static bool restarts(const struct decode *d)
{
	const AVPacket *p = d->packet;

	if (d->codec != NULL && (d->codec->codec_id == AV_CODEC_ID_AV1 || d->codec->codec_id == AV_CODEC_ID_VP9))
		return (p->flags & AV_PKT_FLAG_KEY) != 0;
	return skim_restarts(d->skim, d->length_size, p->data, (size_t)p->size);
}

static void decode_segment(struct decode *d, const struct media_segment *s)
{
	struct fault f = {0};
	struct demux *x = NULL;
	unsigned skip = before_key(d, s);
	int r, read;

	r = s->feed != NULL ? demux_new_feed(s->init, s->feed, d->lane, s->generation, &x, &f)
	                    : demux_new(s->init, s->body, d->lane == LANE_AUDIO, &x, &f);
	if (r < 0 && stale(d))
		return;
	if (r < 0) {
		atomic_fetch_add(&d->errors, 1);
		log_warn("player/decode", "segment=%u: %s", s->index, fault_text(&f));
		return;
	}
	read = read_first(d, s, x);
	r = ready_codec(d, s, x);
	if (r < 0)
		note_error(d, s->index, r == AVERROR(ERANGE) ? "pictures larger than 8192x4352 are not decoded" : "no decoder", r);
	d->restarts = read == 0 && restarts(d);
	while (r == 0 && !stale(d)) {
		r = read;
		if (r == 0 && skip > 0) {
			skip--;
		} else if (r == 0) {
			decode_packet(d, s->index);
			d->unit++;
			if (d->key)
				break;
		} else if (r != ERR_NOT_FOUND && !stale(d)) {
			note_error(d, s->index, "segment is damaged", r);
		}
		av_packet_unref(d->packet);
		if (r == 0)
			read = demux_read(x, d->packet);
	}
	av_packet_unref(d->packet);
	if (d->key)
		drain(d);
	if (d->refs != NULL)
		log_debug("player/decode", "on the way segment=%u packets=%zu not_decoded=%u", s->index, d->unit, d->cut);
	demux_free(&x);
}

/* The decoder and its threads stay. */
static void begin_generation(struct decode *d, unsigned generation)
{
	if (d->codec != NULL)
		avcodec_flush_buffers(d->codec);
	d->holds = false;
	d->cut = 0;
	d->generation = generation;
	d->given = d->agreed = NEVER;
	d->preview_next = d->sought + SOON;
}

/* The last frames of the last segment, then the end mark. */
static void end_generation(struct decode *d)
{
	drain(d);
	hub_lock(d->hub);
	if (d->hub->generation == d->generation)
		d->hub->frames[d->lane].closed = true;
	hub_ring(d->hub);
	hub_unlock(d->hub);
}

/* The presenter has shown all it has, nobody has more, and some lie here.  A segment that builds on the one before
 * could not be decoded after that: where the last one did, they stay. */
static bool runs_dry(const struct decode *d)
{
	const struct hub *h = d->hub;

	return d->holds && d->restarts && !d->key && d->generation == h->generation && h->segments[d->lane].n == 0 &&
	       h->frames[d->lane].n == 0;
}

/* The next segment; NULL with *ret_end when the lane has ended, NULL without it when the player quits. */
static struct media_segment *next(struct decode *d, bool *ret_end)
{
	struct hub *h = d->hub;
	struct fifo *in = &h->segments[d->lane];
	struct media_segment *s = NULL;

	hub_lock(h);
	h->busy[d->lane] = false;
	for (;;) {
		*ret_end = in->closed && in->n == 0 && !h->frames[d->lane].closed && !h->keys;
		if (h->quit || *ret_end || (s = hub_take(h, d->lane)) != NULL)
			break;
		if (!runs_dry(d)) {
			hub_wait(h);
			continue;
		}
		h->busy[d->lane] = true;
		hub_unlock(h);
		release(d);
		hub_lock(h);
		h->busy[d->lane] = false;
		hub_ring(h);
	}
	if (h->quit)
		*ret_end = false;
	d->sought = h->sought;
	if (*ret_end && d->generation != h->generation)
		begin_generation(d, h->generation);
	d->key = h->keys;
	h->busy[d->lane] = s != NULL || *ret_end;
	h->posts++;
	hub_ring(h);
	hub_unlock(h);
	return s;
}

static void *run(void *ctx)
{
	struct decode *d = ctx;
	bool end;

	for (;;) {
		struct media_segment *s = next(d, &end);

		if (s == NULL && !end)
			break;
		if (end) {
			end_generation(d);
			continue;
		}
		if (s->generation != d->generation)
			begin_generation(d, s->generation);
		if (!s->skipped)
			decode_segment(d, s);
		else
			drain(d);
		media_segment_free(&s);
	}
	return NULL;
}

struct decode *decode_new(struct hub *hub, int lane)
{
	struct decode *d = mem_new(sizeof *d);

	d->hub = hub;
	d->lane = lane;
	d->given = d->agreed = NEVER;
	d->packet = av_packet_alloc();
	d->frame = av_frame_alloc();
	if (d->packet == NULL || d->frame == NULL || pthread_create(&d->thread, NULL, run, d) != 0) {
		av_packet_free(&d->packet);
		av_frame_free(&d->frame);
		free(d);
		return NULL;
	}
	return d;
}

void decode_free(struct decode **pd)
{
	struct decode *d = *pd;

	if (d == NULL)
		return;
	pthread_join(d->thread, NULL);
	close_codec(d);
	refs_free(&d->refs);
	av_packet_free(&d->packet);
	av_frame_free(&d->frame);
	free(d);
	*pd = NULL;
}
