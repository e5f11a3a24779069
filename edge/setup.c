/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The questions in their order.  Each answer is tried at once, so that what is
 * wrong is said where it can still be changed.
 */
#include <config.h>

#include "edge/setup.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "edge/setup_ask.h"
#include "edge/setup_measure.h"
#include "edge/setup_try.h"
#include "fetch/fetch.h"

struct setup {
	struct settings s;
	struct ask ask;
	struct fetch *fetch;
	const char *path; /* of the file */
	bool replace;
	char *token;             /* NULL: none */
	const char *reach;       /* public_url, or what it will be */
	const char *token_path;  /* where it will be, when it was typed */
	struct disk_speed disk;
	char **strings; /* what the settings point to */
	size_t n_strings, cap_strings;
};

static const char *keep(struct setup *u, char *s)
{
	MEM_GROW(u->strings, u->cap_strings, u->n_strings);
	u->strings[u->n_strings++] = s;
	return s;
}

/* Tries `check` until it is content.  A script, or a person at the end of the input, gets one try. */
static int until_good(struct setup *u, int (*check)(struct setup *, struct fault *), struct fault *f)
{
	for (;;) {
		int r;

		*f = (struct fault){0};
		r = check(u, f);
		if (r == 0 && !ask_stopped())
			return 0;
		if (u->ask.ended || ask_stopped())
			return fault_set(f, ERR_CANCELLED, _("stopped; nothing was written"));
		if (!u->ask.people)
			return r;
		fprintf(u->ask.out, "  %s\n", fault_text(f));
	}
}

static void say(const struct setup *u, const char *what, const char *value)
{
	fprintf(u->ask.out, "  %s %s\n", what, value);
}

/* --- name, origin, token --- */

static int ask_name(struct setup *u, struct fault *f)
{
	char host[HOST_NAME_MAX + 1] = "edge", *slug;

	gethostname(host, sizeof host - 1);
	host[strcspn(host, ".")] = '\0';
	slug = str_slug(host);
	u->s.name = keep(u, ask_text(&u->ask, _("Name of this edge, unique at its origin"), u->s.name != NULL ? u->s.name : slug));
	free(slug);
	return str_is_name(u->s.name, strlen(u->s.name)) ? 0 : fault_set(f, ERR_USAGE, _("name: found \"%s\", expected letters, digits, '.', '_' and '-'"), u->s.name);
}

static struct setup_origin origin_of(const struct setup *u)
{
	return (struct setup_origin){.url = u->s.origin, .token = u->token, .fetch = u->fetch};
}

static int ask_origin_url(struct setup *u, struct fault *f)
{
	char *answer = ask_text(&u->ask, _("Origin's control listener, as http://HOST:8081 or https://HOST"), u->s.origin), *ill = NULL;
	struct setup_origin o;
	size_t n = answer != NULL ? strlen(answer) : 0;
	dur_us trip;
	int r;

	if (answer == NULL)
		return fault_set(f, ERR_USAGE, _("origin is not set: give --origin http://HOST:8081"));
	while (n > 0 && answer[n - 1] == '/')
		answer[--n] = '\0';
	u->s.origin = keep(u, answer);
	if (!str_starts(answer, "http://") && !str_starts(answer, "https://"))
		return fault_set(f, ERR_USAGE, _("origin: found \"%s\", expected an http or https URL"), answer);
	o = origin_of(u);
	r = origin_probe(&o, &ill, &trip, f);
	if (r == 0) {
		fprintf(u->ask.out, _("  it answers, %.1f ms away%s%s\n"), (double)trip / (double)DUR_MS, ill[0] != '\0' ? _(", but is not well: ") : "", ill);
	}
	free(ill);
	return r;
}

static int read_token_file(struct setup *u, struct fault *f)
{
	struct buf b;
	int r;

	buf_init(&b, 4096);
	r = file_read(u->s.token_file, &b);
	if (r == 0) {
		free(u->token);
		u->token = mem_dup_n(buf_text(&b), strcspn(buf_text(&b), " \t\r\n"));
	}
	buf_fini(&b);
	return r == 0 ? 0 : fault_set(f, r, _("token_file: cannot read %s: %s"), u->s.token_file, words_error(r));
}

/* Without a file the token is typed, and written beside the settings. */
static int ask_token(struct setup *u, struct fault *f)
{
	struct setup_origin o;
	char *answer;
	int r;

	if (u->s.token_file != NULL && u->token_path == NULL) {
		r = read_token_file(u, f);
		if (r != 0)
			return r;
	} else if (u->ask.people) {
		answer = ask_secret(&u->ask, _("Token for the origin, from \"ribera-admin token new edge\"; empty for none"));
		free(u->token);
		u->token = answer[0] != '\0' ? answer : NULL;
		if (u->token == NULL)
			free(answer);
	}
	o = origin_of(u);
	r = origin_probe_token(&o, u->s.name, f);
	if (r != 0 && u->ask.people)
		u->s.token_file = NULL; /* asked for instead */
	return r;
}

/* --- disk --- */

static void say_disk(const struct setup *u)
{
	const struct disk_speed *d = &u->disk;
	char room[STR_BYTES_SIZE], write[STR_BYTES_SIZE], read[STR_BYTES_SIZE];

	str_format_bytes(d->free_bytes, room);
	str_format_bytes((uint64_t)d->write_rate, write);
	str_format_bytes((uint64_t)d->read_rate, read);
	fprintf(u->ask.out, _("  %s free; writes %s/s, reads %s/s%s\n"), room, write, read, d->cached ? _(" (from memory: this file system knows no direct reading)") : "");
	if (d->free_bytes < (uint64_t)10 << 30)
		say(u, _("that is little: a film of two hours has about 10 GiB"), "");
	else if (!d->cached && d->read_rate < 125e6)
		say(u, _("such a disk fills less than 1 Gbit/s with films that are not in memory"), "");
}

/* Others have to get through the folders above, the service's user among them. */
static void make_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = slash != NULL && slash > path ? mem_dup_n(path, (size_t)(slash - path)) : NULL;

	if (parent != NULL)
		folder_make(parent, 0755); /* what is wrong is said of the folder itself */
	free(parent);
}

static int ask_store(struct setup *u, struct fault *f)
{
	char *usual = geteuid() == 0 ? mem_printf("/var/lib/ribera-edge/%s", u->s.name) : mem_printf("store-%s", u->s.name), *real;
	bool there;
	int r;

	u->s.store = keep(u, ask_text(&u->ask, _("Folder for the films, on the disk they shall fill"), u->s.store != NULL ? u->s.store : usual));
	free(usual);
	there = file_exists(u->s.store);
	make_parent(u->s.store);
	r = folder_make(u->s.store, 0750);
	if (r != 0)
		return fault_set(f, r, _("store: cannot make the folder %s: %s"), u->s.store, words_error(r));
	real = realpath(u->s.store, NULL);
	if (real != NULL)
		u->s.store = keep(u, real);
	r = measure_disk(u->s.store, &u->disk, f);
	if (!there)
		rmdir(u->s.store); /* the service makes it, as its own user */
	if (r == 0 && u->disk.free_bytes <= u->s.reserve) {
		char room[STR_BYTES_SIZE], reserve[STR_BYTES_SIZE];

		str_format_bytes(u->disk.free_bytes, room);
		str_format_bytes(u->s.reserve, reserve);
		r = fault_set(f, -ENOSPC, _("store: no space left at %s: %s are free, and %s have to stay so (reserve): make room, or name another folder"), u->s.store, room, reserve);
	}
	if (r == 0)
		say_disk(u);
	return r;
}

/* --- addresses --- */

static int ask_addresses(struct setup *u, struct fault *f)
{
	char host[HOST_NAME_MAX + 1] = "localhost", *usual;
	const char *port;
	bool named;

	u->s.listen = keep(u, ask_text(&u->ask, _("Address and port for viewers (*:PORT for all addresses)"), u->s.listen));
	port = strrchr(u->s.listen, ':');
	if (port == NULL)
		return fault_set(f, ERR_USAGE, _("listen: found \"%s\", expected ADDRESS:PORT"), u->s.listen);
	u->s.tls_cert = keep(u, ask_text(&u->ask, _("Certificate chain for https, a PEM file; empty for plain http"), u->s.tls_cert != NULL ? u->s.tls_cert : ""));
	u->s.tls_key = u->s.tls_cert[0] == '\0' ? NULL : keep(u, ask_text(&u->ask, _("Its private key, a PEM file"), u->s.tls_key != NULL ? u->s.tls_key : ""));
	if (u->s.tls_cert[0] == '\0')
		u->s.tls_cert = NULL;
	gethostname(host, sizeof host - 1);
	named = u->s.listen[0] != '*' && u->s.listen[0] != ':';
	usual = mem_printf("%s://%s%s", settings_has_tls(&u->s) ? "https" : "http", named ? u->s.listen : host, named ? "" : port);
	u->s.public_url = keep(u, ask_text(&u->ask, _("How viewers and other edges reach it"), u->s.public_url != NULL ? u->s.public_url : usual));
	if (named && strcmp(u->s.public_url, usual) == 0)
		u->s.public_url = NULL; /* the edge knows it, and its port when that is any */
	u->reach = keep(u, mem_dup(u->s.public_url != NULL ? u->s.public_url : usual));
	free(usual);
	if (!str_starts(u->reach, "http://") && !str_starts(u->reach, "https://"))
		return fault_set(f, ERR_USAGE, _("public_url: found \"%s\", expected an http or https URL"), u->reach);
	return 0;
}

/* --- window and rate --- */

/* "Europe/Vienna": what this machine believes, else UTC; caller frees. */
static char *local_zone(void)
{
	static const char folder[] = "/usr/share/zoneinfo/";
	char *path = realpath("/etc/localtime", NULL), *zone = NULL;

	if (path != NULL && str_starts(path, folder) && zone_name_is_good(path + sizeof folder - 1))
		zone = mem_dup(path + sizeof folder - 1);
	free(path);
	return zone != NULL ? zone : mem_dup("UTC");
}

static bool window_is_default(const struct settings *s)
{
	return strcmp(s->window_zone, "UTC") == 0 && strcmp(s->window_start, "00:00") == 0 && s->window_duration == 86400 * DUR_S;
}

static int ask_window(struct setup *u, struct fault *f)
{
	const struct settings before = u->s;
	bool fresh = window_is_default(&u->s) && u->ask.people;
	char *zone = fresh ? local_zone() : mem_dup(u->s.window_zone), *hours, was[STR_BYTES_SIZE];
	int r;

	u->s.window_zone = keep(u, ask_text(&u->ask, _("Time zone of the quiet hours"), zone));
	u->s.window_start = keep(u, ask_text(&u->ask, _("They begin at"), fresh ? "02:00" : u->s.window_start));
	snprintf(was, sizeof was, "%lldmin", (long long)(u->s.window_duration / (60 * DUR_S)));
	hours = ask_text(&u->ask, _("And last (24h: the edge fills at any time)"), fresh ? "5h" : was);
	r = str_parse_duration(hours, strlen(hours), &u->s.window_duration);
	if (r != 0 || u->s.window_duration > 86400 * DUR_S)
		r = fault_set(f, ERR_USAGE, _("window.duration: found \"%s\", expected a time up to 24h"), hours);
	else if (window_parse_start(u->s.window_start, &u->s.window.start) != 0)
		r = fault_set(f, ERR_USAGE, _("window.start: found \"%s\", expected a time such as 02:00"), u->s.window_start);
	else
		r = setup_check_zone(u->s.window_zone, f);
	if (r != 0 && u->ask.people)
		u->s = before; /* asked again as if nothing had been said */
	free(hours);
	free(zone);
	return r;
}

static void say_line(const struct setup *u, const struct line_speed *l)
{
	char rate[STR_BYTES_SIZE], night[STR_BYTES_SIZE], hours[STR_BYTES_SIZE];
	double seconds = (double)u->s.window_duration / (double)DUR_S;

	if (l->rate <= 0) {
		say(u, _("the line from the origin was not measured:"), l->why_not);
		return;
	}
	str_format_bytes((uint64_t)l->rate, rate);
	str_format_bytes((uint64_t)(l->rate * seconds), night);
	str_format_duration(u->s.window_duration, hours);
	fprintf(u->ask.out, _("  the origin sends %s/s (%.0f Mbit/s): %s in a window of %s\n"), rate, l->rate * 8e-6, night, hours);
}

static int ask_rate(struct setup *u, struct fault *f)
{
	struct setup_origin o = origin_of(u);
	struct line_speed line;
	char was[STR_BYTES_SIZE], *answer;
	int r = measure_line(&o, u->s.name, u->reach, u->disk.total_bytes, &line, f);

	if (r != 0)
		return r;
	say_line(u, &line);
	str_format_bytes(u->s.rate, was);
	answer = ask_text(&u->ask, _("Most bytes per second for filling, as 50MiB (0: no cap)"), u->s.rate == 0 ? "0" : was);
	r = str_parse_bytes(answer, strlen(answer), &u->s.rate);
	if (r != 0)
		fault_set(f, ERR_USAGE, _("rate: found \"%s\", expected bytes per second such as 50MiB"), answer);
	free(answer);
	return r;
}

/* --- the file --- */

static void choose_path(struct setup *u)
{
	if (u->path == NULL && access("/etc/ribera", W_OK) == 0)
		u->path = keep(u, mem_printf("/etc/ribera/edge-%s.yaml", u->s.name));
	else if (u->path == NULL)
		u->path = keep(u, mem_printf("edge-%s.yaml", u->s.name));
}

static bool is_the_services(const struct setup *u)
{
	char *path = mem_printf("/etc/ribera/edge-%s.yaml", u->s.name);
	bool same = strcmp(u->path, path) == 0;

	free(path);
	return same;
}

/* Where a token that was typed will be; the service takes it from there, wherever it was before. */
static void choose_token_path(struct setup *u)
{
	if (u->token == NULL || (u->s.token_file != NULL && !is_the_services(u)))
		return;
	if (str_ends(u->path, ".yaml"))
		u->token_path = keep(u, mem_printf("%.*s.token", (int)strlen(u->path) - 5, u->path));
	else
		u->token_path = keep(u, mem_printf("%s.token", u->path));
}

/* Before anything is measured: who does not want it replaced has waited for nothing. */
static int ask_replace(struct setup *u, struct fault *f)
{
	char *question;
	bool yes = u->replace;

	choose_path(u);
	if (!file_exists(u->path))
		return 0;
	question = mem_printf(_("%s is there already. Replace it"), u->path);
	yes = yes || (u->ask.people && ask_yes(&u->ask, question, false));
	free(question);
	if (!yes)
		return fault_set(f, ERR_EXISTS, _("%s is there already: give --replace to write it anew (it is kept as %s.before), or another --config"), u->path, u->path);
	u->replace = true;
	return 0;
}

static int make_room(struct setup *u, struct fault *f)
{
	char *before;
	int r;

	if (!file_exists(u->path))
		return 0;
	before = mem_printf("%s.before", u->path);
	r = rename(u->path, before) < 0 ? -errno : 0;
	free(before);
	return r == 0 ? 0 : fault_set(f, r, _("%s cannot be moved away: %s"), u->path, words_error(r));
}

static int write_settings(struct setup *u, struct fault *f)
{
	struct settings plain = {0};
	struct config *c = config_new(settings_rows, settings_n_rows, &plain);
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	int r = out != NULL ? 0 : -ENOMEM;

	if (r == 0) {
		fprintf(out, "# Settings of ribera-edge; ribera-edge --sample lists all there are.\n");
		config_print_changes(settings_rows, settings_n_rows, &u->s, &plain, out);
		r = fclose(out) == 0 ? file_write_atomic(u->path, text, n, 0644) : -ENOMEM;
	}
	free(text);
	config_free(&c);
	return r == 0 ? 0 : fault_set(f, r, _("cannot write %s: %s"), u->path, words_error(r));
}

static int write_files(struct setup *u, struct fault *f)
{
	char *line, *real;
	int r;

	choose_token_path(u);
	r = make_room(u, f);
	if (r == 0 && u->token_path != NULL) {
		line = mem_printf("%s\n", u->token);
		r = file_write_atomic(u->token_path, line, strlen(line), 0600);
		free(line);
		if (r != 0)
			return fault_set(f, r, _("cannot write %s: %s"), u->token_path, words_error(r));
		real = realpath(u->token_path, NULL);
		u->s.token_file = real != NULL ? keep(u, real) : u->token_path;
		say(u, _("wrote"), u->token_path);
	}
	if (r == 0)
		r = write_settings(u, f);
	if (r == 0)
		say(u, _("wrote"), u->path);
	return r;
}

static void say_next(const struct setup *u)
{
	if (is_the_services(u))
		fprintf(u->ask.out, _("\nAll of it works. Start it, now and at every boot:\n  systemctl enable --now ribera-edge@%s\n"), u->s.name);
	else
		fprintf(u->ask.out, _("\nAll of it works. Start it:\n  ribera-edge --config %s\n"), u->path);
}

static int run_steps(struct setup *u, struct fault *f)
{
	static int (*const steps[])(struct setup *, struct fault *) = {ask_origin_url, ask_token, ask_store, ask_addresses, ask_window, ask_rate};
	int r = until_good(u, ask_name, f);

	if (r == 0)
		r = ask_replace(u, f);
	if (r != 0 && (u->ask.ended || ask_stopped()))
		r = fault_set(f, ERR_CANCELLED, _("stopped; nothing was written"));
	for (size_t i = 0; r == 0 && i < sizeof steps / sizeof steps[0]; i++)
		r = until_good(u, steps[i], f);
	if (r == 0 && (u->ask.ended || ask_stopped()))
		r = fault_set(f, ERR_CANCELLED, _("stopped; nothing was written"));
	if (r == 0)
		r = write_files(u, f);
	if (r == 0)
		r = setup_try(u->path, u->fetch, u->ask.out, f);
	if (r == 0)
		say_next(u);
	return r;
}

int setup_run(const struct settings *given, const char *path, bool replace, struct fault *f)
{
	struct fetch_settings fetch = {.user_agent = "ribera-edge/" PACKAGE_VERSION, .ca_file = given->ca_file, .told = ask_told()};
	struct setup u = {.s = *given, .path = path, .replace = replace};
	sigset_t signals;
	int r;

	ask_listen_to_signals();
	sigfillset(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* they interrupt the thread that waits for an answer, no other */
	r = fetch_new(&fetch, &u.fetch);
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	if (r != 0)
		return fault_set(f, r, _("no HTTP client: %s"), words_error(r));
	ask_init(&u.ask, stdin, stdout);
	r = run_steps(&u, f);
	fflush(stdout);
	fetch_free(&u.fetch);
	free(u.token);
	for (size_t i = 0; i < u.n_strings; i++)
		free(u.strings[i]);
	free(u.strings);
	return r;
}
