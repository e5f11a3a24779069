/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Decoding, as a player would that seeks to every segment: each is handed, with
 * nothing but the header before it, to a decoder that has seen no other.  Threads
 * take segments one by one; every decoder belongs to one of them.
 */
#include <libavcodec/avcodec.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/progress.h"
#include "base/words.h"
#include "ingest/verify_look.h"
#include "ingest/verify_seen.h"

#define SEGMENT_MAX ((size_t)1 << 30)

struct work { /* what all threads share */
	struct verify *v;
	pthread_mutex_t lock;  /* guards what follows */
	size_t next, n;        /* segments of all tracks, one behind the other */
	size_t failed;         /* the least number that failed; n: none */
	struct fault fault;
	struct verify_facts facts;
	struct progress *progress;
	struct look **looks;   /* of each video track: one a segment */
	float *peaks;          /* of each sound track */
};

struct hand { /* one thread */
	struct work *w;
	struct seen *t;        /* ours: a copy, for its fault */
	struct seen copy;
	AVCodecContext *starter; /* for first pictures, kept as long as the track is the same */
	const struct bmff_track *starter_of;
	AVPacket *packet;
	AVFrame *frame;
	struct buf room;
};

/* --- decoders ---------------------------------------------------------------------------------- */

/* RFC 7845 5.1 from the dOps box (Opus in ISOBMFF 4.3.2), which is big-endian */
static void opus_head(const struct bmff_track *t, AVCodecContext *c)
{
	const uint8_t *d = t->config;
	uint8_t *h = c->extradata;

	memcpy(h, "OpusHead\1", 9);
	h[9] = d[1];
	h[10] = d[3], h[11] = d[2];
	h[12] = d[7], h[13] = d[6], h[14] = d[5], h[15] = d[4];
	h[16] = d[9], h[17] = d[8];
	memcpy(h + 18, d + 10, t->n_config - 10);
	c->extradata_size = (int)(8 + t->n_config);
}

static enum AVCodecID codec_of(const struct bmff_track *t)
{
	switch (t->entry) {
	case BMFF_TYPE('a', 'v', 'c', '1'):
		return AV_CODEC_ID_H264;
	case BMFF_TYPE('h', 'v', 'c', '1'):
		return AV_CODEC_ID_HEVC;
	case BMFF_TYPE('a', 'v', '0', '1'):
		return AV_CODEC_ID_AV1;
	case BMFF_TYPE('m', 'p', '4', 'a'):
		return AV_CODEC_ID_AAC;
	case BMFF_TYPE('O', 'p', 'u', 's'):
		return t->n_config >= 11 ? AV_CODEC_ID_OPUS : AV_CODEC_ID_NONE;
	default:
		return AV_CODEC_ID_NONE;
	}
}

/* NULL: this FFmpeg cannot decode it. */
static AVCodecContext *open_decoder(const struct hand *h)
{
	const struct bmff_track *t = h->t->track;
	const AVCodec *codec = avcodec_find_decoder(codec_of(t));
	AVCodecContext *c = codec != NULL ? avcodec_alloc_context3(codec) : NULL;

	if (c == NULL)
		return NULL;
	c->extradata = av_mallocz(t->n_config + 8 + AV_INPUT_BUFFER_PADDING_SIZE);
	MUST(c->extradata != NULL);
	if (codec->id == AV_CODEC_ID_OPUS) {
		opus_head(t, c);
	} else if (t->n_config > 0) {
		memcpy(c->extradata, t->config, t->n_config);
		c->extradata_size = (int)t->n_config;
	}
	c->thread_count = 1;
	c->pkt_timebase = c->time_base = (AVRational){1, (int)h->t->timescale};
	c->err_recognition = AV_EF_EXPLODE | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_CRCCHECK;
	c->flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL; /* every sample, also those before the edit list's start */
	if (h->w->v->settings->level == VERIFY_SAMPLED)
		c->skip_loop_filter = AVDISCARD_ALL; /* changes no error, and saves a seventh of the time */
	c->sample_rate = (int)t->sample_rate;
	av_channel_layout_default(&c->ch_layout, t->channels > 0 ? (int)t->channels : 2);
	if (avcodec_open2(c, codec, NULL) < 0)
		avcodec_free_context(&c);
	return c;
}

static int no_decoder(struct hand *h)
{
	char type[BMFF_TYPE_SIZE];

	bmff_type_text(h->t->track->entry, type);
	return fault_set(&h->t->fault, ERR_UNSUPPORTED, _("%s: this FFmpeg has no decoder for %s, or does not take its configuration; install one"), h->t->name,
	                 type);
}

/* --- one segment ----------------------------------------------------------------------------- */

struct yield { /* what came out of a segment */
	int64_t *times;    /* wanted of the pictures, in order */
	size_t n_times, n_pictures;
	uint64_t n_samples;
	float peak;
	struct look *look; /* of the first picture; NULL for sound */
};

static int failed(struct hand *h, size_t segment, const char *what)
{
	return verify_wrong(&h->t->fault, ERR_CORRUPT, _("%s: segment %zu (%.3f s): %s; the encoder or this machine's memory failed"),
	                    h->t->name, segment, (double)h->t->cuts[segment].start / h->t->timescale, what);
}

static int take_picture(struct hand *h, size_t segment, struct yield *y)
{
	const AVFrame *f = h->frame;
	char why[160];

	if (f->decode_error_flags != 0 || (f->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
		snprintf(why, sizeof why, _("picture %zu cannot be decoded from the segment alone"), y->n_pictures);
		return failed(h, segment, why);
	}
	if (y->n_pictures >= y->n_times || f->pts != y->times[y->n_pictures]) {
		snprintf(why, sizeof why, _("picture %zu comes out of the decoder for %.4f s, the file says %.4f s"), y->n_pictures,
		         (double)f->pts / h->t->timescale, y->n_pictures < y->n_times ? (double)y->times[y->n_pictures] / h->t->timescale : NAN);
		return failed(h, segment, why);
	}
	if ((uint32_t)f->width != h->t->track->width || (uint32_t)f->height != h->t->track->height) {
		snprintf(why, sizeof why, _("its pictures are %dx%d, not %ux%u"), f->width, f->height, h->t->track->width, h->t->track->height);
		return failed(h, segment, why);
	}
	if (y->n_pictures++ == 0)
		look_at(f, y->look);
	return 0;
}

static int take_sound(struct hand *h, size_t segment, struct yield *y)
{
	const AVFrame *f = h->frame;

	y->n_samples += (uint64_t)f->nb_samples;
	if (f->format != AV_SAMPLE_FMT_FLTP)
		return 0;
	for (int c = 0; c < f->ch_layout.nb_channels; c++) {
		const float *p = (const float *)(const void *)f->extended_data[c];

		for (int i = 0; i < f->nb_samples; i++) {
			if (!isfinite(p[i]))
				return failed(h, segment, _("its sound holds a value that is no number"));
			y->peak = fabsf(p[i]) > y->peak ? fabsf(p[i]) : y->peak;
		}
	}
	return 0;
}

static int receive(struct hand *h, AVCodecContext *c, size_t segment, struct yield *y)
{
	for (;;) {
		int r = avcodec_receive_frame(c, h->frame);

		if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
			return 0;
		if (r < 0)
			return failed(h, segment, _("cannot be decoded from its start alone"));
		r = c->codec_type == AVMEDIA_TYPE_VIDEO ? take_picture(h, segment, y) : take_sound(h, segment, y);
		if (r != 0)
			return r;
	}
}

/* `s` NULL: the end */
static int feed(struct hand *h, AVCodecContext *c, const struct bmff_sample *s, size_t segment, struct yield *y)
{
	const struct cut *cut = &h->t->cuts[segment];
	int r;

	if (s != NULL && (s->offset < cut->offset || s->offset - cut->offset > cut->size || s->size > cut->size - (s->offset - cut->offset)))
		return failed(h, segment, _("its samples do not lie in it"));
	if (s != NULL) {
		h->packet->data = h->room.bytes + (s->offset - cut->offset);
		h->packet->size = (int)s->size;
		h->packet->pts = (int64_t)s->time + s->composition - h->t->shift;
		h->packet->dts = (int64_t)s->time - h->t->shift;
		h->packet->flags = (s->flags & BMFF_FLAG_IS_NON_SYNC) == 0 ? AV_PKT_FLAG_KEY : 0;
	}
	r = avcodec_send_packet(c, s != NULL ? h->packet : NULL);
	if (r < 0 && r != AVERROR_EOF) {
		char why[160];

		snprintf(why, sizeof why, _("what stands at %.4f s cannot be decoded from the segment alone"), s != NULL ? (double)h->packet->pts / h->t->timescale : NAN);
		return failed(h, segment, why);
	}
	return receive(h, c, segment, y);
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void want_times(const struct hand *h, const struct bmff_fragment *f, struct yield *y)
{
	y->times = mem_new_array(f->n_samples, sizeof *y->times);
	y->n_times = f->n_samples;
	for (size_t i = 0; i < f->n_samples; i++)
		y->times[i] = (int64_t)f->samples[i].time + f->samples[i].composition - h->t->shift;
	qsort(y->times, y->n_times, sizeof *y->times, compare_times);
}

static int check_yield(struct hand *h, const AVCodecContext *c, size_t segment, const struct bmff_fragment *f, const struct yield *y)
{
	uint64_t want = (uint64_t)av_rescale((int64_t)f->duration, c->sample_rate, h->t->timescale);
	char why[160];

	if (h->t->handler == VERIFY_VIDEO && y->n_pictures != f->n_samples)
		snprintf(why, sizeof why, _("has %zu pictures, and %zu can be decoded"), f->n_samples, y->n_pictures);
	else if (h->t->handler == VERIFY_AUDIO && y->n_samples != want)
		snprintf(why, sizeof why, _("has %llu samples of sound, and %llu can be decoded"), (unsigned long long)want, (unsigned long long)y->n_samples);
	else
		return 0;
	return failed(h, segment, why);
}

/* All of the segment, by a decoder of its own. */
static int decode_whole(struct hand *h, size_t segment, const struct bmff_fragment *f, struct yield *y)
{
	AVCodecContext *c = open_decoder(h);
	int r = c != NULL ? 0 : no_decoder(h);

	for (size_t i = 0; r == 0 && i < f->n_samples; i++)
		r = feed(h, c, &f->samples[i], segment, y);
	if (r == 0)
		r = feed(h, c, NULL, segment, y);
	if (r == 0)
		r = check_yield(h, c, segment, f, y);
	avcodec_free_context(&c);
	return r;
}

/* The first picture, by a decoder that was emptied (which drops every reference). */
static int decode_start(struct hand *h, size_t segment, const struct bmff_fragment *f, struct yield *y)
{
	int r;

	if (h->starter == NULL || h->starter_of != h->t->track) {
		avcodec_free_context(&h->starter);
		h->starter = open_decoder(h);
		h->starter_of = h->t->track;
	}
	if (h->starter == NULL)
		return no_decoder(h);
	r = feed(h, h->starter, &f->samples[0], segment, y);
	if (r == 0)
		r = feed(h, h->starter, NULL, segment, y);
	if (r == 0 && y->n_pictures != 1)
		r = failed(h, segment, _("its first picture cannot be decoded alone"));
	avcodec_flush_buffers(h->starter);
	return r;
}

/* --- the threads -------------------------------------------------------------------------------- */

/* A segment in VERIFY_TURN, at another place in each track: what the tracks of a long film have in common is then
 * looked at every few segments. */
static bool is_turn(const struct verify *v, size_t track, size_t segment)
{
	return v->settings->level == VERIFY_FULL || (segment + 5 * track) % VERIFY_TURN == 0;
}

static void note(struct hand *h, size_t track, bool whole, const struct yield *y)
{
	struct work *w = h->w;

	pthread_mutex_lock(&w->lock);
	w->facts.pictures_decoded += y->n_pictures;
	w->facts.samples_decoded += y->n_samples;
	w->facts.segments_decoded += whole;
	w->facts.starts_decoded += h->t->handler == VERIFY_VIDEO;
	w->peaks[track] = y->peak > w->peaks[track] ? y->peak : w->peaks[track];
	pthread_mutex_unlock(&w->lock);
}

static int decode_segment(struct hand *h, size_t track, size_t segment)
{
	const struct verify *v = h->w->v;
	bool video = v->tracks[track].handler == VERIFY_VIDEO, sound = v->tracks[track].handler == VERIFY_AUDIO;
	bool whole = (video || sound) && is_turn(v, track, segment); /* text has no decoder to ask */
	struct yield y = {.look = video ? &h->w->looks[track][segment] : NULL};
	struct bmff_fragment *f;
	int r;

	if (!whole && !video)
		return 0;
	h->copy = v->tracks[track];
	h->t = &h->copy;
	r = verify_segment_read(h->t, segment, &h->room, &f);
	if (r != 0)
		return r;
	want_times(h, f, &y);
	r = whole ? decode_whole(h, segment, f, &y) : decode_start(h, segment, f, &y);
	if (r == 0)
		note(h, track, whole, &y);
	free(y.times);
	bmff_fragment_free(&f);
	return r;
}

/* The next segment of all, or false when there is none or what comes now need not be known. */
static bool next_segment(struct work *w, size_t *ret_number, size_t *ret_track, size_t *ret_segment)
{
	size_t number, track = 0;

	pthread_mutex_lock(&w->lock);
	number = w->next < w->failed && !verify_stopped(w->v) ? w->next++ : w->n;
	if (w->progress != NULL && number < w->n)
		progress_update(w->progress, number, NULL, clock_mono());
	pthread_mutex_unlock(&w->lock);
	if (number >= w->n)
		return false;
	*ret_number = number;
	for (; number >= w->v->tracks[track].n_cuts; track++)
		number -= w->v->tracks[track].n_cuts;
	*ret_track = track;
	*ret_segment = number;
	return true;
}

static void *run(void *ctx)
{
	struct hand h = {.w = ctx, .packet = av_packet_alloc(), .frame = av_frame_alloc()};
	size_t number, track, segment;

	MUST(h.packet != NULL && h.frame != NULL);
	buf_init(&h.room, SEGMENT_MAX);
	while (next_segment(h.w, &number, &track, &segment)) {
		if (decode_segment(&h, track, segment) == 0)
			continue;
		pthread_mutex_lock(&h.w->lock);
		if (number < h.w->failed) { /* the first by number, whichever thread was first */
			h.w->failed = number;
			h.w->fault = h.t->fault;
		}
		pthread_mutex_unlock(&h.w->lock);
	}
	avcodec_free_context(&h.starter);
	av_packet_free(&h.packet);
	av_frame_free(&h.frame);
	buf_fini(&h.room);
	return NULL;
}

/* --- renditions against each other ---------------------------------------------------------------- */

/* Of the same codec and transfer function: an HDR rendition has other values for the same picture. */
static bool are_alike(const struct seen *a, const struct seen *b)
{
	return a->handler == VERIFY_VIDEO && b->handler == VERIFY_VIDEO && a->track->entry == b->track->entry &&
	       a->track->colr.transfer == b->track->colr.transfer;
}

/* Far from the picture of its own time; or not near it, and near that of another time. */
static bool is_other(const struct look *of, size_t n, const struct look *one, size_t i)
{
	double apart = look_apart(&of[i], one);

	for (size_t k = 0; apart > LOOK_NEAR && apart <= LOOK_FAR && k < n; k++)
		if (k != i && 3 * look_apart(&of[k], one) < apart)
			return true;
	return apart > LOOK_FAR;
}

static int compare_looks(struct work *w)
{
	struct verify *v = w->v;

	for (size_t b = 0; b < v->n_tracks; b++) {
		size_t a = 0;

		while (a < b && !are_alike(&v->tracks[a], &v->tracks[b]))
			a++;
		for (size_t i = 0; a < b && i < v->tracks[b].n_cuts && i < v->tracks[a].n_cuts; i++)
			if (is_other(w->looks[a], v->tracks[a].n_cuts, &w->looks[b][i], i))
				return verify_wrong(v->fault, ERR_CORRUPT, _("%s: segment %zu (%.3f s): shows another picture than %s at the same time"),
				                 v->tracks[b].name, i, (double)v->tracks[b].cuts[i].start / v->tracks[b].timescale, v->tracks[a].name);
	}
	return 0;
}

/* --- all of it ---------------------------------------------------------------------------------- */

static void run_all(struct work *w)
{
	pthread_t threads[64];
	unsigned n = verify_threads(w->v), started = 0;

	while (started + 1 < n && pthread_create(&threads[started], NULL, run, w) == 0)
		started++;
	run(w);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

static void take_facts(struct verify *v, const struct work *w)
{
	size_t sound = 0;

	v->facts.pictures_decoded = w->facts.pictures_decoded;
	v->facts.samples_decoded = w->facts.samples_decoded;
	v->facts.segments_decoded = w->facts.segments_decoded;
	v->facts.starts_decoded = w->facts.starts_decoded;
	for (size_t i = 0; i < v->n_tracks && sound < v->facts.n_sounds; i++)
		if (v->tracks[i].handler == VERIFY_AUDIO)
			v->facts.sounds[sound++].is_silent = v->settings->level == VERIFY_FULL && w->peaks[i] == 0;
}

int verify_decode(struct verify *v)
{
	struct work w = {.v = v, .lock = PTHREAD_MUTEX_INITIALIZER};
	int r = 0;

	w.looks = mem_new_array(v->n_tracks, sizeof *w.looks);
	w.peaks = mem_new_array(v->n_tracks, sizeof *w.peaks);
	for (size_t i = 0; i < v->n_tracks; i++) {
		w.n += v->tracks[i].n_cuts;
		w.looks[i] = mem_new_array(v->tracks[i].n_cuts, sizeof **w.looks);
	}
	w.failed = w.n;
	if (v->settings->progress)
		w.progress = progress_new(stderr, _("decode"), _("segments"), w.n, clock_mono());
	run_all(&w);
	progress_free(&w.progress, clock_mono());
	if (w.failed < w.n)
		r = (*v->fault = w.fault).code;
	else if (verify_stopped(v))
		r = fault_set(v->fault, ERR_CANCELLED, _("stopped"));
	else
		r = compare_looks(&w);
	take_facts(v, &w);
	for (size_t i = 0; i < v->n_tracks; i++)
		free(w.looks[i]);
	free(w.looks);
	free(w.peaks);
	pthread_mutex_destroy(&w.lock);
	return r;
}
