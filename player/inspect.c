/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One JSON object is made; the table is printed from the same facts.
 */
#include "player/inspect.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/file.h"
#include "base/buf.h"
#include "base/str.h"
#include "fetch/fetch.h"
#include "player/source.h"

#define MAX_INDEX ((size_t)8 << 20)

static const char *const kinds[] = {"video", "audio", "text", "image", "other"};

static int read_file_part(const char *path, uint64_t first, size_t n, struct blob **ret, struct fault *f)
{
	struct buf b;
	int r;

	buf_init(&b, (size_t)1 << 32);
	r = file_read(path, &b);
	if (r < 0 || b.size < first + n)
		r = fault_set(f, r < 0 ? r : ERR_TRUNCATED, "%s: %s", path, err_text(r < 0 ? r : ERR_TRUNCATED));
	else
		*ret = blob_copy(b.bytes + first, n);
	buf_fini(&b);
	return r < 0 ? r : 0;
}

static int get_part(struct fetch *fetch, const char *url, uint64_t first, size_t n, struct blob **ret, struct fault *f)
{
	struct fetch_request req = {.url = url, .has_range = true, .first = first, .last = first + n - 1, .max_bytes = n};

	if (str_starts(url, "file://"))
		return read_file_part(url + 7, first, n, ret, f);
	return fetch_get(fetch, &req, ret, NULL, NULL, f);
}

static int read_index(struct fetch *fetch, struct timeline_rendition *r, struct fault *f)
{
	size_t n = (size_t)(r->index_range.last - r->index_range.first) + 1;
	int code = fault_set(f, ERR_NOT_FOUND, "no base URL");

	for (size_t i = 0; i < r->n_bases && code < 0; i++) {
		char *url = timeline_resolve(r, i, r->index_url != NULL ? r->index_url : "");
		struct blob *bytes = NULL;
		struct bmff_sidx *sidx = NULL;

		if (!r->has_index_range || n > MAX_INDEX || url == NULL)
			code = fault_set(f, ERR_UNSUPPORTED, "no usable indexRange");
		else
			code = get_part(fetch, url, r->index_range.first, n, &bytes, f);
		if (code == 0 && (code = bmff_sidx_read(bytes->bytes, bytes->size, r->index_range.first, &sidx)) < 0)
			fault_set(f, code, "%s: index: %s", url, err_text(code));
		if (code == 0)
			code = timeline_set_index(r, sidx, f);
		bmff_sidx_free(&sidx);
		blob_unref(&bytes);
		free(url);
	}
	return code;
}

static double seconds(const struct timeline_rendition *r, int64_t t)
{
	return r->timescale > 0 ? (double)t / r->timescale : 0;
}

static void set_text(json_t *o, const char *key, const char *text)
{
	if (text != NULL)
		json_object_set_new(o, key, json_string(text));
}

static void set_number(json_t *o, const char *key, uint64_t n)
{
	if (n != 0)
		json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *segment_json(const struct timeline_rendition *r, const struct timeline_segment *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "start", json_integer(s->start));
	json_object_set_new(o, "duration", json_integer((json_int_t)s->duration));
	json_object_set_new(o, "start_s", json_real(seconds(r, s->start)));
	json_object_set_new(o, "duration_s", json_real(seconds(r, (int64_t)s->duration)));
	set_text(o, "url", s->url);
	if (s->has_range)
		json_object_set_new(o, "range", json_pack("[I, I]", (json_int_t)s->range.first, (json_int_t)s->range.last));
	return o;
}

static json_t *rendition_json(struct fetch *fetch, struct timeline_rendition *r)
{
	json_t *o = json_object(), *segments = json_array(), *bases = json_array();
	struct fault f = {0};

	if (r->needs_index && r->n_segments == 0 && read_index(fetch, r, &f) < 0)
		set_text(o, "error", fault_text(&f));
	set_text(o, "id", r->representation->id);
	set_text(o, "mime_type", r->mime_type);
	set_text(o, "codecs", r->codecs);
	json_object_set_new(o, "decodable", json_boolean(source_can_decode(r->codecs)));
	set_number(o, "bandwidth", r->bandwidth);
	set_number(o, "width", r->width);
	set_number(o, "height", r->height);
	set_number(o, "audio_sampling_rate", r->audio_sampling_rate);
	set_number(o, "channels", r->channels);
	set_number(o, "timescale", r->timescale);
	json_object_set_new(o, "presentation_time_offset", json_integer((json_int_t)r->pto));
	for (size_t i = 0; i < r->n_bases; i++)
		json_array_append_new(bases, json_pack("{ss* ss*}", "url", r->bases[i].url, "service_location", r->bases[i].service_location));
	json_object_set_new(o, "bases", bases);
	for (size_t i = 0; i < r->n_segments; i++)
		json_array_append_new(segments, segment_json(r, &r->segments[i]));
	json_object_set_new(o, "segments", segments);
	return o;
}

static json_t *track_json(struct fetch *fetch, struct timeline_track *t)
{
	json_t *o = json_object(), *list = json_array();

	json_object_set_new(o, "kind", json_string(kinds[t->kind]));
	set_text(o, "id", t->set->id);
	set_text(o, "lang", t->set->lang);
	for (size_t i = 0; i < t->n_renditions; i++)
		json_array_append_new(list, rendition_json(fetch, &t->renditions[i]));
	json_object_set_new(o, "renditions", list);
	return o;
}

static json_t *whole(struct fetch *fetch, struct source *s)
{
	json_t *o = json_object(), *periods = json_array();

	set_text(o, "url", s->url);
	json_object_set_new(o, "dynamic", json_boolean(s->timeline->dynamic));
	json_object_set_new(o, "duration_s",
	                    s->timeline->duration >= 0 ? json_real((double)s->timeline->duration / 1e6) : json_null());
	for (size_t i = 0; i < s->timeline->n_periods; i++) {
		struct timeline_period *p = &s->timeline->periods[i];
		json_t *period = json_object(), *tracks = json_array();

		set_text(period, "id", p->id);
		json_object_set_new(period, "start_s", json_real((double)p->start / 1e6));
		json_object_set_new(period, "duration_s", p->duration >= 0 ? json_real((double)p->duration / 1e6) : json_null());
		for (size_t k = 0; k < p->n_tracks; k++)
			json_array_append_new(tracks, track_json(fetch, &p->tracks[k]));
		json_object_set_new(period, "tracks", tracks);
		json_array_append_new(periods, period);
	}
	json_object_set_new(o, "periods", periods);
	return o;
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "-";
}

static void print_rendition(const json_t *r, FILE *out)
{
	const json_t *segments = json_object_get(r, "segments"), *last;
	size_t n = json_array_size(segments);
	double begin = 0, end = 0;
	char size[32] = "";

	if (n > 0) {
		last = json_array_get(segments, n - 1);
		begin = json_real_value(json_object_get(json_array_get(segments, 0), "start_s"));
		end = json_real_value(json_object_get(last, "start_s")) + json_real_value(json_object_get(last, "duration_s"));
	}
	if (json_object_get(r, "height") != NULL)
		snprintf(size, sizeof size, "%dx%d", (int)json_integer_value(json_object_get(r, "width")),
		         (int)json_integer_value(json_object_get(r, "height")));
	else if (json_object_get(r, "audio_sampling_rate") != NULL)
		snprintf(size, sizeof size, "%d Hz", (int)json_integer_value(json_object_get(r, "audio_sampling_rate")));
	fprintf(out, "    %-24s %9.3f %-11s %-28s %6zu %10.3f %10.3f  %s\n", text(r, "id"),
	        (double)json_integer_value(json_object_get(r, "bandwidth")) / 1e6, size, text(r, "codecs"), n, begin, end,
	        json_object_get(r, "error") != NULL                     ? text(r, "error")
	        : json_is_true(json_object_get(r, "decodable")) ? ""
	                                                        : "cannot be decoded here");
}

static void print_table(const json_t *o, FILE *out)
{
	size_t i, k, n;
	const json_t *period, *track, *r;

	fprintf(out, "%s\n%s, %.3f s\n", text(o, "url"), json_is_true(json_object_get(o, "dynamic")) ? "dynamic" : "static",
	        json_real_value(json_object_get(o, "duration_s")));
	json_array_foreach(json_object_get(o, "periods"), i, period) {
		fprintf(out, "period %s: from %.3f s, %.3f s long\n", text(period, "id"),
		        json_real_value(json_object_get(period, "start_s")), json_real_value(json_object_get(period, "duration_s")));
		json_array_foreach(json_object_get(period, "tracks"), k, track) {
			fprintf(out, "  %s %s\n    %-24s %9s %-11s %-28s %6s %10s %10s\n", text(track, "kind"), text(track, "lang"),
			        "rendition", "Mbit/s", "size", "codecs", "parts", "from s", "to s");
			json_array_foreach(json_object_get(track, "renditions"), n, r)
				print_rendition(r, out);
		}
	}
}

int inspect(struct fetch *fetch, struct source *source, bool json, FILE *out, struct fault *f)
{
	json_t *o = whole(fetch, source);

	if (json) {
		json_dumpf(o, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
		fputc('\n', out);
	} else {
		print_table(o, out);
	}
	json_decref(o);
	return fflush(out) == 0 && !ferror(out) ? 0 : fault_set(f, -EIO, "standard output: %s", err_text(-EIO));
}
