/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-player: plays a DASH title.
 */
#include <config.h>

#include <errno.h>
#include <jansson.h>
#include <libavutil/log.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/config.h"
#include "base/ending.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/mpd_values.h"
#include "fetch/fetch.h"
#include "fetch/local.h"
#include "player/abr.h"
#include "player/abr_serve.h"
#include "player/decode.h"
#include "player/engine.h"
#include "player/fit.h"
#include "player/frames_hash.h"
#include "player/inspect.h"
#include "player/known.h"
#include "player/live.h"
#include "player/present.h"
#include "player/report.h"
#include "player/resume.h"
#include "player/simulate.h"
#include "player/sink.h"
#include "player/source.h"
#include "player/subtitles.h"
#include "player/thumbs.h"
#include "player/wake.h"

struct options {
	const char *output, *speed, *report, *abr, *cmcd, *lang, *log_level, *now, *simulate, *sizes, *model, *frames_hash, *ipc_server, *resume, *sub, *config; /* config is for --help: config_read_args takes it */
	dur_us start, duration, buffer;
	uint64_t max_height, channels;
	bool no_state, json, inspect, abr_serve, quiet, check, sample, help, version;
};

#define ROW(key, type, field, def, min, max, arg, help) {key, type, offsetof(struct options, field), def, min, max, arg, help, false}
#define ONCE(key, type, field, def, min, max, arg, help) {key, type, offsetof(struct options, field), def, min, max, arg, help, true} /* no setting */
static const struct config_row rows[] = {
	ROW("output", CONFIG_STRING, output, "auto", 0, 0, "sdl|null|dump:FILE.mp4", "a window with sound, nothing at all, or a lossless recording of what is played (default: a window when there is a display)"),
	ROW("speed", CONFIG_STRING, speed, "1", 0, 0, "N|max", "without a window: N times real time, or without a clock"),
	ONCE("start", CONFIG_DURATION, start, "0", 0, 0, "TIME", "begin here"),
	ONCE("duration", CONFIG_DURATION, duration, "0", 0, 0, "TIME", "play so much and stop; 0 is all"),
	ROW("abr", CONFIG_STRING, abr, NULL, 0, 0, "NAME", "adaptation: ribera (default), rate, bola-e, dynamic or robustmpc"),
	ROW("max-height", CONFIG_UINT, max_height, "0", 0, 16384, "LINES", "no rendition higher than this; 0 is no limit"),
	ROW("buffer", CONFIG_DURATION, buffer, NULL, DUR_S, 10 * DUR_MIN, "TIME", "media to hold ahead of the playhead (default 30s; in a simulation as its model has it)"),
	ROW("lang", CONFIG_STRING, lang, NULL, 0, 0, "TAG", "language of the sound"),
	ROW("sub", CONFIG_STRING, sub, NULL, 0, 0, "TAG", "begin with subtitles of this language (s switches)"),
	ROW("channels", CONFIG_UINT, channels, "8", 1, 8, "N", "mix the sound for so many loudspeakers at most"),
	ROW("cmcd", CONFIG_STRING, cmcd, "headers", 0, 0, "headers|query|none", "how to tell servers about requests (CTA-5004)"),
	ONCE("frames-hash", CONFIG_PATH, frames_hash, NULL, 0, 0, "FILE", "write a line for each picture shown: its time in us and the MD5 of its pixels; - is standard output"),
	ONCE("report", CONFIG_PATH, report, NULL, 0, 0, "FILE", "write what happened: a page when it ends in .html, else JSON"),
	ROW("no-state", CONFIG_BOOL, no_state, "no", 0, 0, NULL, "neither use nor keep what this network's line can (in $XDG_STATE_HOME/ribera)"),
	ONCE("json", CONFIG_BOOL, json, "no", 0, 0, NULL, "the report (or the inspection) as JSON on standard output"),
	ONCE("inspect", CONFIG_BOOL, inspect, "no", 0, 0, NULL, "print the timeline of the MPD and stop"),
	ONCE("now", CONFIG_STRING, now, NULL, 0, 0, "DATE", "with --inspect of a dynamic MPD: what is available at this time (2026-01-31T12:00:00Z) instead of now"),
	ONCE("abr-serve", CONFIG_BOOL, abr_serve, "no", 0, 0, NULL, "answer adaptation questions on standard input and output"),
	ONCE("simulate", CONFIG_PATH, simulate, NULL, 0, 0, "TRACE", "play nothing: run the adaptation on a recorded line (CSV: seconds, kbit/s, ms of latency) and print one line of JSON; further traces may follow"),
	ONCE("sizes", CONFIG_PATH, sizes, NULL, 0, 0, "LADDER", "with --simulate: the bitrates and segment sizes, as JSON"),
	ONCE("model", CONFIG_STRING, model, "std", 0, 0, "std|tcp|pensieve", "with --simulate: 25 s of buffer and latency as recorded, the same over TCP, or 60 s and 80 ms"),
	ROW("ipc-server", CONFIG_PATH, ipc_server, NULL, 0, 0, "PATH", "a Unix socket (mode 0600) that takes commands as lines of JSON: {\"command\": [\"seek\", 10]}"),
	ROW("resume", CONFIG_STRING, resume, "auto", 0, 0, "auto|yes|no", "begin where the title was left; auto: in a window"),
	ROW("quiet", CONFIG_BOOL, quiet, "no", 0, 0, NULL, "no status line"),
	ROW("log-level", CONFIG_STRING, log_level, "warn", 0, 0, "LEVEL", "error, warn, info, verbose or debug"),
	ONCE("config", CONFIG_PATH, config, NULL, 0, 0, "FILE", "settings from this YAML file and FILE.d/*.yaml, not from where they are looked for"),
	ONCE("check", CONFIG_BOOL, check, "no", 0, 0, NULL, "-t: check the settings' file and options, and stop"),
	ONCE("sample", CONFIG_BOOL, sample, "no", 0, 0, NULL, "print a commented sample of the settings' file and stop"),
	ONCE("help", CONFIG_BOOL, help, "no", 0, 0, NULL, "print this and stop"),
	ONCE("version", CONFIG_BOOL, version, "no", 0, 0, NULL, "print the version and stop"),
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static volatile sig_atomic_t stop;
static volatile sig_atomic_t is_starting, stop_start; /* who has not begun to play waits for servers: told so, it does no longer */

static void on_signal(int number)
{
	stop = number;
	if (is_starting)
		stop_start = number;
	alarm((unsigned)(ENDING_REST / DUR_S)); /* a disk may hold threads that would be waited for */
	wake_signal();
}

static void on_late(int number)
{
	static const char text[] = "ribera-player: something does not end, a disk that does not answer perhaps: ending without it\n";

	(void)number;
	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		_exit(1);
	_exit(1);
}

static void catch_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; /* the second one kills */

	signal(SIGALRM, on_late);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	ending_of_terminal(&a); /* what was played is reported and kept all the same */
}

static void usage(FILE *out)
{
	fputs(_("Usage: ribera-player URL|FILE [OPTION]...\n"
	        "       ribera-player --inspect URL|FILE [--json]\n"
	        "       ribera-player --simulate TRACE [TRACE]... --sizes LADDER [--abr NAME]\n"
	        "Plays a DASH title: adapts to the line, goes on from another server when one dies.\n\n"),
	      out);
	config_print_help(rows, N_ROWS, out);
	fputs(_("\nKeys, in the window and in the terminal:\n"), out);
	keys_print(out);
	fputs(_("\nExit codes: 0 played to the end (or ended by q or a signal), 1 failed, 2 wrong usage.\n"), out);
}

/* --- what the options mean ------------------------------------------------------------------ */

#define BUFFER (30 * DUR_S)

struct run {
	struct options o;
	enum simulate_model model;
	char **traces;               /* further ones for --simulate */
	size_t n_traces;
	const char *url;
	double speed;                /* 0: max */
	enum cmcd_mode cmcd;
	bool window;
	wall_us now;                 /* --now; 0: the clock's */
};

static int read_speed(struct run *r, struct fault *f)
{
	if (strcmp(r->o.speed, "max") == 0) {
		r->speed = 0;
		return 0;
	}
	if (str_parse_double(r->o.speed, strlen(r->o.speed), &r->speed) < 0 || r->speed < 0.05 || r->speed > 1000)
		return fault_set(f, ERR_USAGE, _("--speed \"%s\": a number from 0.05 to 1000, or max"), r->o.speed);
	return 0;
}

static int read_cmcd(struct run *r, struct fault *f)
{
	static const char *const names[] = {[CMCD_NONE] = "none", [CMCD_HEADERS] = "headers", [CMCD_QUERY] = "query"};

	for (int i = 0; i < 3; i++)
		if (strcmp(r->o.cmcd, names[i]) == 0) {
			r->cmcd = (enum cmcd_mode)i;
			return 0;
		}
	return fault_set(f, ERR_USAGE, _("--cmcd \"%s\": headers, query or none"), r->o.cmcd);
}

static int read_resume(struct run *r, struct fault *f)
{
	if (strcmp(r->o.resume, "auto") != 0 && strcmp(r->o.resume, "yes") != 0 && strcmp(r->o.resume, "no") != 0)
		return fault_set(f, ERR_USAGE, _("--resume \"%s\": auto, yes or no"), r->o.resume);
	return 0;
}

static int read_now(struct run *r, struct fault *f)
{
	if (r->o.now != NULL && mpd_value_date(r->o.now, strlen(r->o.now), &r->now) < 0)
		return fault_set(f, ERR_USAGE, _("--now \"%s\": a date like 2026-01-31T12:00:00Z"), r->o.now);
	if (r->o.now != NULL && !r->o.inspect)
		return fault_set(f, ERR_USAGE, _("--now is for --inspect"));
	return 0;
}

static int read_output(struct run *r, struct fault *f)
{
	bool display = getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL || getenv("SDL_VIDEODRIVER") != NULL;

	r->window = strcmp(r->o.output, "sdl") == 0 || (strcmp(r->o.output, "auto") == 0 && r->speed == 1);
	if (str_starts(r->o.output, "dump:") && r->o.output[5] != '\0')
		return 0;
	if (strcmp(r->o.output, "auto") != 0 && strcmp(r->o.output, "sdl") != 0 && strcmp(r->o.output, "null") != 0)
		return fault_set(f, ERR_USAGE, _("--output \"%s\": sdl, null or dump:FILE.mp4"), r->o.output);
	if (strcmp(r->o.output, "sdl") == 0 && r->speed != 1)
		return fault_set(f, ERR_USAGE, _("--speed is for --output null and dump:"));
	if (strcmp(r->o.output, "auto") == 0 && r->window && !display)
		return fault_set(f, ERR_UNSUPPORTED, _("no display here: play with --output null, or set DISPLAY"));
	return 0;
}

static int read_simulation(struct run *r, int argc, char **argv, struct fault *f)
{
	static const char *const models[] = {[SIMULATE_STD] = "std", [SIMULATE_PENSIEVE] = "pensieve", [SIMULATE_TCP] = "tcp"};
	size_t model = 0;

	if (r->o.sizes == NULL)
		return fault_set(f, ERR_USAGE, _("--simulate wants the ladder: --sizes FILE.json"));
	while (model < sizeof models / sizeof models[0] && strcmp(r->o.model, models[model]) != 0)
		model++;
	if (model == sizeof models / sizeof models[0])
		return fault_set(f, ERR_USAGE, _("--model \"%s\": std, tcp or pensieve"), r->o.model);
	r->model = (enum simulate_model)model;
	r->traces = argv + 1;
	r->n_traces = argc > 1 ? (size_t)argc - 1 : 0;
	return 0;
}

static int read_options(struct run *r, int argc, char **argv, struct fault *f)
{
	enum log_level level;
	bool algorithm = r->o.abr == NULL;
	int code;

	if (log_level_from_name(r->o.log_level, &level) < 0)
		return fault_set(f, ERR_USAGE, _("--log-level \"%s\": error, warn, info, verbose or debug"), r->o.log_level);
	log_set_level(level);
	av_log_set_level(level >= LOG_VERBOSE ? AV_LOG_WARNING : AV_LOG_FATAL);
	for (unsigned i = 0; abr_algorithms[i] != NULL; i++)
		algorithm = algorithm || strcmp(r->o.abr, abr_algorithms[i]) == 0;
	if (!algorithm)
		return fault_set(f, ERR_USAGE, _("--abr \"%s\" is not known; --help names them"), r->o.abr);
	if (r->o.abr_serve)
		return argc == 1 ? 0 : fault_set(f, ERR_USAGE, _("--abr-serve takes no URL"));
	if (r->o.simulate != NULL)
		return read_simulation(r, argc, argv, f);
	if (argc != 2)
		return fault_set(f, ERR_USAGE, argc < 2 ? _("what to play? Give the URL of an MPD") : _("one URL at a time"));
	r->url = argv[1];
	code = read_speed(r, f);
	if (code == 0)
		code = read_cmcd(r, f);
	if (code == 0)
		code = read_now(r, f);
	if (code == 0)
		code = read_resume(r, f);
	if (code == 0 && !r->o.inspect)
		code = read_output(r, f);
	return code;
}

/* --- playing -------------------------------------------------------------------------------- */

struct session {
	char session_id[37];
	struct source_door door;
	struct run *run;
	struct fetch *fetch;
	struct source source;
	struct hub hub;
	struct report report;
	struct engine *engine;
	struct decode *decoders[N_LANES];
	struct sink *sink;
	struct live *live;
	struct ipc *ipc;
	struct subtitles *subtitles;
	struct thumbs *thumbs;
	dur_us start;
	struct frames_hash *hashes;
	char *state;                 /* file of what networks can; NULL: not used */
	char network[KNOWN_ID_SIZE];
};

/* Only a title that is a file itself has files: one from the network has no business with them. */
static bool is_local(const char *url)
{
	return local_is(url) || strstr(url, "://") == NULL;
}

static int open_fetch(const char *url, struct fetch **ret, struct fault *f)
{
	struct fetch_settings s = {.user_agent = "ribera-player/" PACKAGE_VERSION, .max_per_host = 8, .http2 = true, .files = is_local(url), .told = &stop_start};
	int r = fetch_new(&s, ret);

	return r < 0 ? fault_set(f, r, _("the network cannot be set up: %s"), words_error(r)) : 0;
}

/* Of the renditions that may be played: the window is as large from the first picture on. */
static unsigned top_height(const struct session *s)
{
	const struct timeline *t = s->source.timeline;
	unsigned top = 0;

	for (size_t i = 0; i < t->n_periods; i++)
		for (size_t k = 0; k < t->periods[i].n_tracks; k++)
			for (size_t n = 0; n < t->periods[i].tracks[k].n_renditions; n++) {
				const struct timeline_rendition *r = &t->periods[i].tracks[k].renditions[n];
				bool allowed = s->run->o.max_height == 0 || r->height <= s->run->o.max_height;

				if (t->periods[i].tracks[k].kind == TIMELINE_VIDEO && allowed && r->height > top && fit_rendition(r, NULL))
					top = r->height;
			}
	return top;
}

static int open_sink(struct session *s, struct fault *f)
{
	if (s->run->window)
		return sink_sdl_new(s->source.mpd->title != NULL ? s->source.mpd->title : s->run->url, top_height(s), &s->sink, f);
	if (str_starts(s->run->o.output, "dump:"))
		return sink_dump_new(s->run->o.output + 5, &s->sink, f);
	s->sink = sink_null_new();
	return 0;
}

static int start_threads(struct session *s, struct fault *f)
{
	const struct options *o = &s->run->o;
	struct engine_setup e = {.hub = &s->hub, .fetch = s->fetch, .source = &s->source, .live = s->live, .report = &s->report,
		.algorithm = o->abr, .lang = o->lang, .max_height = o->max_height, .buffer = o->buffer > 0 ? o->buffer : BUFFER,
		.line = s->state != NULL ? known_rate(s->state, s->network, clock_wall()) : 0,
		.start = s->start, .end = o->duration > 0 ? s->start + o->duration : INT64_MAX, .cmcd = s->run->cmcd, .session_id = s->session_id};
	int r = engine_new(&e, &s->engine, f);

	for (int i = 0; i < N_LANES && r == 0; i++) {
		if (!s->hub.lane[i])
			continue;
		s->decoders[i] = decode_new(&s->hub, i);
		if (s->decoders[i] == NULL)
			r = fault_set(f, -ENOMEM, _("no thread for a decoder"));
	}
	return r;
}

static bool wants_resume(const struct run *r)
{
	return strcmp(r->o.resume, "yes") == 0 || (strcmp(r->o.resume, "auto") == 0 && r->window);
}

/* A live title begins near its edge, or --start after the oldest that is there. */
static int find_start(struct session *s, struct fault *f)
{
	dur_us from, to;
	int r;

	s->start = s->run->o.start;
	if (!s->source.timeline->dynamic) {
		dur_us left = s->start == 0 && wants_resume(s->run) ? resume_find(s->run->url) : 0;

		if (left > 0 && (s->source.timeline->duration < 0 || left < s->source.timeline->duration - 10 * DUR_S))
			s->start = left;
		return 0;
	}
	r = live_new(&s->door, &s->hub, &s->source, &s->live, f);
	if (r < 0)
		return r;
	live_window(s->source.timeline, &from, &to);
	s->start = s->run->o.start > 0 && from + s->run->o.start < to ? from + s->run->o.start : live_start(s->live, &s->source);
	return 0;
}

static int check_source(struct session *s, struct fault *f)
{
	const struct timeline *t = s->source.timeline;

	if (t->n_periods == 0)
		return fault_set(f, ERR_MEDIA, _("%s: the MPD has no Period to play"), s->run->url);
	if (!t->dynamic && t->duration >= 0 && s->run->o.start >= t->duration)
		return fault_set(f, ERR_USAGE, _("--start: the title is only %.3f s long"), (double)t->duration / 1e6);
	return 0;
}

static int play(struct session *s, struct fault *f)
{
	const struct options *o = &s->run->o;
	struct present_setup p = {.hub = &s->hub, .sink = NULL, .report = &s->report, .speed = s->run->speed,
		.duration = s->source.timeline->duration, .quiet = o->quiet, .channels = (unsigned)o->channels, .stop = &stop};
	dur_us end = 0;
	int r = check_source(s, f);

	if (r == 0)
		r = find_start(s, f);
	if (r == 0)
		r = open_sink(s, f);
	if (r == 0 && o->frames_hash != NULL)
		r = frames_hash_new(o->frames_hash, &s->hashes, f);
	if (r == 0)
		r = start_threads(s, f);
	if (r < 0)
		return r;
	s->report.duration = s->source.timeline->duration;
	s->report.output = mem_dup(s->run->window ? "sdl" : str_starts(o->output, "dump:") ? "dump" : "null");
	s->report.algorithm = mem_dup(o->abr != NULL ? o->abr : abr_algorithms[0]);
	s->report.speed = s->run->speed;
	p.start = s->start;
	p.engine = s->engine;
	p.sink = s->sink;
	p.hashes = s->hashes;
	s->subtitles = subtitles_new(s->fetch, &s->hub, &s->source, s->live, o->sub);
	if (s->live == NULL && s->sink->wants_bar != NULL)
		s->thumbs = thumbs_new(s->fetch, &s->hub, &s->source);
	p.subtitles = s->subtitles;
	p.thumbs = s->thumbs;
	p.live = s->live;
	p.ipc_path = o->ipc_server;
	p.ipc = o->ipc_server != NULL ? &s->ipc : NULL;
	p.title = s->source.mpd->title;
	is_starting = 0;
	s->report.finished = present_run(&p, &end, f);
	if (f->code != 0)
		return f->code;
	if (wants_resume(s->run) && !s->source.timeline->dynamic)
		resume_store(s->run->url, s->report.finished ? 0 : end);
	r = engine_failure(s->engine, f);
	if (s->sink->finish != NULL) { /* what was played until a failure stays recorded */
		int e = s->sink->finish(s->sink, r == 0 ? f : NULL);

		r = r == 0 ? e : r;
	}
	if (r == 0)
		r = frames_hash_end(&s->hashes, f);
	return r;
}

/* The order matters: threads, then the network with its last callbacks, then what they pointed to. */
static void end_session(struct session *s)
{
	hub_quit(&s->hub);
	if (s->engine != NULL)
		engine_stop(s->engine);
	if (s->engine != NULL && s->state != NULL)
		known_store(s->state, s->network, engine_line(s->engine), clock_wall());
	if (s->fetch != NULL)
		fetch_stop(s->fetch); /* those below may wait for a server that says a byte now and then */
	subtitles_free(&s->subtitles);
	live_free(&s->live);
	thumbs_free(&s->thumbs);
	for (int i = 0; i < N_LANES; i++) {
		if (s->decoders[i] != NULL) {
			struct decode_stats d = decode_stats(s->decoders[i]);

			decode_free(&s->decoders[i]);
			s->report.decode_errors += d.errors;
			*(i == LANE_VIDEO ? &s->report.decoded : &s->report.audio_decoded) = d.decoded;
		}
	}
	fetch_free(&s->fetch);
	engine_free(&s->engine);
	if (s->sink != NULL)
		s->sink->free(s->sink);
	frames_hash_end(&s->hashes, NULL);
	hub_fini(&s->hub);
	source_close(&s->source);
}

/* Everything that came could not be decoded: that is no success either. */
static int judge(const struct session *s, int code, struct fault *f)
{
	if (code == 0 && s->report.finished && s->report.decoded + s->report.audio_decoded == 0)
		return fault_set(f, ERR_MEDIA, _("%s: nothing could be decoded"), s->run->url);
	return code;
}

static int write_reports(const struct session *s, struct fault *f)
{
	int r = 0;

	if (s->run->o.report != NULL)
		r = report_write(&s->report, s->run->o.report, f);
	if (s->run->o.json) {
		json_t *o = report_json(&s->report);

		json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(10));
		putchar('\n');
		json_decref(o);
		if (fflush(stdout) != 0 && r == 0)
			r = fault_set(f, -EIO, _("standard output: %s"), words_error(-EIO));
	}
	return r;
}

static void say_result(const struct session *s)
{
	const struct report *r = &s->report;
	char played[STR_BYTES_SIZE], stalls[48], failovers[48];

	str_format_duration(r->played, played);
	snprintf(stalls, sizeof stalls, ngettext("%zu stall", "%zu stalls", r->n_stalls), r->n_stalls);
	snprintf(failovers, sizeof failovers, ngettext("%zu fail-over", "%zu fail-overs", r->n_failovers), r->n_failovers);
	fprintf(stderr, _("played %s: %s, %llu frames shown, %llu dropped, A/V within %.1f ms, %s, QoE %.2f\n"), played, stalls,
	        (unsigned long long)r->presented, (unsigned long long)r->dropped, (double)r->max_av_offset / 1000, failovers,
	        report_summary(r).qoe);
}

static const struct source_door *door_of(struct session *s)
{
	uint8_t random[16] = {0};

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		memcpy(random, &(mono_us){clock_mono()}, sizeof(mono_us));
	cmcd_session_id(random, s->session_id);
	s->door = (struct source_door){.fetch = s->fetch, .cmcd = s->run->cmcd, .session_id = s->session_id, .stop = &stop};
	return &s->door;
}

static bool on_disk(const struct source *s)
{
	const struct timeline_period *p = s->timeline->n_periods > 0 ? &s->timeline->periods[0] : NULL;
	const struct timeline_track *t = p != NULL && p->n_tracks > 0 ? &p->tracks[0] : NULL;
	const struct timeline_rendition *r = t != NULL && t->n_renditions > 0 ? &t->renditions[0] : NULL;

	return r != NULL && r->n_bases > 0 && local_is(r->bases[0].url);
}

static int play_url(struct run *run, struct fault *f)
{
	static const size_t frames[N_LANES] = {[LANE_VIDEO] = 6, [LANE_AUDIO] = 64};
	struct session s = {.run = run};
	struct fault report_fault = {0};
	int r;

	is_starting = 1;
	catch_signals();
	report_init(&s.report, run->url, clock_mono());
	s.state = run->o.no_state ? NULL : known_path();
	known_network("", run->url, s.network);
	hub_init(&s.hub, 4096, frames);
	r = open_fetch(run->url, &s.fetch, f);
	if (r == 0)
		r = source_open(door_of(&s), run->url, clock_wall(), &s.source, f);
	if (r == 0 && on_disk(&s.source)) { /* no line is learnt about there */
		free(s.state);
		s.state = NULL;
	}
	if (r == 0)
		r = play(&s, f);
	if (r != 0 && stop_start != 0) { /* whatever failed of being told to end before it played */
		*f = (struct fault){0};
		r = 0;
	}
	end_session(&s);
	r = judge(&s, r, f);
	if (r < 0 && s.report.n_errors == 0)
		report_add_error(&s.report, "%s", fault_text(f));
	if (write_reports(&s, &report_fault) < 0 && r == 0) {
		*f = report_fault;
		r = f->code;
	}
	if (r == 0 && !run->o.quiet)
		say_result(&s);
	report_fini(&s.report);
	free(s.state);
	return r;
}

static int inspect_url(struct run *run, struct fault *f)
{
	struct fetch *fetch = NULL;
	struct source source = {0};
	int r = open_fetch(run->url, &fetch, f);

	if (r == 0)
		r = source_open(&(struct source_door){.fetch = fetch}, run->url, run->now != 0 ? run->now : clock_wall(), &source, f);
	if (r == 0)
		r = inspect(fetch, &source, run->o.json, stdout, f);
	source_close(&source);
	fetch_free(&fetch);
	return r;
}

static int run_simulation(struct run *run, struct fault *f)
{
	const struct simulate_setup s = {.algorithm = run->o.abr, .model = run->model, .buffer = run->o.buffer};
	const char **traces = mem_new_array(run->n_traces + 1, sizeof *traces);
	int r;

	traces[0] = run->o.simulate;
	for (size_t i = 0; i < run->n_traces; i++)
		traces[i + 1] = run->traces[i];
	r = simulate_files(traces, run->n_traces + 1, run->o.sizes, run->o.duration, &s, stdout, f);
	free(traces);
	return r;
}

static int act(struct run *run, struct fault *f)
{
	if (run->o.simulate != NULL)
		return run_simulation(run, f);
	if (run->o.abr_serve)
		return abr_serve(run->o.abr, stdin, stdout, f);
	if (run->o.inspect && run->o.json)
		words_plain();
	return run->o.inspect ? inspect_url(run, f) : play_url(run, f);
}

int main(int argc, char **argv)
{
	struct run run = {0};
	struct config *config = config_new(rows, N_ROWS, &run.o);
	struct fault f = {0};
	int r;

	words_start("ribera-player");
	json_set_alloc_funcs(mem_new, free); /* no JSON lacks a word because memory was short */
	config_look_for(config, "player");
	r = config_read_args(config, &argc, argv, &f);
	if (r == 0 && run.o.help) {
		usage(stdout);
	} else if (r == 0 && run.o.sample) {
		config_print_sample(rows, N_ROWS, stdout);
	} else if (r == 0 && run.o.check) {
		puts(_("the settings are good"));
	} else if (r == 0 && run.o.version) {
		puts("ribera-player " PACKAGE_VERSION " (" RIBERA_FEATURES ")");
	} else {
		if (r == 0)
			r = read_options(&run, argc, argv, &f);
		signal(SIGPIPE, SIG_IGN);
		if (r == 0)
			r = act(&run, &f);
	}
	if (r < 0)
		fprintf(stderr, "ribera-player: %s%s\n", fault_text(&f), f.code == ERR_USAGE ? _(" (see --help)") : "");
	config_free(&config);
	return r == 0 ? 0 : f.code == ERR_USAGE ? 2 : 1;
}
