/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin's commands that look at what goes on: events as they come, fills,
 * and a view of all that is drawn anew.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "origin/admin.h"

#define N_OF(a) (sizeof(a) / sizeof(a)[0])
#define EVERY (2 * DUR_S)
#define LINE_MAX_BYTES ((size_t)256 << 10)

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "-";
}

/* --- events --- */

struct lines {
	const struct admin *admin;
	char *line;
	size_t n, cap;
	char *last_id; /* or NULL */
};

static void print_event(const struct lines *l, char *data)
{
	json_t *o = json_loads(data, 0, NULL);
	char *rest;

	admin_make_plain(l->admin, o);
	if (l->admin->json || !json_is_object(o)) {
		if (!l->admin->json)
			str_plain(data);
		puts(data);
	} else {
		printf("%s %-17s", text(o, "time"), text(o, "event"));
		json_object_del(o, "time");
		json_object_del(o, "event");
		rest = json_dumps(o, JSON_COMPACT);
		if (rest != NULL)
			str_plain(rest); /* names of fields */
		printf(" %s\n", rest != NULL ? rest : "");
		free(rest);
	}
	fflush(stdout);
	json_decref(o);
}

static void take_line(struct lines *l)
{
	l->line[l->n] = '\0';
	if (str_starts(l->line, "data: ")) {
		print_event(l, l->line + 6);
	} else if (str_starts(l->line, "id: ")) {
		free(l->last_id);
		l->last_id = mem_dup(l->line + 4);
	}
	l->n = 0;
}

static int take_bytes(void *ctx, const void *bytes, size_t n)
{
	struct lines *l = ctx;

	for (size_t i = 0; i < n; i++) {
		char c = ((const char *)bytes)[i];

		if (l->n + 2 > LINE_MAX_BYTES)
			return ERR_LIMIT;
		MEM_GROW(l->line, l->cap, l->n + 1);
		if (c == '\n')
			take_line(l);
		else if (c != '\r')
			l->line[l->n++] = c;
	}
	return ferror(stdout) ? -EPIPE : 0;
}

int admin_events(const struct admin *a, char **args, struct fault *f)
{
	struct lines l = {.admin = a};
	int e = 0, tries = 0;

	while (tries < 5) {
		char *path = mem_printf("/api/v1/events%s%s", l.last_id != NULL ? "?last-event-id=" : "", l.last_id != NULL ? l.last_id : "");
		char *before = l.last_id != NULL ? mem_dup(l.last_id) : NULL;

		e = admin_stream(a, path, DUR_MIN /* it says something every 15 s */, take_bytes, &l, f);
		tries = before == NULL || l.last_id == NULL || strcmp(before, l.last_id) != 0 ? 0 : tries + 1;
		free(before);
		free(path);
		if (e == -EPIPE || e == ERR_HTTP || l.last_id == NULL)
			break; /* nobody reads, or the origin does not let us */
		l.n = 0;
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	}
	free(l.line);
	free(l.last_id);
	return e == -EPIPE ? 0 : e;
}

/* --- fills --- */

static void bytes_cell(struct admin_table *t, const json_t *v)
{
	char shown[STR_BYTES_SIZE];

	str_format_bytes((uint64_t)json_integer_value(v), shown);
	admin_table_cell(t, "%s", json_is_integer(v) ? shown : "-");
}

static void share_cell(struct admin_table *t, const json_t *part, const json_t *whole)
{
	json_t *share = json_integer_value(whole) > 0 ? json_real((double)json_integer_value(part) / (double)json_integer_value(whole)) : NULL;

	admin_percent_cell(t, share);
	json_decref(share);
}

static void print_fills(const json_t *fills)
{
	static const char *const heads[] = {N_("EDGE"), N_("TITLE"), N_("REVISION"), N_(">THERE"), N_(">OF"), N_(">SHARE")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)fills, i, o) {
		admin_table_cell(t, "%s", text(o, "edge"));
		admin_table_cell(t, "%s", text(o, "title"));
		admin_table_cell(t, "%s", text(o, "revision"));
		bytes_cell(t, json_object_get(o, "bytes"));
		bytes_cell(t, json_object_get(o, "total"));
		share_cell(t, json_object_get(o, "bytes"), json_object_get(o, "total"));
	}
	admin_table_print(&t, stdout);
}

int admin_fills(const struct admin *a, char **args, struct fault *f)
{
	json_t *fills;
	int e = admin_list(a, "/api/v1/fills", "fills", &fills, f);

	if (e != 0)
		return e;
	if (a->json) {
		json_dumpf(fills, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_fills(fills);
	}
	json_decref(fills);
	return 0;
}

/* --- health --- */

int admin_health(const struct admin *a, char **args, struct fault *f)
{
	char *problem = NULL;
	int e = admin_read_health(a, &problem, f);
	json_t *o;

	if (e == 0 && a->json) {
		o = json_pack("{s:b, s:s?}", "ok", (int)(problem == NULL), "problem", problem);
		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(o);
	} else if (e == 0 && problem == NULL) {
		puts(_("the origin is well"));
	}
	if (problem != NULL)
		e = fault_set(f, ERR_HTTP, _("the origin is in trouble: %s"), problem);
	free(problem);
	return e;
}

/* --- top --- */

static void print_edges(const json_t *edges, size_t room)
{
	static const char *const heads[] = {N_("EDGE"), N_("STATE"), N_(">LOAD"), N_(">HITS"), N_(">FREE"), N_(">HELD"), N_(">FILLING"), N_(">SEEN")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)edges, i, o) {
		if (i == room)
			break;
		admin_table_cell(t, "%s", text(o, "name"));
		admin_table_cell(t, "%s%s", admin_word(text(o, "state")), json_is_true(json_object_get(o, "draining")) ? _(", draining") : "");
		admin_percent_cell(t, json_object_get(o, "load"));
		admin_percent_cell(t, json_object_get(o, "hit_ratio"));
		bytes_cell(t, json_object_get(o, "free_bytes"));
		admin_table_cell(t, "%lld", (long long)json_integer_value(json_object_get(o, "holds")));
		admin_table_cell(t, "%lld", (long long)json_integer_value(json_object_get(o, "fills")));
		admin_table_cell(t, "%.0f s", json_number_value(json_object_get(o, "seen_seconds_ago")));
	}
	admin_table_print(&t, stdout);
}

/* What top shows, all of it or nothing. */
struct seen {
	json_t *edges, *fills, *titles;
	char *problem;
};

static void seen_fini(struct seen *s)
{
	json_decref(s->edges);
	json_decref(s->fills);
	json_decref(s->titles);
	free(s->problem);
}

static int look(const struct admin *a, struct seen *s, struct fault *f)
{
	int e = admin_list(a, "/api/v1/edges", "edges", &s->edges, f);

	if (e == 0)
		e = admin_list(a, "/api/v1/fills", "fills", &s->fills, f);
	if (e == 0)
		e = admin_call(a, "GET", "/api/v1/titles?limit=1", NULL, &s->titles, f);
	return e == 0 ? admin_read_health(a, &s->problem, f) : e;
}

static int draw(const struct admin *a, bool live, struct fault *f)
{
	struct seen s = {0};
	struct winsize size = {.ws_row = 0};
	size_t room = SIZE_MAX;
	int e = look(a, &s, f);

	if (e != 0) {
		seen_fini(&s);
		return e;
	}
	if (live && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 10)
		room = (size_t)size.ws_row - 8;
	if (live)
		fputs("\033[H\033[2J", stdout); /* home, and clear */
	printf(_("%s: %lld titles, %zu edges, %zu fills\n%s%s\n"), a->control, (long long)json_integer_value(json_object_get(s.titles, "total")),
	       json_array_size(s.edges), json_array_size(s.fills), s.problem != NULL ? s.problem : "", s.problem != NULL ? "\n" : "");
	print_edges(s.edges, room);
	if (json_array_size(s.fills) > 0 && json_array_size(s.edges) < room) {
		putchar('\n');
		print_fills(s.fills);
	}
	fflush(stdout);
	seen_fini(&s);
	return 0;
}

int admin_top(const struct admin *a, char **args, struct fault *f)
{
	bool live = isatty(STDOUT_FILENO) && !a->json;
	int e;

	if (a->json)
		return admin_edges(a, args, f);
	do {
		e = draw(a, live, f);
		if (live && e != 0 && e != ERR_HTTP) {
			printf("\033[H\033[2J%s\n", fault_text(f)); /* it may come back */
			fflush(stdout);
			e = 0;
		}
		if (live)
			nanosleep(&(struct timespec){.tv_sec = EVERY / DUR_S}, NULL);
	} while (live && e == 0 && !ferror(stdout));
	return e;
}
