/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The judge's words when all is right.
 */
#include <jansson.h>

#include "base/str.h"
#include "base/words.h"
#include "ingest/verify.h"

static double megabytes_a_second(const struct verify_facts *k, double seconds)
{
	return seconds > 0 ? (double)k->bytes / 1e6 / seconds : 0;
}

static void say_json(const struct verify_facts *k, double seconds, FILE *out)
{
	json_t *sounds = json_array(), *all;

	for (size_t i = 0; i < k->n_sounds; i++)
		json_array_append_new(sounds, json_pack("{s:s, s:f, s:f, s:b}", "file", k->sounds[i].file, "av_offset_start_ms", k->sounds[i].start_ms,
		                                        "av_offset_end_ms", k->sounds[i].end_ms, "silent", (int)k->sounds[i].is_silent));
	all = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:f, s:f}", "ok", 1, "files", (json_int_t)k->files, "tracks",
	                (json_int_t)k->tracks, "segments", (json_int_t)k->segments, "bytes", (json_int_t)k->bytes, "pictures", (json_int_t)k->pictures,
	                "pictures_decoded", (json_int_t)k->pictures_decoded, "samples_decoded", (json_int_t)k->samples_decoded, "starts_decoded",
	                (json_int_t)k->starts_decoded, "segments_decoded", (json_int_t)k->segments_decoded, "subtitles", (json_int_t)k->texts, "cues", (json_int_t)k->cues, "audio", sounds, "seconds", seconds,
	                "megabytes_per_second", megabytes_a_second(k, seconds));
	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}

void verify_say_found(const struct verify_facts *k, FILE *out)
{
	fprintf(out, _("  %llu pictures, as many in each rendition as the master has; decoded: the first of %zu segments alone, %zu segments whole (%llu pictures, %llu samples)\n"),
	        (unsigned long long)k->pictures, k->starts_decoded, k->segments_decoded, (unsigned long long)k->pictures_decoded,
	        (unsigned long long)k->samples_decoded);
	if (k->texts > 0)
		fprintf(out, ngettext("  %zu subtitle file with %zu cues, all within the film\n", "  %zu subtitle files with %zu cues, all within the film\n", k->texts), k->texts, k->cues);
	for (size_t i = 0; i < k->n_sounds; i++)
		fprintf(out, _("  %s: begins %+.3f ms, ends %+.3f ms from the picture%s\n"), k->sounds[i].file, k->sounds[i].start_ms, k->sounds[i].end_ms,
		        k->sounds[i].is_silent ? _("; it is silent throughout") : "");
}

void verify_say(const char *folder, const struct verify_facts *k, double seconds, bool json, FILE *out)
{
	char size[STR_BYTES_SIZE];

	if (json) {
		say_json(k, seconds, out);
		return;
	}
	str_format_bytes(k->bytes, size);
	fprintf(out, _("%s: right: %zu files, %zu tracks, %zu segments, %s; %.1f s, %.0f MB/s\n"), folder, k->files, k->tracks, k->segments, size, seconds,
	        megabytes_a_second(k, seconds));
	verify_say_found(k, out);
}
