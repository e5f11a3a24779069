/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * HLS playlists.  Every quoted value is either ours or stripped of quotes and
 * control characters.
 */
#include "ingest/playlist.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"

static int target_duration(const struct track_facts *k)
{
	double longest = 0;

	for (size_t i = 0; i < k->n_segments; i++)
		longest = fmax(longest, (double)k->segments[i].duration / k->timescale);
	return (int)ceil(longest - 1e-9);
}

int playlist_write_track(const struct track_facts *k, struct buf *out)
{
	uint64_t offset = k->header_size + k->index_size;

	buf_printf(out,
	           "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
	           "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"%s\",BYTERANGE=\"%llu@0\"\n",
	           target_duration(k), k->file, (unsigned long long)k->header_size);
	for (size_t i = 0; i < k->n_segments; i++) {
		buf_printf(out, "#EXTINF:%.6f,\n#EXT-X-BYTERANGE:%llu@%llu\n%s\n", (double)k->segments[i].duration / k->timescale,
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

/* One group a channel layout: a variant's CODECS and rate must hold for every member. */
static void put_audio(const struct package *p, const struct package_audio *a, struct buf *out)
{
	buf_printf(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-%d\",NAME=", a->channels);
	put_quoted(out, a->label[0] != '\0' ? a->label : strcmp(a->language, "und") != 0 ? a->language : "Sound");
	if (strcmp(a->language, "und") != 0)
		buf_printf(out, ",LANGUAGE=\"%s\"", a->language);
	buf_printf(out, ",DEFAULT=%s,AUTOSELECT=YES,CHANNELS=\"%d\",URI=\"", a->language == p->audio[0].language || a->is_main ? "YES" : "NO", a->channels);
	put_playlist_name(out, a->facts);
	buf_puts(out, "\"\n");
}

static void put_variant(const struct package *p, const struct package_video *v, int channels, struct buf *out)
{
	uint64_t peak = track_peak(v->facts), average = track_average(v->facts), audio_peak = 0, audio_average = 0;
	const char *codecs = NULL;

	for (size_t i = 0; i < p->n_audio; i++) {
		if (p->audio[i].channels != channels)
			continue;
		codecs = p->audio[i].facts->codecs;
		audio_peak = track_peak(p->audio[i].facts) > audio_peak ? track_peak(p->audio[i].facts) : audio_peak;
		audio_average = track_average(p->audio[i].facts) > audio_average ? track_average(p->audio[i].facts) : audio_average;
	}
	buf_printf(out, "#EXT-X-STREAM-INF:BANDWIDTH=%llu,AVERAGE-BANDWIDTH=%llu,CODECS=\"%s%s%s\",RESOLUTION=%dx%d,FRAME-RATE=%.3f",
	           (unsigned long long)(peak + audio_peak), (unsigned long long)(average + audio_average), v->facts->codecs,
	           codecs != NULL ? "," : "", codecs != NULL ? codecs : "", v->rung->width, v->rung->height,
	           av_q2d(p->plan->frame_rate));
	if (channels > 0)
		buf_printf(out, ",AUDIO=\"audio-%d\"", channels);
	buf_putc(out, '\n');
	put_playlist_name(out, v->facts);
	buf_putc(out, '\n');
}

int playlist_write_main(const struct package *p, struct buf *out)
{
	static const int layouts[] = {2, 1, 6};
	bool any = false;

	buf_puts(out, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
	for (size_t i = 0; i < p->n_audio; i++)
		put_audio(p, &p->audio[i], out);
	for (size_t l = 0; l < sizeof layouts / sizeof layouts[0]; l++) {
		bool has = false;

		for (size_t i = 0; i < p->n_audio; i++)
			has = has || p->audio[i].channels == layouts[l];
		for (size_t i = 0; has && i < p->n_video; i++)
			put_variant(p, &p->video[i], layouts[l], out);
		any = any || has;
	}
	for (size_t i = 0; !any && i < p->n_video; i++)
		put_variant(p, &p->video[i], 0, out);
	return buf_error(out);
}
