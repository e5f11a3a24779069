/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-origin: wires the parts, starts them in the order of their needs, and
 * ticks until a signal.  Invariant: viewers are served as long as the library
 * can be read, whatever happens to the catalogue.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <jansson.h>

#include "config.h"

#include "base/ending.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/words.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/doubt.h"
#include "origin/demand_view.h"
#include "origin/events.h"
#include "origin/failures.h"
#include "origin/library.h"
#include "origin/manifest.h"
#include "origin/masters.h"
#include "origin/metadata.h"
#include "origin/news.h"
#include "origin/origin.h"
#include "origin/page.h"
#include "origin/pdns.h"
#include "origin/planner.h"
#include "origin/popular.h"
#include "origin/probe.h"
#include "origin/ready.h"
#include "origin/registry.h"
#include "origin/search.h"
#include "origin/steer.h"
#include "origin/tokens.h"
#include "origin/upload.h"
#include "origin/viewers.h"
#include "serve/serve.h"

#define TICK_MAX DUR_S
#define CATALOGUE_RETRY (2 * DUR_S)
#define CONTROL_GRACE DUR_S
#define VIEWERS_MAX_BODY 65536 /* they have nothing to send */
#define VIEWERS_MAX_HELD ((uint64_t)32 << 20) /* of lists; the largest has 4 MB */
#define STATUS_SIZE 160

/* --- start --- */

static int open_listeners(struct origin *o, struct fault *f)
{
	const struct settings *s = &o->settings;
	struct serve_settings viewers = {
		.name = "ribera-origin",
		.threads = (unsigned)s->threads,
		.max_connections = s->max_connections,
		.max_per_client = s->max_per_client,
		.min_rate = s->min_rate,
		.max_lag = s->max_lag,
		.max_body = VIEWERS_MAX_BODY,
		.max_held = VIEWERS_MAX_HELD,
		.access_log = s->access_log,
		.tls_cert = s->tls_cert,
		.tls_key = s->tls_key,
		.tls_dev = s->dev_cert,
		.url_keys = s->url_keys,
		.url_life = s->url_life,
		.tls_dev_address = s->listen,
		.allow_origin = "*",
	};
	struct serve_settings control = {
		.name = "ribera-origin",
		.threads = 1,
		.max_connections = 20000,
		.max_body = API_MAX_BODY,
		.trusts = api_trusts,
		.trusts_ctx = o,
		.problems = true,
		.tls_cert = s->control_tls ? s->tls_cert : NULL,
		.tls_key = s->control_tls ? s->tls_key : NULL,
		.tls_dev = s->control_tls && s->dev_cert,
		.tls_dev_address = s->control,
	};
	int e = serve_new(&viewers, &o->viewers, f);

	if (e == 0)
		e = serve_new(&control, &o->control, f);
	if (e == 0)
		e = serve_listen(o->viewers, s->listen, settings_has_tls(s), &o->viewers_port, f);
	if (e == 0)
		e = serve_listen(o->control, s->control, s->control_tls, &o->control_port, f);
	return e;
}

/* Takes in what the catalogue knows; false: what it cannot tell now comes with a later tick. */
static bool load_catalogue(struct origin *o)
{
	struct fault f = {0};

	/* tokens last: from then on the control API lets in */
	if (registry_load(o->registry, clock_mono(), &f) == 0 && metadata_load(o->metadata, &f) == 0 && tokens_load(o->tokens, &f) == 0)
		return true;
	log_verbose("origin", "the catalogue cannot be read yet: %s", fault_text(&f));
	return false;
}

static int open_catalogue(struct origin *o, struct fault *f)
{
	const struct settings *s = &o->settings;
	char *path = s->database != NULL ? mem_dup(s->database) : mem_printf("%s/.ribera/catalogue.sqlite", s->library);
	int e = catalogue_new(path, &o->catalogue, f);

	free(path);
	if (e == 0)
		e = tokens_new(s->token_file, o->catalogue, &o->tokens, f);
	if (e != 0)
		return e;
	o->metadata = metadata_new(o->catalogue);
	o->popular = popular_new();
	o->search = search_new(o->metadata);
	o->failures = failures_new();
	o->doubt = doubt_new();
	o->registry = registry_new(o->catalogue, o->events, s->heartbeat);
	load_catalogue(o);
	return 0;
}

/* In the library's thread. */
static void tell_changes(void *ctx, const struct library_view *old, struct library_view *now)
{
	struct origin *o = ctx;

	search_take_library(o->search, old, now);
	news_of_library(o->events, old, now);
}

static int open_parts(struct origin *o, struct fault *f)
{
	struct library_settings library = {
		.folder = o->settings.library,
		.max_open_files = o->settings.max_open_files,
		.rescan = o->settings.rescan,
		.grace = o->settings.withdraw_grace,
		.changed = tell_changes,
		.ctx = o,
	};
	int e = page_load(o->settings.www != NULL ? o->settings.www : RIBERA_DATADIR "/www", &o->page, f);

	if (e == 0)
		e = open_listeners(o, f);
	if (e == 0)
		e = open_catalogue(o, f);
	if (e == 0)
		e = library_open(&library, &o->library, f);
	if (e != 0)
		return e;
	o->public_url = settings_public_url(&o->settings, o->viewers_port);
	e = steering_new(&(struct steering_settings){o->public_url, o->settings.networks, o->settings.geo, o->settings.steering_ttl, o->settings.slow_start, o->settings.steering_learn},
	                 registry_holders(o->registry), &o->steering, f);
	if (e != 0)
		return e;
	e = masters_new(&(struct masters_settings){.library = o->settings.library,
	                                           .program = "ribera-ingest",
	                                           .options = o->settings.masters_options,
	                                           .again = o->settings.masters_again,
	                                           .events = o->events},
	                &o->masters, f);
	if (e != 0)
		return e;
	o->uploads = uploads_new(&(struct upload_settings){.library_folder = o->settings.library,
	                                                   .library = o->library,
	                                                   .max_bytes = o->settings.upload_max,
	                                                   .life = o->settings.upload_life,
	                                                   .take_master = masters_take,
	                                                   .other_bytes = masters_bytes,
	                                                   .ctx = o->masters});
	e = demand_view_new(o->catalogue, o->popular, &o->demand);
	if (e != 0)
		return fault_set(f, e, _("demand cannot be counted: %s"), words_error(e));
	e = probe_new(o->registry, o->settings.probe, &o->probe);
	if (e != 0)
		return fault_set(f, e, _("edges cannot be asked: %s"), words_error(e));
	o->manifests = manifest_cache_new(registry_holders(o->registry), o->steering, o->public_url);
	o->planner = planner_new(o->registry, o->catalogue, o->public_url, steering_url(o->steering));
	viewers_route(o);
	api_route(o);
	pdns_route(o);
	serve_drop_inherited();
	e = serve_start(o->viewers, f);
	return e == 0 ? serve_start(o->control, f) : e;
}

static void close_parts(struct origin *o)
{
	masters_stop(o->masters); /* it ends while viewers get their grace */
	events_close(o->events);
	serve_stop(o->control, CONTROL_GRACE); /* freed when the viewers' loops have ended: their /metrics tell of both */
	serve_stop(o->viewers, o->settings.grace);
	serve_free(&o->control, 0);
	serve_free(&o->viewers, 0);
	api_backup_stop();
	planner_free(&o->planner);
	manifest_cache_free(&o->manifests);
	steering_free(&o->steering);
	uploads_free(&o->uploads);
	masters_free(&o->masters);
	library_stop(o->library); /* it tells the search */
	search_free(&o->search);  /* which keeps a view of it */
	library_close(&o->library);
	probe_free(&o->probe);
	registry_free(&o->registry);
	tokens_free(&o->tokens);
	metadata_free(&o->metadata);
	demand_view_free(&o->demand);
	popular_free(&o->popular);
	failures_free(&o->failures);
	doubt_free(&o->doubt);
	catalogue_free(&o->catalogue);
	page_free(&o->page);
	events_free(&o->events);
	free(o->public_url);
}

static int announce(const struct origin *o, struct fault *f)
{
	const struct settings *s = &o->settings;
	int e = s->ports_file != NULL ? ready_write_ports(s->ports_file, o->viewers_port, o->control_port, f) : 0;

	if (e != 0)
		return e;
	printf("listening viewers=%.*s:%u control=%.*s:%u\n", (int)(strrchr(s->listen, ':') - s->listen), s->listen,
	       o->viewers_port, (int)(strrchr(s->control, ':') - s->control), s->control, o->control_port);
	fflush(stdout);
	notify_manager("READY=1");
	words_end(); /* from here on it is the log that is spoken to */
	return 0;
}

/* --- run --- */

/* What the ticks remember. */
struct memory {
	mono_us next_retry;
	struct library_view *recorded; /* the view the catalogue knows */
	char said_catalogue[256], said_library[256], said_clock[DOUBT_SIZE];
};

static void tell_problems(struct origin *o, struct memory *m)
{
	char catalogue[256], clock[DOUBT_SIZE];
	struct library_state library;

	catalogue_problem(o->catalogue, catalogue, sizeof catalogue);
	doubt_text(o->doubt, clock);
	library_doubt_ages(o->library, clock[0] != '\0');
	library_state(o->library, &library);
	news_of_problem(o->events, "catalogue", catalogue, m->said_catalogue);
	news_of_problem(o->events, "library", library.problem, m->said_library);
	/* each time it is said with another time: once is enough */
	if ((clock[0] == '\0') != (m->said_clock[0] == '\0'))
		news_of_problem(o->events, "clock", clock, m->said_clock);
}

/* What has to be done now and then. */
static void tick(struct origin *o, mono_us now, struct memory *m)
{
	struct library_view *view;
	struct fault f = {0};

	registry_tick(o->registry, now);
	probe_tick(o->probe, now);
	if (now >= m->next_retry) {
		catalogue_tick(o->catalogue);
		if (!tokens_known(o->tokens) && load_catalogue(o)) {
			view = library_view(o->library);
			search_take_all(o->search, view);
			library_view_unref(&view);
		}
		doubt_tick(o->doubt, o->registry, o->catalogue, clock_wall());
		m->next_retry = clock_mono() + CATALOGUE_RETRY;
	}
	tell_problems(o, m);
	events_tick(o->events, now);
	view = library_view(o->library);
	if (view != m->recorded && catalogue_put_library(o->catalogue, m->recorded, view, clock_wall(), &f) == 0) {
		library_view_unref(&m->recorded);
		m->recorded = view;
	} else {
		library_view_unref(&view);
	}
}

/* Says that the tick still turns, and, when it has changed, what there is to see. */
static void tell_manager(struct origin *o, const struct memory *m, char said[static STATUS_SIZE])
{
	char status[STATUS_SIZE];
	struct library_state library;
	size_t edges, up;

	library_state(o->library, &library);
	registry_counts(o->registry, &edges, &up);
	snprintf(status, sizeof status, "%zu titles, %zu of %zu edges up%s%s%s", library.n_titles, up, edges,
	         tokens_known(o->tokens) ? "" : "; the catalogue cannot be read", library.problem[0] != '\0' ? "; the library cannot be read" : "",
	         m->said_clock[0] != '\0' ? "; the clock is in doubt" : "");
	if (notify_watchdog() > 0)
		notify_manager("WATCHDOG=1");
	if (strcmp(status, said) != 0) {
		notify_manager("STATUS=%s", status);
		memcpy(said, status, sizeof status);
	}
}

/* Files that were replaced while we run: a certificate that cannot be used leaves the old one in force. */
static void refresh(struct origin *o, bool always)
{
	struct fault f = {0};

	if (serve_refresh(o->viewers, always, &f) < 0)
		log_error("origin", "%s", fault_text(&f));
	if (serve_refresh(o->control, always, &f) < 0)
		log_error("origin", "control: %s", fault_text(&f));
}

/* --- usage --- */

static void print_help(void)
{
	fputs(_("Usage: ribera-origin --library FOLDER [OPTION]...\n"
	        "Serves a library of title packages to viewers, and tells edges what to hold.\n\n"
	        "      --config FILE\n        read settings from a YAML file\n"
	        "  -t, --check\n        check the settings and exit\n"
	        "      --sample\n        print a commented sample of the file\n"
	        "      --help, --version\n"),
	      stdout);
	config_print_help(settings_rows, settings_n_rows, stdout);
	fputs(_("\nExit codes: 0 ended by a signal (or the settings are good), 1 failed, 2 wrong usage or settings.\n"), stdout);
}

/* Takes what is no setting out of argv.  True when the program is done. */
static bool take_plain_options(int *argc, char **argv, bool *ret_check)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help();
			return true;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("ribera-origin %s (%s)\n", PACKAGE_VERSION, RIBERA_FEATURES);
			return true;
		}
		if (strcmp(argv[i], "--sample") == 0) {
			config_print_sample(settings_rows, settings_n_rows, stdout);
			return true;
		}
		if (strcmp(argv[i], "-t") == 0 || strcmp(argv[i], "--check") == 0)
			*ret_check = true;
		else
			argv[kept++] = argv[i];
	}
	*argc = kept;
	argv[kept] = NULL;
	return false;
}

static int read_settings(struct config *c, struct settings *s, int argc, char **argv, struct fault *f)
{
	enum log_level level = LOG_INFO;
	struct tokens *tokens;
	int e = config_read_args(c, &argc, argv, f);

	if (e == 0 && argc > 1)
		e = fault_set(f, ERR_USAGE, _("found \"%s\", expected only options; --help lists them"), argv[1]);
	if (e == 0 && (e = settings_check(s, f)) != 0)
		config_point(c, f);
	if (e == 0 && (e = tokens_new(s->token_file, NULL, &tokens, f)) == 0)
		tokens_free(&tokens);
	if (e == 0 && log_level_from_name(s->log_level, &level) == 0)
		log_set_level(level);
	return e;
}

/* --- while it runs --- */

static int read_again(struct config *c, struct settings *s, char **given, struct fault *f)
{
	int argc = 0, r;
	bool check;
	char **argv;

	while (given[argc] != NULL)
		argc++;
	argv = mem_new_array((size_t)argc + 1, sizeof *argv);
	memcpy(argv, given, (size_t)argc * sizeof *argv);
	take_plain_options(&argc, argv, &check);
	r = read_settings(c, s, argc, argv, f);
	free(argv);
	return r;
}

static void reload(struct origin *o, char **argv)
{
	static const char *const live[] = {"log_level", "grace", "max_connections", "max_per_client", "min_rate", "max_lag", NULL};
	static char level[16];
	struct settings fresh = {0}, *s = &o->settings;
	struct config *c = config_new(settings_rows, settings_n_rows, &fresh);
	struct serve_settings limits;
	struct fault f = {0};

	if (read_again(c, &fresh, argv, &f) != 0) { /* which has set the level of the log */
		log_error("origin", "reload: the settings stay as they are: %s", fault_text(&f));
	} else {
		config_log_changes("origin", settings_rows, settings_n_rows, s, &fresh, live);
		snprintf(level, sizeof level, "%s", fresh.log_level);
		s->log_level = level;
		s->grace = fresh.grace;
		s->max_connections = fresh.max_connections;
		s->max_per_client = fresh.max_per_client;
		s->min_rate = fresh.min_rate;
		s->max_lag = fresh.max_lag;
		limits = (struct serve_settings){
			.max_connections = s->max_connections, .max_per_client = s->max_per_client, .min_rate = s->min_rate,
			.max_lag = s->max_lag};
		serve_set_limits(o->viewers, &limits);
	}
	config_free(&c);
}

/* Would the program that replaces us start?  If not we stay. */
static bool may_restart(char **argv)
{
	struct fault f = {0};

	if (serve_try_program(argv, &f) == 0)
		return true;
	log_error("origin", "no restart: %s", fault_text(&f));
	return false;
}

/* Returns the signal that ended it. */
static int run(struct origin *o, char **argv, const sigset_t *signals)
{
	int sig = 0;
	char said[STATUS_SIZE] = "";
	dur_us step = o->settings.heartbeat / 2 < TICK_MAX ? o->settings.heartbeat / 2 : TICK_MAX;
	struct timespec wait = {.tv_sec = step / DUR_S, .tv_nsec = step % DUR_S * 1000};
	struct memory memory = {0};

	for (;;) {
		refresh(o, sig == SIGHUP);
		tick(o, clock_mono(), &memory);
		tell_manager(o, &memory, said);
		sig = sigtimedwait(signals, NULL, &wait);
		if (sig == SIGHUP || sig == SIGUSR1)
			serve_reopen_log(o->viewers);
		if (sig == SIGHUP)
			reload(o, argv);
		if (sig == SIGTERM || sig == SIGINT || (sig == SIGUSR2 && may_restart(argv)))
			break;
	}
	library_view_unref(&memory.recorded);
	return sig;
}

static void raise_descriptor_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* Parts of us hang. */
static void restart_late(void *argv)
{
	struct fault f = {0};

	serve_hand_over(argv, &f);
	log_error("origin", "%s", fault_text(&f));
}

static int serve_until_signal(const struct settings *s, char **argv, struct fault *f)
{
	struct origin o = {.settings = *s};
	struct ending *ending;
	sigset_t signals;
	int e, told = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: they inherit it */
	signal(SIGPIPE, SIG_IGN);
	ending = ending_of_start("origin");
	raise_descriptor_limit();
	o.events = events_new(s->events_kept);
	e = open_parts(&o, f);
	if (e == 0)
		e = announce(&o, f);
	ending_over(&ending);
	if (e == 0) {
		ending = ending_of_run("origin", s->grace);
		told = run(&o, argv, &signals);
		ending_over(&ending);
	}
	notify_manager("%s=1\nSTATUS=ending: replies in flight get %lld s", told == SIGUSR2 ? "RELOADING" : "STOPPING",
	               (long long)(o.settings.grace / DUR_S));
	if (told == SIGUSR2) {
		serve_keep_listeners(o.viewers);
		serve_keep_listeners(o.control);
	}
	ending = ending_of_end("origin", o.settings.grace, told == SIGUSR2 ? restart_late : NULL, argv);
	close_parts(&o);
	ending_over(&ending);
	return told == SIGUSR2 ? serve_hand_over(argv, f) : e;
}

int main(int argc, char **argv)
{
	struct settings s = {0};
	struct config *c;
	struct fault f = {0};
	bool check = false;
	char **given = mem_new_array((size_t)argc + 1, sizeof *given);
	int code = 0;

	words_start_here("ribera-origin");
	json_set_alloc_funcs(mem_new, free); /* no JSON lacks a word because memory was short */
	memcpy(given, argv, (size_t)argc * sizeof *given);
	if (take_plain_options(&argc, argv, &check)) {
		free(given);
		return 0;
	}
	c = config_new(settings_rows, settings_n_rows, &s);
	if (read_settings(c, &s, argc, argv, &f) != 0)
		code = 2;
	else if (check)
		puts(_("the settings are good"));
	else if (serve_until_signal(&s, given, &f) != 0)
		code = 1;
	if (code != 0)
		fprintf(stderr, "ribera-origin: %s\n", fault_text(&f));
	config_free(&c);
	free(given);
	return code;
}
