/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Commands, the status line, and what scripts can read.
 */
#include <config.h>

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/words.h"
#include "player/ipc.h"
#include "player/live.h"
#include "player/present_in.h"
#include "player/report.h"
#include "player/subtitles.h"
#include "player/thumbs.h"

#define STATUS (500 * DUR_MS)
#define PLAIN_STATUS (60 * DUR_S)
#define MIN_SCAN 8.0        /* times as fast as the film; behind it twice as fast each time */
#define MAX_SCAN 64.0
#define SCAN_STEP (125 * DUR_MS)
#define MOST_AT_ONCE 64     /* commands between two pictures */
#define LAST DUR_S          /* a seek leaves so much to see */
#define LIVE_MARGIN (2 * DUR_S)

/* Where one may go: the title, or what of a live one is there. */
static void range(const struct present *p, dur_us *ret_from, dur_us *ret_to)
{
	struct engine_view v;

	engine_view(p->set.engine, &v);
	*ret_from = v.to > 0 ? v.from : 0;
	*ret_to = v.to > 0 ? v.to - LIVE_MARGIN : p->set.duration > 0 ? p->set.duration - LAST : INT64_MAX;
}

static void tell(const struct present *p, const char *event)
{
	if (p->set.ipc != NULL && *p->set.ipc != NULL)
		ipc_event(*p->set.ipc, event);
}

static void seek_to(struct present *p, dur_us to, bool keys)
{
	dur_us from, end;

	range(p, &from, &end);
	p->own_pace = to < end;
	to = to > end ? end : to;
	to = to < from ? from : to;
	present_clock_stop(p, to);
	p->stall_began = 0;
	p->shown = p->stepped = false;
	p->stepping = p->paused || keys; /* the picture there, also while it stands still */
	p->dragged = keys;
	p->posted = to;
	p->sought = clock_mono();
	p->first_picture = 0;
	if (!keys)
		tell(p, "seek");
	hub_seek(p->hub, to, keys);
	sound_reset(&p->sound, to);
}

/* Of seconds that somebody asked for: any number. */
static dur_us time_of(double seconds)
{
	return seconds > 1e9 ? (dur_us)1e15 : seconds < -1e9 ? -(dur_us)1e15 : (dur_us)(seconds * 1e6);
}

static void seek(struct present *p, dur_us to)
{
	p->scan = 0;
	seek_to(p, to, false);
}

/* --- by key pictures --------------------------------------------------------------------------- */

static dur_us scan_place(const struct present *p, mono_us now)
{
	return p->scan_from + (dur_us)((double)(now - p->scan_began) * p->scan);
}

/* Forward or back through the key pictures; 0: on from the one that is seen. */
static void set_scan(struct present *p, double speed, mono_us now)
{
	dur_us t = present_clock(p, now);

	if (p->set.speed <= 0)
		return;
	if (speed == 0 && p->scan != 0)
		seek(p, t);
	p->scan = speed > MAX_SCAN ? MAX_SCAN : speed < -MAX_SCAN ? -MAX_SCAN : speed;
	p->scan_from = t;
	p->scan_began = now;
}

static void scan_by(struct present *p, double way, mono_us now)
{
	double speed = p->scan * way > 0 ? 2 * p->scan : MIN_SCAN * way;

	set_scan(p, speed, now);
}

/* One picture after the other: the next is asked for when the last one is seen. */
void hands_scan(struct present *p, mono_us now)
{
	dur_us from, end, to;

	if (p->drag_waits && p->sought == 0) {
		p->drag_waits = false;
		seek_to(p, p->drag_to, true);
	}
	if (p->scan == 0 || p->sought != 0 || now < p->scan_next)
		return;
	range(p, &from, &end);
	to = scan_place(p, now);
	p->scan_next = now + SCAN_STEP;
	if (to <= from || to >= end)
		seek(p, to);
	else
		seek_to(p, to, true);
}

/* What the bar stands for; false: of no known length. */
static bool whole(const struct present *p, const struct engine_view *v, dur_us *ret_from, dur_us *ret_to)
{
	*ret_from = v->to > 0 ? v->from : 0;
	*ret_to = v->to > 0 ? v->to : p->set.duration;
	return *ret_to > *ret_from;
}

static bool place(const struct present *p, double part, dur_us *ret_at)
{
	struct engine_view v;
	dur_us from, to;

	engine_view(p->set.engine, &v);
	if (!whole(p, &v, &from, &to))
		return false;
	*ret_at = from + (dur_us)((double)(to - from) * (part < 0 ? 0 : part > 1 ? 1 : part));
	return true;
}

/* The place under the mouse, while its button is held. */
static void drag(struct present *p, double part)
{
	if (!place(p, part, &p->drag_to))
		return;
	p->scan = 0;
	p->drag_waits = true;
}

static void seek_part(struct present *p, double part)
{
	dur_us at;

	p->drag_waits = false;
	if (place(p, part, &at))
		seek(p, at);
}

static void set_speed(struct present *p, double speed, mono_us now)
{
	if (p->set.speed <= 0)
		return;
	if (p->scan != 0)
		set_scan(p, 0, now);
	speed = speed < 0.25 ? 0.25 : speed > 4 ? 4 : speed;
	if (speed > 0.97 && speed < 1.03)
		speed = 1;
	p->own_pace = speed != 1;
	present_set_speed(p, speed, now);
}

static void set_pause(struct present *p, bool pause, mono_us now)
{
	if (p->paused == pause)
		return;
	p->paused = pause;
	p->own_pace = true;
	p->stepping = false;
	hub_lock(p->hub);
	p->hub->still = pause;
	p->hub->posts++;
	hub_ring(p->hub);
	hub_unlock(p->hub);
	p->paused_at = now;
	if (!pause) {
		if (p->rested)
			seek(p, p->base_pts); /* for the sound that was given to the device and not heard */
		else if (p->stepped)
			sound_reset(&p->sound, p->base_pts);
		p->stepped = p->rested = false;
		return;
	}
	if (p->stall_began != 0)
		report_add_stall(p->report, p->base_pts, now - p->stall_began);
	p->stall_began = 0;
	present_clock_stop(p, present_clock(p, now));
}

void hands_rest(struct present *p, mono_us now)
{
	dur_us from, end;

	if (!p->paused || p->rested || !p->sound.device || p->set.live != NULL || now - p->paused_at < HANDS_REST)
		return;
	range(p, &from, &end);
	if (p->base_pts > end) /* where no seek goes to */
		return;
	sound_rest(&p->sound);
	p->rested = true;
}

static void wish(struct present *p, const struct command *c)
{
	hub_lock(p->hub);
	if (c->verb == CMD_RUNG)
		p->hub->wish.rung = c->value >= 0 && c->value < 64 ? (unsigned)c->value : 0;
	else
		p->hub->wish.audio++;
	p->hub->posts++;
	hub_ring(p->hub);
	hub_unlock(p->hub);
}

/* A word about what was just done. */
static void notice(struct present *p, const struct command *c, mono_us now)
{
	char name[32] = "", *out = p->notice;
	size_t n = sizeof p->notice;

	out[0] = '\0';
	if (p->scan != 0)
		snprintf(out, n, p->scan > 0 ? _("forward, %.0f times as fast") : _("back, %.0f times as fast"), p->scan > 0 ? p->scan : -p->scan);
	else if (c->verb == CMD_SPEED_BY || c->verb == CMD_SET_SPEED)
		snprintf(out, n, _("speed %.2f"), p->set.speed);
	else if (c->verb == CMD_RUNG && c->value > 0)
		snprintf(out, n, _("rendition %.0f only"), c->value);
	else if (c->verb == CMD_RUNG)
		snprintf(out, n, _("rendition: by the line"));
	else if (c->verb == CMD_NEXT_AUDIO)
		snprintf(out, n, _("next sound track"));
	if (c->verb == CMD_NEXT_TEXT) {
		if (p->set.subtitles != NULL)
			subtitles_name(p->set.subtitles, name, sizeof name);
		snprintf(out, n, _("subtitles: %s"), name[0] != '\0' ? name : _("none"));
	}
	p->notice_end = now + 2 * DUR_S;
	p->drawn_next = 0;
}

static void obey(struct present *p, struct command c, mono_us now)
{
	switch (c.verb) {
	case CMD_QUIT:
		p->quit = true;
		break;
	case CMD_PAUSE:
		if (p->scan != 0)
			set_scan(p, 0, now);
		else
			set_pause(p, !p->paused, now);
		break;
	case CMD_DRAG:
		drag(p, c.value);
		break;
	case CMD_SCAN_BY:
		scan_by(p, c.value, now);
		break;
	case CMD_SET_SCAN:
		set_scan(p, c.value, now);
		break;
	case CMD_SET_PAUSE:
		set_pause(p, c.value != 0, now);
		break;
	case CMD_SEEK_BY:
		p->bar_end = now + 2 * DUR_S;
		p->drawn_next = 0;
		seek(p, present_clock(p, now) + time_of(c.value));
		break;
	case CMD_SEEK_TO:
		seek(p, time_of(c.value));
		break;
	case CMD_SEEK_PART:
		seek_part(p, c.value);
		break;
	case CMD_SEEK_BY_PART:
		if (p->set.duration > 0)
			seek(p, present_clock(p, now) + time_of(c.value * ((double)p->set.duration / 1e6)));
		break;
	case CMD_SPEED_BY:
		set_speed(p, p->set.speed * c.value, now);
		break;
	case CMD_SET_SPEED:
		set_speed(p, c.value, now);
		break;
	case CMD_RUNG:
	case CMD_NEXT_AUDIO:
		wish(p, &c);
		break;
	case CMD_STATISTICS:
		p->statistics = !p->statistics;
		break;
	case CMD_STEP:
		if (p->scan != 0)
			set_scan(p, 0, now);
		set_pause(p, true, now);
		p->stepping = true;
		break;
	case CMD_NEXT_TEXT:
		if (p->set.subtitles != NULL)
			subtitles_next(p->set.subtitles);
		break;
	case CMD_FULL_SCREEN:
	case CMD_SET_FULL_SCREEN:
		if (p->set.sink->full != NULL)
			p->set.sink->full(p->set.sink, c.verb == CMD_FULL_SCREEN ? -1 : c.value != 0);
		break;
	case CMD_NOTHING:
		break;
	}
	if (c.verb != CMD_NOTHING && p->terminal)
		p->status_next = 0;
	if (c.verb != CMD_NOTHING)
		notice(p, &c, now);
}

static struct command next(struct present *p)
{
	struct command c = p->set.sink->poll(p->set.sink);

	if (c.verb == CMD_NOTHING)
		c = keys_poll();
	if (c.verb == CMD_NOTHING && p->set.ipc != NULL && *p->set.ipc != NULL)
		c = ipc_poll(*p->set.ipc);
	return c;
}

void hands_take(struct present *p)
{
	struct command c;
	unsigned n = 0;

	if (p->restarted)
		tell(p, "playback-restart");
	p->restarted = false;

	hub_lock(p->hub);
	p->hub->poked = false;
	hub_unlock(p->hub);
	while (!p->quit && n++ < MOST_AT_ONCE && (c = next(p)).verb != CMD_NOTHING)
		obey(p, c, clock_mono());
	if (n > MOST_AT_ONCE) { /* the film goes on meanwhile */
		hub_lock(p->hub);
		p->hub->poked = true;
		hub_unlock(p->hub);
	}
}

/* --- what people see --------------------------------------------------------------------------- */

static void times(const struct present *p, const struct engine_view *v, mono_us now, char *out, size_t n)
{
	char at[STR_BYTES_SIZE], whole[STR_BYTES_SIZE];
	dur_us t = p->set.speed > 0 ? present_clock(p, now) : p->base_pts;

	str_format_duration(t, at);
	str_format_duration(p->set.duration > 0 ? p->set.duration : 0, whole);
	if (v->to > 0)
		snprintf(out, n, _("live, %.1f s behind what is there"), (double)(v->to - t) / 1e6);
	else
		snprintf(out, n, "%s / %s", at, whole);
}

/* Media are here, so it is not the line. */
static bool waits_for_decoder(const struct present *p, const struct engine_view *v)
{
	return p->stall_began != 0 && v->buffer > DUR_S;
}

static const char *state(const struct present *p, const struct engine_view *v)
{
	if (p->stall_began == 0)
		return p->paused ? _("  (paused)") : "";
	return waits_for_decoder(p, v) ? _("  (waiting for the decoder)") : _("  (waiting for media)");
}

void hands_status(struct present *p, mono_us now)
{
	char at[64], speed[24] = "", statistics[96] = "", line[sizeof p->status];
	struct engine_view v;
	struct lane_view *l = &v.lanes[p->hub->lane[LANE_VIDEO] ? LANE_VIDEO : LANE_AUDIO];

	if (p->set.quiet || now < p->status_next)
		return;
	engine_view(p->set.engine, &v);
	str_plain(l->rendition);
	str_plain(l->key);
	times(p, &v, now, at, sizeof at);
	if (p->set.speed > 0 && p->set.speed != 1)
		snprintf(speed, sizeof speed, "  %.2fx", p->set.speed);
	if (p->statistics)
		snprintf(statistics, sizeof statistics, _("  shown %llu dropped %llu A/V %.1f ms"), (unsigned long long)p->report->presented,
		         (unsigned long long)p->report->dropped, (double)p->report->max_av_offset / 1000);
	snprintf(line, sizeof line, _("%s%s%s  buffer %.1f s  %s %.2f Mbit/s  line %.2f Mbit/s  from %s%s%s"), p->terminal ? "\r\033[K" : "", at,
	         speed, (double)v.buffer / 1e6, l->rendition, (double)l->bandwidth / 1e6, (double)l->throughput / 1e6, l->key,
	         statistics, state(p, &v));
	p->status_next = now + (p->terminal ? STATUS : PLAIN_STATUS);
	p->status_stands = p->terminal && strcmp(line, p->status) == 0;
	if (p->status_stands)
		return;
	snprintf(p->status, sizeof p->status, "%s", line);
	fputs(line, stderr);
	if (!p->terminal)
		fputc('\n', stderr);
	fflush(stderr);
}

/* What is wrong, and what is done about it. */
static void put_message(struct present *p, const struct engine_view *v, mono_us now)
{
	char trouble[256] = "", *out = p->facts.message;
	size_t n = sizeof p->facts.message;

	if (p->set.live != NULL)
		live_trouble(p->set.live, trouble, sizeof trouble);
	out[0] = '\0';
	if (p->stall_began != 0 && now - p->stall_began > DUR_S / 2 && v->trouble[0] != '\0')
		snprintf(out, n, _("waiting for media\n%s\nasking again, and elsewhere"), v->trouble);
	else if (p->stall_began != 0 && now - p->stall_began > DUR_S / 2)
		snprintf(out, n, "%s", waits_for_decoder(p, v) ? _("waiting for the decoder") : _("waiting for media: the line is slow"));
	else if (trouble[0] != '\0')
		snprintf(out, n, _("%s\nplaying on with what is known; asking again"), trouble);
	else if (p->notice[0] != '\0' && now < p->notice_end)
		snprintf(out, n, "%s", p->notice);
	else if (p->paused)
		snprintf(out, n, _("paused"));
}

static void put_statistics(struct present *p, const struct engine_view *v)
{
	const struct lane_view *l = &v->lanes[LANE_VIDEO], *a = &v->lanes[LANE_AUDIO];

	p->facts.statistics[0] = '\0';
	if (!p->statistics)
		return;
	snprintf(p->facts.statistics, sizeof p->facts.statistics,
	         _("picture  %s  %dx%d  %.2f Mbit/s\nsound    %s  %.0f kbit/s\nbuffer   %.1f s\nline     %.2f Mbit/s\nfrom     %s\n"
	         "shown    %llu  dropped %llu  decoder errors %llu\nA/V      within %.1f ms\nstalls   %zu  fail-overs %zu\nspeed    %.2f"),
	         l->rendition, p->width, p->height, (double)l->bandwidth / 1e6, a->rendition, (double)a->bandwidth / 1e3,
	         (double)v->buffer / 1e6, (double)l->throughput / 1e6, l->key, (unsigned long long)p->report->presented,
	         (unsigned long long)p->report->dropped, (unsigned long long)p->report->decode_errors,
	         (double)p->report->max_av_offset / 1000, p->report->n_stalls, p->report->n_failovers, p->set.speed);
}

static void put_point(struct present *p, int graph, double value, const char *label, ...) __attribute__((format(printf, 4, 5)));
static void put_point(struct present *p, int graph, double value, const char *label, ...)
{
	float *v = p->facts.graphs[graph].v;
	va_list ap;

	memmove(v, v + 1, (OVERLAY_POINTS - 1) * sizeof *v);
	v[OVERLAY_POINTS - 1] = (float)value;
	va_start(ap, label);
	vsnprintf(p->facts.graphs[graph].label, sizeof p->facts.graphs[graph].label, label, ap);
	va_end(ap);
}

static void sample(struct present *p, const struct engine_view *v, mono_us now)
{
	if (now < p->sampled_next)
		return;
	p->sampled_next = now + DUR_S / 2;
	double buffer = (double)v->buffer / 1e6, line = (double)v->lanes[LANE_VIDEO].throughput / 1e6, rate = (double)v->lanes[LANE_VIDEO].bandwidth / 1e6,
	       dropped = (double)(p->report->dropped - p->dropped_before);

	put_point(p, OVERLAY_BUFFER, buffer, _("buffer %.1f s"), buffer);
	put_point(p, OVERLAY_LINE, line, _("line %.2f Mbit/s"), line);
	put_point(p, OVERLAY_RENDITION, rate, _("picture %.2f Mbit/s"), rate);
	put_point(p, OVERLAY_DROPPED, dropped, _("dropped %llu"), (unsigned long long)p->report->dropped);
	p->dropped_before = p->report->dropped;
}

/* The time under the mouse, and the picture there. */
static void put_hover(struct present *p, const struct engine_view *v, double hover, dur_us at)
{
	struct thumb t;

	p->facts.hover = hover;
	if (v->to > 0)
		snprintf(p->facts.hover_text, sizeof p->facts.hover_text, "-%.0f s", (double)(v->to - at) / 1e6);
	else
		str_format_duration(at - at % DUR_S, p->facts.hover_text);
	p->facts.thumb = NULL;
	if (p->set.thumbs == NULL || !thumbs_at(p->set.thumbs, at, &t))
		return;
	p->facts.thumb = t.pixels;
	p->facts.thumb_width = t.width;
	p->facts.thumb_height = t.height;
	p->facts.thumb_id = t.id;
}

static void put_bar(struct present *p, const struct engine_view *v, mono_us now)
{
	dur_us from, to, t = present_clock(p, now);
	double hover = -1;
	bool wanted = p->set.sink->wants_bar != NULL && p->set.sink->wants_bar(p->set.sink, &hover);

	p->facts.bar = p->facts.hover = -1;
	if (!wanted)
		hover = -1;
	if ((!wanted && now >= p->bar_end) || !whole(p, v, &from, &to))
		return;
	if (hover >= 0)
		put_hover(p, v, hover, from + (dur_us)((double)(to - from) * hover));
	p->facts.bar = (double)(t - from) / (double)(to - from);
	p->facts.bar = p->facts.bar < 0 ? 0 : p->facts.bar > 1 ? 1 : p->facts.bar;
	p->facts.loaded = p->facts.bar + (double)v->buffer / (double)(to - from);
	p->facts.loaded = p->facts.loaded > 1 ? 1 : p->facts.loaded;
	times(p, v, now, p->facts.bar_text, sizeof p->facts.bar_text);
}

void hands_draw(struct present *p, mono_us now)
{
	struct engine_view v;

	p->draw_waits = p->set.sink->overlay != NULL && now < p->drawn_next;
	if (p->set.sink->overlay == NULL || p->draw_waits)
		return;
	p->drawn_next = now + 40 * DUR_MS;
	engine_view(p->set.engine, &v);
	p->facts.subtitles.n = 0;
	if (p->set.subtitles != NULL)
		subtitles_at(p->set.subtitles, present_clock(p, now), &p->facts.subtitles);
	sample(p, &v, now);
	put_statistics(p, &v);
	put_message(p, &v, now);
	put_bar(p, &v, now);
	p->set.sink->overlay(p->set.sink, &p->facts);
}

/* --- what scripts read ---------------------------------------------------------------------------- */

static json_t *seconds(dur_us d)
{
	return json_real((double)d / 1e6);
}

static json_t *percent(const struct present *p, dur_us t)
{
	return p->set.duration > 0 ? json_real(100.0 * (double)t / (double)p->set.duration) : json_null();
}

static json_t *track_of(const char *name, const struct lane_view *l)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "kind", name, "rendition", l->rendition, "server", l->key, "bitrate",
	                 (json_int_t)l->bandwidth, "throughput", (json_int_t)l->throughput, "height", (json_int_t)l->height);
}

static json_t *text_of(const struct present *p, dur_us t, bool shown)
{
	struct cues_shown now;
	char text[4096] = "";

	if (p->set.subtitles != NULL && shown) {
		subtitles_at(p->set.subtitles, t, &now);
		cues_join(&now, text, sizeof text);
	} else if (p->set.subtitles != NULL) {
		subtitles_name(p->set.subtitles, text, sizeof text);
	}
	return json_string(text);
}

enum osd { OSD_WIDTH, OSD_HEIGHT, OSD_SCALE };

static json_t *drawn_on(const struct present *p, enum osd what)
{
	int width, height;
	double scale;

	if (p->set.sink->size == NULL)
		return json_null();
	p->set.sink->size(p->set.sink, &width, &height, &scale);
	return what == OSD_SCALE ? json_real(scale) : json_integer(what == OSD_WIDTH ? width : height);
}

json_t *hands_property(void *ctx, const char *name)
{
	const struct present *p = ctx;
	dur_us t = p->set.speed > 0 ? present_clock(p, clock_mono()) : p->base_pts;
	struct engine_view v;

	engine_view(p->set.engine, &v);
#define PROPERTY(key, value)                                                                       \
	if (strcmp(name, key) == 0)                                                                \
		return value
	PROPERTY("time-pos", seconds(t));
	PROPERTY("playback-time", seconds(t));
	PROPERTY("duration", p->set.duration > 0 ? seconds(p->set.duration) : json_null());
	PROPERTY("percent-pos", percent(p, t));
	PROPERTY("pause", json_boolean(p->paused));
	PROPERTY("speed", json_real(p->set.speed));
	PROPERTY("scan", json_real(p->scan));
	PROPERTY("path", json_string(p->report->url));
	PROPERTY("media-title", json_string(p->set.title != NULL ? p->set.title : p->report->url));
	PROPERTY("width", json_integer(p->width));
	PROPERTY("height", json_integer(p->height));
	PROPERTY("dwidth", json_integer(p->width));
	PROPERTY("dheight", json_integer(p->height));
	PROPERTY("filename", json_string(strrchr(p->report->url, '/') != NULL ? strrchr(p->report->url, '/') + 1 : p->report->url));
	PROPERTY("time-remaining", p->set.duration > 0 ? seconds(p->set.duration - t) : json_null());
	PROPERTY("playtime-remaining", p->set.duration > 0 ? json_real((double)(p->set.duration - t) / 1e6 / (p->set.speed > 0 ? p->set.speed : 1)) : json_null());
	PROPERTY("osd-width", drawn_on(p, OSD_WIDTH));
	PROPERTY("osd-height", drawn_on(p, OSD_HEIGHT));
	PROPERTY("display-hidpi-scale", drawn_on(p, OSD_SCALE));
	PROPERTY("seeking", json_boolean(p->sought != 0));
	PROPERTY("fullscreen", json_boolean(p->set.sink->full != NULL && p->set.sink->full(p->set.sink, -2)));
	PROPERTY("eof-reached", json_false());
	PROPERTY("idle-active", json_false());
	PROPERTY("pid", json_integer((json_int_t)getpid()));
	PROPERTY("mpv-version", json_string("ribera-player " PACKAGE_VERSION));
	PROPERTY("demuxer-cache-time", seconds(t + v.buffer));
	PROPERTY("seekable", json_true());
	PROPERTY("latency", p->set.live != NULL && v.to > 0 ? seconds(live_edge(p->set.live) - t) : json_null());
	PROPERTY("live", json_boolean(v.to > 0));
	PROPERTY("core-idle", json_boolean(!p->playing));
	PROPERTY("paused-for-cache", json_boolean(p->stall_began != 0));
	PROPERTY("demuxer-cache-duration", seconds(v.buffer));
	PROPERTY("video-bitrate", json_integer((json_int_t)v.lanes[LANE_VIDEO].bandwidth));
	PROPERTY("audio-bitrate", json_integer((json_int_t)v.lanes[LANE_AUDIO].bandwidth));
	PROPERTY("frame-drop-count", json_integer((json_int_t)p->report->dropped));
	PROPERTY("frame-count", json_integer((json_int_t)p->report->presented));
	PROPERTY("avsync", seconds(p->report->max_av_offset));
	PROPERTY("avsync-share", p->report->av_seen > 0 ? json_real((double)p->report->av_close / (double)p->report->av_seen) : json_null());
	PROPERTY("draw-time", seconds(p->drawing));
	PROPERTY("last-seek", seconds(p->last_seek));
	PROPERTY("first-picture", seconds(p->first_picture));
	PROPERTY("sub", text_of(p, t, false));
	PROPERTY("sub-text", text_of(p, t, true));
	PROPERTY("rung", json_integer((json_int_t)p->hub->wish.rung));
	PROPERTY("video", track_of("video", &v.lanes[LANE_VIDEO]));
	PROPERTY("audio", track_of("audio", &v.lanes[LANE_AUDIO]));
#undef PROPERTY
	return NULL;
}
