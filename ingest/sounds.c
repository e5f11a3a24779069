/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sound streams.  What waits is bounded: beyond it, sound goes on ahead of the
 * picture.
 */
#include "ingest/sounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "ingest/encode.h"
#include "ingest/filter.h"

#define MAX_RENDITIONS 4 /* of one stream */
#define HELD_MAX_BYTES ((size_t)256 << 20)

struct held {
	AVFrame *frame;
	struct held *next;
};

struct sound {
	size_t n;
	enum encode_codec codec[MAX_RENDITIONS];
	int rate[MAX_RENDITIONS];
	int channels[MAX_RENDITIONS];
	uint64_t bitrate[MAX_RENDITIONS];
	char name[MAX_RENDITIONS][64];
	struct filter *filter[MAX_RENDITIONS];
	struct encode *encode[MAX_RENDITIONS];
	struct held *first, **last; /* decoded, waiting for the picture */
	AVRational time_base;
};

struct sounds {
	const struct source_info *info;
	const struct plan *plan;
	const char *folder;
	struct sound streams[SOURCE_MAX_AUDIO];
	size_t held_bytes;
	double until;            /* the picture has come so far */
};

/* --- plan -------------------------------------------------------------------------------- */

static bool unique_name(const struct sounds *all, const char *name)
{
	for (size_t a = 0; a < all->info->n_audio; a++)
		for (size_t i = 0; i < all->streams[a].n; i++)
			if (strcmp(all->streams[a].name[i], name) == 0)
				return false;
	return true;
}

static void add_sound(struct sounds *all, struct sound *s, enum encode_codec codec, const char *language, int channels, uint64_t bitrate)
{
	static const char *const kinds[] = {[1] = "mono", [2] = "stereo", [6] = "5.1"};
	char stem[48], name[64];

	snprintf(stem, sizeof stem, "audio-%s-%s-%s%lluk", language, kinds[channels], codec == ENCODE_OPUS ? "opus-" : "", (unsigned long long)bitrate / 1000);
	snprintf(name, sizeof name, "%s", stem);
	for (unsigned n = 2; !unique_name(all, name); n++)
		snprintf(name, sizeof name, "%s-%u", stem, n);
	s->codec[s->n] = codec;
	s->channels[s->n] = channels;
	s->bitrate[s->n] = bitrate;
	memcpy(s->name[s->n], name, sizeof name);
	s->n++;
}

/* Five and more channels are kept as 5.1, with stereo beside it. */
static void add_codec(struct sounds *all, struct sound *s, enum encode_codec codec, const struct source_audio *in, const char *language)
{
	static const uint64_t rates[][3] = {[ENCODE_AAC] = {96000, 128000, 320000}, [ENCODE_OPUS] = {64000, 96000, 256000}};
	size_t before = s->n;

	if (in->channels == 1)
		add_sound(all, s, codec, language, 1, rates[codec][0]);
	else
		add_sound(all, s, codec, language, 2, rates[codec][1]);
	if (in->channels >= 5)
		add_sound(all, s, codec, language, 6, rates[codec][2]);
	for (size_t i = before; i < s->n; i++) /* Opus knows no other rate */
		s->rate[i] = codec == ENCODE_AAC && in->sample_rate == 44100 ? 44100 : 48000;
}

static void plan_renditions(struct sounds *all, bool opus)
{
	for (size_t a = 0; a < all->info->n_audio; a++) {
		const struct source_audio *in = &all->info->audio[a];
		struct sound *s = &all->streams[a];
		char tag[LANGUAGE_SIZE], *language;

		language_tag(in->language, tag);
		language = str_slug(tag);
		s->last = &s->first;
		add_codec(all, s, ENCODE_AAC, in, language);
		if (opus)
			add_codec(all, s, ENCODE_OPUS, in, language);
		free(language);
	}
}

/* --- frames ------------------------------------------------------------------------------ */

static int start_sound(struct sounds *all, struct sound *s, const AVFrame *first, struct fault *f)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		struct encode_audio a = {
			.codec = s->codec[i],
			.folder = all->folder,
			.plan = all->plan,
			.name = s->name[i],
			.sample_rate = s->rate[i],
			.channels = s->channels[i],
			.bitrate = s->bitrate[i],
		};

		r = encode_new_audio(&a, &s->encode[i], f);
		if (r == 0 && first != NULL)
			r = filter_new_audio(first, s->time_base, s->rate[i], s->channels[i], encode_format(s->codec[i]), &s->filter[i], f);
	}
	return r;
}

struct sound_sink {
	struct fault *fault;
	struct encode *encode;
};

static int sound_out(void *ctx, size_t output, AVFrame *frame)
{
	struct sound_sink *sink = ctx;

	return encode_push(sink->encode, frame, sink->fault);
}

static int push_sound(struct sounds *all, struct sound *s, AVFrame *frame, struct fault *f)
{
	int r = s->encode[0] == NULL ? start_sound(all, s, frame, f) : 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		struct sound_sink sink = {f, s->encode[i]};

		r = filter_push(s->filter[i], frame, sound_out, &sink, f);
	}
	return r;
}

static size_t sound_bytes(const AVFrame *frame)
{
	return (size_t)frame->nb_samples * (size_t)frame->ch_layout.nb_channels * 8;
}

static int release_sound(struct sounds *all, struct sound *s, double until, struct fault *f)
{
	int r = 0;

	while (r == 0 && s->first != NULL &&
	       (all->held_bytes > HELD_MAX_BYTES || (double)s->first->frame->pts * av_q2d(s->time_base) < until)) {
		struct held *h = s->first;

		s->first = h->next;
		if (s->first == NULL)
			s->last = &s->first;
		all->held_bytes -= sound_bytes(h->frame);
		r = push_sound(all, s, h->frame, f);
		av_frame_free(&h->frame);
		free(h);
	}
	return r;
}

static int end_sound(struct sounds *all, struct sound *s, double film, struct fault *f)
{
	int r = release_sound(all, s, film, f);

	if (r == 0 && s->encode[0] == NULL) /* a stream without one decodable block */
		r = start_sound(all, s, NULL, f);
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		struct sound_sink sink = {f, s->encode[i]};

		encode_set_length(s->encode[i], (uint64_t)llround(film * s->rate[i]));
		if (s->filter[i] != NULL)
			r = filter_push(s->filter[i], NULL, sound_out, &sink, f);
		if (r == 0)
			r = encode_finish(s->encode[i], f);
	}
	return r;
}

/* --- for the job ------------------------------------------------------------------------- */

struct sounds *sounds_new(const struct source_info *info, const struct plan *plan, const char *folder, bool opus)
{
	struct sounds *all = mem_new(sizeof *all);

	all->info = info;
	all->plan = plan;
	all->folder = folder;
	plan_renditions(all, opus);
	return all;
}

static void fini(struct sound *s)
{
	for (size_t i = 0; i < MAX_RENDITIONS; i++) {
		filter_free(&s->filter[i]);
		encode_free(&s->encode[i]);
	}
	while (s->first != NULL) {
		struct held *h = s->first;

		s->first = h->next;
		av_frame_free(&h->frame);
		free(h);
	}
}

bool sounds_planned(const struct sounds *all, size_t i, const char **ret_name, int *ret_channels, uint64_t *ret_bitrate)
{
	for (size_t a = 0; a < all->info->n_audio; a++) {
		const struct sound *s = &all->streams[a];

		if (i < s->n) {
			*ret_name = s->name[i];
			*ret_channels = s->channels[i];
			*ret_bitrate = s->bitrate[i];
			return true;
		}
		i -= s->n;
	}
	return false;
}

void sounds_free(struct sounds **pall)
{
	struct sounds *all = *pall;

	*pall = NULL;
	if (all == NULL)
		return;
	for (size_t a = 0; a < SOURCE_MAX_AUDIO; a++)
		fini(&all->streams[a]);
	free(all);
}

int sounds_take(struct sounds *all, size_t audio, const AVFrame *frame, AVRational time_base, struct fault *f)
{
	struct sound *s = &all->streams[audio];
	struct held *h = mem_new(sizeof *h);

	s->time_base = time_base;
	h->frame = av_frame_clone(frame);
	MUST(h->frame != NULL);
	*s->last = h;
	s->last = &h->next;
	all->held_bytes += sound_bytes(frame);
	return release_sound(all, s, all->until, f);
}

int sounds_release(struct sounds *all, double seconds, struct fault *f)
{
	int r = 0;

	all->until = seconds;
	for (size_t a = 0; r == 0 && a < all->info->n_audio; a++)
		r = release_sound(all, &all->streams[a], seconds, f);
	return r;
}

int sounds_end(struct sounds *all, double seconds, struct fault *f)
{
	int r = 0;

	for (size_t a = 0; r == 0 && a < all->info->n_audio; a++)
		r = end_sound(all, &all->streams[a], seconds, f);
	return r;
}

static enum sound_kind kind_of(const struct source_audio *a)
{
	return a->is_description ? SOUND_DESCRIPTION : a->is_commentary ? SOUND_COMMENTARY : a->is_dub ? SOUND_DUB : SOUND_PLAIN;
}

const char *sound_kind_name(enum sound_kind kind)
{
	static const char *const names[] = {[SOUND_PLAIN] = "sound", [SOUND_DUB] = "dub", [SOUND_COMMENTARY] = "commentary", [SOUND_DESCRIPTION] = "description"};

	return names[kind];
}

/* What the master says is to be heard if nobody chooses; else the first that is the film's own sound. */
static size_t main_stream(const struct source_info *info)
{
	size_t best = 0;
	int most = -1;

	for (size_t a = 0; a < info->n_audio; a++) {
		bool is_beside = kind_of(&info->audio[a]) >= SOUND_COMMENTARY;
		int worth = (is_beside ? 0 : 2) + (info->audio[a].is_default ? 1 : 0);

		if (worth > most) {
			most = worth;
			best = a;
		}
	}
	return best;
}

void sounds_describe(const struct sounds *all, struct package *p)
{
	for (size_t a = 0; a < all->info->n_audio; a++)
		for (size_t i = 0; i < all->streams[a].n && p->n_audio < sizeof p->audio / sizeof p->audio[0]; i++) {
			const struct sound *s = &all->streams[a];
			struct package_audio *out = &p->audio[p->n_audio++];

			*out = (struct package_audio){
				.facts = encode_facts(s->encode[i]),
				.name = s->name[i],
				.label = all->info->audio[a].label,
				.channels = s->channels[i],
				.sample_rate = s->rate[i],
				.bitrate = s->bitrate[i],
				.kind = kind_of(&all->info->audio[a]),
				.is_main = a == main_stream(all->info) && i == 0,
			};
			language_tag(all->info->audio[a].language, out->language);
		}
}
