/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is printed is what an ingest of the same command would do: the same
 * functions decide.
 */
#include "ingest/dry.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "base/words.h"
#include "ingest/av1.h"
#include "ingest/estimate.h"
#include "ingest/sounds.h"

#define OVERHEAD 1.004 /* boxes, indexes and hashes around the pictures */

struct dry {
	struct plan plan, av1;   /* av1: no rungs if not asked for */
	struct ladder ladder;
	struct sounds *sounds;
	double seconds;          /* 0: not known */
	uint64_t frames;
	struct estimate time;
	bool has_time;
};

static uint64_t bytes_of(const struct dry *d, uint64_t bitrate)
{
	return (uint64_t)((double)bitrate * d->seconds / 8 * OVERHEAD);
}

static uint64_t all_bytes(const struct dry *d)
{
	const char *name;
	uint64_t all = 0, bitrate;
	int channels;

	for (size_t i = 0; i < d->plan.n_rungs; i++)
		all += bytes_of(d, d->plan.rungs[i].bitrate);
	for (size_t i = 0; i < d->av1.n_rungs; i++)
		all += bytes_of(d, d->av1.rungs[i].bitrate);
	for (size_t i = 0; sounds_planned(d->sounds, i, &name, &channels, &bitrate); i++)
		all += bytes_of(d, bitrate);
	return all;
}

static uint64_t n_segments(const struct dry *d)
{
	return (d->frames + d->plan.segment_frames - 1) / d->plan.segment_frames;
}

/* Seconds at which segment `i` begins; of the one behind the last: where the film ends. */
static double boundary(const struct dry *d, uint64_t i)
{
	uint64_t frame = i * d->plan.segment_frames;

	return (double)(frame < d->frames ? frame : d->frames) / av_q2d(d->plan.frame_rate);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void put_rungs(const struct dry *d, const struct plan *p, json_t *all)
{
	for (size_t i = 0; i < p->n_rungs; i++) {
		const struct plan_rung *r = &p->rungs[i];
		json_t *one = json_pack("{s:s, s:i, s:i, s:I, s:I, s:I}", "name", r->name, "width", r->width, "height", r->height, "bitrate", (json_int_t)r->bitrate,
		                        "max_rate", (json_int_t)r->max_rate, "bytes", (json_int_t)bytes_of(d, r->bitrate));

		if (r->crf > 0)
			json_object_set_new(one, "crf", json_real(r->crf));
		json_array_append_new(all, one);
	}
}

static json_t *video_json(const struct dry *d)
{
	json_t *all = json_array();

	put_rungs(d, &d->plan, all);
	put_rungs(d, &d->av1, all);
	return all;
}

static json_t *audio_json(const struct dry *d)
{
	json_t *all = json_array();
	const char *name;
	uint64_t bitrate;
	int channels;

	for (size_t i = 0; sounds_planned(d->sounds, i, &name, &channels, &bitrate); i++)
		json_array_append_new(all, json_pack("{s:s, s:i, s:I, s:I}", "name", name, "channels", channels, "bitrate", (json_int_t)bitrate, "bytes",
		                                     (json_int_t)bytes_of(d, bitrate)));
	return all;
}

static void print_json(const struct dry *d, FILE *out)
{
	json_t *boundaries = json_array(), *all;

	for (uint64_t i = 0; d->frames > 0 && i <= n_segments(d); i++)
		json_array_append_new(boundaries, json_real(round(boundary(d, i) * 1e6) / 1e6));
	all = json_pack("{s:f, s:f, s:I, s:i, s:f, s:I, s:o, s:o, s:o, s:I}", "frame_rate", av_q2d(d->plan.frame_rate), "duration", d->seconds, "frames",
	                (json_int_t)d->frames, "segment_frames", (int)d->plan.segment_frames, "segment_seconds",
	                d->plan.segment_frames / av_q2d(d->plan.frame_rate), "segments", (json_int_t)n_segments(d), "boundaries", boundaries, "video",
	                video_json(d), "audio", audio_json(d), "bytes", (json_int_t)all_bytes(d));
	json_object_set_new(all, "ladder", json_string(d->ladder.has_probe ? "title" : d->ladder.note[0] != '\0' ? "fixed" : "given"));
	if (d->has_time) {
		json_object_set_new(all, "encode_seconds", json_real(round(d->time.seconds * 100) / 100));
		json_object_set_new(all, "encode_cpu_seconds", json_real(round(d->time.cpu_seconds * 100) / 100));
		json_object_set_new(all, "cores", json_integer(d->time.cores));
	}
	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}

/* --- text ------------------------------------------------------------------------------------ */

static void print_size(const struct dry *d, uint64_t bitrate, FILE *out)
{
	char size[STR_BYTES_SIZE];

	str_format_bytes(bytes_of(d, bitrate), size);
	fprintf(out, d->seconds > 0 ? "  %10s\n" : "\n", size);
}

static void print_boundaries(const struct dry *d, FILE *out)
{
	uint64_t n = n_segments(d);
	double length = d->plan.segment_frames / av_q2d(d->plan.frame_rate);

	fprintf(out, _("segments of %u frames (%.3f s)"), d->plan.segment_frames, length);
	if (n > 2)
		fprintf(out, _(", %llu of them, cut at 0, %.3f, %.3f ... s; the last is %.3f s"), (unsigned long long)n, boundary(d, 1), boundary(d, 2),
		        boundary(d, n) - boundary(d, n - 1));
	else if (n > 1)
		fprintf(out, _(", 2 of them, cut at 0 and %.3f s"), boundary(d, 1));
	fputc('\n', out);
}

static void print_rungs(const struct dry *d, const struct plan *p, FILE *out)
{
	for (size_t i = 0; i < p->n_rungs; i++) {
		const struct plan_rung *r = &p->rungs[i];

		fprintf(out, "  %-28s %5dx%-5d %8.0f kbit/s", r->name, r->width, r->height, (double)r->bitrate / 1000);
		print_size(d, r->bitrate, out);
	}
}

static void print_text(const struct dry *d, FILE *out)
{
	char size[STR_BYTES_SIZE];
	const char *name;
	uint64_t bitrate;
	int channels;

	if (d->seconds > 0)
		fprintf(out, _("%.3f s at %.3f frames/s\n"), d->seconds, av_q2d(d->plan.frame_rate));
	else
		fprintf(out, _("of unknown length, %.3f frames/s\n"), av_q2d(d->plan.frame_rate));
	print_boundaries(d, out);
	print_rungs(d, &d->plan, out);
	print_rungs(d, &d->av1, out);
	for (size_t i = 0; sounds_planned(d->sounds, i, &name, &channels, &bitrate); i++) {
		fprintf(out, "  %-28s %6d ch    %8.0f kbit/s", name, channels, (double)bitrate / 1000);
		print_size(d, bitrate, out);
	}
	str_format_bytes(all_bytes(d), size);
	if (d->seconds > 0)
		fprintf(out, _("about %s in all\n"), size);
	if (d->has_time)
		fprintf(out, ngettext("about %.0f s on %u core (%.0f CPU seconds)\n", "about %.0f s on %u cores (%.0f CPU seconds)\n", d->time.cores), fmax(1, d->time.seconds), d->time.cores, fmax(1, d->time.cpu_seconds));
}

/* --- all of it --------------------------------------------------------------------------------- */

static int be_content(void *ctx, int audio, AVFrame *frame, AVRational time_base)
{
	(void)ctx, (void)audio, (void)frame, (void)time_base;
	return ERR_CANCELLED;
}

/* A master of which no moment could be looked at may have no picture at all: the ingest would refuse it, so must this. */
static int find_picture(const struct job_settings *s, struct source *source, struct fault *f)
{
	struct source_result result;
	int r;

	if (strcmp(s->master, "-") == 0)
		return 0;
	source_pictures_only(source);
	r = source_run(source, be_content, NULL, &result, f);
	return r == ERR_CANCELLED ? 0 : r;
}

static int make(const struct job_settings *s, struct source *source, struct dry *d, struct fault *f)
{
	const struct source_info *info = source_info(source);
	struct fault why = {0};
	int r = job_plan(s, info, &d->plan, &d->ladder, f);

	if (r != 0)
		return r;
	if (!s->quiet && d->ladder.note[0] != '\0')
		fprintf(stderr, _("note: the fixed ladder is used: %s\n"), _(d->ladder.note));
	if (s->av1)
		av1_plan(&d->plan, &d->av1);
	d->seconds = info->container_seconds;
	d->frames = (uint64_t)llround(d->seconds * av_q2d(d->plan.frame_rate));
	d->sounds = sounds_new(info, &d->plan, "", s->opus);
	r = estimate_make(&(struct estimate_settings){s->master, &d->plan, s->preset, &d->av1, s->av1_preset, s->stop}, &d->time, &why);
	d->has_time = r == 0;
	if (r == ERR_CANCELLED || r == ERR_MEDIA) {
		*f = why;
		return r;
	}
	if (r != 0 && !s->quiet)
		fprintf(stderr, _("note: how long it takes cannot be told: %s\n"), _(fault_text(&why)));
	return r != 0 ? find_picture(s, source, f) : 0;
}

int dry_run(const struct job_settings *s, bool json, FILE *out, struct fault *f)
{
	struct dry d = {0};
	struct source *source = NULL;
	int r = source_open(s->master, s->stop, &source, f);

	if (r == 0)
		r = make(s, source, &d, f);
	if (r == 0)
		(json ? print_json : print_text)(&d, out);
	sounds_free(&d.sounds);
	source_close(&source);
	return r == 0 || *s->stop == 0 ? r : fault_set(f, ERR_CANCELLED, _("stopped; nothing was published"));
}
