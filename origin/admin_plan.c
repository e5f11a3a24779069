/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-admin plan: what an edge shall hold and what that moves, what it held on
 * other days, and how two days differ; and what operators want of places.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "origin/admin.h"

#define N_OF(v) (sizeof(v) / sizeof(v)[0])
#define DRAWN 200 /* titles of a plan, the first */
#define XML_SIZE 1024 /* of a name in a drawing */

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

static double number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static void bytes_cell(struct admin_table *t, double bytes)
{
	char text_of[STR_BYTES_SIZE];

	str_format_bytes((uint64_t)bytes, text_of);
	admin_table_cell(t, "%s", text_of);
}

static void field_bytes(const char *name, double bytes)
{
	char text_of[STR_BYTES_SIZE];

	str_format_bytes((uint64_t)bytes, text_of);
	printf("%-10s %s\n", _(name), text_of);
}

static void print_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* --- the plan in force ---------------------------------------------------------------------- */

struct tracks {
	size_t hold, held, all;
	bool fill, drop;
	double bytes; /* of those to hold, or held */
};

static struct tracks count_tracks(const json_t *title)
{
	struct tracks t = {0};
	size_t i;
	json_t *o;

	json_array_foreach(json_object_get(title, "tracks"), i, o) {
		bool hold = json_is_true(json_object_get(o, "hold")), held = json_is_true(json_object_get(o, "held"));

		t.all++;
		t.hold += hold;
		t.held += held;
		t.fill |= hold && !held;
		t.drop |= held && !hold;
		t.bytes += hold || held ? number(o, "bytes") : 0;
	}
	return t;
}

/* Adds to each title what the plan moves: "fill", "keep", "may go", "-". */
static void add_moves(json_t *plan)
{
	size_t i;
	json_t *o;

	json_array_foreach(json_object_get(plan, "titles"), i, o) {
		struct tracks t = count_tracks(o);
		bool old = t.all == 0 && json_is_true(json_object_get(o, "held"));

		json_object_set_new(o, "move", json_string(t.fill ? "fill" : t.drop || old ? "may go" : t.hold > 0 ? "keep" : "-"));
	}
}

/* Adds how long the fill takes: "window_seconds" at "rate". */
static void add_window(json_t *plan, uint64_t rate)
{
	json_object_set_new(plan, "rate", json_integer((json_int_t)rate));
	json_object_set_new(plan, "window_seconds", json_integer((json_int_t)ceil(number(plan, "bytes_to_fill") / (double)rate)));
}

#define WINDOW_TEXT_SIZE 64

/* "2:46:40 at 10.0 MB/s" */
static void window_text(const json_t *plan, char ret[static WINDOW_TEXT_SIZE])
{
	char rate[STR_BYTES_SIZE];
	long long s = (long long)number(plan, "window_seconds");

	str_format_bytes((uint64_t)number(plan, "rate"), rate);
	snprintf(ret, WINDOW_TEXT_SIZE, _("%lld:%02lld:%02lld at %s/s"), s / 3600, s / 60 % 60, s % 60, rate);
}

static void show_plan(const json_t *plan)
{
	static const char *const heads[] = {N_(">#"), N_("MOVE"), N_("WHY"), N_(">PLAYS"), N_("TITLE"), N_("REVISION"), N_(">TRACKS"), N_(">SIZE")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));
	char window[WINDOW_TEXT_SIZE];
	size_t i;
	json_t *o;

	json_array_foreach(json_object_get(plan, "titles"), i, o) {
		struct tracks tracks = count_tracks(o);

		admin_table_cell(t, "%zu", i + 1);
		admin_table_cell(t, "%s", admin_word(text(o, "move")));
		admin_table_cell(t, "%s", admin_word(text(o, "why")));
		admin_table_cell(t, "%.1f", number(o, "plays"));
		admin_table_cell(t, "%s", text(o, "title"));
		admin_table_cell(t, "%s", text(o, "revision"));
		admin_table_cell(t, _("%zu of %zu"), tracks.hold, tracks.all);
		bytes_cell(t, tracks.bytes > 0 ? tracks.bytes : number(o, "bytes"));
	}
	admin_table_print(&t, stdout);
	printf("\n%-10s %s\n%-10s %s\n", _("version"), text(plan, "version"), _("site"), text(plan, "site"));
	field_bytes("to fill", number(plan, "bytes_to_fill"));
	window_text(plan, window);
	printf("%-10s %s\n", _("takes"), window);
	field_bytes("kept", number(plan, "bytes_kept"));
	field_bytes("may go", number(plan, "bytes_that_may_go"));
	printf(_("%.1f %% of the bytes expected at this site would come from it; half of a play is forgotten in %.1f days\n"),
	       100 * number(plan, "offload"), number(plan, "half_life_days"));
}

/* As text in XML, as much of it as there is room for. */
static const char *in_xml(const char *s, char room[static XML_SIZE])
{
	char *p = room;

	for (; *s != '\0' && p + sizeof "&amp;" < room + XML_SIZE; s++)
		p = *s == '<' ? stpcpy(p, "&lt;") : *s == '>' ? stpcpy(p, "&gt;") : *s == '&' ? stpcpy(p, "&amp;") : (*p = *s, p + 1);
	*p = '\0';
	return room;
}

/* One page: what stays, what comes, what may go, as bars of bytes. */
static void draw_head(const json_t *plan, size_t rows, FILE *out)
{
	char fill[STR_BYTES_SIZE], kept[STR_BYTES_SIZE], gone[STR_BYTES_SIZE], window[WINDOW_TEXT_SIZE], version[XML_SIZE], edge[XML_SIZE];

	str_format_bytes((uint64_t)number(plan, "bytes_to_fill"), fill);
	str_format_bytes((uint64_t)number(plan, "bytes_kept"), kept);
	str_format_bytes((uint64_t)number(plan, "bytes_that_may_go"), gone);
	window_text(plan, window);
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"840\" height=\"%zu\" font-family=\"sans-serif\" font-size=\"12\">\n"
	        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
	        "<text x=\"20\" y=\"26\" font-size=\"16\">Plan %.12s of %s</text>\n"
	        "<text x=\"20\" y=\"46\">%s to fill (%s), %s kept, %s may go; %.0f %% of bytes served here</text>\n",
	        rows * 18 + 80, in_xml(text(plan, "version"), version), in_xml(text(plan, "edge"), edge), fill, window, kept, gone, 100 * number(plan, "offload"));
}

/* Names are cut by their box, not by their letters: widths differ, and letters may have several bytes. */
static void draw_title(const json_t *o, size_t y, double most, FILE *out)
{
	static const char *const colours[][2] = {{"keep", "#0b7a53"}, {"fill", "#2f6fb7"}, {"may go", "#b3541e"}, {"-", "#c9ced2"}};
	const char *colour = colours[3][1];
	double width = 320 * number(o, "bytes") / most;
	char bytes[STR_BYTES_SIZE], title[XML_SIZE], why[XML_SIZE];

	for (size_t k = 0; k < N_OF(colours); k++)
		if (strcmp(colours[k][0], text(o, "move")) == 0)
			colour = colours[k][1];
	str_format_bytes((uint64_t)number(o, "bytes"), bytes);
	fprintf(out, "<svg x=\"20\" y=\"%zu\" width=\"230\" height=\"18\"><text y=\"13\">%s</text></svg>"
	        "<svg x=\"260\" y=\"%zu\" width=\"160\" height=\"18\"><text y=\"13\">%s: %s</text></svg>"
	        "<rect x=\"430\" y=\"%zu\" width=\"%.1f\" height=\"12\" fill=\"%s\"/><text x=\"%.1f\" y=\"%zu\" fill=\"#555\">%s</text>\n",
	        y, in_xml(text(o, "title"), title), y, text(o, "move"), in_xml(text(o, "why"), why), y + 3, width, colour, 436 + width, y + 13, bytes);
}

static void draw_plan(void *ctx, FILE *out)
{
	const json_t *plan = ctx, *titles = json_object_get(plan, "titles");
	size_t all = json_array_size(titles), n = all < DRAWN ? all : DRAWN;
	double most = 1;

	for (size_t i = 0; i < n; i++)
		most = fmax(most, number(json_array_get(titles, i), "bytes"));
	draw_head(plan, n + (all > n), out);
	for (size_t i = 0; i < n; i++)
		draw_title(json_array_get(titles, i), 58 + i * 18, most, out);
	if (all > n)
		fprintf(out, "<text x=\"20\" y=\"%zu\" fill=\"#555\">and %zu more</text>\n", 58 + n * 18 + 13, all - n);
	fputs("</svg>\n", out);
}

static int show_present(const struct admin *a, const char *edge, struct fault *f)
{
	char *path = mem_printf("/api/v1/edges/%s/plan?why=yes", edge);
	json_t *plan = NULL;
	int e = admin_call(a, "GET", path, NULL, &plan, f);

	if (e == 0) {
		add_moves(plan);
		add_window(plan, a->rate);
		if (a->json)
			print_json(plan);
		else
			show_plan(plan);
		if (a->svg != NULL)
			e = admin_write_svg(a->svg, draw_plan, plan, f);
	}
	json_decref(plan);
	free(path);
	return e;
}

/* --- other days ------------------------------------------------------------------------------- */

static void show_days(const json_t *answer)
{
	static const char *const heads[] = {N_("DAY"), N_("VERSION"), N_(">TRACKS"), N_(">SIZE"), N_(">IN"), N_(">OUT"), N_(">SERVED HERE"), N_(">HALF-LIFE")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));
	size_t i;
	json_t *o;

	json_array_foreach(json_object_get(answer, "plans"), i, o) {
		admin_table_cell(t, "%s", text(o, "day"));
		admin_table_cell(t, "%s", text(o, "version"));
		admin_table_cell(t, "%.0f", number(o, "files"));
		bytes_cell(t, number(o, "bytes"));
		bytes_cell(t, number(o, "bytes_in"));
		bytes_cell(t, number(o, "bytes_out"));
		admin_table_cell(t, "%.1f %%", 100 * number(o, "offload"));
		admin_table_cell(t, "%.1fd", number(o, "half_life_days"));
	}
	admin_table_print(&t, stdout);
}

static void add_changes(struct admin_table *t, const char *move, const json_t *list)
{
	size_t i;
	json_t *o;

	json_array_foreach((json_t *)list, i, o) {
		admin_table_cell(t, "%s", move);
		admin_table_cell(t, "%s/%s", text(o, "name"), text(o, "file"));
		bytes_cell(t, number(o, "bytes"));
	}
}

static void show_changes(const json_t *answer)
{
	static const char *const heads[] = {N_("MOVE"), N_("TRACK"), N_(">SIZE")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));

	add_changes(t, "in", json_object_get(answer, "in"));
	add_changes(t, "out", json_object_get(answer, "out"));
	admin_table_print(&t, stdout);
	putchar('\n');
	field_bytes("in", number(answer, "bytes_in"));
	field_bytes("out", number(answer, "bytes_out"));
	field_bytes("kept", number(answer, "bytes_kept"));
}

static int show_answer(const struct admin *a, char *path, void (*show)(const json_t *), struct fault *f)
{
	json_t *answer = NULL;
	int e = admin_call(a, "GET", path, NULL, &answer, f);

	if (e == 0 && a->json)
		print_json(answer);
	else if (e == 0)
		show(answer);
	json_decref(answer);
	free(path);
	return e;
}

int admin_plan(const struct admin *a, char **args, struct fault *f)
{
	const char *comma = a->compare != NULL ? strchr(a->compare, ',') : NULL;

	if (a->compare != NULL && (comma == NULL || strspn(a->compare, "0123456789-,") != strlen(a->compare)))
		return fault_set(f, ERR_USAGE, _("--compare: found \"%s\", expected two days, 2026-11-20,2026-11-21"), a->compare);
	if (a->compare != NULL)
		return show_answer(a, mem_printf("/api/v1/edges/%s/plans?from=%.*s&to=%s", args[0], (int)(comma - a->compare), a->compare,
		                                 comma + 1), show_changes, f);
	if (a->history)
		return show_answer(a, mem_printf("/api/v1/edges/%s/plans", args[0]), show_days, f);
	return show_present(a, args[0], f);
}

/* --- places ----------------------------------------------------------------------------------- */

static void show_rules(const json_t *answer)
{
	static const char *const heads[] = {N_("PLACE"), N_("KEY"), N_("VALUE")};
	struct admin_table *t = admin_table_new(heads, N_OF(heads));
	size_t i;
	json_t *o;

	json_array_foreach(json_object_get(answer, "rules"), i, o) {
		admin_table_cell(t, "%s", strcmp(text(o, "place"), "*") == 0 ? "everywhere" : text(o, "place"));
		admin_table_cell(t, "%s", text(o, "key"));
		admin_table_cell(t, "%s", text(o, "value"));
	}
	admin_table_print(&t, stdout);
}

int admin_places(const struct admin *a, char **args, struct fault *f)
{
	(void)args;
	return show_answer(a, mem_dup("/api/v1/placement"), show_rules, f);
}

static int set(const struct admin *a, char *path, const char *key, const char *value, struct fault *f)
{
	json_t *body = json_pack("{s:s, s:s}", "key", key, "value", value);
	int e = body != NULL ? admin_call(a, "PUT", path, body, NULL, f) : fault_set(f, ERR_USAGE, _("key and value must be UTF-8"));

	free(path);
	return e;
}

int admin_edge_set(const struct admin *a, char **args, struct fault *f)
{
	return set(a, mem_printf("/api/v1/edges/%s/place", args[0]), args[1], args[2], f);
}

int admin_copies(const struct admin *a, char **args, struct fault *f)
{
	return set(a, mem_dup("/api/v1/placement"), "copies", args[0], f);
}
