/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * manifest.mpd: ISO/IEC 23009-1 8.3 (on-demand) and 8.12 (CMAF).
 */
#include "ingest/manifest.h"

#include <libavutil/mathematics.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dash/mpd.h"
#include "ingest/chapters.h"
#include "ingest/tiles.h"

/* Half a second above the longest segment: playing may start once one segment is here. */
double manifest_buffer_seconds(const struct package *p)
{
	double longest = 0;

	for (size_t i = 0; i < p->n_video; i++)
		for (size_t s = 0; s < p->video[i].facts->n_segments; s++) {
			double d = (double)p->video[i].facts->segments[s].duration / p->video[i].facts->timescale;

			longest = d > longest ? d : longest;
		}
	return longest;
}

static dur_us duration_us(const struct track_facts *k)
{
	return av_rescale(k->duration, 1000000, k->timescale);
}

static void put_segments(struct mpd_segments *s, const struct track_facts *k)
{
	s->kind = MPD_SEGMENT_BASE;
	s->has_timescale = true;
	s->timescale = k->timescale;
	s->has_index_range = true;
	s->index_range = (struct mpd_range){k->header_size, k->header_size + k->index_size - 1};
	s->index_range_exact = true;
	s->initialization.present = true;
	s->initialization.has_range = true;
	s->initialization.range = (struct mpd_range){0, k->header_size - 1};
}

static struct mpd_representation *put_representation(struct mpd_set *set, const struct track_facts *k, double buffer)
{
	struct mpd_representation *r = mpd_add_representation(set);

	r->id = mem_dup_n(k->file, strlen(k->file) - strlen(".mp4"));
	r->bandwidth = track_bandwidth(k, buffer);
	r->common.codecs = mem_dup(k->codecs);
	r->common.start_with_sap = -1;
	mpd_add_base_url(&r->base_urls, k->file, NULL);
	put_segments(&r->segments, k);
	return r;
}

static void put_set_basics(struct mpd_set *set, const char *type, const char *mime, unsigned id)
{
	set->id = mem_printf("%u", id);
	set->content_type = mem_dup(type);
	set->common.mime_type = mem_dup(mime);
	set->common.start_with_sap = -1;
	set->subsegment_alignment = true;
	set->subsegment_starts_with_sap = 1;
}

static bool is_hdr(const struct colours *c)
{
	return c->transfer == AVCOL_TRC_SMPTE2084 || c->transfer == AVCOL_TRC_ARIB_STD_B67;
}

/* ISO/IEC 23091-2 code points.  Essential: who does not know HDR must leave the set alone (DASH-IF IOP 10.3). */
static void put_colours(struct mpd_set *set, const struct colours *c)
{
	static const char *const schemes[] = {"urn:mpeg:mpegB:cicp:ColourPrimaries", "urn:mpeg:mpegB:cicp:TransferCharacteristics",
	                                      "urn:mpeg:mpegB:cicp:MatrixCoefficients"};
	const int values[] = {(int)c->primaries, (int)c->transfer, (int)c->matrix};

	for (size_t i = 0; i < 3; i++) {
		char value[16];

		snprintf(value, sizeof value, "%d", values[i]);
		mpd_add_descriptor(&set->common.essential, schemes[i], value);
	}
}

static void put_video(struct mpd_period *period, const struct package *p, const struct package_video *v, size_t n, const char *role, unsigned id, double buffer)
{
	struct mpd_set *set = mpd_add_set(period);
	int num, den;

	put_set_basics(set, "video", "video/mp4", id);
	av_reduce(&num, &den, p->plan->width, p->plan->height, 1000);
	set->par = (struct mpd_ratio){(uint32_t)num, (uint32_t)den};
	set->max_width = (uint32_t)v[n - 1].rung->width;
	set->max_height = (uint32_t)v[n - 1].rung->height;
	mpd_add_descriptor(&set->roles, "urn:mpeg:dash:role:2011", role);
	for (size_t i = 0; i < n; i++) {
		struct mpd_representation *r = put_representation(set, v[i].facts, buffer);

		r->common.width = (uint32_t)v[i].rung->width;
		r->common.height = (uint32_t)v[i].rung->height;
		r->common.sar = (struct mpd_ratio){1, 1};
		r->common.frame_rate = (struct mpd_ratio){(uint32_t)p->plan->frame_rate.num, (uint32_t)p->plan->frame_rate.den};
	}
	if (v == p->av1 && is_hdr(&p->av1_colours))
		put_colours(set, &p->av1_colours);
}

/* ISO/IEC 23001-8 channel configuration */
static const char *channel_configuration(int channels)
{
	return channels == 1 ? "1" : channels == 6 ? "6" : "2";
}

/* ISO/IEC 23009-1 5.8.5.5 */
static const char *const sound_roles[] = {[SOUND_PLAIN] = "alternate", [SOUND_DUB] = "dub", [SOUND_COMMENTARY] = "commentary",
                                          [SOUND_DESCRIPTION] = "description"};

static void put_audio(struct mpd_period *period, const struct package_audio *a, unsigned id, double buffer)
{
	struct mpd_set *set = mpd_add_set(period);
	struct mpd_representation *r;

	put_set_basics(set, "audio", "audio/mp4", id);
	set->lang = mem_dup(a->language);
	if (a->label[0] != '\0')
		set->label = mem_dup(a->label);
	mpd_add_descriptor(&set->roles, "urn:mpeg:dash:role:2011", a->is_main ? "main" : sound_roles[a->kind]);
	if (a->kind == SOUND_DESCRIPTION) /* DASH-IF IOP 3.10: for the visually impaired */
		mpd_add_descriptor(&set->accessibility, "urn:tva:metadata:cs:AudioPurposeCS:2007", "1");
	r = put_representation(set, a->facts, buffer);
	r->common.audio_sampling_rate = (uint32_t)a->sample_rate;
	mpd_add_descriptor(&r->common.audio_channels, "urn:mpeg:mpegB:cicp:ChannelConfiguration", channel_configuration(a->channels));
}

static const char *const text_roles[] = {[TEXT_SUBTITLES] = "subtitle", [TEXT_FORCED] = "forced-subtitle", [TEXT_SDH] = "caption",
                                         [TEXT_COMMENTARY] = "commentary"};

/* The whole file is the one segment (ISO/IEC 23009-1 5.3.9.1), so it needs no index. */
static void put_text(struct mpd_period *period, const struct package_text *t, unsigned id, double buffer)
{
	struct mpd_set *set = mpd_add_set(period);
	struct mpd_representation *r;

	set->id = mem_printf("%u", id);
	set->content_type = mem_dup("text");
	set->common.mime_type = mem_dup("text/vtt");
	set->common.start_with_sap = -1;
	set->lang = mem_dup(t->language);
	if (t->label[0] != '\0')
		set->label = mem_dup(t->label);
	mpd_add_descriptor(&set->roles, "urn:mpeg:dash:role:2011", text_roles[t->kind]);
	r = mpd_add_representation(set);
	r->id = mem_dup_n(t->file, strlen(t->file) - strlen(".vtt"));
	r->bandwidth = (uint64_t)(8.0 * (double)t->bytes / (buffer > 0 ? buffer : 1)) + 1;
	r->common.start_with_sap = -1;
	mpd_add_base_url(&r->base_urls, t->file, NULL);
}

/* DASH-IF IOP 4.3, 6.2.6: a sheet of tiles is a segment of a set of its own. */
static void put_tiles(struct mpd_period *period, const struct tiles_facts *t, unsigned id)
{
	struct mpd_set *set = mpd_add_set(period);
	struct mpd_representation *r;
	char *grid = mem_printf("%dx%d", t->columns, t->rows);

	set->id = mem_printf("%u", id);
	set->content_type = mem_dup("image");
	set->common.mime_type = mem_dup("image/jpeg");
	set->common.start_with_sap = -1;
	r = mpd_add_representation(set);
	r->id = mem_dup("thumbnails");
	r->common.start_with_sap = -1;
	r->common.width = (uint32_t)t->width;
	r->common.height = (uint32_t)t->height;
	mpd_add_descriptor(&r->common.essential, TILES_SCHEME, grid);
	r->segments.kind = MPD_SEGMENT_TEMPLATE;
	r->segments.media = mem_dup(TILES_TEMPLATE);
	r->segments.has_timescale = r->segments.has_duration = r->segments.has_start_number = true;
	r->segments.timescale = r->segments.start_number = 1;
	r->segments.duration = (uint64_t)t->columns * (uint64_t)t->rows * t->every;
	r->bandwidth = 8 * t->largest / r->segments.duration + 1;
	free(grid);
}

/* ISO/IEC 23009-1 5.10.2, in milliseconds. */
static void put_chapters(struct mpd_period *period, const json_t *chapters)
{
	const json_t *c;
	size_t i;

	period->events.scheme = mem_dup(CHAPTERS_SCHEME);
	period->events.timescale = 1000;
	json_array_foreach(chapters, i, c)
		mpd_add_event(&period->events, (uint64_t)llround(1000 * json_real_value(json_object_get(c, "start-time"))),
		              (uint64_t)llround(1000 * json_real_value(json_object_get(c, "duration"))),
		              json_string_value(json_object_get(json_array_get(json_object_get(c, "titles"), 0), "title")));
}

int manifest_write(const struct package *p, struct buf *out)
{
	struct mpd *m = mpd_new();
	struct mpd_period *period;
	double buffer = manifest_buffer_seconds(p);
	unsigned id = 1;
	int r;

	m->profiles = mem_dup("urn:mpeg:dash:profile:isoff-on-demand:2011,urn:mpeg:dash:profile:cmaf:2019");
	m->title = mem_dup(p->name);
	m->has_duration = true;
	m->duration = duration_us(p->video[0].facts);
	m->min_buffer_time = (dur_us)(buffer * 1e6);
	m->has_max_segment_duration = true;
	m->max_segment_duration = (dur_us)(buffer * 1e6);
	period = mpd_add_period(m);
	period->id = mem_dup("1");
	period->has_start = true;
	if (p->chapters != NULL)
		put_chapters(period, p->chapters);
	put_video(period, p, p->video, p->n_video, "main", 1, buffer);
	if (p->n_av1 > 0)
		put_video(period, p, p->av1, p->n_av1, "main", ++id, buffer);
	for (size_t i = 0; i < p->n_audio; i++)
		put_audio(period, &p->audio[i], ++id, buffer);
	for (size_t i = 0; i < p->n_text; i++)
		put_text(period, &p->text[i], ++id, buffer);
	if (p->tiles != NULL && p->tiles->n_sheets > 0)
		put_tiles(period, p->tiles, ++id);
	r = mpd_write(m, out);
	mpd_free(&m);
	return r;
}
