/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-ingest: a master in, a title package out.
 */
#include <config.h>
#include <errno.h>
#include <jansson.h>
#include <libavutil/log.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/buf.h"
#include "base/config.h"
#include "base/ending.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "ingest/dry.h"
#include "ingest/job.h"
#include "ingest/report.h"
#include "ingest/upload.h"
#include "ingest/verify.h"
#include "ingest/watch.h"

struct options {
	const char *library, *title, *name, *preset, *ladder, *verify, *schema, *report, *watch, *metrics, *deinterlace, *to, *token_file, *ca_file;
	dur_us segment, patience;
	uint64_t max_height, max_rungs;
	const char *config; /* for --help: config_read_args takes it */
	struct config_list subtitles, codecs;
	uint64_t av1_preset;
	bool accept_truncated, quiet, json, dry_run, decode, quick, check, sample, help, version;
};

/* Below it SVT-AV1 1.4 stands still when pictures of two sizes are encoded at once. */
#define AV1_PRESET_MIN 3
#define ROW(key, type, field, def, min, max, arg, help) {key, type, offsetof(struct options, field), def, min, max, arg, help, false}
#define ONCE(key, type, field, def, min, max, arg, help) {key, type, offsetof(struct options, field), def, min, max, arg, help, true} /* no setting */
static const struct config_row rows[] = {
	ROW("library", CONFIG_PATH, library, NULL, 0, 0, "DIR", "the library to publish into; made if its parent exists"),
	ONCE("title", CONFIG_STRING, title, NULL, 0, 0, "SLUG", "the title's name in URLs (default: made of the file name)"),
	ONCE("name", CONFIG_STRING, name, NULL, 0, 0, "TEXT", "the title's name for people (default: the file name)"),
	ROW("preset", CONFIG_STRING, preset, "veryfast", 0, 0, "NAME", "libx264's preset, ultrafast to veryslow"),
	ROW("codecs", CONFIG_LIST, codecs, NULL, 0, 0, "LIST", "h264,aac are always made; av1 and opus are made beside them when named"),
	ROW("av1-preset", CONFIG_UINT, av1_preset, "8", AV1_PRESET_MIN, 13, "N", "SVT-AV1's preset, 13 is fastest"),
	ROW("segment", CONFIG_DURATION, segment, "4s", 500 * DUR_MS, 30 * DUR_S, "TIME", "segment length to come near to"),
	ROW("ladder", CONFIG_STRING, ladder, "title", 0, 0, "title|fixed|FILE",
	    "renditions made for this title by probe encodes, the well-known fixed ones, or those of a file with lines such as \"1280x720 3000k\""),
	ROW("deinterlace", CONFIG_STRING, deinterlace, "frame", 0, 0, "frame|field|off",
	    "of interlaced masters: one picture a frame, one a field (twice the rate, all of the motion), or left as it is"),
	ROW("max-height", CONFIG_UINT, max_height, "0", 0, 16384, "LINES", "no rendition higher than this; 0 is no limit"),
	ROW("max-rungs", CONFIG_UINT, max_rungs, "0", 0, PLAN_MAX_RUNGS, "N", "at most so many video renditions; 0 is no limit"),
	ROW("subtitles", CONFIG_EACH, subtitles, NULL, 0, 0, "LANG[:KIND]=FILE",
	    "subtitles beside those in the master: SRT, WebVTT or ASS; LANG as es or pt-BR, KIND forced, sdh or commentary; give it again for more"),
	ROW("accept-truncated", CONFIG_BOOL, accept_truncated, "no", 0, 0, NULL, "publish what is there of a file that was cut short"),
	ONCE("watch", CONFIG_PATH, watch, NULL, 0, 0, "DIR",
	    "ingest every master that lands there, once each; they move to DIR/done or, with the reason, to DIR/failed; no MASTER"),
	ONCE("metrics", CONFIG_PATH, metrics, NULL, 0, 0, "FILE", "with --watch: keep a file of metrics there, for the textfile collector of Prometheus' node_exporter"),
	ONCE("to", CONFIG_STRING, to, NULL, 0, 0, "URL",
	    "upload the package to the origin whose control listener is there, going on where an earlier run was cut; MASTER may be a finished package"),
	ROW("token-file", CONFIG_PATH, token_file, NULL, 0, 0, "FILE", "with --to: a file whose first line is the token (role publisher or admin)"),
	ROW("ca-file", CONFIG_PATH, ca_file, NULL, 0, 0, "FILE", "with --to: certificates to trust instead of the system's"),
	ROW("patience", CONFIG_DURATION, patience, "10min", 0, 0, "TIME", "with --to: how long an origin that cannot be reached is tried again"),
	ONCE("verify", CONFIG_PATH, verify, NULL, 0, 0, "PACKAGE", "re-read a finished package, check and decode all of it; no MASTER"),
	ONCE("report", CONFIG_PATH, report, NULL, 0, 0, "PACKAGE", "print the page of a finished package's report as this version makes it; no MASTER"),
	ROW("decode", CONFIG_BOOL, decode, "no", 0, 0, NULL, "decode everything before publishing, not each segment's first picture and one segment of 32"),
	ROW("schema", CONFIG_PATH, schema, NULL, 0, 0, "FILE", "the MPD must be valid to this XML schema as well (ISO/IEC 23009-1's is not ours to give)"),
	ONCE("quick", CONFIG_BOOL, quick, "no", 0, 0, NULL, "with --verify: decode no more than an ingest does"),
	ONCE("dry-run", CONFIG_BOOL, dry_run, "no", 0, 0, NULL, "print ladder, boundaries, bytes and a measured estimate of the time, and stop; nothing is written"),
	ONCE("quiet", CONFIG_BOOL, quiet, "no", 0, 0, NULL, "no progress and no notes"),
	ONCE("json", CONFIG_BOOL, json, "no", 0, 0, NULL, "one JSON object on standard output at the end"),
	ONCE("config", CONFIG_PATH, config, NULL, 0, 0, "FILE", "settings from this YAML file and FILE.d/*.yaml, not from where they are looked for"),
	ONCE("check", CONFIG_BOOL, check, "no", 0, 0, NULL, "-t: check the settings' file and options, and stop"),
	ONCE("sample", CONFIG_BOOL, sample, "no", 0, 0, NULL, "print a commented sample of the settings' file and stop"),
	ONCE("help", CONFIG_BOOL, help, "no", 0, 0, NULL, "print this and stop"),
	ONCE("version", CONFIG_BOOL, version, "no", 0, 0, NULL, "print the version and stop"),
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = number;
}

static void listen_to_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal};

	sigaction(SIGTERM, &a, NULL); /* service managers and --watch may both send it */
	ending_of_terminal(&a);
	a.sa_flags = (int)SA_RESETHAND; /* the second Ctrl-C kills */
	sigaction(SIGINT, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Pictures are let go of in another order than they were made in: each gets pages of its own, which go back to the system, or
 * the heap keeps half as much again as is in use. */
static void spread_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
}

static void usage(FILE *out)
{
	fputs(_("Usage: ribera-ingest MASTER --library DIR [OPTION]...\n"
	        "       ribera-ingest MASTER --to URL [--token-file FILE] [OPTION]...\n"
	        "Makes a title package of a master video file and publishes it in a library, or uploads it to an origin.\n"
	        "MASTER is a file, or - for standard input.\n\n"),
	      out);
	config_print_help(rows, N_ROWS, out);
	fputs(_("\nExit codes: 0 published (or already there), 1 failed, 2 wrong usage,\n"
	        "75 no space, no origin, or another run at it: what is finished is kept, give the same command again later.\n"),
	      out);
}

static int complain(const struct fault *f)
{
	fprintf(stderr, "ribera-ingest: %s\n", fault_text(f));
	return f->code == ERR_USAGE ? 2 : f->code == -ENOSPC || f->code == -EDQUOT || f->code == ERR_LOCKED || f->code == ERR_NETWORK || f->code == ERR_TIMEOUT ? WATCH_AGAIN : 1;
}

static char *stem_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path, *dot = strrchr(base, '.');

	return dot != NULL && dot > base ? mem_dup_n(base, (size_t)(dot - base)) : mem_dup(base);
}

static void print_result(const struct job_result *r, const struct options *o)
{
	char size[STR_BYTES_SIZE];

	str_format_bytes(r->bytes, size);
	if (o->json) {
		json_t *j = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "title", r->title, "revision", r->revision, "folder", r->folder,
		                      "existed", r->existed, "frames", (json_int_t)r->frames, "bytes", (json_int_t)r->bytes, "video",
		                      (json_int_t)r->n_video, "audio", (json_int_t)r->n_audio, "text", (json_int_t)r->n_text, "duration", r->seconds, "kept", r->kept_seconds);

		json_dumpf(j, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(j);
	} else {
		char text[48] = "";

		if (r->n_text > 0)
			snprintf(text, sizeof text, _(", %zu of subtitles"), r->n_text);
		printf(_("%s %s: %zu video and %zu audio renditions%s, %.2f s, %s\n"), r->existed ? _("already there:") : _("published"), r->folder, r->n_video,
		       r->n_audio, text, r->seconds, size);
		if (!o->quiet)
			verify_say_found(&r->facts, stdout);
	}
}

static int verify(const struct options *o)
{
	struct verify_settings s = {.level = o->quick ? VERIFY_SAMPLED : VERIFY_FULL, .schema = o->schema, .progress = !o->quick && !o->quiet && isatty(STDERR_FILENO)};
	mono_us begin = clock_mono();
	struct verify_facts k;
	struct fault f = {0};

	if (verify_package(o->verify, &s, &k, &f) != 0)
		return complain(&f);
	verify_say(o->verify, &k, (double)(clock_mono() - begin) / 1e6, o->json, stdout);
	return 0;
}

static int report(const struct options *o)
{
	struct fault f = {0};
	struct buf page;
	int r;

	buf_init(&page, (size_t)256 << 20);
	r = report_page_of(o->report, &page, &f);
	if (r == 0 && (fwrite(page.bytes, 1, page.size, stdout) != page.size || fflush(stdout) != 0))
		r = fault_set(&f, -errno, _("standard output: %s"), words_error(-errno));
	buf_fini(&page);
	return r != 0 ? complain(&f) : 0;
}

static int upload(const char *package, const struct options *o)
{
	struct upload_settings s = {
		.to = o->to, .token_file = o->token_file, .ca_file = o->ca_file, .patience = o->patience, .quiet = o->quiet, .stop = &stop};
	struct upload_result r;
	struct fault f = {0};
	char size[STR_BYTES_SIZE];

	listen_to_signals();
	if (upload_package(package, &s, &r, &f) != 0)
		return complain(&f);
	str_format_bytes(r.sent, size);
	if (o->json)
		printf("{\"title\": \"%s\", \"revision\": \"%s\", \"bytes\": %llu, \"sent\": %llu, \"existed\": %s}\n", r.title, r.revision,
		       (unsigned long long)r.bytes, (unsigned long long)r.sent, r.existed ? "true" : "false");
	else
		printf(_("%s %s: %s/%s, %s sent\n"), r.existed ? _("already at") : _("published at"), o->to, r.title, r.revision, size);
	free(r.title);
	return 0;
}

/* A package that was made to be uploaded stands in a library of its own until it is. */
static char *own_library(struct fault *f)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *path = cache != NULL && *cache == '/' ? mem_printf("%s/ribera/ingest", cache)
	             : home != NULL && *home == '/' ? mem_printf("%s/.cache/ribera/ingest", home)
	                                            : mem_printf("/var/tmp/ribera-ingest-%u", (unsigned)getuid());
	int e = folder_make(path, 0700);

	if (e == 0)
		return path;
	fault_set(f, e, _("\"%s\" cannot be made: %s; name a folder with --library"), path, words_error(e));
	free(path);
	return NULL;
}

static int ingest_and_upload(struct job_settings *s, const struct options *o)
{
	struct job_result result;
	struct fault f = {0};
	char *own = o->library == NULL ? own_library(&f) : NULL;
	int code;

	if (o->library == NULL && own == NULL)
		return complain(&f);
	s->library = own != NULL ? own : o->library;
	listen_to_signals();
	if (job_run(s, &result, &f) != 0) {
		free(own);
		return complain(&f);
	}
	code = upload(result.folder, o);
	if (code == 0 && own != NULL)
		folder_remove(result.folder);
	job_result_fini(&result);
	free(own);
	return code;
}

static int plan(const struct job_settings *s, bool json)
{
	struct fault f = {0};

	listen_to_signals();
	return dry_run(s, json, stdout, &f) != 0 ? complain(&f) : 0;
}

static int ingest(const struct job_settings *s, const struct options *o)
{
	struct job_result result;
	struct fault f = {0};

	listen_to_signals();
	if (job_run(s, &result, &f) != 0)
		return complain(&f);
	print_result(&result, o);
	job_result_fini(&result);
	return 0;
}

/* One of the list that is no codec of ours, NULL when all are. */
static const char *take_codecs(const struct config_list *list, struct job_settings *s)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->items[i], "av1") == 0)
			s->av1 = true;
		else if (strcmp(list->items[i], "opus") == 0)
			s->opus = true;
		else if (strcmp(list->items[i], "h264") != 0 && strcmp(list->items[i], "aac") != 0)
			return list->items[i];
	}
	return NULL;
}

static int check_words(const struct options *o, struct job_settings *s)
{
	const char *unknown = take_codecs(&o->codecs, s);

	if (unknown != NULL)
		fprintf(stderr, _("ribera-ingest: --codecs: \"%s\" is none of h264, aac, av1, opus\n"), unknown);
	else if (strcmp(o->deinterlace, "frame") != 0 && strcmp(o->deinterlace, "field") != 0 && strcmp(o->deinterlace, "off") != 0)
		fprintf(stderr, _("ribera-ingest: --deinterlace: \"%s\" is none of frame, field, off\n"), o->deinterlace);
	else
		return 0;
	return 2;
}

static int check_settings(const struct options *o)
{
	struct job_settings s = {0};
	int code = check_words(o, &s);

	if (code == 0)
		puts(_("the settings are good"));
	return code;
}

static int run(const struct options *o, const char *master)
{
	char av1_preset[8];
	char *stem = stem_of(strcmp(master, "-") == 0 ? "stdin" : master);
	char *title = o->title != NULL ? mem_dup(o->title) : str_slug(o->name != NULL ? o->name : stem);
	struct job_settings s = {
		.master = master,
		.library = o->library,
		.title = title,
		.name = o->name != NULL ? o->name : stem,
		.preset = o->preset,
		.av1_preset = av1_preset,
		.ladder = o->ladder,
		.segment_seconds = (double)o->segment / 1e6,
		.max_height = (int)o->max_height,
		.max_rungs = o->max_rungs,
		.deinterlace = o->deinterlace,
		.subtitles = o->subtitles.items,
		.n_subtitles = o->subtitles.n,
		.accept_truncated = o->accept_truncated,
		.proof = o->decode ? VERIFY_FULL : VERIFY_SAMPLED,
		.schema = o->schema,
		.quiet = o->quiet,
		.stop = &stop,
	};
	int code = check_words(o, &s);

	snprintf(av1_preset, sizeof av1_preset, "%u", (unsigned)o->av1_preset);
	if (code == 0 && (!str_is_name(title, strlen(title)) || strlen(title) > 64)) {
		fprintf(stderr, _("ribera-ingest: --title: \"%s\" cannot stand in a URL; use up to 64 of a-z A-Z 0-9 . _ -\n"), title);
		code = 2;
	} else if (code == 0) {
		code = o->dry_run ? plan(&s, o->json) : o->to != NULL ? ingest_and_upload(&s, o) : ingest(&s, o);
	}
	free(title);
	free(stem);
	return code;
}

static int check(const struct options *o, int argc)
{
	if (argc != 2) {
		fprintf(stderr, _("ribera-ingest: %s; see --help\n"), argc < 2 ? _("no MASTER was given") : _("one MASTER at a time"));
		return 2;
	}
	if (o->metrics != NULL) {
		fputs(_("ribera-ingest: --metrics goes with --watch; see --help\n"), stderr);
		return 2;
	}
	if (o->library == NULL && o->to == NULL && !o->dry_run) {
		fputs(_("ribera-ingest: --library DIR or --to URL is needed; see --help\n"), stderr);
		return 2;
	}
	return 0;
}

/* The command line as it was, without --watch DIR and --metrics FILE. */
static char **without_watch(char **argv)
{
	size_t n = 0, kept = 0;
	char **rest;

	while (argv[n] != NULL)
		n++;
	rest = mem_new_array(n + 1, sizeof *rest);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(argv[i], "--watch") == 0 || strcmp(argv[i], "--metrics") == 0)
			i++;
		else if (!str_starts(argv[i], "--watch=") && !str_starts(argv[i], "--metrics="))
			rest[kept++] = argv[i];
	}
	return rest;
}

static int watch(const struct options *o, int argc, char **command)
{
	struct watch_settings s = {.folder = o->watch, .metrics = o->metrics, .command = command, .stop = &stop};
	struct fault f = {0};

	if (argc > 1 || o->library == NULL || o->title != NULL || o->name != NULL || o->subtitles.n > 0) {
		fputs(_("ribera-ingest: --watch takes --library DIR, and neither a MASTER nor --title, --name or --subtitles; see --help\n"), stderr);
		return 2;
	}
	listen_to_signals();
	return watch_run(&s, &f) != 0 ? complain(&f) : 0;
}

int main(int argc, char **argv)
{
	char **command = without_watch(argv);
	struct options o = {0};
	struct config *config = config_new(rows, N_ROWS, &o);
	struct fault f = {0};
	int code;

	json_set_alloc_funcs(mem_new, free); /* no JSON lacks a word because memory was short */
	words_start("ribera-ingest");
	spread_memory();
	av_log_set_level(AV_LOG_FATAL); /* what matters is counted and said by us */
	config_look_for(config, "ingest");
	if (config_read_args(config, &argc, argv, &f) != 0) {
		code = complain(&f);
	} else if (o.help) {
		usage(stdout);
		code = 0;
	} else if (o.version) {
		printf("ribera-ingest %s (%s)\n", PACKAGE_VERSION, RIBERA_FEATURES);
		code = 0;
	} else if (o.sample) {
		config_print_sample(rows, N_ROWS, stdout);
		code = 0;
	} else if (o.check) {
		code = check_settings(&o);
	} else if (o.verify != NULL && argc == 1) {
		if (o.json)
			words_plain();
		code = verify(&o);
	} else if (o.report != NULL && argc == 1) {
		code = report(&o);
	} else if (o.watch != NULL) {
		code = watch(&o, argc, command);
	} else {
		code = check(&o, argc);
		if (code == 0 && o.to != NULL && file_is_folder(argv[1]))
			code = upload(argv[1], &o);
		else if (code == 0)
			code = run(&o, argv[1]);
	}
	config_free(&config);
	free(command);
	return code;
}
