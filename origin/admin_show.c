/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin's commands that ask the control API and show the answer.  Every
 * value that is missing in an answer shows as "-": an older origin may not have it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "origin/admin.h"

#define N_OF(a) (sizeof(a) / sizeof(a)[0])

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "-";
}

static void bytes_cell(struct admin_table *t, const json_t *v)
{
	char shown[STR_BYTES_SIZE];

	str_format_bytes((uint64_t)json_integer_value(v), shown);
	admin_table_cell(t, "%s", json_is_integer(v) ? shown : "-");
}

static void duration_cell(struct admin_table *t, const json_t *seconds)
{
	char shown[STR_BYTES_SIZE];

	str_format_duration((dur_us)(json_number_value(seconds) * (double)DUR_S), shown);
	admin_table_cell(t, "%s", json_is_number(seconds) ? shown : "-");
}

static int print_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(j);
	return 0;
}

static void field(const char *name, const char *value)
{
	printf("%-10s %s\n", _(name), value);
}

static void field_bytes(const char *name, const json_t *v)
{
	char shown[STR_BYTES_SIZE];

	str_format_bytes((uint64_t)json_integer_value(v), shown);
	field(name, json_is_integer(v) ? shown : "-");
}

static void field_percent(const char *name, const json_t *v)
{
	char shown[32];

	snprintf(shown, sizeof shown, "%.0f %%", json_number_value(v) * 100);
	field(name, json_is_number(v) ? shown : "-");
}

/* --- titles --- */

/* "&NAME=" and the value in percent-encoding; nothing for NULL.  To be freed. */
static char *parameter(const char *name, const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *out, *p;

	if (value == NULL)
		return mem_dup("");
	out = mem_printf("&%s=%*s", name, (int)strlen(value) * 3, "");
	p = strchr(out, '=') + 1;
	for (; *value != '\0'; value++) {
		if (strchr(plain, *value) != NULL)
			*p++ = *value;
		else
			p += snprintf(p, 4, "%%%02X", (unsigned char)*value);
	}
	*p = '\0';
	return out;
}

int admin_tags(const struct admin *a, char **args, struct fault *f)
{
	static const char *const heads[] = {N_("TAG"), N_(">TITLES")};
	struct admin_table *t;
	json_t *tags, *o;
	size_t i;
	int e = admin_list(a, "/api/v1/tags", "tags", &tags, f);

	if (e != 0 || a->json)
		return e != 0 ? e : print_json(tags);
	t = admin_table_new(heads, N_OF(heads));
	json_array_foreach(tags, i, o) {
		admin_table_cell(t, "%s", text(o, "tag"));
		admin_table_cell(t, "%lld", (long long)json_integer_value(json_object_get(o, "titles")));
	}
	admin_table_print(&t, stdout);
	json_decref(tags);
	return 0;
}

int admin_titles(const struct admin *a, char **args, struct fault *f)
{
	static const char *const heads[] = {N_("TITLE"), N_("NAME"), N_(">DURATION"), N_(">SIZE"), N_(">EDGES"), N_("REVISION"), N_("PUBLISHED")};
	struct admin_table *t;
	json_t *titles, *o;
	size_t i;
	char *q = parameter("q", args[0]), *tag = parameter("tag", a->tag), *path = mem_printf("/api/v1/titles?order=name%s%s", q, tag);
	int e = admin_list(a, path, "titles", &titles, f);

	free(q);
	free(tag);
	free(path);
	if (e != 0 || a->json)
		return e != 0 ? e : print_json(titles);
	t = admin_table_new(heads, N_OF(heads));
	json_array_foreach(titles, i, o) {
		admin_table_cell(t, "%s", text(o, "title"));
		admin_table_cell(t, "%s", text(o, "name"));
		duration_cell(t, json_object_get(o, "duration"));
		bytes_cell(t, json_object_get(o, "bytes"));
		admin_table_cell(t, "%lld", (long long)json_integer_value(json_object_get(o, "edges")));
		admin_table_cell(t, "%s", text(o, "revision"));
		admin_table_cell(t, "%s", text(o, "published"));
	}
	admin_table_print(&t, stdout);
	json_decref(titles);
	return 0;
}

static void show_revisions(const json_t *revisions)
{
	static const char *const heads[] = {N_("REVISION"), N_("PUBLISHED"), N_(">SIZE"), N_("STATE")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));
	size_t i;
	json_t *o;

	json_array_foreach((json_t *)revisions, i, o) {
		admin_table_cell(t, "%s", text(o, "revision"));
		admin_table_cell(t, "%s", text(o, "published"));
		bytes_cell(t, json_object_get(o, "bytes"));
		admin_table_cell(t, "%s", json_is_true(json_object_get(o, "current")) ? _("current") : _("old"));
	}
	putchar('\n');
	admin_table_print(&t, stdout);
}

static void show_files(const json_t *files)
{
	static const char *const heads[] = {N_("FILE"), N_(">SIZE"), N_("TYPE")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));
	size_t i;
	json_t *o;

	json_array_foreach((json_t *)files, i, o) {
		admin_table_cell(t, "%s", text(o, "name"));
		bytes_cell(t, json_object_get(o, "bytes"));
		admin_table_cell(t, "%s", text(o, "type"));
	}
	putchar('\n');
	admin_table_print(&t, stdout);
}

static void field_list(const char *name, const json_t *list)
{
	char *all = mem_dup("");
	const json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v) {
		char *longer = mem_printf("%s%s%s", all, i > 0 ? ", " : "", json_string_value(v) != NULL ? json_string_value(v) : "-");

		free(all);
		all = longer;
	}
	field(name, *all != '\0' ? all : "-");
	free(all);
}

/* What people said of it; who may not read that does without. */
static void show_about(const struct admin *a, const char *title, const json_t *o)
{
	const json_t *year = json_object_get(o, "year");
	char *path = mem_printf("/api/v1/titles/%s/metadata", title), number[24];
	struct fault f = {0};
	json_t *about = NULL;

	snprintf(number, sizeof number, "%lld", (long long)json_integer_value(year));
	field("text", text(o, "description"));
	field("year", json_is_integer(year) ? number : "-");
	field_list("tags", json_object_get(o, "tags"));
	if (admin_call(a, "GET", path, NULL, &about, &f) == 0)
		field("policy", text(about, "policy"));
	json_decref(about);
	free(path);
}

int admin_title_show(const struct admin *a, char **args, struct fault *f)
{
	char *path = mem_printf("/api/v1/titles/%s", args[0]);
	const json_t *warning;
	json_t *o;
	size_t i;
	int e = admin_call(a, "GET", path, NULL, &o, f);

	free(path);
	if (e != 0 || a->json)
		return e != 0 ? e : print_json(o);
	field("title", text(o, "title"));
	field("name", text(o, "name"));
	field("revision", text(o, "revision"));
	field("published", text(o, "published"));
	show_about(a, args[0], o);
	field_bytes("size", json_object_get(o, "bytes"));
	json_array_foreach(json_object_get(json_object_get(o, "report"), "warnings"), i, warning)
		field("warning", json_string_value(warning) != NULL ? json_string_value(warning) : "-");
	show_revisions(json_object_get(o, "revisions"));
	show_files(json_object_get(o, "files"));
	json_decref(o);
	return 0;
}

/* --- edges --- */

int admin_edges(const struct admin *a, char **args, struct fault *f)
{
	static const char *const heads[] = {N_("EDGE"), N_("STATE"), N_(">CAPACITY"), N_(">FREE"), N_(">LOAD"), N_(">HITS"), N_(">HOLDS"), N_(">FILLING"), N_(">SEEN"), N_("URL")};
	struct admin_table *t;
	json_t *edges, *o;
	size_t i;
	int e = admin_list(a, "/api/v1/edges", "edges", &edges, f);

	if (e != 0 || a->json)
		return e != 0 ? e : print_json(edges);
	t = admin_table_new(heads, N_OF(heads));
	json_array_foreach(edges, i, o) {
		const json_t *load = json_object_get(o, "load");

		admin_table_cell(t, "%s", text(o, "name"));
		admin_table_cell(t, "%s%s%s%s", admin_word(text(o, "state")), json_is_true(json_object_get(o, "draining")) ? _(", draining") : "",
		                 json_is_false(json_object_get(o, "reachable")) ? _(", not reached") : "",
		                 json_number_value(json_object_get(o, "held_out_seconds")) > 0 ? _(", held out") : "");
		bytes_cell(t, json_object_get(o, "capacity"));
		bytes_cell(t, json_object_get(o, "free_bytes"));
		admin_percent_cell(t, load);
		admin_percent_cell(t, json_object_get(o, "hit_ratio"));
		admin_table_cell(t, "%lld", (long long)json_integer_value(json_object_get(o, "holds")));
		admin_table_cell(t, "%lld", (long long)json_integer_value(json_object_get(o, "fills")));
		admin_table_cell(t, _("%.0f s ago"), json_number_value(json_object_get(o, "seen_seconds_ago")));
		admin_table_cell(t, "%s", text(o, "url"));
	}
	admin_table_print(&t, stdout);
	json_decref(edges);
	return 0;
}

static void show_held(const json_t *held)
{
	static const char *const heads[] = {N_("TITLE"), N_("REVISION"), N_("STATE"), N_(">BYTES")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));
	size_t i;
	json_t *o;

	json_array_foreach((json_t *)held, i, o) {
		admin_table_cell(t, "%s", text(o, "title"));
		admin_table_cell(t, "%s", text(o, "revision"));
		admin_table_cell(t, "%s", json_is_true(json_object_get(o, "complete")) ? _("complete") : _("filling"));
		bytes_cell(t, json_object_get(o, "bytes"));
	}
	putchar('\n');
	admin_table_print(&t, stdout);
}

int admin_edge_show(const struct admin *a, char **args, struct fault *f)
{
	char *path = mem_printf("/api/v1/edges/%s", args[0]);
	char seen[32];
	json_t *o;
	int e = admin_call(a, "GET", path, NULL, &o, f);

	free(path);
	if (e != 0 || a->json)
		return e != 0 ? e : print_json(o);
	field("edge", text(o, "name"));
	field("url", text(o, "url"));
	field("state", admin_word(text(o, "state")));
	field("viewers", json_is_true(json_object_get(o, "draining")) ? _("none: it is being drained") : _("yes"));
	field_percent("load", json_object_get(o, "load"));
	field_percent("hits", json_object_get(o, "hit_ratio"));
	if (json_is_string(json_object_get(o, "trouble")))
		field("trouble", text(o, "trouble"));
	snprintf(seen, sizeof seen, _("%.0f s ago"), json_number_value(json_object_get(o, "seen_seconds_ago")));
	field("seen", seen);
	field_bytes("capacity", json_object_get(o, "capacity"));
	field_bytes("free", json_object_get(o, "free_bytes"));
	show_held(json_object_get(o, "held"));
	json_decref(o);
	return 0;
}

int admin_edge_remove(const struct admin *a, char **args, struct fault *f)
{
	char *path = mem_printf("/api/v1/edges/%s", args[0]);
	int e = admin_call(a, "DELETE", path, NULL, NULL, f);

	free(path);
	return e;
}

static int drain(const struct admin *a, const char *method, const char *edge, struct fault *f)
{
	char *path = mem_printf("/api/v1/edges/%s/drain", edge);
	int e = admin_call(a, method, path, NULL, NULL, f);

	free(path);
	return e;
}

int admin_edge_drain(const struct admin *a, char **args, struct fault *f)
{
	return drain(a, "PUT", args[0], f);
}

int admin_edge_undrain(const struct admin *a, char **args, struct fault *f)
{
	return drain(a, "DELETE", args[0], f);
}

static int set_policy(const struct admin *a, const char *title, const char *policy, struct fault *f)
{
	char *path = mem_printf("/api/v1/titles/%s/policy", title);
	int e = admin_call(a, "PUT", path, json_pack("{s:s}", "policy", policy), NULL, f);

	free(path);
	return e;
}

int admin_title_pin(const struct admin *a, char **args, struct fault *f)
{
	return set_policy(a, args[0], "pin", f);
}

int admin_title_urgent(const struct admin *a, char **args, struct fault *f)
{
	return set_policy(a, args[0], "urgent", f);
}

int admin_title_ban(const struct admin *a, char **args, struct fault *f)
{
	return set_policy(a, args[0], "ban", f);
}

int admin_title_free(const struct admin *a, char **args, struct fault *f)
{
	return set_policy(a, args[0], "none", f);
}

/* --- tokens --- */

int admin_tokens(const struct admin *a, char **args, struct fault *f)
{
	static const char *const heads[] = {N_(">ID"), N_("ROLE"), N_("CREATED"), N_("EXPIRES"), N_("NOTE")};
	struct admin_table *t;
	json_t *answer, *o, *tokens;
	size_t i;
	int e = admin_list(a, "/api/v1/tokens", "tokens", &tokens, f);

	if (e != 0)
		return e;
	answer = json_pack("{s:o}", "tokens", tokens);
	if (a->json)
		return print_json(answer);
	t = admin_table_new(heads, N_OF(heads));
	json_array_foreach(json_object_get(answer, "tokens"), i, o) {
		admin_table_cell(t, "%lld", (long long)json_integer_value(json_object_get(o, "id")));
		admin_table_cell(t, "%s", text(o, "role"));
		admin_table_cell(t, "%s", text(o, "created"));
		admin_table_cell(t, "%s", json_is_null(json_object_get(o, "expires")) ? _("never") : text(o, "expires"));
		admin_table_cell(t, "%s", text(o, "note"));
	}
	admin_table_print(&t, stdout);
	json_decref(answer);
	return 0;
}

int admin_token_new(const struct admin *a, char **args, struct fault *f)
{
	json_t *body = json_pack("{s:s, s:s}", "role", args[0], "note", a->note), *answer;
	int e;

	if (body == NULL)
		return fault_set(f, ERR_USAGE, _("the role and the note must be UTF-8"));
	if (a->edge != NULL)
		json_object_set_new(body, "edge", json_string(a->edge));
	if (a->expires_seconds > 0)
		json_object_set_new(body, "expires_seconds", json_integer((json_int_t)a->expires_seconds));
	e = admin_call(a, "POST", "/api/v1/tokens", body, &answer, f);
	if (e != 0 || a->json)
		return e != 0 ? e : print_json(answer);
	puts(text(answer, "token"));
	fprintf(stderr, _("token %lld (%s); it is shown this once\n"), (long long)json_integer_value(json_object_get(answer, "id")),
	        text(answer, "role"));
	json_decref(answer);
	return 0;
}

int admin_token_revoke(const struct admin *a, char **args, struct fault *f)
{
	char *path = mem_printf("/api/v1/tokens/%s", args[0]);
	int e = admin_call(a, "DELETE", path, NULL, NULL, f);

	free(path);
	return e;
}
