/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plans that were, and what operators want of places.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/form.h"
#include "origin/library.h"
#include "origin/origin.h"
#include "origin/paging.h"
#include "origin/planner.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "origin/rules.h"
#include "serve/serve.h"

#define DAY_S INT64_C(86400)

/* "2026-11-21", days from 1970. */
static void day_text(int64_t day, char ret_text[static CLOCK_RFC3339_SIZE])
{
	clock_to_rfc3339(day * DAY_S * DUR_S, ret_text);
	ret_text[10] = '\0';
}

static bool day_read(const char *s, int64_t *ret_day)
{
	unsigned y, m, d;
	char tail;
	static const unsigned before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};

	if (s == NULL || strlen(s) != 10 || sscanf(s, "%4u-%2u-%2u%c", &y, &m, &d, &tail) != 3 || y < 1970 || m < 1 || m > 12 ||
	    d < 1 || d > 31)
		return false;
	*ret_day = (int64_t)(y - 1970) * 365 + (y - 1969) / 4 - (y - 1901) / 100 + (y - 1601) / 400 + before[m - 1] + d - 1 +
	           (m > 2 && (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)));
	return true;
}

/* --- what came and went ------------------------------------------------------------------ */

/* Adds to `list` the files of `a` that are not in `b`; the bytes. */
static json_int_t difference(const json_t *a, const json_t *b, json_t *list)
{
	const char *key, *file;
	json_t *files, *bytes;
	json_int_t sum = 0;

	json_object_foreach((json_t *)a, key, files) {
		const json_t *others = json_object_get(b, key);

		json_object_foreach(files, file, bytes) {
			if (json_object_get(others, file) != NULL)
				continue;
			sum += json_integer_value(bytes);
			if (list != NULL)
				json_array_append_new(list, json_pack("{s:s, s:s, s:O}", "name", key, "file", file, "bytes", bytes));
		}
	}
	return sum;
}

struct history {
	json_t *days, *files; /* files: of the day before */
	char hash[64];
};

static void add_day(void *ctx, const struct catalogue_plan *p)
{
	struct history *h = ctx;
	bool same = h->files != NULL && strcmp(h->hash, p->files_hash) == 0;
	json_t *files = same ? json_incref(h->files) : json_loads(p->files, 0, NULL), *o = json_loads(p->summary, 0, NULL);
	char day[CLOCK_RFC3339_SIZE], made[CLOCK_RFC3339_SIZE];

	day_text(p->day, day);
	clock_to_rfc3339(p->made, made);
	if (o == NULL)
		o = json_object();
	json_object_set_new(o, "day", json_string(day));
	json_object_set_new(o, "made", json_string(made));
	json_object_set_new(o, "version", json_string(p->version));
	json_object_set_new(o, "bytes_in", json_integer(same ? 0 : difference(files, h->files, NULL)));
	json_object_set_new(o, "bytes_out", json_integer(same ? 0 : difference(h->files, files, NULL)));
	json_array_append_new(h->days, o);
	json_decref(h->files);
	h->files = files;
	snprintf(h->hash, sizeof h->hash, "%s", p->files_hash);
}

static bool is_there(void *ctx, const struct registry_edge *e)
{
	return true;
}

/* Looking makes no plan: an edge that asked for none yet has none. */
static bool edge_exists(struct api_call *c)
{
	bool there = registry_with(c->origin->registry, c->name, is_there, NULL) == 0;

	if (!there)
		reply_problem(c->req, 404, "there is no edge \"%.128s\"", c->name);
	return there;
}

static void list_days(struct api_call *c)
{
	struct history h = {.days = json_array()};
	struct fault f = {0};

	if (catalogue_each_plan(c->origin->catalogue, c->name, 0, INT32_MAX, add_day, &h, &f) != 0) {
		json_decref(h.days);
		reply_fault(c->req, &f);
	} else {
		reply_json(c->req, 200, json_pack("{s:s, s:o}", "edge", c->name, "plans", h.days));
	}
	json_decref(h.files);
}

static void take_files(void *ctx, const struct catalogue_plan *p)
{
	*(json_t **)ctx = json_loads(p->files, 0, NULL);
}

static json_t *files_of(struct api_call *c, const char *text, int64_t day)
{
	struct fault f = {0};
	json_t *files = NULL;

	if (catalogue_each_plan(c->origin->catalogue, c->name, day, day, take_files, &files, &f) != 0)
		reply_fault(c->req, &f);
	else if (files == NULL)
		reply_problem(c->req, 404, "there is no plan of %.10s for edge \"%s\"", text, c->name);
	return files;
}

static void compare_days(struct api_call *c, const char *from, const char *to)
{
	int64_t from_day, to_day;
	json_t *a, *b = NULL, *in, *out;
	json_int_t bytes_in, bytes_out;
	struct form_error e;

	if (!day_read(from, &from_day) || !day_read(to, &to_day)) {
		form_fail(&e, day_read(from, &from_day) || (to != NULL && !day_read(to, &to_day)) ? "to" : "from", "expected a day: 2026-11-21");
		reply_form_error(c->req, &e);
		return;
	}
	a = files_of(c, from, from_day);
	if (a != NULL)
		b = files_of(c, to, to_day);
	if (b != NULL) {
		in = json_array();
		out = json_array();
		bytes_in = difference(b, a, in);
		bytes_out = difference(a, b, out);
		reply_json(c->req, 200, json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "edge", c->name, "from", from, "to", to, "in", in,
		                                  "out", out, "bytes_in", bytes_in, "bytes_out", bytes_out, "bytes_kept",
		                                  difference(a, NULL, NULL) - bytes_out));
	}
	json_decref(a);
	json_decref(b);
}

void api_list_plans(struct api_call *c)
{
	const char *from = serve_param(c->req, "from"), *to = serve_param(c->req, "to");

	if (!edge_exists(c))
		return;
	if (from != NULL || to != NULL)
		compare_days(c, from, to);
	else
		list_days(c);
}

/* --- places -------------------------------------------------------------------------------- */

struct rule_form {
	const char *key, *value;
};

static const struct form_row rule_rows[] = {
	{"key", FORM_NAME, true, offsetof(struct rule_form, key), 0, 0},
	{"value", FORM_TEXT, true, offsetof(struct rule_form, value), 0, 100},
};

static void set_rule(struct api_call *c, const char *place)
{
	struct rule_form form = {0};
	struct form_error e;
	struct fault f = {0};
	json_t *root;
	size_t n;
	const void *body = serve_body(c->req, &n);
	const char *expected;
	bool none;

	if (form_read(body, n, rule_rows, 2, &form, &root, &e) != 0) {
		reply_form_error(c->req, &e);
		return;
	}
	none = strcmp(form.value, "none") == 0;
	expected = rules_check_key(place, form.key);
	if (expected != NULL) {
		form_fail(&e, "key", "expected %s", expected);
		reply_form_error(c->req, &e);
		json_decref(root);
		return;
	}
	expected = none ? NULL : rules_check(place, form.key, form.value);
	if (expected != NULL) {
		form_fail(&e, "value", "expected %s", expected);
		reply_form_error(c->req, &e);
	} else if (catalogue_set_rule(c->origin->catalogue, place, form.key, none ? NULL : form.value, c->who, clock_wall(), &f) != 0) {
		reply_fault(c->req, &f);
	} else {
		reply_empty(c->req, 204);
	}
	json_decref(root);
}

void api_set_place(struct api_call *c)
{
	set_rule(c, c->name);
}

void api_set_everywhere(struct api_call *c)
{
	set_rule(c, RULES_EVERYWHERE);
}

static void add_rule(void *ctx, const char *place, const char *key, const char *value)
{
	json_array_append_new(ctx, json_pack("{s:s, s:s, s:s}", "place", place, "key", key, "value", value));
}

void api_list_rules(struct api_call *c)
{
	json_t *list = json_array();
	struct fault f = {0};

	if (catalogue_each_rule(c->origin->catalogue, add_rule, list, &f) != 0) {
		json_decref(list);
		reply_fault(c->req, &f);
	} else {
		paging_answer(c->req, "rules", list, &(struct paging_keys){{"place", "key"}}, NULL);
	}
}
