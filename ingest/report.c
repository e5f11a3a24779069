/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report.json: what was made, for people's tools and for the page.  The same
 * package gives the same bytes: the digest covers them, so no clock stands here.
 */
#include "ingest/report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ingest/manifest.h"

static json_t *track_json(const struct track_facts *k, double buffer)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:I}", "file", k->file, "codecs", k->codecs, "bytes", (json_int_t)k->size,
	                 "bandwidth", (json_int_t)track_bandwidth(k, buffer), "average_bitrate", (json_int_t)track_average(k),
	                 "peak_bitrate", (json_int_t)track_peak(k), "samples", (json_int_t)k->samples, "duration",
	                 (double)k->duration / k->timescale, "segments", (json_int_t)k->n_segments);
}

/* Per segment; left out when not known. */
static void put_quality(json_t *t, const struct track_facts *k)
{
	json_t *ssim = json_array(), *psnr = json_array();

	for (size_t i = 0; i < k->n_segments; i++) {
		json_array_append_new(ssim, json_real(k->segments[i].ssim));
		json_array_append_new(psnr, json_real(k->segments[i].psnr));
	}
	json_object_set_new(t, "segment_ssim", ssim);
	json_object_set_new(t, "segment_psnr", psnr);
}

static json_t *report_json(const struct package *p)
{
	double buffer = manifest_buffer_seconds(p), fps = av_q2d(p->plan->frame_rate);
	json_t *video = json_array(), *audio = json_array(), *warnings = json_array(), *all;
	char rate[32];

	for (size_t i = 0; i < p->n_video; i++) {
		json_t *t = track_json(p->video[i].facts, buffer);

		json_object_set_new(t, "width", json_integer(p->video[i].rung->width));
		json_object_set_new(t, "height", json_integer(p->video[i].rung->height));
		put_quality(t, p->video[i].facts);
		json_object_set_new(t, "target_bitrate", json_integer((json_int_t)p->video[i].rung->bitrate));
		json_array_append_new(video, t);
	}
	for (size_t i = 0; i < p->n_audio; i++) {
		json_t *t = track_json(p->audio[i].facts, buffer);
		double end = (double)p->audio[i].facts->duration / p->audio[i].sample_rate - (double)p->frames / fps;

		json_object_set_new(t, "language", json_string(p->audio[i].language));
		json_object_set_new(t, "label", json_string(p->audio[i].label));
		json_object_set_new(t, "channels", json_integer(p->audio[i].channels));
		json_object_set_new(t, "sample_rate", json_integer(p->audio[i].sample_rate));
		json_object_set_new(t, "av_offset_start_ms", json_real(0));
		json_object_set_new(t, "av_offset_end_ms", json_real(1000 * end));
		json_array_append_new(audio, t);
	}
	for (size_t i = 0; i < p->n_warnings; i++)
		json_array_append_new(warnings, json_string(p->warnings[i]));
	snprintf(rate, sizeof rate, "%d/%d", p->plan->frame_rate.num, p->plan->frame_rate.den);
	all = json_pack("{s:s, s:s, s:f, s:s, s:I, s:i, s:o, s:o, s:o}", "title", p->title, "name", p->name, "duration",
	                (double)p->frames / fps, "frame_rate", rate, "frames", (json_int_t)p->frames, "segment_frames",
	                (int)p->plan->segment_frames, "video", video, "audio", audio, "warnings", warnings);
	return all;
}

int report_write_json(const struct package *p, struct buf *out, struct fault *f)
{
	json_t *all = report_json(p);
	char *dump = all != NULL ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
	int r;

	json_decref(all);
	if (dump == NULL)
		return fault_set(f, ERR_SYNTAX, "the report cannot be made: is the name \"%s\" UTF-8?", p->name);
	buf_puts(out, dump);
	r = buf_putc(out, '\n');
	free(dump);
	return r;
}
