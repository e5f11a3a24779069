/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Demuxing and decoding of a master.  Invariant: frames of one stream leave with
 * strictly increasing time stamps; what goes back is moved behind its forerunner.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "ingest/source_in.h"

#define WAITING_MAX 4096
#define JUMP (AV_TIME_BASE * 3 / 10)      /* what is less off its place is jitter, which the next layers bear */
#define HOLE (600LL * AV_TIME_BASE)       /* what is longer is no hole where clocks may begin anew */
#define STRAYS 4                          /* packets one behind the other that may be wrong */
#define SHOWN_LATE 10                     /* seconds */
#define TOGETHER (AV_TIME_BASE * 3 / 2)   /* streams of one clock end and begin within this */

/* --- clocks --------------------------------------------------------------------------- */

/* Another clock that is known already and puts `t` near where it is due: of recordings put one behind the other all
 * streams go over to the same. */
static bool change_clock(const struct source *s, struct decoder *d, int64_t t, int64_t room)
{
	for (size_t i = 0; i < s->n_shifts; i++)
		if (s->shifts[i] != d->shift && llabs(t + s->shifts[i] - d->next) <= room) {
			d->shift = s->shifts[i];
			return true;
		}
	return false;
}

static void add_shift(struct source *s, int64_t shift, double seconds)
{
	memmove(s->shifts + 1, s->shifts, (SOURCE_SHIFTS - 1) * sizeof *s->shifts);
	s->shifts[0] = shift;
	s->n_shifts += s->n_shifts < SOURCE_SHIFTS;
	if (s->jumps++ == 0)
		s->first_jump = seconds;
}

static void move(AVPacket *p, AVRational time_base, int64_t shift)
{
	int64_t ticks = av_rescale_q(shift, AV_TIME_BASE_Q, time_base);

	p->pts += p->pts != AV_NOPTS_VALUE ? ticks : 0;
	p->dts += p->dts != AV_NOPTS_VALUE ? ticks : 0;
}

/* Back; or far ahead, which is how a clock that began anew looks to those who think that it ran over. */
static bool is_jump(const struct source *s, const struct decoder *d, int64_t at)
{
	return at < d->seen - JUMP || (s->format->iformat->flags & AVFMT_TS_DISCONT && at > d->next + HOLE);
}

static int64_t time_of(const AVPacket *p, AVRational time_base)
{
	int64_t t = p->dts != AV_NOPTS_VALUE ? p->dts : p->pts;

	return t == AV_NOPTS_VALUE ? t : av_rescale_q(t, time_base, AV_TIME_BASE_Q);
}

/* Whether soon behind a packet ahead of its time another one stands where this was due: then its stamp is wrong, and there is no hole. */
static bool is_stray(struct source *s, const struct decoder *d, int64_t at)
{
	const AVPacket *p;
	unsigned mine = 0;

	for (size_t i = 0; mine < STRAYS && (p = source_peek(s, i)) != NULL; i++) {
		int64_t t = p->stream_index == d->stream ? time_of(p, d->time_base) : AV_NOPTS_VALUE;

		mine += p->stream_index == d->stream;
		if (t != AV_NOPTS_VALUE && t + d->shift >= d->next - JUMP && t + d->shift <= d->next + TOGETHER && t + d->shift < at - JUMP)
			return true;
	}
	return false;
}

static void note_stray(struct source *s, const struct decoder *d)
{
	if (s->strays++ == 0 && d->next != AV_NOPTS_VALUE)
		s->first_stray = (double)(d->next - s->start) / AV_TIME_BASE;
}

/* Decoding is ahead of showing by some pictures, never by so much: the decoder knows better. */
static void mend_shown(struct source *s, const struct decoder *d, AVPacket *p)
{
	if (p->pts == AV_NOPTS_VALUE || p->dts == AV_NOPTS_VALUE || av_compare_ts(p->pts - p->dts, d->time_base, SHOWN_LATE, (AVRational){1, 1}) <= 0)
		return;
	p->pts = AV_NOPTS_VALUE;
	note_stray(s, d);
}

/* The clock of a packet whose time is `t` before it is moved. */
static void find_clock(struct source *s, struct decoder *d, int64_t t)
{
	if (d->next == AV_NOPTS_VALUE) {
		d->shift = s->shifts[0];
	} else if (is_jump(s, d, t + d->shift) && !change_clock(s, d, t, TOGETHER)) {
		d->shift = d->next - t;
		add_shift(s, d->shift, (double)(d->next - s->start) / AV_TIME_BASE);
	} else if (t + d->shift > d->next + JUMP) {
		change_clock(s, d, t, JUMP); /* back to the clock it had; else it is a hole */
	}
}

/* Files joined by `cat`, recorders that began anew, lone wrong stamps: what jumps is put where it is due. */
static void mend_clock(struct source *s, struct decoder *d, AVPacket *p)
{
	int64_t t = time_of(p, d->time_base), length = av_rescale_q(p->duration > 0 ? p->duration : 0, d->time_base, AV_TIME_BASE_Q);
	int64_t shift;

	mend_shown(s, d, p);
	if (t == AV_NOPTS_VALUE)
		return;
	if (d->next != AV_NOPTS_VALUE && t + d->shift > d->next + JUMP && is_stray(s, d, t + d->shift)) {
		note_stray(s, d);
		shift = d->next - t;
	} else {
		find_clock(s, d, t);
		shift = d->shift;
	}
	move(p, d->time_base, shift);
	d->seen = t + shift;
	d->next = d->seen + (length < TOGETHER ? length : TOGETHER);
}

static void note_late(struct source *s)
{
	const AVPacket *p = s->packet;
	const AVStream *st = s->format->streams[p->stream_index];
	bool is_heard = st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO || st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;

	if ((unsigned)p->stream_index >= s->n_streams && is_heard && s->late_stream <= 0)
		s->late_stream = fmax(s->video_end, 0.001);
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
		return fault_set(run->f, ERR_MEDIA, _("no picture within the first %d blocks of sound; is the file damaged?"), WAITING_MAX);
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
			return fault_set(run->f, -ENOMEM, _("out of memory while decoding"));
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
		return fault_set(run->f, -ENOMEM, _("out of memory while decoding"));
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

	while ((r = source_read(s)) >= 0) {
		struct decoder *d = decoder_of(s, s->packet->stream_index);

		if (d != NULL)
			mend_clock(s, d, s->packet);
		else
			move(s->packet, s->format->streams[s->packet->stream_index]->time_base, s->shifts[0]);
		note_late(s);
		note_end(s);
		if (av_packet_get_side_data(s->packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL) != NULL)
			r = fault_set(run->f, ERR_UNSUPPORTED, SOURCE_ENCRYPTED, s->path);
		else
			r = d != NULL ? feed(run, d, s->packet) : s->take_text != NULL ? take_text(s) : 0;
		av_packet_unref(s->packet);
		if (r != 0)
			return r;
	}
	if (r != AVERROR_EOF && r != AVERROR_INVALIDDATA)
		return fault_set(run->f, ERR_MEDIA, _("reading the master failed after %.1f s: %s"), s->video_end, av_err2str(r));
	for (size_t i = 0; i < s->n_decoders; i++) {
		r = feed(run, &s->decoders[i], NULL);
		if (r != 0)
			return r;
	}
	return 0;
}

static int no_picture(const struct source *s, struct fault *f)
{
	uint64_t packets = 0;

	for (size_t i = 0; i < s->n_decoders; i++)
		packets += s->decoders[i].audio < 0 ? s->decoders[i].packets : 0;
	if (packets == 0)
		return fault_set(f, ERR_MEDIA, _("%s: tells of pictures and holds none; is it the initialization segment of a stream, or is its index at the end of a pipe?"),
		                 s->path);
	return fault_set(f, ERR_MEDIA, _("%s: not one of %llu pictures could be decoded; it is damaged, encrypted, or a piece of a stream without its beginning"),
	                 s->path, (unsigned long long)packets);
}

int source_run(struct source *s, source_frame_f frame, void *ctx, struct source_result *ret_result, struct fault *f)
{
	struct run run = {s, frame, ctx, f};
	struct source_result result = {0};
	int r = read_all(&run);

	if (r != 0)
		return r;
	if (!s->has_start)
		return no_picture(s, f);
	for (size_t i = 0; i < s->n_decoders; i++) {
		struct decoder *d = &s->decoders[i];

		*(d->audio < 0 ? &result.video_packets : &result.audio_packets) += d->packets;
		*(d->audio < 0 ? &result.video_bad : &result.audio_bad) += d->bad;
	}
	result.seconds = s->video_end;
	result.start = s->start;
	result.jumps = s->jumps;
	result.first_jump = s->first_jump;
	result.strays = s->strays;
	result.first_stray = s->first_stray;
	result.late_stream = s->late_stream;
	result.all_seconds = ((double)s->read_end - (double)s->start) / AV_TIME_BASE;
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
		return fault_set(f, ERR_UNSUPPORTED, N_("it cannot be sought in"));
	source_forget(s);
	for (size_t i = 0; i < s->n_decoders; i++) {
		avcodec_flush_buffers(s->decoders[i].ctx);
		s->decoders[i].last = s->decoders[i].guess = s->decoders[i].next = AV_NOPTS_VALUE;
	}
	return 0;
}
