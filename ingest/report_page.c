/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report.html: made of report.json alone, so that it can be made again from any
 * package.  Every text goes through svg_text; what the report does not say is left out.
 */
#include "ingest/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "ingest/report_hull.h"
#include "ingest/report_style.h"
#include "ingest/svg.h"

#define REPORT_MAX ((size_t)64 << 20)
#define PER_SEGMENT_MAX 500 /* rows of the table at the end */

/* --- reading, forgiving ------------------------------------------------------------------------ */

static double number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

/* Into a text for a cell; "–" when it is not known. */
static void put_number(struct buf *out, double v, int decimals, const char *unit)
{
	if (isfinite(v))
		buf_printf(out, "%.*f%s", decimals, v, unit);
	else
		buf_puts(out, "–");
}

static void put_rate(struct buf *out, double bits)
{
	if (bits >= 1e6)
		put_number(out, bits / 1e6, 2, " Mbit/s");
	else
		put_number(out, bits / 1e3, 0, " kbit/s");
}

static void put_size(struct buf *out, double bytes)
{
	char size[STR_BYTES_SIZE];

	if (!(bytes >= 0 && bytes < 1e18))
		return;
	str_format_bytes((uint64_t)bytes, size);
	buf_puts(out, size);
}

/* "video-1080p-5800k.mp4" -> "1080p 5800k" */
static char *name_of(const json_t *track)
{
	const char *file = text(track, "file"), *at = strchr(file, '-');
	size_t n;
	char *name;

	at = at != NULL ? at + 1 : file;
	n = strlen(at) - (str_ends(at, ".mp4") ? 4 : 0);
	name = mem_dup_n(at, n);
	for (size_t i = 0; i < n; i++)
		name[i] = name[i] == '-' ? ' ' : name[i];
	return name;
}

/* --- head ---------------------------------------------------------------------------------------- */

static void put_fact(struct buf *out, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	buf_printf(out, "<div><dt>%s</dt><dd>", name);
	svg_text(value, out);
	buf_puts(out, "</dd></div>\n");
}

static void put_fact_f(struct buf *out, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void put_fact_f(struct buf *out, const char *name, const char *format, ...)
{
	char value[256];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof value, format, args);
	va_end(args);
	put_fact(out, name, value);
}

static void put_head(const json_t *r, struct buf *out)
{
	buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>");
	svg_text(text(r, "name"), out);
	buf_puts(out, " · ingest report</title><style>" REPORT_STYLE "</style></head><body>\n<header><img src=\"poster.jpg\" alt=\"\" width=\"320\"><div><h1>");
	svg_text(text(r, "name"), out);
	buf_puts(out, "</h1><p>");
}

static double whole_bytes(const json_t *tracks)
{
	double sum = 0;
	const json_t *t;
	size_t i;

	json_array_foreach(tracks, i, t)
		sum += number(t, "bytes");
	return sum;
}

static void put_summary(const json_t *r, struct buf *out)
{
	const json_t *video = json_object_get(r, "video"), *audio = json_object_get(r, "audio");
	const json_t *top = json_array_get(video, json_array_size(video) > 0 ? json_array_size(video) - 1 : 0), *proof = json_object_get(r, "proof");
	char length[STR_BYTES_SIZE];
	double seconds = number(r, "duration");

	str_format_duration((dur_us)((seconds >= 0 && seconds < 1e7 ? seconds : 0) * 1e6), length);
	buf_printf(out, "%s · up to %.0f×%.0f · %zu picture and %zu sound renditions · ", length, number(top, "width"), number(top, "height"),
	           json_array_size(video), json_array_size(audio));
	put_size(out, whole_bytes(video) + whole_bytes(audio));
	buf_puts(out, "</p>");
	if (proof != NULL)
		buf_printf(out, "<p class=\"good\">Read back and found right: %.0f segments in %.0f tracks, %.0f pictures</p>", number(proof, "segments"),
		           number(proof, "tracks"), number(proof, "pictures"));
	buf_puts(out, "<nav><a href=\"report.json\">report.json</a> <a href=\"manifest.mpd\">manifest.mpd</a> <a href=\"main.m3u8\">main.m3u8</a> "
	              "<a href=\"package.torrent\">package.torrent</a></nav></div></header>\n<main>\n");
}

static void put_warnings(const json_t *r, struct buf *out)
{
	const json_t *all = json_object_get(r, "warnings"), *w;
	size_t i;

	if (json_array_size(all) == 0)
		return;
	buf_puts(out, "<section class=\"warn\"><h2>To know</h2><ul>");
	json_array_foreach(all, i, w) {
		buf_puts(out, "<li>");
		svg_text(json_is_string(w) ? json_string_value(w) : "", out);
		buf_puts(out, "</li>");
	}
	buf_puts(out, "</ul></section>\n");
}

/* --- ladder --------------------------------------------------------------------------------------- */

static void put_rung(const json_t *t, size_t i, double most, struct buf *out)
{
	char *name = name_of(t);

	buf_printf(out, "<tr><th scope=\"row\" class=\"s%zu\">", i % 10);
	svg_text(name, out);
	buf_printf(out, "</th><td>%.0f×%.0f</td><td><code>", number(t, "width"), number(t, "height"));
	svg_text(text(t, "codecs"), out);
	buf_printf(out, "</code></td><td class=\"bar\"><i style=\"width:%.1f%%\"></i><span>", most > 0 ? 90 * number(t, "average_bitrate") / most : 0);
	put_rate(out, number(t, "average_bitrate"));
	buf_puts(out, "</span></td><td>");
	put_rate(out, number(t, "peak_bitrate"));
	buf_puts(out, "</td><td>");
	put_rate(out, number(t, "bandwidth"));
	buf_puts(out, "</td><td>");
	put_size(out, number(t, "bytes"));
	buf_puts(out, "</td><td>");
	put_number(out, number(t, "ssim"), 4, "");
	buf_puts(out, "</td><td>");
	put_number(out, number(t, "ssim_least"), 4, "");
	buf_puts(out, "</td><td>");
	put_number(out, number(t, "psnr"), 1, " dB");
	buf_puts(out, "</td></tr>\n");
	free(name);
}

static void put_ladder(const json_t *r, struct buf *out)
{
	const json_t *video = json_object_get(r, "video"), *t;
	double most = 0;
	size_t i;

	json_array_foreach(video, i, t)
		most = fmax(most, number(t, "average_bitrate"));
	buf_puts(out, "<section><h2>Ladder</h2><div class=\"wide\"><table><thead><tr><th>Rendition</th><th>Size</th><th>Codec</th><th>Average</th>"
	              "<th>Densest segment</th><th><abbr title=\"a line of this rate plays without waiting\">Bandwidth</abbr></th><th>Bytes</th>"
	              "<th>SSIM</th><th>worst segment</th><th>PSNR</th></tr></thead><tbody>\n");
	json_array_foreach(video, i, t)
		put_rung(t, i, most, out);
	buf_puts(out, "</tbody></table></div><p class=\"note\">SSIM and PSNR are of luma, against the master scaled to the rendition's own size; of AV1 one picture in seven is looked at.</p></section>\n");
}

/* --- lines over time ------------------------------------------------------------------------------ */

struct graph {
	const char *key, *id, *heading, *description;
	int decimals;
	const char *unit;
};

/* Bits a second of each segment, from its bytes. */
static double value_of(const json_t *t, const char *key, size_t i, const double *times)
{
	const json_t *v = json_array_get(json_object_get(t, key), i);

	if (!json_is_number(v))
		return NAN;
	return strcmp(key, "segment_bytes") == 0 ? 8e-6 * json_number_value(v) / fmax(times[i + 1] - times[i], 1e-3) : json_number_value(v);
}

static size_t make_series(const json_t *video, const char *key, size_t n, const double *times, struct svg_series *series)
{
	size_t used = 0, k;
	const json_t *t;

	json_array_foreach(video, k, t) {
		double *values = mem_new_array(n, sizeof *values);

		for (size_t i = 0; i < n; i++)
			values[i] = value_of(t, key, i, times);
		series[used++] = (struct svg_series){name_of(t), values, n};
		if (used == SVG_MAX_SERIES)
			break;
	}
	return used;
}

static double *make_times(const json_t *r, size_t n)
{
	double *times = mem_new_array(n + 1, sizeof *times), every = number(r, "segment_duration"), all = number(r, "duration");

	for (size_t i = 0; i < n; i++)
		times[i] = (every > 0 && every < 1e4 ? every : 1) * (double)i;
	times[n] = all < 1e7 && n > 0 && all > times[n - 1] ? all : n > 0 ? times[n - 1] + 1 : 0;
	return times;
}

static size_t count_segments(const json_t *video)
{
	return json_array_size(json_object_get(json_array_get(video, 0), "segment_bytes"));
}

static void put_graph(const json_t *r, const struct graph *g, struct buf *out)
{
	const json_t *video = json_object_get(r, "video");
	struct svg_series series[SVG_MAX_SERIES];
	size_t n = count_segments(video);
	double *times = make_times(r, n);
	struct svg_chart c = {.id = g->id, .title = g->heading, .description = g->description, .decimals = g->decimals, .unit = g->unit, .times = times,
	                      .n_steps = n, .series = series};
	struct buf drawn;

	buf_init(&drawn, REPORT_MAX);
	c.n_series = make_series(video, g->key, n, times, series);
	svg_chart(&c, &drawn);
	if (drawn.size > 0) {
		buf_printf(out, "<section><h2>%s</h2>", g->heading);
		buf_append(out, drawn.bytes, drawn.size);
		buf_printf(out, "<p class=\"note\">%s</p></section>\n", g->description);
	}
	for (size_t i = 0; i < c.n_series; i++) {
		free((char *)(uintptr_t)series[i].name);
		free((double *)(uintptr_t)series[i].values);
	}
	buf_fini(&drawn);
	free(times);
}

static void put_graphs(const json_t *r, struct buf *out)
{
	static const struct graph graphs[] = {
		{"segment_ssim", "ssim", "SSIM of each segment", "Likeness to the master, 1 is the same. A dip is a scene that is hard to code at this rate.", 3, ""},
		{"segment_psnr", "psnr", "PSNR of each segment", "Luma, of the mean error over the segment's pictures.", 1, " dB"},
		{"segment_bytes", "rate", "Bitrate of each segment", "What a viewer's line has to carry while the segment plays.", 1, " Mbit/s"},
	};

	for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++)
		put_graph(r, &graphs[i], out);
}

/* --- sound, text, small pictures -------------------------------------------------------------------- */

static void put_sound(const json_t *t, struct buf *out)
{
	char *name = name_of(t);

	buf_puts(out, "<tr><th scope=\"row\">");
	svg_text(name, out);
	buf_puts(out, "</th><td>");
	svg_text(strcmp(text(t, "language"), "und") == 0 ? "not said" : text(t, "language"), out);
	buf_puts(out, " ");
	svg_text(text(t, "label"), out);
	buf_printf(out, "</td><td>%.0f ch, %.1f kHz</td><td><code>", number(t, "channels"), number(t, "sample_rate") / 1000);
	svg_text(text(t, "codecs"), out);
	buf_puts(out, "</code></td><td>");
	put_rate(out, number(t, "average_bitrate"));
	buf_puts(out, "</td><td>");
	put_number(out, number(t, "av_offset_start_ms"), 2, " ms");
	buf_puts(out, "</td><td>");
	put_number(out, number(t, "av_offset_end_ms"), 2, " ms");
	buf_puts(out, "</td></tr>\n");
	free(name);
}

static void put_sounds(const json_t *r, struct buf *out)
{
	const json_t *audio = json_object_get(r, "audio"), *t;
	size_t i;

	if (json_array_size(audio) == 0)
		return;
	buf_puts(out, "<section><h2>Sound</h2><div class=\"wide\"><table><thead><tr><th>Rendition</th><th>Language</th><th>Channels</th><th>Codec</th>"
	              "<th>Average</th><th>Begins behind the picture by</th><th>Ends behind it by</th></tr></thead><tbody>\n");
	json_array_foreach(audio, i, t)
		put_sound(t, out);
	buf_puts(out, "</tbody></table></div></section>\n");
}

static void put_subtitles(const json_t *r, struct buf *out)
{
	const json_t *all = json_object_get(r, "subtitles"), *t;
	size_t i;

	if (json_array_size(all) == 0)
		return;
	buf_puts(out, "<section><h2>Subtitles</h2><ul>");
	json_array_foreach(all, i, t) {
		buf_puts(out, "<li><a href=\"");
		svg_text(text(t, "file"), out);
		buf_puts(out, "\">");
		svg_text(text(t, "language"), out);
		buf_puts(out, "</a> ");
		svg_text(text(t, "label"), out);
		buf_puts(out, "</li>");
	}
	buf_puts(out, "</ul></section>\n");
}

static void put_thumbnails(const json_t *r, struct buf *out)
{
	const json_t *files = json_object_get(json_object_get(r, "thumbnails"), "files"), *file;
	size_t i;

	if (json_array_size(files) == 0)
		return;
	buf_puts(out, "<section><h2>Thumbnails</h2><div class=\"strip\" tabindex=\"0\" role=\"group\" aria-label=\"thumbnails of the film\">");
	json_array_foreach(files, i, file) {
		if (!json_is_string(file))
			continue;
		buf_puts(out, "<img loading=\"lazy\" alt=\"\" src=\"");
		svg_text(json_string_value(file), out);
		buf_puts(out, "\">");
	}
	buf_puts(out, "</div></section>\n");
}

/* --- proof and source -------------------------------------------------------------------------------- */

static void put_proof(const json_t *r, struct buf *out)
{
	const json_t *p = json_object_get(r, "proof");

	if (p == NULL)
		return;
	buf_printf(out, "<section><h2>What was checked</h2><ul class=\"checks\"><li>%.0f pictures in each rendition, as many as the master gave, each in its place to the tick</li>"
	                "<li>All renditions cut at the same %zu times; times follow on without gap; every index covers its file exactly</li>"
	                "<li>Every segment begins with a picture that needs no other: %.0f were decoded alone</li>"
	                "<li>No picture that another refers to is missing; pictures stand in the encoder's order</li>"
	                "<li>Decoded whole: %.0f of %.0f segments (%.0f pictures, %.0f samples of sound)</li>"
	                "<li>At each segment's start all renditions show the same picture</li>"
	                "<li>MPD and HLS playlists say what the files hold; @bandwidth holds with minBufferTime</li></ul></section>\n",
	           number(r, "frames"), count_segments(json_object_get(r, "video")), number(p, "segment_starts_decoded"), number(p, "segments_decoded"),
	           number(p, "segments"), number(p, "pictures_decoded"), number(p, "samples_decoded"));
}

static void put_source(const json_t *r, struct buf *out)
{
	const json_t *s = json_object_get(r, "source");

	if (s == NULL)
		return;
	buf_puts(out, "<section><h2>The master</h2><dl>");
	put_fact(out, "Container", text(s, "format"));
	put_fact_f(out, "Picture", "%.0f×%.0f, %.0f bit%s", number(s, "width"), number(s, "height"), number(s, "depth"),
	           json_is_true(json_object_get(s, "interlaced")) ? ", interlaced" : "");
	put_fact(out, "Pixel shape", text(s, "sample_aspect_ratio"));
	if (number(s, "rotation") > 0)
		put_fact_f(out, "Rotation", "%.0f°", number(s, "rotation"));
	put_fact(out, "Frames a second", text(s, "frame_rate"));
	put_fact(out, "Transfer", text(s, "transfer"));
	put_fact_f(out, "Streams of sound", "%zu", json_array_size(json_object_get(s, "audio")));
	put_fact_f(out, "Segments", "%.3f s, %.0f frames", number(r, "segment_duration"), number(r, "segment_frames"));
	put_fact(out, "Preset", text(r, "preset"));
	put_fact(out, "Made by", text(r, "made_by"));
	buf_puts(out, "</dl></section>\n");
}

/* The charts' numbers for those who cannot see them, or want them exactly. */
static void put_segments(const json_t *r, struct buf *out)
{
	const json_t *video = json_object_get(r, "video"), *t;
	size_t n = count_segments(video), k;
	double *times = make_times(r, n);

	buf_puts(out, "<section><details><summary>Every segment in numbers</summary><div class=\"wide\"><table><thead><tr><th>Segment</th><th>From</th>");
	json_array_foreach(video, k, t) {
		char *name = name_of(t);

		buf_puts(out, "<th>");
		svg_text(name, out);
		buf_puts(out, "<br>bytes, SSIM, PSNR</th>");
		free(name);
	}
	buf_puts(out, "</tr></thead><tbody>\n");
	for (size_t i = 0; i < n && i < PER_SEGMENT_MAX; i++) {
		buf_printf(out, "<tr><th scope=\"row\">%zu</th><td>%.3f s</td>", i, times[i]);
		json_array_foreach(video, k, t) {
			buf_printf(out, "<td>%.0f · ", json_number_value(json_array_get(json_object_get(t, "segment_bytes"), i)));
			put_number(out, value_of(t, "segment_ssim", i, times), 4, " · ");
			put_number(out, value_of(t, "segment_psnr", i, times), 1, "");
			buf_puts(out, "</td>");
		}
		buf_puts(out, "</tr>\n");
	}
	buf_puts(out, "</tbody></table></div>");
	if (n > PER_SEGMENT_MAX)
		buf_printf(out, "<p class=\"note\">The other %zu stand in <a href=\"report.json\">report.json</a>.</p>", n - PER_SEGMENT_MAX);
	buf_puts(out, "</details></section>\n");
	free(times);
}

int report_write_page(const json_t *r, struct buf *out)
{
	put_head(r, out);
	put_summary(r, out);
	put_warnings(r, out);
	put_ladder(r, out);
	report_hull_page(json_object_get(r, "hull"), out);
	put_graphs(r, out);
	put_sounds(r, out);
	put_subtitles(r, out);
	put_thumbnails(r, out);
	put_proof(r, out);
	put_source(r, out);
	put_segments(r, out);
	return buf_puts(out, "</main></body></html>\n");
}

int report_page_of(const char *package, struct buf *out, struct fault *f)
{
	char *path = path_join(package, PACKAGE_REPORT);
	json_error_t where;
	struct buf bytes;
	json_t *r;
	int e;

	buf_init(&bytes, REPORT_MAX);
	e = file_read(path, &bytes);
	if (e == 0) {
		r = json_loadb((const char *)bytes.bytes, bytes.size, 0, &where);
		e = !json_is_object(r) ? fault_set(f, ERR_SYNTAX, _("%s:%d: is no report: %s"), path, where.line, where.text) : report_write_page(r, out);
		json_decref(r);
	} else {
		fault_set(f, e, _("%s: cannot be read: %s"), path, words_error(e));
	}
	buf_fini(&bytes);
	free(path);
	return e;
}
