/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Without a device the samples are only counted, so both kinds of output share
 * one arithmetic of gaps and overlaps.
 */
#include "player/sound.h"

#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "player/tempo.h"

#define TOLERANCE (5 * DUR_MS)
#define MAX_SILENCE (5 * DUR_S)
/* Silence in front of a sound that is for a later time.  A device is given no more ahead than is in hand; else a Period may be without
 * sound for long.  What is for a time beyond that, or of a rate that none has, is not put. */
#define MAX_GAP (24 * DUR_HOUR)
#define MAX_GAP_HEARD (15 * DUR_MIN)
#define LEAST_RATE 4000
#define MOST_RATE 768000

void sound_init(struct sound *s, struct sink *sink, unsigned max_channels)
{
	*s = (struct sound){.sink = sink, .spans[0].speed = 1, .max_channels = max_channels > 0 && max_channels < 8 ? (int)max_channels : 8, .silent = true, .rate = 48000, .speed = 1};
}

void sound_fini(struct sound *s)
{
	swr_free(&s->swr);
	tempo_free(&s->tempo);
	free(s->buffer);
}

void sound_rest(struct sound *s)
{
	if (!s->device || s->sink->sound_close == NULL)
		return;
	s->sink->sound_close(s->sink);
	s->opened = s->device = false;
	s->silent = true;
	swr_free(&s->swr);
	tempo_free(&s->tempo);
}

static void fit_tempo(struct sound *s)
{
	tempo_free(&s->tempo);
	if (s->device && s->speed != 1)
		s->tempo = tempo_new(s->rate, s->channels, s->speed);
}

static void give(struct sound *s, const float *samples, size_t n)
{
	if (n > 0)
		s->sink->sound_put(s->sink, samples, n, sound_end(s));
	s->given += n;
}

static void begin_span(struct sound *s)
{
	s->spans[0].from = s->given;
	s->spans[0].speed = s->speed;
}

void sound_set_speed(struct sound *s, double speed)
{
	const float *samples = NULL;

	if (s->tempo != NULL) { /* what it holds is heard, too */
		size_t n = tempo_end(s->tempo, &samples);

		give(s, samples, n);
	}
	s->speed = speed;
	fit_tempo(s);
	if (s->spans[0].from < s->given)
		memmove(s->spans + 1, s->spans, sizeof s->spans - sizeof s->spans[0]);
	begin_span(s);
}

/* To the sink, stretched when it has to be. */
static void put(struct sound *s, const float *samples, size_t n)
{
	if (s->tempo != NULL)
		n = tempo_put(s->tempo, samples, n, &samples);
	give(s, samples, n);
}

void sound_reset(struct sound *s, dur_us at)
{
	s->anchor = at;
	s->samples = 0;
	s->drift = 0;
	s->given = 0;
	begin_span(s);
	if (s->device) {
		s->sink->sound_clear(s->sink);
		fit_tempo(s);
	}
}

dur_us sound_end(const struct sound *s)
{
	return s->anchor + (dur_us)(s->samples * (uint64_t)DUR_S / (uint64_t)s->rate);
}

/* How much of the title the last `left` of what was given to the device are: each part by the speed it was given at. */
static dur_us title_time(const struct sound *s, dur_us left)
{
	uint64_t end = s->given;
	double t = 0;

	for (unsigned i = 0; i < SOUND_SPANS; i++) {
		dur_us length = (dur_us)((end - s->spans[i].from) * (uint64_t)DUR_S / (uint64_t)s->rate);

		if (left <= length || s->spans[i].from == 0 || i + 1 == SOUND_SPANS)
			return (dur_us)(t + (double)left * s->spans[i].speed);
		t += (double)length * s->spans[i].speed;
		left -= length;
		end = s->spans[i].from;
	}
	return (dur_us)t;
}

dur_us sound_heard(const struct sound *s, dur_us clock)
{
	dur_us left;

	if (!s->device)
		return clock;
	left = title_time(s, s->sink->sound_left(s->sink));
	if (s->tempo != NULL)
		left += tempo_held(s->tempo) * DUR_S / s->rate;
	return sound_end(s) - left;
}

static float *room(struct sound *s, size_t n_samples)
{
	size_t need = n_samples * (size_t)(s->channels > 0 ? s->channels : 1);

	if (need > s->cap) {
		s->buffer = mem_resize(s->buffer, need, sizeof *s->buffer);
		s->cap = need;
	}
	return s->buffer;
}

/* Devices have 1, 2, 6 or 8 speakers: what else there is finds its place among more of them. */
static int channels_for(int n)
{
	return n <= 0 ? 2 : n <= 2 ? n : n <= 6 ? 6 : 8;
}

/* SDL's orders (SDL_audio.h) as FFmpeg's masks, which have the same order. */
static uint64_t layout_of(int channels)
{
	static const uint64_t front = AV_CH_FRONT_LEFT | AV_CH_FRONT_RIGHT, back = AV_CH_BACK_LEFT | AV_CH_BACK_RIGHT,
		side = AV_CH_SIDE_LEFT | AV_CH_SIDE_RIGHT, middle = AV_CH_FRONT_CENTER | AV_CH_LOW_FREQUENCY;
	const uint64_t masks[] = {0, AV_CH_FRONT_CENTER, front, front | AV_CH_LOW_FREQUENCY, front | back, front | AV_CH_LOW_FREQUENCY | back,
		front | middle | back, front | middle | AV_CH_BACK_CENTER | side, front | middle | back | side};

	return channels > 0 && (size_t)channels < sizeof masks / sizeof masks[0] ? masks[channels] : front;
}

/* The device takes the first frame's rate and channels; later ones are made to fit. */
static void open_device(struct sound *s, const AVFrame *f)
{
	s->opened = true;
	s->rate = f->sample_rate;
	s->channels = channels_for(f->ch_layout.nb_channels);
	if (s->channels > s->max_channels)
		s->channels = s->max_channels;
	s->samples = s->given = 0;
	begin_span(s);
	if (s->sink->sound_open == NULL)
		return;
	if (s->sink->sound_open(s->sink, s->rate, &s->channels) == 0) {
		s->silent = false;
		log_verbose("player/sound", "opened rate=%d channels=%d of=%d", s->rate, s->channels, f->ch_layout.nb_channels);
		s->device = s->sink->sound_left != NULL;
		if (s->device)
			s->sink->sound_run(s->sink, true);
		fit_tempo(s);
	} else {
		log_warn("player/sound", "no sound device; playing without sound rate=%d channels=%d", s->rate, s->channels);
	}
}

static bool fit_converter(struct sound *s, const AVFrame *f)
{
	AVChannelLayout out, in = f->ch_layout;
	int r;

	if (s->swr != NULL && s->in_rate == f->sample_rate && s->in_format == f->format &&
	    s->in_channels == f->ch_layout.nb_channels)
		return true;
	swr_free(&s->swr);
	av_channel_layout_from_mask(&out, layout_of(s->channels));
	if (in.order == AV_CHANNEL_ORDER_UNSPEC)
		av_channel_layout_default(&in, in.nb_channels);
	r = swr_alloc_set_opts2(&s->swr, &out, AV_SAMPLE_FMT_FLT, s->rate, &in, f->format, f->sample_rate, 0, NULL);
	if (r >= 0) /* a sum of many loud channels is made softer, not cut off */
		r = av_opt_set_double(s->swr, "rematrix_maxval", 1, 0);
	if (r >= 0)
		r = swr_init(s->swr);
	if (r < 0)
		swr_free(&s->swr);
	s->in_rate = f->sample_rate;
	s->in_format = f->format;
	s->in_channels = f->ch_layout.nb_channels;
	return r >= 0;
}

static void lay_silence(struct sound *s, dur_us d)
{
	size_t n;

	if (d > MAX_SILENCE)
		d = MAX_SILENCE;
	n = (size_t)(d * s->rate / DUR_S);
	if (!s->silent) {
		float *b = room(s, n);

		memset(b, 0, n * (size_t)s->channels * sizeof *b);
		put(s, b, n);
	}
	s->samples += n;
}

static void lay_samples(struct sound *s, const AVFrame *f, size_t cut)
{
	int64_t n = (int64_t)f->nb_samples * s->rate / f->sample_rate;

	if (!s->silent && fit_converter(s, f)) {
		int max = swr_get_out_samples(s->swr, f->nb_samples);
		uint8_t *out = (uint8_t *)room(s, (size_t)(max > 0 ? max : 0));

		n = swr_convert(s->swr, &out, max, (const uint8_t **)f->extended_data, f->nb_samples);
		if (n > (int64_t)cut)
			put(s, s->buffer + cut * (size_t)s->channels, (size_t)n - cut);
	}
	if (n > (int64_t)cut)
		s->samples += (uint64_t)n - cut;
}

void sound_put(struct sound *s, const struct media_frame *m)
{
	dur_us gap;
	size_t cut = 0;

	if (m->av->sample_rate < LEAST_RATE || m->av->sample_rate > MOST_RATE)
		return;
	if (!s->opened) {
		s->anchor = sound_end(s);
		open_device(s, m->av);
	}
	gap = m->pts - sound_end(s);
	if (gap > (s->device ? MAX_GAP_HEARD : MAX_GAP) || gap < -MAX_GAP)
		return;
	while (gap > TOLERANCE) {
		lay_silence(s, gap);
		gap = m->pts - sound_end(s);
	}
	if (gap < -TOLERANCE) {
		cut = (size_t)(-gap * s->rate / DUR_S);
		gap = 0;
	}
	s->drift = gap;
	lay_samples(s, m->av, cut);
}
