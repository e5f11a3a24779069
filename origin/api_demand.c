/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Demand: batches of counts from edges, and what they add up to.
 */
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/str.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/demand_view.h"
#include "origin/form.h"
#include "origin/origin.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "serve/serve.h"

#define MAX_HOURS 48
#define MAX_FILES 50000
#define HOURS_DEFAULT 24
#define HOURS_MAX (400 * 24)
#define COUNT_MAX ((size_t)1 << 53)        /* what JSON says exactly everywhere */
#define LAST_HOUR ((size_t)253402297200) /* of the year 9999 */

/* --- batches ------------------------------------------------------------------------------ */

struct batch_form {
	const char *stream;
	uint64_t sequence;
	json_t *hours;
};

static const struct form_row batch_rows[] = {
	{"stream", FORM_NAME, true, offsetof(struct batch_form, stream), 0, 0},
	{"sequence", FORM_SIZE, true, offsetof(struct batch_form, sequence), 1, 0},
	{"hours", FORM_LIST, true, offsetof(struct batch_form, hours), 0, MAX_HOURS},
};

struct hour_form {
	uint64_t hour;
	json_t *files;
};

static const struct form_row hour_rows[] = {
	{"hour", FORM_SIZE, true, offsetof(struct hour_form, hour), 0, LAST_HOUR},
	{"files", FORM_LIST, true, offsetof(struct hour_form, files), 0, MAX_FILES},
};

struct file_form {
	const char *title, *revision, *file;
	uint64_t requests, bytes, sessions;
};

static const struct form_row file_rows[] = {
	{"title", FORM_NAME, true, offsetof(struct file_form, title), 0, 0},
	{"revision", FORM_NAME, true, offsetof(struct file_form, revision), 0, 0},
	{"file", FORM_NAME, true, offsetof(struct file_form, file), 0, 0},
	{"requests", FORM_SIZE, true, offsetof(struct file_form, requests), 0, COUNT_MAX},
	{"bytes", FORM_SIZE, true, offsetof(struct file_form, bytes), 0, COUNT_MAX},
	{"sessions", FORM_SIZE, false, offsetof(struct file_form, sessions), 0, COUNT_MAX},
};

struct counts {
	struct catalogue_count *v;
	size_t n, cap;
};

static void counts_fini(struct counts *c)
{
	for (size_t i = 0; i < c->n; i++)
		free((char *)c->v[i].name);
	free(c->v);
}

static int read_hour(const json_t *v, size_t at, struct counts *c, struct form_error *e)
{
	struct hour_form h = {0};
	char where[80];
	json_t *file;
	size_t i;

	snprintf(where, sizeof where, "hours[%zu]", at);
	if (form_read_object(v, where, hour_rows, 2, &h, e) != 0)
		return ERR_SYNTAX;
	snprintf(where, sizeof where, "hours[%zu].hour", at);
	if (h.hour % 3600 != 0)
		return form_fail(e, where, "expected seconds since 1970 of a full hour");
	json_array_foreach(h.files, i, file) {
		struct file_form f = {0};

		snprintf(where, sizeof where, "hours[%zu].files[%zu]", at, i);
		if (form_read_object(file, where, file_rows, 6, &f, e) != 0)
			return ERR_SYNTAX;
		MEM_GROW(c->v, c->cap, c->n);
		c->v[c->n++] = (struct catalogue_count){(int64_t)h.hour, NULL, mem_printf("%s/%s/%s", f.title, f.revision, f.file),
		                                        f.requests, f.bytes, f.sessions};
	}
	return 0;
}

static int read_batch(const void *body, size_t n, struct batch_form *b, struct counts *c, json_t **ret_root, struct form_error *e)
{
	json_t *hour;
	size_t i;

	if (form_read(body, n, batch_rows, 3, b, ret_root, e) != 0)
		return ERR_SYNTAX;
	json_array_foreach(b->hours, i, hour) {
		if (read_hour(hour, i, c, e) == 0)
			continue;
		json_decref(*ret_root);
		return ERR_SYNTAX;
	}
	return 0;
}

static bool seen(void *ctx, const struct registry_edge *e)
{
	return true;
}

static void take_demand(struct api_call *c)
{
	struct batch_form b = {0};
	struct counts counts = {0};
	struct form_error e;
	struct fault f = {0};
	bool news = false;
	json_t *root;
	size_t n;
	const void *body = serve_body(c->req, &n);

	if (registry_with(c->origin->registry, c->name, seen, NULL) != 0) {
		reply_problem(c->req, 404, "there is no edge \"%s\": register it first", c->name);
	} else if (read_batch(body, n, &b, &counts, &root, &e) != 0) {
		reply_form_error(c->req, &e);
	} else {
		struct catalogue_batch batch = {b.stream, b.sequence, counts.v, counts.n};

		if (catalogue_put_demand(c->origin->catalogue, c->name, &batch, clock_wall(), &news, &f) != 0)
			reply_fault(c->req, &f);
		else
			reply_json(c->req, 200, json_pack("{s:b}", "counted", (int)news));
		json_decref(root);
	}
	counts_fini(&counts);
}

static void demand_in_turn(void *ctx, struct serve_request *req)
{
	api_of_edge(ctx, req, take_demand);
}

void api_put_demand(struct api_call *c)
{
	api_in_turn(c, take_demand, demand_in_turn);
}

/* --- what they add up to ------------------------------------------------------------------ */

static bool read_query(struct serve_request *req, struct demand_view_query *q)
{
	const char *hours = serve_param(req, "hours"), *by = serve_param(req, "by");
	struct form_error e;

	*q = (struct demand_view_query){.hours = HOURS_DEFAULT, .edge = serve_param(req, "edge"), .title = serve_param(req, "title")};
	if (hours != NULL && (str_parse_u64(hours, strlen(hours), &q->hours) != 0 || q->hours == 0 || q->hours > HOURS_MAX)) {
		form_fail(&e, "hours", "found \"%.40s\", expected 1 to %d", hours, HOURS_MAX);
		reply_form_error(req, &e);
		return false;
	}
	if (by != NULL && strcmp(by, "file") != 0 && strcmp(by, "hour") != 0) {
		form_fail(&e, "by", "found \"%.40s\", expected file or hour", by);
		reply_form_error(req, &e);
		return false;
	}
	q->by_hour = by != NULL && strcmp(by, "hour") == 0;
	return true;
}

/* Sums that nobody has asked for of late take as long as there are rows. */
struct counting {
	struct demand_view *view;
	struct demand_view_query query; /* its texts are owned */
	struct blob *json;
	dur_us age;
	struct fault fault;
	int error;
};

static void count(void *ctx)
{
	struct counting *k = ctx;

	k->error = demand_view_ask(k->view, &k->query, &k->json, &k->age, &k->fault);
}

static void answer(void *ctx, struct serve_request *req)
{
	struct counting *k = ctx;

	if (k->error != 0)
		reply_fault(req, &k->fault);
	else
		reply_json_aged(req, blob_ref(k->json), k->age);
}

static void counting_free(void *ctx)
{
	struct counting *k = ctx;

	blob_unref(&k->json);
	free((char *)k->query.edge);
	free((char *)k->query.title);
	free(k);
}

static const struct serve_beside_ops counting_ops = {count, answer, counting_free};

static char *copy_text(const char *s)
{
	return s != NULL ? mem_dup(s) : NULL;
}

void api_get_demand(struct api_call *c)
{
	struct demand_view_query q;
	struct counting *k;
	struct blob *json;
	dur_us age;

	if (!read_query(c->req, &q))
		return;
	if (demand_view_look(c->origin->demand, &q, &json, &age)) {
		reply_json_aged(c->req, json, age);
		return;
	}
	k = mem_new(sizeof *k);
	*k = (struct counting){.view = c->origin->demand, .query = {q.by_hour, q.hours, copy_text(q.edge), copy_text(q.title)}};
	serve_beside(c->req, &counting_ops, k);
}

/* --- policies ----------------------------------------------------------------------------- */

struct policy_form {
	const char *policy;
};

static const struct form_row policy_rows[] = {
	{"policy", FORM_NAME, true, offsetof(struct policy_form, policy), 0, 0},
};

void api_set_policy(struct api_call *c)
{
	struct policy_form form = {0};
	struct form_error e;
	struct fault f = {0};
	json_t *root;
	size_t n;
	const void *body = serve_body(c->req, &n);
	bool none;

	if (form_read(body, n, policy_rows, 1, &form, &root, &e) != 0) {
		reply_form_error(c->req, &e);
		return;
	}
	none = strcmp(form.policy, "none") == 0;
	if (!none && strcmp(form.policy, "pin") != 0 && strcmp(form.policy, "ban") != 0 && strcmp(form.policy, "urgent") != 0) {
		form_fail(&e, "policy", "expected pin, urgent, ban or none");
		reply_form_error(c->req, &e);
	} else if (catalogue_set_policy(c->origin->catalogue, c->name, none ? NULL : form.policy, c->who, clock_wall(), &f) != 0) {
		reply_fault(c->req, &f);
	} else {
		reply_empty(c->req, 204);
	}
	json_decref(root);
}
