/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report.json: what was made, for people's tools and for the page.  The same
 * package gives the same bytes: the digest covers them, so no clock stands here.
 */
#include "ingest/report.h"

#include <config.h>
#include <libavcodec/version.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/words.h"
#include "ingest/manifest.h"
#include "ingest/report_hull.h"
#include "ingest/tiles.h"

#define FORMAT 1

/* Numbers as people read them: JSON_REAL_PRECISION would show the last bit's noise. */
static json_t *rounded(double v, double per_unit)
{
	return json_real(round(v * per_unit) / per_unit);
}

static json_t *ratio(AVRational r)
{
	return json_sprintf("%d/%d", r.num, r.den);
}

/* --- tracks -------------------------------------------------------------------------------- */

static json_t *track_json(const struct track_facts *k, double buffer)
{
	json_t *bytes = json_array(), *t;

	for (size_t i = 0; i < k->n_segments; i++)
		json_array_append_new(bytes, json_integer((json_int_t)k->segments[i].size));
	t = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:I}", "file", k->file, "codecs", k->codecs, "bytes", (json_int_t)k->size, "bandwidth",
	              (json_int_t)track_bandwidth(k, buffer), "average_bitrate", (json_int_t)track_average(k), "peak_bitrate",
	              (json_int_t)track_peak(k), "samples", (json_int_t)k->samples, "duration", (double)k->duration / k->timescale, "segments",
	              (json_int_t)k->n_segments);
	json_object_set_new(t, "segment_bytes", bytes);
	return t;
}

/* Per segment, and of the whole: PSNR of the mean error, the mean SSIM; segments weigh by their length. */
static void put_quality(json_t *t, const struct track_facts *k)
{
	json_t *ssim = json_array(), *psnr = json_array();
	double error = 0, similar = 0, weight = 0, least = 1;

	for (size_t i = 0; i < k->n_segments; i++) {
		const struct track_segment *s = &k->segments[i];
		double w = (double)s->duration;
		bool known = s->ssim > 0;

		json_array_append_new(ssim, known ? rounded(s->ssim, 1e5) : json_null());
		json_array_append_new(psnr, known ? rounded(s->psnr, 1e2) : json_null());
		if (!known)
			continue;
		error += w * pow(10, -s->psnr / 10);
		similar += w * s->ssim;
		weight += w;
		least = fmin(least, s->ssim);
	}
	if (weight > 0) {
		json_object_set_new(t, "ssim", rounded(similar / weight, 1e5));
		json_object_set_new(t, "ssim_least", rounded(least, 1e5));
		json_object_set_new(t, "psnr", rounded(-10 * log10(error / weight), 1e2));
		json_object_set_new(t, "segment_ssim", json_incref(ssim));
		json_object_set_new(t, "segment_psnr", json_incref(psnr));
	}
	json_decref(ssim);
	json_decref(psnr);
}

static void put_videos(json_t *all, const struct package_video *v, size_t n, double buffer)
{
	for (size_t i = 0; i < n; i++) {
		json_t *t = track_json(v[i].facts, buffer);

		json_object_set_new(t, "width", json_integer(v[i].rung->width));
		json_object_set_new(t, "height", json_integer(v[i].rung->height));
		json_object_set_new(t, "target_bitrate", json_integer((json_int_t)v[i].rung->bitrate));
		put_quality(t, v[i].facts);
		json_array_append_new(all, t);
	}
}

static json_t *video_json(const struct package *p, double buffer)
{
	json_t *all = json_array();

	put_videos(all, p->video, p->n_video, buffer);
	put_videos(all, p->av1, p->n_av1, buffer);
	return all;
}

static const struct verify_sound *sound_of(const struct verify_facts *k, const char *file)
{
	for (size_t i = 0; i < k->n_sounds; i++)
		if (strcmp(k->sounds[i].file, file) == 0)
			return &k->sounds[i];
	return NULL;
}

static json_t *audio_json(const struct package *p, double buffer, const struct verify_facts *k)
{
	json_t *all = json_array();

	for (size_t i = 0; i < p->n_audio; i++) {
		const struct package_audio *a = &p->audio[i];
		const struct verify_sound *s = sound_of(k, a->facts->file);
		json_t *t = track_json(a->facts, buffer);

		json_object_set_new(t, "language", json_string(a->language));
		json_object_set_new(t, "label", json_string(a->label));
		json_object_set_new(t, "kind", json_string(sound_kind_name(a->kind)));
		json_object_set_new(t, "default", json_boolean(a->is_main));
		json_object_set_new(t, "channels", json_integer(a->channels));
		json_object_set_new(t, "sample_rate", json_integer(a->sample_rate));
		if (s != NULL) {
			json_object_set_new(t, "av_offset_start_ms", rounded(s->start_ms, 1e3));
			json_object_set_new(t, "av_offset_end_ms", rounded(s->end_ms, 1e3));
		}
		json_array_append_new(all, t);
	}
	return all;
}

/* Sheets to look at: of a long film some, evenly spread. */
#define SHEETS_SHOWN 16

static json_t *tiles_json(const struct tiles_facts *t)
{
	uint64_t n = t->n_sheets < SHEETS_SHOWN ? t->n_sheets : SHEETS_SHOWN;
	json_t *files = json_array();

	for (uint64_t i = 0; i < n; i++) {
		char *name = mem_printf(TILES_FILE, (unsigned long long)(1 + i * t->n_sheets / n));

		json_array_append_new(files, json_string(name));
		free(name);
	}
	return json_pack("{s:o, s:I, s:I, s:i, s:i, s:i, s:i, s:i}", "files", files, "sheets", (json_int_t)t->n_sheets, "tiles", (json_int_t)t->n_tiles,
	                 "columns", t->columns, "rows", t->rows, "width", t->width, "height", t->height, "seconds", (int)t->every);
}

static json_t *texts_json(const struct package *p)
{
	json_t *all = json_array();

	for (size_t i = 0; i < p->n_text; i++) {
		const struct package_text *t = &p->text[i];

		json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "file", t->file, "language", t->language, "label", t->label, "kind",
		                                     text_kind_name(t->kind), "bytes", (json_int_t)t->bytes, "cues", (json_int_t)t->cues));
	}
	return all;
}

/* --- the whole ------------------------------------------------------------------------------- */

static json_t *source_json(const struct source_info *s)
{
	const char *transfer = av_color_transfer_name(s->transfer);
	json_t *audio = json_array();

	for (size_t i = 0; i < s->n_audio; i++)
		json_array_append_new(audio, json_pack("{s:s, s:s, s:i, s:i}", "language", s->audio[i].language, "label", s->audio[i].label, "channels",
		                                       s->audio[i].channels, "sample_rate", s->audio[i].sample_rate));
	return json_pack("{s:s, s:f, s:i, s:i, s:o, s:i, s:o, s:b, s:i, s:s, s:o}", "format", s->format, "duration", s->container_seconds, "width",
	                 s->width, "height", s->height, "sample_aspect_ratio", ratio(s->sar), "rotation", s->rotation, "frame_rate",
	                 ratio(s->frame_rate), "interlaced", (int)s->interlaced, "depth", s->depth, "transfer", transfer != NULL ? transfer : "unknown",
	                 "audio", audio);
}

static json_t *proof_json(const struct verify_settings *s, const struct verify_facts *k)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "decoded", s->level == VERIFY_FULL ? "all" : "sample", "tracks",
	                 (json_int_t)k->tracks, "segments", (json_int_t)k->segments, "pictures", (json_int_t)k->pictures, "pictures_decoded",
	                 (json_int_t)k->pictures_decoded, "samples_decoded", (json_int_t)k->samples_decoded, "segment_starts_decoded",
	                 (json_int_t)k->starts_decoded, "segments_decoded", (json_int_t)k->segments_decoded);
}

/* {"code", "text"}: the code stays, whatever becomes of the words. */
static json_t *notes_json(const struct package *p, const struct verify_facts *k)
{
	json_t *all = json_array();

	for (size_t i = 0; i < p->n_notes; i++)
		json_array_append_new(all, json_pack("{s:s, s:s}", "code", p->notes[i].code, "text", p->notes[i].text));
	for (size_t i = 0; i < k->n_sounds; i++)
		if (k->sounds[i].is_silent)
			json_array_append_new(all, json_pack("{s:s, s:o}", "code", "silent", "text",
			                                     json_sprintf("%s is silent from beginning to end", k->sounds[i].file)));
	return all;
}

static json_t *warnings_json(const json_t *notes)
{
	json_t *all = json_array(), *note;
	size_t i;

	json_array_foreach(notes, i, note)
		json_array_append(all, json_object_get(note, "text"));
	return all;
}

int report_make(const struct package *p, const struct verify_settings *s, const struct verify_facts *k, json_t **ret_report, struct fault *f)
{
	double buffer = manifest_buffer_seconds(p), fps = av_q2d(p->plan->frame_rate);
	json_t *all = json_pack("{s:i, s:s, s:s, s:s, s:f, s:o, s:I, s:i, s:f}", "version", FORMAT, "title", p->title, "name", p->name, "made_by",
	                        "ribera-ingest " PACKAGE_VERSION ", " LIBAVCODEC_IDENT, "duration", (double)p->frames / fps, "frame_rate",
	                        ratio(p->plan->frame_rate), "frames", (json_int_t)p->frames, "segment_frames", (int)p->plan->segment_frames,
	                        "segment_duration", p->plan->segment_frames / fps);

	if (all == NULL)
		return fault_set(f, ERR_SYNTAX, _("the report cannot be made: is the name \"%s\" UTF-8?"), p->name);
	if (p->source_info != NULL)
		json_object_set_new(all, "source", source_json(p->source_info));
	if (p->preset != NULL)
		json_object_set_new(all, "preset", json_string(p->preset));
	json_object_set_new(all, "video", video_json(p, buffer));
	json_object_set_new(all, "audio", audio_json(p, buffer, k));
	json_object_set_new(all, "subtitles", texts_json(p));
	if (p->chapters != NULL)
		json_object_set(all, "chapters", p->chapters);
	if (p->tiles != NULL)
		json_object_set_new(all, "thumbnails", tiles_json(p->tiles));
	if (p->ladder != NULL && p->ladder->has_probe)
		json_object_set_new(all, "hull", report_hull_json(p->ladder));
	json_object_set_new(all, "proof", proof_json(s, k));
	json_object_set_new(all, "notes", notes_json(p, k));
	json_object_set_new(all, "warnings", warnings_json(json_object_get(all, "notes")));
	*ret_report = all;
	return 0;
}

/* Where the array that begins at `open` ends, if it holds numbers and null alone; else NULL. */
static const char *end_of_numbers(const char *open)
{
	const char *end = open + 1 + strspn(open + 1, " \n,-+.eE0123456789nul");

	return *end == ']' ? end : NULL;
}

/* One line for each array of numbers, which may have thousands. */
static void put_compact(const char *dump, struct buf *out)
{
	bool in_text = false;

	for (const char *p = dump; *p != '\0'; p++) {
		const char *end = !in_text && *p == '[' ? end_of_numbers(p) : NULL;

		if (in_text && *p == '\\') {
			buf_putc(out, *p++);
		} else if (*p == '"') {
			in_text = !in_text;
		}
		for (; end != NULL && p < end; p++)
			if (*p != '\n' && *p != ' ')
				buf_putc(out, *p);
		buf_putc(out, *p);
	}
}

int report_write_json(const json_t *report, struct buf *out)
{
	char *dump = json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(10));

	if (dump == NULL)
		return ERR_SYNTAX;
	put_compact(dump, out);
	free(dump);
	return buf_putc(out, '\n');
}
