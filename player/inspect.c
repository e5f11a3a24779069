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
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "fetch/fetch.h"
#include "player/fit.h"
#include "player/source.h"

#define MAX_INDEX ((size_t)8 << 20)
#define MAX_DEAD 16

static const char *const kinds[] = {"video", "audio", "text", "image", "other"};

struct inspection {
	struct fetch *fetch;
	struct source *source;
	char *dead[MAX_DEAD]; /* hosts that did not answer: not asked again */
	size_t n_dead;
};

/* scheme://authority */
static size_t host_size(const char *url)
{
	const char *slashes = strstr(url, "://");

	return slashes != NULL ? (size_t)(slashes + 3 - url) + strcspn(slashes + 3, "/?#") : 0;
}

static bool is_dead(const struct inspection *x, const char *url)
{
	for (size_t i = 0; i < x->n_dead; i++)
		if (strlen(x->dead[i]) == host_size(url) && strncmp(x->dead[i], url, host_size(url)) == 0)
			return true;
	return false;
}

static int get_part(struct inspection *x, const char *url, uint64_t first, size_t n, struct blob **ret, struct fault *f)
{
	struct fetch_request req = {.url = url, .has_range = true, .first = first, .last = first + n - 1, .max_bytes = n,
		.total_timeout = 10 * DUR_S};
	int r;

	if (is_dead(x, url))
		return fault_set(f, ERR_NETWORK, _("%.*s does not answer"), (int)host_size(url), url);
	r = fetch_get(x->fetch, &req, ret, NULL, NULL, f);
	if ((r == ERR_NETWORK || r == ERR_TIMEOUT) && x->n_dead < MAX_DEAD)
		x->dead[x->n_dead++] = mem_dup_n(url, host_size(url));
	return r;
}

static int read_index_from(struct inspection *x, struct timeline_rendition *r, const char *url, struct fault *f)
{
	struct mpd_range want = r->index_range;
	struct timeline_index *index = timeline_index_new();
	int code = 0;

	if (!r->has_index_range || want.last < want.first || want.last - want.first >= MAX_INDEX)
		code = fault_set(f, ERR_UNSUPPORTED, _("no usable indexRange"));
	do {
		struct blob *bytes = NULL;

		if (code == 0)
			code = get_part(x, url, want.first, (size_t)(want.last - want.first + 1), &bytes, f);
		if (code == 0 && (code = timeline_index_read(index, bytes->bytes, bytes->size, want.first, f)) < 0)
			fault_prefix(f, "%s", url);
		blob_unref(&bytes);
	} while (code == 0 && timeline_index_wants(index, &want));
	if (code == 0)
		code = timeline_set_index(r, index, f);
	timeline_index_free(&index);
	return code;
}

static int read_index(struct inspection *x, struct timeline_rendition *r, struct fault *f)
{
	int code = fault_set(f, ERR_NOT_FOUND, _("no base URL"));

	for (size_t i = 0; i < r->n_bases && code < 0; i++) {
		char *url = timeline_resolve(r, i, r->index_url != NULL ? r->index_url : "");

		code = url != NULL ? read_index_from(x, r, url, f) : fault_set(f, ERR_SYNTAX, _("its address cannot be used"));
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

static json_t *address(const struct timeline_rendition *r, const char *reference)
{
	char *url = reference != NULL ? timeline_resolve(r, 0, reference) : NULL;
	json_t *o = url != NULL ? json_string(url) : json_null();

	free(url);
	return o;
}

static void set_range(json_t *o, const char *key, bool has, struct mpd_range range)
{
	if (has)
		json_object_set_new(o, key, json_pack("[I, I]", (json_int_t)range.first, (json_int_t)range.last));
}

static void set_seconds(json_t *o, const char *key, bool has, dur_us d)
{
	json_object_set_new(o, key, has ? json_real((double)d / 1e6) : json_null());
}

static json_t *segment_json(const struct timeline_rendition *r, const struct timeline_segment *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "start", json_integer(s->start));
	json_object_set_new(o, "duration", json_integer((json_int_t)s->duration));
	json_object_set_new(o, "start_s", json_real(seconds(r, s->start)));
	json_object_set_new(o, "duration_s", json_real(seconds(r, (int64_t)s->duration)));
	json_object_set_new(o, "number", s->number <= INT64_MAX ? json_integer((json_int_t)s->number) : json_real((double)s->number));
	json_object_set_new(o, "time", json_integer((json_int_t)s->time));
	if (s->sub_number > 1)
		json_object_set_new(o, "sub_number", json_integer((json_int_t)s->sub_number));
	set_text(o, "url", s->url);
	json_object_set_new(o, "address", address(r, s->url));
	set_range(o, "range", s->has_range, s->range);
	return o;
}

static json_t *initialization_json(const struct timeline_rendition *r)
{
	json_t *o;

	if (r->init_url == NULL && !r->init_has_range)
		return json_null();
	o = json_object();
	json_object_set_new(o, "address", address(r, r->init_url != NULL ? r->init_url : ""));
	set_range(o, "range", r->init_has_range, r->init_range);
	return o;
}

static json_t *bases_json(const struct timeline_rendition *r)
{
	json_t *bases = json_array();

	for (size_t i = 0; i < r->n_bases; i++)
		json_array_append_new(bases, json_pack("{ss* ss*}", "url", r->bases[i].url, "service_location", r->bases[i].service_location));
	return bases;
}

static json_t *rendition_json(struct inspection *x, struct timeline_rendition *r)
{
	json_t *o = json_object(), *segments = json_array();
	struct fault f = {0}, why = {0};

	set_text(o, "error", r->fault);
	if (r->needs_index && r->n_segments == 0 && read_index(x, r, &f) < 0)
		set_text(o, "error", fault_text(&f));
	set_text(o, "id", r->representation->id);
	set_text(o, "mime_type", r->mime_type);
	set_text(o, "codecs", r->codecs);
	json_object_set_new(o, "decodable", json_boolean(fit_can_decode(r->codecs)));
	if (!fit_rendition(r, &why))
		set_text(o, "unfit", fault_text(&why));
	set_number(o, "bandwidth", r->bandwidth);
	set_number(o, "width", r->width);
	set_number(o, "height", r->height);
	if (r->frame_rate.den != 0)
		json_object_set_new(o, "frame_rate", json_real((double)r->frame_rate.num / r->frame_rate.den));
	set_number(o, "audio_sampling_rate", r->audio_sampling_rate);
	set_number(o, "channels", r->channels);
	set_number(o, "timescale", r->timescale);
	json_object_set_new(o, "presentation_time_offset", json_integer((json_int_t)r->pto));
	json_object_set_new(o, "bases", bases_json(r));
	json_object_set_new(o, "initialization", initialization_json(r));
	set_range(o, "index_range", r->has_index_range, r->index_range);
	for (size_t i = 0; i < r->n_segments; i++)
		json_array_append_new(segments, segment_json(r, &r->segments[i]));
	json_object_set_new(o, "segments", segments);
	set_number(o, "segments_behind_the_period", r->n_behind);
	return o;
}

static json_t *descriptors_json(const struct mpd_descriptors *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n; i++)
		json_array_append_new(list, json_pack("{ss* ss*}", "scheme", d->v[i].scheme, "value", d->v[i].value));
	return list;
}

static json_t *track_json(struct inspection *x, struct timeline_track *t)
{
	json_t *o = json_object(), *list = json_array();

	json_object_set_new(o, "kind", json_string(kinds[t->kind]));
	set_text(o, "id", t->set->id);
	set_text(o, "lang", t->set->lang);
	set_text(o, "label", t->set->label);
	if (t->set->roles.n > 0)
		json_object_set_new(o, "roles", descriptors_json(&t->set->roles));
	if (t->set->common.content_protection.n > 0)
		json_object_set_new(o, "encrypted", json_true());
	for (size_t i = 0; i < t->n_renditions; i++)
		json_array_append_new(list, rendition_json(x, &t->renditions[i]));
	json_object_set_new(o, "renditions", list);
	return o;
}

static json_t *period_json(struct inspection *x, struct timeline_period *p)
{
	json_t *o = json_object(), *tracks = json_array();

	set_text(o, "id", p->id);
	set_seconds(o, "start_s", true, p->start);
	set_seconds(o, "duration_s", p->duration >= 0, p->duration);
	for (size_t k = 0; k < p->n_tracks; k++)
		json_array_append_new(tracks, track_json(x, &p->tracks[k]));
	json_object_set_new(o, "tracks", tracks);
	return o;
}

static void set_date(json_t *o, const char *key, bool has, wall_us t)
{
	char date[CLOCK_RFC3339_SIZE];

	if (!has)
		return;
	clock_to_rfc3339(t, date);
	set_text(o, key, date);
}

/* What only a dynamic MPD says. */
static json_t *live_json(const struct mpd *m)
{
	json_t *o = json_object(), *patches = json_array();

	set_date(o, "availability_start", m->has_availability_start, m->availability_start);
	set_date(o, "availability_end", m->has_availability_end, m->availability_end);
	set_date(o, "publish_time", m->has_publish_time, m->publish_time);
	set_seconds(o, "minimum_update_s", m->has_minimum_update, m->minimum_update);
	set_seconds(o, "time_shift_s", m->has_time_shift, m->time_shift);
	set_seconds(o, "suggested_delay_s", m->has_suggested_delay, m->suggested_delay);
	set_number(o, "target_latency_ms", m->service.latency_target);
	json_object_set_new(o, "utc_timings", descriptors_json(&m->utc_timings));
	for (size_t i = 0; i < m->patch_locations.n; i++)
		json_array_append_new(patches, json_string(m->patch_locations.v[i].url));
	json_object_set_new(o, "patches", patches);
	return o;
}

static json_t *whole(struct inspection *x)
{
	const struct timeline *t = x->source->timeline;
	json_t *o = json_object(), *periods = json_array();
	struct fault why = {0};

	set_text(o, "url", x->source->url);
	if (!fit_mpd(x->source->mpd, &why))
		set_text(o, "unfit", fault_text(&why));
	json_object_set_new(o, "dynamic", json_boolean(t->dynamic));
	set_seconds(o, "duration_s", t->duration >= 0, t->duration);
	if (t->dynamic)
		json_object_set_new(o, "live", live_json(x->source->mpd));
	for (size_t i = 0; i < t->n_periods; i++)
		json_array_append_new(periods, period_json(x, &t->periods[i]));
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
	char size[32] = "", behind[64] = "";

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
	if (json_object_get(r, "segments_behind_the_period") != NULL)
		snprintf(behind, sizeof behind, _("%lld more are listed behind the period's end"),
		         (long long)json_integer_value(json_object_get(r, "segments_behind_the_period")));
	fprintf(out, "    %-24s %9.3f %-11s %-28s %6zu %10.3f %10.3f  %s\n", text(r, "id"),
	        (double)json_integer_value(json_object_get(r, "bandwidth")) / 1e6, size, text(r, "codecs"), n, begin, end,
	        json_object_get(r, "error") != NULL   ? text(r, "error")
	        : json_object_get(r, "unfit") != NULL ? text(r, "unfit")
	                                              : behind);
}

/* "12.345 s", or what it means that there is none */
static const char *span(const json_t *o, const char *key, const char *none, char *out, size_t n)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_real(v))
		snprintf(out, n, "%.3f s", json_real_value(v));
	return json_is_real(v) ? out : none;
}

static void print_live(const json_t *o, FILE *out)
{
	char a[32], b[32], c[32];
	size_t i;
	const json_t *d;

	fprintf(out, _("since %s, updated every %s, %s back, delay %s\n"), text(o, "availability_start"),
	        span(o, "minimum_update_s", _("(never)"), a, sizeof a), span(o, "time_shift_s", _("all"), b, sizeof b),
	        span(o, "suggested_delay_s", _("(not said)"), c, sizeof c));
	json_array_foreach(json_object_get(o, "utc_timings"), i, d)
		fprintf(out, _("time from %s %s\n"), text(d, "scheme"), text(d, "value"));
}

static void print_track(const json_t *track, FILE *out)
{
	size_t n;
	const json_t *r;

	fprintf(out, "  %s %s%s%s%s\n    %-24s %9s %-11s %-28s %6s %10s %10s\n", text(track, "kind"), text(track, "lang"),
	        json_object_get(track, "label") != NULL ? " " : "", json_object_get(track, "label") != NULL ? text(track, "label") : "",
	        json_is_true(json_object_get(track, "encrypted")) ? _(" (encrypted)") : "", _("rendition"), "Mbit/s", _("size"), _("codecs"),
	        _("parts"), _("from s"), _("to s"));
	json_array_foreach(json_object_get(track, "renditions"), n, r)
		print_rendition(r, out);
}

static void print_table(const json_t *o, FILE *out)
{
	size_t i, k;
	const json_t *period, *track;
	char a[32], b[32];

	fprintf(out, "%s\n%s, %s\n", text(o, "url"), json_is_true(json_object_get(o, "dynamic")) ? _("dynamic") : _("static"),
	        span(o, "duration_s", _("without a stated end"), a, sizeof a));
	if (json_object_get(o, "unfit") != NULL)
		fprintf(out, _("not playable here: %s\n"), text(o, "unfit"));
	if (json_object_get(o, "live") != NULL)
		print_live(json_object_get(o, "live"), out);
	json_array_foreach(json_object_get(o, "periods"), i, period) {
		fprintf(out, _("period %s: from %s, %s long\n"), text(period, "id"), span(period, "start_s", "?", a, sizeof a),
		        span(period, "duration_s", _("unknown"), b, sizeof b));
		json_array_foreach(json_object_get(period, "tracks"), k, track)
			print_track(track, out);
	}
}

/* All its texts, for people. */
static void make_plain(json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;

	json_object_foreach(v, key, item)
		make_plain(item);
	json_array_foreach(v, i, item)
		make_plain(item);
	if (json_is_string(v)) {
		char *text = mem_dup(json_string_value(v));

		str_plain(text);
		json_string_set(v, text);
		free(text);
	}
}

int inspect(struct fetch *fetch, struct source *source, bool json, FILE *out, struct fault *f)
{
	struct inspection x = {.fetch = fetch, .source = source};
	json_t *o = whole(&x);

	if (json) {
		json_dumpf(o, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
		fputc('\n', out);
	} else {
		make_plain(o);
		print_table(o, out);
	}
	json_decref(o);
	for (size_t i = 0; i < x.n_dead; i++)
		free(x.dead[i]);
	return fflush(out) == 0 && !ferror(out) ? 0 : fault_set(f, -EIO, _("standard output: %s"), words_error(-EIO));
}
