/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lists that grow to a stated maximum, and one JSON object made of them.
 */
#include "player/report.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/words.h"
#include "player/hub.h"

#define MAX_TEXT ((size_t)256 << 20)

void report_init(struct report *r, const char *url, mono_us now)
{
	*r = (struct report){.url = mem_dup(url), .startup = -1, .started = now, .speed = 1};
}

void report_fini(struct report *r)
{
	for (size_t i = 0; i < r->n_errors; i++)
		free(r->errors[i]);
	free(r->errors);
	free(r->segments);
	free(r->stalls);
	free(r->failovers);
	free(r->url);
	free(r->output);
	free(r->algorithm);
	*r = (struct report){0};
}

void report_add_segment(struct report *r, const struct report_segment *s)
{
	if (r->n_segments >= REPORT_MAX)
		return;
	MEM_GROW(r->segments, r->cap_segments, r->n_segments);
	r->segments[r->n_segments++] = *s;
}

void report_add_stall(struct report *r, dur_us at, dur_us duration)
{
	if (r->n_stalls >= REPORT_MAX)
		return;
	MEM_GROW(r->stalls, r->cap_stalls, r->n_stalls);
	r->stalls[r->n_stalls++] = (struct report_stall){at, duration, clock_mono() - r->started - duration};
}

void report_add_failover(struct report *r, const struct report_failover *f)
{
	if (r->n_failovers >= REPORT_MAX)
		return;
	MEM_GROW(r->failovers, r->cap_failovers, r->n_failovers);
	r->failovers[r->n_failovers++] = *f;
}

void report_add_error(struct report *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (r->n_errors >= REPORT_MAX / 10)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	MEM_GROW(r->errors, r->cap_errors, r->n_errors);
	r->errors[r->n_errors++] = mem_dup(text);
}

struct report_summary report_summary(const struct report *r)
{
	struct report_summary s = {.stalls = (unsigned)r->n_stalls};
	double last = -1, gain = 0, media = 0;

	for (size_t i = 0; i < r->n_segments; i++) {
		const struct report_segment *g = &r->segments[i];
		double rate = (double)g->bandwidth / 1e6, jump = last >= 0 ? fabs(rate - last) : 0;

		if (g->lane != LANE_VIDEO || g->skipped)
			continue;
		gain += s.segments > 0 ? rate - jump : 0;
		s.bitrate_kbps += 1000 * rate;
		s.switch_kbps += 1000 * jump;
		s.switches += jump > 0;
		s.segments++;
		media += (double)g->duration / 1e6;
		last = rate;
	}
	for (size_t i = 0; i < r->n_stalls; i++)
		s.stalled += (double)r->stalls[i].duration / 1e6;
	if (s.segments > 1)
		s.qoe = (gain - (double)r->top_bandwidth / 1e6 * s.stalled) / (s.segments - 1);
	if (s.segments > 0) {
		s.bitrate_kbps /= s.segments;
		s.switch_kbps /= s.segments;
	}
	s.stall_ratio = s.stalled + media > 0 ? s.stalled / (s.stalled + media) : 0;
	return s;
}

static double ms(dur_us d)
{
	return round((double)d / 10.0) / 100.0;
}

static double secs(dur_us d)
{
	return round((double)d / 1000.0) / 1000.0;
}

static const char *track_name(int lane)
{
	return lane == LANE_VIDEO ? "video" : "audio";
}

static json_t *segments_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_segments; i++) {
		const struct report_segment *s = &r->segments[i];

		json_array_append_new(list, json_pack("{ss sI ss sI sI ss ss sf sf sI sf sf sf sf sI sb ss}",
			"track", track_name(s->lane), "index", (json_int_t)s->index, "rendition", s->rendition,
			"bandwidth", (json_int_t)s->bandwidth, "bytes", (json_int_t)s->bytes, "base", s->host,
			"service_location", s->service_location, "first_byte_ms", ms(s->first_byte),
			"total_ms", ms(s->total), "throughput_kbps", (json_int_t)(s->throughput / 1000),
			"asked_s", secs(s->asked), "buffer_s", secs(s->buffer), "start_s", secs(s->start), "duration_s", secs(s->duration),
			"retries", (json_int_t)s->retries, "skipped", s->skipped, "trace", s->trace));
	}
	return list;
}

static json_t *stalls_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_stalls; i++)
		json_array_append_new(list, json_pack("{sf sf sf}", "at_s", secs(r->stalls[i].at), "began_s",
			secs(r->stalls[i].began), "duration_ms", ms(r->stalls[i].duration)));
	return list;
}

static json_t *switches_json(const struct report *r)
{
	json_t *list = json_array();
	const struct report_segment *last[N_LANES] = {NULL};

	for (size_t i = 0; i < r->n_segments; i++) {
		const struct report_segment *s = &r->segments[i], *before = last[s->lane];

		if (s->skipped)
			continue;
		if (before != NULL && strcmp(before->rendition, s->rendition) != 0)
			json_array_append_new(list, json_pack("{ss sI sf ss ss}", "track", track_name(s->lane), "index",
				(json_int_t)s->index, "at_s", secs(s->start), "from", before->rendition, "to",
				s->rendition));
		last[s->lane] = s;
	}
	return list;
}

static json_t *failovers_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_failovers; i++) {
		const struct report_failover *f = &r->failovers[i];

		json_array_append_new(list, json_pack("{sf ss sI ss ss ss}", "at_s", secs(f->at), "track",
			track_name(f->lane), "segment", (json_int_t)f->segment, "from", f->from, "to", f->to, "reason",
			f->reason));
	}
	return list;
}

static json_t *errors_json(const struct report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_errors; i++)
		json_array_append_new(list, json_string_nocheck(r->errors[i]));
	return list;
}

static json_t *quality_json(const struct report *r, const struct report_summary *s)
{
	return json_pack("{sI sf sf sf sI sf so sI sf sI}", "segments", (json_int_t)s->segments, "qoe", s->qoe, "bitrate_kbps",
		s->bitrate_kbps, "rebuf_ratio", s->stall_ratio, "switches", (json_int_t)s->switches, "switch_kbps", s->switch_kbps,
		"startup_s", r->startup >= 0 ? json_real((double)r->startup / 1e6) : json_null(), "stalls", (json_int_t)s->stalls,
		"stall_s", s->stalled, "abandoned", (json_int_t)r->abandoned);
}

json_t *report_json(const struct report *r)
{
	json_t *o = json_object(), *frames = json_object();
	struct report_summary quality = report_summary(r);

	json_object_set_new(o, "url", json_string_nocheck(r->url));
	json_object_set_new(o, "finished", json_boolean(r->finished));
	json_object_set_new(o, "duration_s", json_real(secs(r->duration)));
	json_object_set_new(o, "played_s", json_real(secs(r->played)));
	json_object_set_new(o, "startup_ms", r->startup >= 0 ? json_real(ms(r->startup)) : json_null());
	json_object_set_new(o, "output", json_string_nocheck(r->output != NULL ? r->output : ""));
	json_object_set_new(o, "speed", r->speed > 0 ? json_real(r->speed) : json_string("max"));
	json_object_set_new(o, "abr", json_string_nocheck(r->algorithm != NULL ? r->algorithm : ""));
	json_object_set_new(frames, "decoded", json_integer((json_int_t)r->decoded));
	json_object_set_new(frames, "presented", json_integer((json_int_t)r->presented));
	json_object_set_new(frames, "dropped", json_integer((json_int_t)r->dropped));
	json_object_set_new(o, "frames", frames);
	json_object_set_new(o, "audio_frames", json_integer((json_int_t)r->audio_decoded));
	json_object_set_new(o, "decode_errors", json_integer((json_int_t)r->decode_errors));
	json_object_set_new(o, "max_av_offset_ms", json_real(ms(r->max_av_offset)));
	if (r->av_seen > 0)
		json_object_set_new(o, "av_within_20ms", json_real((double)r->av_close / (double)r->av_seen));
	json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
	json_object_set_new(o, "stall_ms", json_real(round(quality.stalled * 1e5) / 100));
	json_object_set_new(o, "qoe", json_real(quality.qoe));
	json_object_set_new(o, "quality", quality_json(r, &quality));
	json_object_set_new(o, "stalls", stalls_json(r));
	json_object_set_new(o, "switches", switches_json(r));
	json_object_set_new(o, "failovers", failovers_json(r));
	if (r->steering_asked > 0)
		json_object_set_new(o, "steering", json_pack("{s:i, s:i}", "asked", (int)r->steering_asked, "answers", (int)r->steering_answers));
	json_object_set_new(o, "errors", errors_json(r));
	json_object_set_new(o, "segments", segments_json(r));
	return o;
}

static void report_text(const struct report *r, bool page, struct buf *out)
{
	json_t *o = page ? NULL : report_json(r);
	char *text = page ? NULL : json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(10));

	if (page)
		report_page(r, out);
	else
		buf_puts(out, text != NULL ? text : "");
	free(text);
	json_decref(o);
}

int report_write(const struct report *r, const char *path, struct fault *f)
{
	size_t n = strlen(path);
	struct buf b;
	int code;

	buf_init(&b, MAX_TEXT);
	report_text(r, n > 5 && strcasecmp(path + n - 5, ".html") == 0, &b);
	code = b.size == 0 ? -ENOMEM : buf_error(&b);
	if (code == 0)
		code = file_write_atomic(path, b.bytes, b.size, 0644);
	buf_fini(&b);
	return code < 0 ? fault_set(f, code, _("%s: the report cannot be written: %s"), path, words_error(code)) : 0;
}
