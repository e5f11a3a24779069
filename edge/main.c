/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-edge: settings, signals, and the messages a service manager and
 * scripts wait for.
 */
#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/ending.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "base/notify.h"
#include "edge/node.h"
#include "edge/setup.h"
#include "serve/serve.h"

#define WHERE "edge"

static void print_help(void)
{
	fputs(_("Usage: ribera-edge --name NAME --origin URL --store DIR [OPTION]...\n"
	        "Takes titles from an origin in the quiet hours and serves them to viewers.\n\n"
	        "      --config=FILE\n        read settings from a YAML file\n"
	        "  -t, --check\n        check the settings and exit\n"
	        "      --sample\n        print a commented sample of the file\n"
	        "      --setup\n        ask for what is needed, measure disk and line, write the settings' file and try it\n"
	        "      --replace\n        with --setup: write a file that is there anew (the old one is kept as FILE.before)\n"
	        "      --help, --version\n"),
	      stdout);
	config_print_help(settings_rows, settings_n_rows, stdout);
	fputs(_("\nExit codes: 0 ended by a signal (or the settings are good), 1 failed, 2 wrong usage or settings.\n"), stdout);
}

struct plain_options {
	bool check, setup, replace;
};

/* Takes what is no setting out of argv.  Returns true when the program is done. */
static bool take_plain_options(int *argc, char **argv, struct plain_options *ret)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return true;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("ribera-edge %s (%s)\n", PACKAGE_VERSION, RIBERA_FEATURES);
			return true;
		}
		if (strcmp(argv[i], "--sample") == 0) {
			config_print_sample(settings_rows, settings_n_rows, stdout);
			return true;
		}
		if (strcmp(argv[i], "-t") == 0 || strcmp(argv[i], "--check") == 0)
			ret->check = true;
		else if (strcmp(argv[i], "--setup") == 0)
			ret->setup = true;
		else if (strcmp(argv[i], "--replace") == 0)
			ret->replace = true;
		else
			argv[kept++] = argv[i];
	}
	*argc = kept;
	argv[kept] = NULL;
	return false;
}

static int read_settings(struct config *config, struct settings *s, int argc, char **argv, struct fault *f)
{
	int r = config_read_args(config, &argc, argv, f);

	if (r == 0 && argc > 1)
		r = fault_set(f, ERR_USAGE, _("found \"%s\", expected only options; --help lists them"), argv[1]);
	if (r == 0 && settings_check(s, f) != 0) {
		config_point(config, f);
		r = f->code = ERR_USAGE;
	}
	return r;
}

static int write_ports(const char *path, const struct node_ports *p, struct fault *f)
{
	char *text;
	int r;

	if (path == NULL)
		return 0;
	text = p->control != 0 ? mem_printf("{\"viewers\": %u, \"control\": %u}\n", p->viewers, p->control)
	                       : mem_printf("{\"viewers\": %u}\n", p->viewers);
	r = file_write_atomic(path, text, strlen(text), 0644);
	free(text);
	return r == 0 ? 0 : fault_set(f, r, _("ports_file: cannot write %s: %s"), path, words_error(r));
}

/* A descriptor a file and one a viewer. */
static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* --- while it runs --- */

struct program {
	struct settings *settings;
	char **argv; /* as it was given to us */
};

static int read_again(struct config *c, struct settings *s, char **given, struct fault *f)
{
	struct plain_options plain = {0};
	int argc = 0, r;
	char **argv;

	while (given[argc] != NULL)
		argc++;
	argv = mem_new_array((size_t)argc + 1, sizeof *argv);
	memcpy(argv, given, (size_t)argc * sizeof *argv);
	take_plain_options(&argc, argv, &plain);
	r = read_settings(c, s, argc, argv, f);
	free(argv);
	return r;
}

static void reload(struct program *p, struct node *n)
{
	static const char *const live[] = {"log_level", "grace", "max_connections", "max_per_client", "min_rate", "max_lag", "rate", "rates",
	                                   "window.zone", "window.start", "window.duration", NULL};
	static char level[16], rates[1024], zone[256], start[16];
	struct settings fresh = {0}, *s = p->settings;
	struct config *c = config_new(settings_rows, settings_n_rows, &fresh);
	struct fault f = {0};

	if (read_again(c, &fresh, p->argv, &f) != 0) {
		log_error(WHERE, "reload: the settings stay as they are: %s", fault_text(&f));
	} else {
		config_log_changes(WHERE, settings_rows, settings_n_rows, s, &fresh, live);
		snprintf(level, sizeof level, "%s", fresh.log_level);
		s->log_level = level;
		log_set_level(fresh.level);
		s->grace = fresh.grace;
		s->max_connections = fresh.max_connections;
		s->max_per_client = fresh.max_per_client;
		s->min_rate = fresh.min_rate;
		s->max_lag = fresh.max_lag;
		snprintf(rates, sizeof rates, "%s", fresh.rates_text != NULL ? fresh.rates_text : "");
		s->rates_text = rates;
		snprintf(zone, sizeof zone, "%s", fresh.window_zone);
		s->window_zone = zone;
		snprintf(start, sizeof start, "%s", fresh.window_start);
		s->window_start = start;
		settings_take_hours(s, &fresh);
		node_set_limits(n);
		node_set_hours(n, fresh.zone);
		fresh.zone = NULL;
	}
	settings_fini(&fresh);
	config_free(&c);
}

/* Would the program that replaces us start?  If not we stay. */
static bool may_restart(const struct program *p)
{
	struct fault f = {0};

	if (serve_try_program(p->argv, &f) == 0)
		return true;
	log_error(WHERE, "no restart: %s", fault_text(&f));
	return false;
}

static void renew_zone(struct program *p, struct node *n)
{
	struct zone *old = NULL;
	struct fault f = {0};
	int r = settings_renew_zone(p->settings, &old, &f);

	if (r < 0)
		log_error(WHERE, "the new rules of the time zone are not used: %s", fault_text(&f));
	if (r <= 0)
		return;
	log_info(WHERE, "the time zone has new rules zone=%s", p->settings->window_zone);
	node_set_hours(n, old);
}

/* Returns the signal that ended it. */
static int run_until_told(struct program *p, struct node *n, const sigset_t *signals)
{
	static const struct timespec step = {.tv_sec = 1};
	int signal = 0;

	for (;;) {
		node_tell_manager(n);
		node_refresh(n, signal == SIGHUP);
		renew_zone(p, n);
		signal = sigtimedwait(signals, NULL, &step);
		if (signal == SIGHUP || signal == SIGUSR1)
			node_reopen_log(n);
		if (signal == SIGHUP)
			reload(p, n);
		if (signal == SIGTERM || signal == SIGINT || (signal == SIGUSR2 && may_restart(p)))
			break;
	}
	log_info(WHERE, "ending: signal %d", signal);
	return signal;
}

static void block_signals(sigset_t *signals)
{
	static const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

	sigemptyset(signals);
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		sigaddset(signals, ours[i]);
	pthread_sigmask(SIG_BLOCK, signals, NULL); /* before the first thread */
	signal(SIGPIPE, SIG_IGN);
}

/* Parts of us hang. */
static void restart_late(void *ctx)
{
	const struct program *p = ctx;
	struct fault f = {0};

	serve_hand_over(p->argv, &f);
	log_error(WHERE, "%s", fault_text(&f));
}

static int run(struct program *p, struct fault *f)
{
	struct settings *s = p->settings;
	struct ending *ending;
	struct node_ports ports;
	struct node *n = NULL;
	sigset_t signals;
	int r, told = 0;

	block_signals(&signals);
	ending = ending_of_start(WHERE);
	raise_limits();
	r = node_start(s, &n, &ports, f);
	if (r == 0)
		r = write_ports(s->ports_file, &ports, f);
	ending_over(&ending);
	if (r == 0) {
		log_info(WHERE, "listening viewers=%u control=%u name=%s store=\"%s\"", ports.viewers, ports.control,
		         s->name, s->store);
		notify_manager("READY=1");
		words_end(); /* from here on it is the log that is spoken to */
		ending = ending_of_run(WHERE, s->grace);
		told = run_until_told(p, n, &signals);
		ending_over(&ending);
		notify_manager(told == SIGUSR2 ? "RELOADING=1" : "STOPPING=1");
	}
	if (told == SIGUSR2)
		node_keep_listeners(n);
	if (n != NULL) {
		ending = ending_of_end(WHERE, s->grace, told == SIGUSR2 ? restart_late : NULL, p);
		node_stop(&n);
		ending_over(&ending);
	}
	return told == SIGUSR2 ? serve_hand_over(p->argv, f) : r;
}

/* Takes --config out of argv when its file is not there yet.  The path, or NULL. */
static const char *file_to_write(int *argc, char **argv)
{
	static const char option[] = "--config", with[] = "--config=";

	for (int i = 1; i < *argc; i++) {
		bool apart = strcmp(argv[i], option) == 0 && i + 1 < *argc, joined = strncmp(argv[i], with, sizeof with - 1) == 0;
		const char *path = apart ? argv[i + 1] : argv[i] + sizeof with - 1;

		if (!apart && !joined)
			continue;
		if (!file_exists(path)) {
			memmove(argv + i, argv + i + 1 + apart, (size_t)(*argc - i - apart) * sizeof *argv);
			*argc -= 1 + apart;
		}
		return path;
	}
	return NULL;
}

static int set_up(struct config *config, struct settings *s, int argc, char **argv, bool replace, struct fault *f)
{
	const char *path = file_to_write(&argc, argv);
	int r = config_read_args(config, &argc, argv, f);

	if (r == 0 && argc > 1)
		r = fault_set(f, ERR_USAGE, _("found \"%s\", expected only options; --help lists them"), argv[1]);
	return r == 0 ? setup_run(s, path, replace, f) : r;
}

static char **copy_of(int argc, char **argv)
{
	char **copy = mem_new_array((size_t)argc + 1, sizeof *copy);

	memcpy(copy, argv, (size_t)argc * sizeof *copy);
	return copy;
}

int main(int argc, char **argv)
{
	struct settings s = {0};
	struct program p = {&s, copy_of(argc, argv)};
	struct config *config = config_new(settings_rows, settings_n_rows, &s);
	struct fault f = {0};
	struct plain_options plain = {0};
	int r = 0;

	words_start_here("ribera-edge");
	json_set_alloc_funcs(mem_new, free); /* no JSON lacks a word because memory was short */
	if (take_plain_options(&argc, argv, &plain)) {
		r = 0;
	} else if (plain.setup) {
		r = set_up(config, &s, argc, argv, plain.replace, &f);
	} else {
		r = read_settings(config, &s, argc, argv, &f);
		if (r == 0)
			log_set_level(s.level);
		if (r == 0 && plain.check)
			puts(_("the settings are good"));
		else if (r == 0)
			r = run(&p, &f);
	}
	if (r != 0)
		fprintf(stderr, "ribera-edge: %s\n", fault_text(&f));
	settings_fini(&s);
	config_free(&config);
	free(p.argv);
	return r == 0 ? 0 : r == ERR_USAGE ? 2 : 1;
}
