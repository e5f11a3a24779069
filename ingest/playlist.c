/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * HLS playlists.  Every quoted value is either ours or stripped of quotes and
 * control characters.
 */
#include "ingest/playlist.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "ingest/chapters.h"
#include "ingest/language.h"

static int target_duration(const struct track_facts *k)
{
	double longest = 0;

	for (size_t i = 0; i < k->n_segments; i++)
		longest = fmax(longest, (double)k->segments[i].duration / k->timescale);
	return (int)ceil(longest - 1e-9);
}

int playlist_write_track(const struct track_facts *k, struct buf *out)
{
	uint64_t offset = k->header_size + k->index_size, time = 0;
	long long end = 0; /* microseconds, rounded: their differences do not drift */

	buf_printf(out,
	           "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
	           "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"%s\",BYTERANGE=\"%llu@0\"\n",
	           target_duration(k), k->file, (unsigned long long)k->header_size);
	for (size_t i = 0; i < k->n_segments; i++) {
		long long begin = end;

		time += k->segments[i].duration;
		end = llround(1e6 * (double)time / k->timescale);
		buf_printf(out, "#EXTINF:%lld.%06lld,\n#EXT-X-BYTERANGE:%llu@%llu\n%s\n", (end - begin) / 1000000, (end - begin) % 1000000,
		           (unsigned long long)k->segments[i].size, (unsigned long long)offset, k->file);
		offset += k->segments[i].size;
	}
	return buf_puts(out, "#EXT-X-ENDLIST\n");
}

static void put_quoted(struct buf *out, const char *s)
{
	buf_putc(out, '"');
	for (; *s != '\0'; s++)
		buf_putc(out, *s == '"' || (unsigned char)*s < 0x20 ? ' ' : *s);
	buf_putc(out, '"');
}

static void put_playlist_name(struct buf *out, const struct track_facts *k)
{
	buf_printf(out, "%.*s.m3u8", (int)(strlen(k->file) - strlen(".mp4")), k->file);
}

/* For people: the master's own name, else the language's, else its tag. */
static const char *name_of(const char *label, const char *language, const char *other)
{
	if (label[0] != '\0')
		return label;
	if (strcmp(language, "und") == 0)
		return other;
	return language_name(language) != NULL ? language_name(language) : language;
}

static const char *base_name(const struct package_audio *a)
{
	return name_of(a->label, a->language, "Sound");
}

/* A group is all sounds of one codec and channel layout: a variant's CODECS and rate must hold for every member. */
static bool same_group(const struct package_audio *a, const struct package_audio *b)
{
	return a->channels == b->channels && strcmp(a->facts->codecs, b->facts->codecs) == 0;
}

static bool is_opus(const struct package_audio *a)
{
	return strcmp(a->facts->codecs, "opus") == 0;
}

static void put_group(const struct package_audio *a, struct buf *out)
{
	buf_printf(out, "\"%s-%d\"", is_opus(a) ? "opus" : "audio", a->channels);
}

/* RFC 8216 4.3.4.1.1: NAME is unique in its group. */
static void put_name(const struct package *p, const struct package_audio *a, struct buf *out)
{
	struct buf name;
	unsigned same = 1;

	for (const struct package_audio *b = p->audio; b < a; b++)
		same += same_group(a, b) && strcmp(base_name(b), base_name(a)) == 0 && b->kind == a->kind;
	buf_init(&name, 1024);
	buf_puts(&name, base_name(a));
	if (a->kind >= SOUND_COMMENTARY && a->label[0] == '\0')
		buf_printf(&name, " (%s)", sound_kind_name(a->kind));
	if (same > 1)
		buf_printf(&name, " %u", same);
	put_quoted(out, buf_text(&name));
	buf_fini(&name);
}

/* How far a sound is the one that plays if nobody chooses. */
static int nearness(const struct package_audio *a, const struct package_audio *main)
{
	return (a->is_main ? 4 : 0) + (a->kind < SOUND_COMMENTARY ? 2 : 0) + (strcmp(a->language, main->language) == 0 ? 1 : 0);
}

/* Of each group one, the first of the nearest. */
static const struct package_audio *default_of(const struct package *p, const struct package_audio *of)
{
	const struct package_audio *best = NULL, *main = &p->audio[0];

	for (size_t i = 0; i < p->n_audio; i++)
		if (p->audio[i].is_main)
			main = &p->audio[i];
	for (size_t i = 0; i < p->n_audio; i++) {
		const struct package_audio *a = &p->audio[i];

		if (same_group(a, of) && (best == NULL || nearness(a, main) > nearness(best, main)))
			best = a;
	}
	return best;
}

static void put_audio(const struct package *p, const struct package_audio *a, struct buf *out)
{
	buf_puts(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=");
	put_group(a, out);
	buf_puts(out, ",NAME=");
	put_name(p, a, out);
	if (strcmp(a->language, "und") != 0)
		buf_printf(out, ",LANGUAGE=\"%s\"", a->language);
	buf_printf(out, ",DEFAULT=%s,AUTOSELECT=%s", a == default_of(p, a) ? "YES" : "NO", a->kind == SOUND_COMMENTARY && a != default_of(p, a) ? "NO" : "YES");
	if (a->kind == SOUND_DESCRIPTION)
		buf_puts(out, ",CHARACTERISTICS=\"public.accessibility.describes-video\"");
	buf_printf(out, ",CHANNELS=\"%d\",URI=\"", a->channels);
	put_playlist_name(out, a->facts);
	buf_puts(out, "\"\n");
}

static const char *range_of(const struct package *p, const struct package_video *v)
{
	bool is_av1 = v >= p->av1 && v < p->av1 + p->n_av1;

	if (!is_av1)
		return "SDR";
	return p->av1_colours.transfer == AVCOL_TRC_SMPTE2084 ? "PQ" : p->av1_colours.transfer == AVCOL_TRC_ARIB_STD_B67 ? "HLG" : "SDR";
}

/* With the sounds of `group`'s group; NULL: without sound. */
static void put_variant(const struct package *p, const struct package_video *v, const struct package_audio *group, struct buf *out)
{
	uint64_t peak = track_peak(v->facts), average = track_average(v->facts), audio_peak = 0, audio_average = 0;

	for (size_t i = 0; i < p->n_audio; i++) {
		if (group == NULL || !same_group(&p->audio[i], group))
			continue;
		audio_peak = track_peak(p->audio[i].facts) > audio_peak ? track_peak(p->audio[i].facts) : audio_peak;
		audio_average = track_average(p->audio[i].facts) > audio_average ? track_average(p->audio[i].facts) : audio_average;
	}
	buf_printf(out, "#EXT-X-STREAM-INF:BANDWIDTH=%llu,AVERAGE-BANDWIDTH=%llu,CODECS=\"%s%s%s\",RESOLUTION=%dx%d,FRAME-RATE=%.3f",
	           (unsigned long long)(peak + audio_peak), (unsigned long long)(average + audio_average), v->facts->codecs,
	           group != NULL ? "," : "", group != NULL ? group->facts->codecs : "", v->rung->width, v->rung->height,
	           av_q2d(p->plan->frame_rate));
	if (p->n_av1 > 0)
		buf_printf(out, ",VIDEO-RANGE=%s", range_of(p, v));
	if (group != NULL) {
		buf_puts(out, ",AUDIO=");
		put_group(group, out);
	}
	if (p->n_text > 0)
		buf_puts(out, ",SUBTITLES=\"text\"");
	buf_puts(out, ",CLOSED-CAPTIONS=NONE"); /* else players offer some that are not there */
	buf_putc(out, '\n');
	put_playlist_name(out, v->facts);
	buf_putc(out, '\n');
}

/* --- subtitles ------------------------------------------------------------------------------- */

/* RFC 8216 6.2.4 lets subtitles have another target duration: the film is one segment. */
int playlist_write_text(const struct package_text *t, double seconds, struct buf *out)
{
	long long us = llround(seconds * 1e6);

	return buf_printf(out,
	                  "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
	                  "#EXTINF:%lld.%06lld,\n%s\n#EXT-X-ENDLIST\n",
	                  (int)ceil(seconds - 1e-9), us / 1000000, us % 1000000, t->file);
}

/* Apple's names for what a viewer who does not hear needs. */
#define FOR_THE_DEAF "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound"

static void put_text_name(const struct package_text *t, struct buf *name)
{
	static const char *const kinds[] = {[TEXT_SUBTITLES] = "", [TEXT_FORCED] = " (forced)", [TEXT_SDH] = " (SDH)", [TEXT_COMMENTARY] = " (commentary)"};

	buf_printf(name, "%s%s", name_of(t->label, t->language, "Subtitles"), t->label[0] == '\0' ? kinds[t->kind] : "");
}

static bool same_text_name(const struct package_text *a, const struct package_text *b)
{
	struct buf names[2];
	bool same;

	buf_init(&names[0], 1024);
	buf_init(&names[1], 1024);
	put_text_name(a, &names[0]);
	put_text_name(b, &names[1]);
	same = strcmp(buf_text(&names[0]), buf_text(&names[1])) == 0;
	buf_fini(&names[0]);
	buf_fini(&names[1]);
	return same;
}

static void put_text(const struct package *p, const struct package_text *t, struct buf *out)
{
	struct buf name;
	unsigned same = 1;

	for (const struct package_text *b = p->text; b < t; b++)
		same += same_text_name(b, t);
	buf_init(&name, 1024);
	put_text_name(t, &name);
	if (same > 1)
		buf_printf(&name, " %u", same);
	buf_puts(out, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=");
	put_quoted(out, buf_text(&name));
	buf_fini(&name);
	if (strcmp(t->language, "und") != 0)
		buf_printf(out, ",LANGUAGE=\"%s\"", t->language);
	buf_printf(out, ",DEFAULT=NO,AUTOSELECT=%s%s", t->kind == TEXT_COMMENTARY ? "NO" : "YES", t->kind == TEXT_FORCED ? ",FORCED=YES" : "");
	if (t->kind == TEXT_SDH)
		buf_puts(out, ",CHARACTERISTICS=\"" FOR_THE_DEAF "\"");
	buf_printf(out, ",URI=\"%.*s.m3u8\"\n", (int)(strlen(t->file) - strlen(".vtt")), t->file);
}

/* --- variants -------------------------------------------------------------------------------- */

static bool begins_group(const struct package *p, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (same_group(&p->audio[i], &p->audio[j]))
			return false;
	return true;
}

static void put_variants(const struct package *p, const struct package_video *v, size_t n, const struct package_audio *group, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		put_variant(p, &v[i], group, out);
}

/* All groups of one codec; stereo goes first: what every player can play. */
static void put_pictures(const struct package *p, const struct package_video *v, size_t n, bool opus, struct buf *out)
{
	for (int stereo = 1; stereo >= 0; stereo--)
		for (size_t i = 0; i < p->n_audio; i++)
			if (begins_group(p, i) && is_opus(&p->audio[i]) == opus && (p->audio[i].channels == 2) == stereo)
				put_variants(p, v, n, &p->audio[i], out);
	if (p->n_audio == 0)
		put_variants(p, v, n, NULL, out);
}

int playlist_write_main(const struct package *p, struct buf *out)
{
	bool opus = false;

	buf_puts(out, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
	if (p->chapters != NULL)
		buf_puts(out, "#EXT-X-SESSION-DATA:DATA-ID=\"com.apple.hls.chapters\",URI=\"" CHAPTERS_JSON "\"\n");
	for (size_t i = 0; i < p->n_audio; i++) {
		put_audio(p, &p->audio[i], out);
		opus = opus || is_opus(&p->audio[i]);
	}
	for (size_t i = 0; i < p->n_text; i++)
		put_text(p, &p->text[i], out);
	/* who plays AV1 plays Opus: not every pair is worth a variant */
	put_pictures(p, p->video, p->n_video, false, out);
	put_pictures(p, p->av1, p->n_av1, opus, out);
	return buf_error(out);
}
