/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mpd-dump [--url URL] [--now SECONDS] [--write] FILE: prints the timeline of an
 * MPD as JSON, or the MPD as our writer writes it.  Exit code 1 and one line on
 * standard error when it cannot be read.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "dash/timeline.h"

static const char *const kinds[] = {"video", "audio", "text", "image", "other"};

static json_t *url_of(const struct timeline_rendition *r, const char *reference)
{
	char *url = reference != NULL ? timeline_resolve(r, 0, reference) : NULL;
	json_t *j = url != NULL ? json_string(url) : json_null();

	free(url);
	return j;
}

static json_t *range_of(bool has, struct mpd_range range)
{
	return has ? json_pack("[I,I]", (json_int_t)range.first, (json_int_t)range.last) : json_null();
}

static json_t *segment_of(const struct timeline_rendition *r, size_t i)
{
	const struct timeline_segment *s = &r->segments[i];

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "start", (json_int_t)s->start, "duration",
	                 (json_int_t)s->duration, "number", (json_int_t)s->number, "sub_number",
	                 (json_int_t)s->sub_number, "time", (json_int_t)s->time, "url", url_of(r, s->url), "range",
	                 range_of(s->has_range, s->range));
}

static json_t *rendition_of(const struct timeline_rendition *r)
{
	json_t *segments = json_array(), *bases = json_array();

	for (size_t i = 0; i < r->n_segments; i++)
		json_array_append_new(segments, segment_of(r, i));
	for (size_t i = 0; i < r->n_bases; i++)
		json_array_append_new(bases, json_pack("[s,s?]", r->bases[i].url, r->bases[i].service_location));
	return json_pack("{s:s?, s:I, s:s?, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "id",
	                 r->representation->id, "bandwidth", (json_int_t)r->bandwidth, "mime", r->mime_type, "codecs",
	                 r->codecs, "width", (json_int_t)r->width, "height", (json_int_t)r->height, "rate",
	                 (json_int_t)r->audio_sampling_rate, "channels", (json_int_t)r->channels, "timescale",
	                 (json_int_t)r->timescale, "pto", (json_int_t)r->pto, "bases", bases, "needs_index",
	                 (int)r->needs_index, "index_range", range_of(r->has_index_range, r->index_range), "index_url",
	                 url_of(r, r->index_url), "init_url", url_of(r, r->init_url), "init_range",
	                 range_of(r->init_has_range, r->init_range), "segments", segments);
}

static json_t *track_of(const struct timeline_track *t)
{
	json_t *renditions = json_array();

	for (size_t i = 0; i < t->n_renditions; i++)
		json_array_append_new(renditions, rendition_of(&t->renditions[i]));
	return json_pack("{s:s, s:s?, s:s?, s:s?, s:o}", "kind", kinds[t->kind], "lang", t->set->lang, "id", t->set->id,
	                 "xlink", t->set->xlink_href, "renditions", renditions);
}

static json_t *period_of(const struct timeline_period *p)
{
	json_t *tracks = json_array();

	for (size_t i = 0; i < p->n_tracks; i++)
		json_array_append_new(tracks, track_of(&p->tracks[i]));
	return json_pack("{s:s?, s:I, s:I, s:s?, s:o}", "id", p->id, "start", (json_int_t)p->start, "duration",
	                 (json_int_t)p->duration, "xlink", p->period->xlink_href, "tracks", tracks);
}

static void print_timeline(const struct timeline *t)
{
	json_t *periods = json_array(), *j;

	for (size_t i = 0; i < t->n_periods; i++)
		json_array_append_new(periods, period_of(&t->periods[i]));
	j = json_pack("{s:b, s:I, s:o}", "dynamic", (int)t->dynamic, "duration", (json_int_t)t->duration, "periods", periods);
	json_dumpf(j, stdout, JSON_INDENT(1));
	puts("");
	json_decref(j);
}

static int run(const struct buf *text, const char *name, const char *url, wall_us now, bool write, struct fault *f)
{
	struct mpd *mpd = NULL;
	struct timeline *t = NULL;
	struct buf out;
	int e = mpd_read(text->bytes, text->size, name, &mpd, f);

	if (e != 0)
		return e;
	buf_init(&out, (size_t)64 << 20);
	if (write)
		e = mpd_write(mpd, &out);
	else
		e = timeline_new(mpd, url, now, &t, f);
	if (e == 0 && write)
		fwrite(out.bytes, 1, out.size, stdout);
	else if (e == 0)
		print_timeline(t);
	buf_fini(&out);
	timeline_free(&t);
	mpd_free(&mpd);
	return e;
}

int main(int argc, char **argv)
{
	const char *url = "http://t.example/d/m.mpd";
	wall_us now = clock_wall();
	bool write = false;
	struct fault f = {0};
	struct buf text;
	int i, e;

	for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--write") == 0)
			write = true;
		else if (strcmp(argv[i], "--url") == 0 && i + 1 < argc)
			url = argv[++i];
		else if (strcmp(argv[i], "--now") == 0 && i + 1 < argc)
			now = (wall_us)strtoll(argv[++i], NULL, 10) * DUR_S;
	}
	if (i + 1 != argc) {
		fprintf(stderr, "usage: mpd-dump [--url URL] [--now SECONDS] [--write] FILE\n");
		return 2;
	}
	buf_init(&text, (size_t)32 << 20);
	e = file_read(argv[i], &text);
	if (e == 0)
		e = run(&text, argv[i], url, now, write, &f);
	else
		fault_set(&f, e, "%s: %s", argv[i], err_text(e));
	buf_fini(&text);
	if (e != 0)
		fprintf(stderr, "mpd-dump: %s\n", fault_text(&f));
	return e != 0;
}
