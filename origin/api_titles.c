/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The control API's part of titles: withdrawing, taking that back, choosing a
 * revision, and the log of who did it.  The log is written first: what is not on
 * record is not done.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "dash/package.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/form.h"
#include "origin/library.h"
#include "origin/origin.h"
#include "origin/paging.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "origin/titles.h"
#include "serve/serve.h"

void api_list_titles(struct api_call *c)
{
	titles_answer_list(c->req, c->origin);
}

void api_get_title(struct api_call *c)
{
	titles_answer_one(c->req, c->origin, c->name);
}

void api_get_revision(struct api_call *c)
{
	titles_answer_revision(c->req, c->origin, c->name, c->second);
}

void api_list_tags(struct api_call *c)
{
	titles_answer_tags(c->req, c->origin);
}

/* --- what was withdrawn --- */

static json_t *gone_json(const struct api_call *c, const struct library_gone *g)
{
	char at[CLOCK_RFC3339_SIZE], until[CLOCK_RFC3339_SIZE];

	clock_to_rfc3339(g->at, at);
	clock_to_rfc3339(g->at + c->origin->settings.withdraw_grace, until);
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s}", "title", g->revision->title, "revision", g->revision->revision, "name",
	                 g->revision->name, "bytes", (json_int_t)g->revision->bytes, "withdrawn", at, "removed_after", until);
}

void api_list_withdrawn(struct api_call *c)
{
	struct library_view *v = library_view(c->origin->library);
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_gone; i++)
		json_array_append_new(list, gone_json(c, &v->gone[i]));
	library_view_unref(&v);
	paging_answer(c->req, "withdrawn", list, &(struct paging_keys){{"title", "revision"}}, NULL);
}

/* --- changes --- */

typedef int (*change_f)(struct library *, const char *title, const char *revision, struct fault *);

static char *subject_of(const struct api_call *c, const char *revision)
{
	return revision != NULL ? mem_printf("%s/%s", c->name, revision) : mem_dup(c->name);
}

static int record(struct api_call *c, const char *what, const char *revision, const char *detail, struct fault *f)
{
	char *subject = subject_of(c, revision);
	struct catalogue_entry entry = {.at = clock_wall(), .who = c->who, .what = what, .subject = subject, .detail = detail};
	int e = catalogue_add_entry(c->origin->catalogue, &entry, f);

	free(subject);
	return e;
}

/* Answered in both cases. */
static void change(struct api_call *c, change_f f, const char *what, const char *revision)
{
	struct fault fault = {0};

	if (record(c, what, revision, NULL, &fault) != 0) {
		reply_fault(c->req, &fault);
		return;
	}
	if (f(c->origin->library, c->name, revision, &fault) != 0) {
		record(c, "that failed", revision, fault_text(&fault), NULL);
		reply_fault(c->req, &fault);
		return;
	}
	log_info("origin/api", "%s title=%s%s%s by=\"%s\"", what, c->name, revision != NULL ? " revision=" : "",
	         revision != NULL ? revision : "", c->who);
	reply_empty(c->req, 204);
}

/* Is there something that the change can be done to?  False: it has been answered. */
static bool has_revision(struct api_call *c, const char *revision, bool gone)
{
	struct library_view *v = library_view(c->origin->library);
	const struct library_gone *first;
	char *key = subject_of(c, revision);
	size_t n = library_view_gone(v, c->name, &first);
	bool has = gone ? n > 0 && revision == NULL : revision == NULL ? library_view_find(v, c->name, strlen(c->name)) != NULL
	                                                               : library_view_revision(v, key) != NULL;

	for (size_t i = 0; gone && revision != NULL && i < n; i++)
		has = has || strcmp(first[i].revision->revision, revision) == 0;
	if (!has)
		reply_problem(c->req, 404, "there is no %s\"%s\"", gone ? "withdrawn " : "", key);
	library_view_unref(&v);
	free(key);
	return has;
}

void api_withdraw_title(struct api_call *c)
{
	if (has_revision(c, NULL, false))
		change(c, library_withdraw, "title withdrawn", NULL);
}

void api_withdraw_revision(struct api_call *c)
{
	if (has_revision(c, c->second, false))
		change(c, library_withdraw, "revision withdrawn", c->second);
}

struct revision_form {
	const char *revision;
};

static const struct form_row revision_rows[] = {
	{"revision", FORM_NAME, false, offsetof(struct revision_form, revision), 0, 0},
};

/* The revision that the body names, or NULL; *ret_root keeps it alive.  False: it has been answered. */
static bool read_revision(struct api_call *c, bool required, const char **ret_revision, json_t **ret_root)
{
	struct revision_form form = {0};
	struct form_error e;
	size_t n;
	const void *body = serve_body(c->req, &n);

	if (form_read(n > 0 ? body : "{}", n > 0 ? n : 2, revision_rows, 1, &form, ret_root, &e) != 0) {
		reply_form_error(c->req, &e);
		return false;
	}
	if (required && form.revision == NULL) {
		form_fail(&e, "revision", "is missing: expected 20 hex digits");
		reply_form_error(c->req, &e);
		json_decref(*ret_root);
		return false;
	}
	*ret_revision = form.revision;
	return true;
}

void api_restore_title(struct api_call *c)
{
	const char *revision;
	json_t *root;

	if (!read_revision(c, false, &revision, &root))
		return;
	if (has_revision(c, revision, true))
		change(c, library_restore, "withdrawal taken back", revision);
	json_decref(root);
}

void api_get_current(struct api_call *c)
{
	struct revision *r = library_current(c->origin->library, c->name, strlen(c->name));

	if (r == NULL)
		reply_problem(c->req, 404, "there is no title \"%.128s\"", c->name);
	else
		reply_json(c->req, 200, json_pack("{s:s}", "revision", r->revision));
	revision_unref(&r);
}

void api_choose_revision(struct api_call *c)
{
	const char *revision;
	json_t *root;

	if (!read_revision(c, true, &revision, &root))
		return;
	if (has_revision(c, revision, false))
		change(c, library_choose, "revision chosen", revision);
	json_decref(root);
}

void api_choose_newest(struct api_call *c)
{
	if (has_revision(c, NULL, false))
		change(c, library_choose, "newest revision chosen", NULL);
}

/* --- the log --- */

static void add_entry(void *ctx, const struct catalogue_entry *t)
{
	char at[CLOCK_RFC3339_SIZE];

	clock_to_rfc3339(t->at, at);
	json_array_append_new(ctx, json_pack("{s:I, s:s, s:s, s:s, s:s, s:s?}", "id", (json_int_t)t->id, "at", at, "who", t->who,
	                                     "what", t->what, "subject", t->subject, "detail", t->detail));
}

void api_read_log(struct api_call *c)
{
	const char *before = serve_param(c->req, "before"), *limit = serve_param(c->req, "limit");
	uint64_t n = PAGE_LIMIT_DEFAULT, from = 0;
	json_t *list = json_array(), *last = NULL;
	struct form_error e = {.text = ""};
	struct fault f = {0};

	if (limit != NULL && (str_parse_u64(limit, strlen(limit), &n) != 0 || n == 0 || n > PAGE_LIMIT_MAX))
		form_fail(&e, "limit", "expected a number from 1 to %d", PAGE_LIMIT_MAX);
	else if (before != NULL && (str_parse_u64(before, strlen(before), &from) != 0 || from == 0 || from > INT64_MAX))
		form_fail(&e, "before", "expected the id of an entry");
	if (e.text[0] != '\0') {
		reply_form_error(c->req, &e);
	} else if (catalogue_each_entry(c->origin->catalogue, (int64_t)from, n, serve_param(c->req, "subject"), add_entry, list, &f) != 0) {
		reply_fault(c->req, &f);
	} else {
		if (json_array_size(list) == n)
			last = json_object_get(json_array_get(list, n - 1), "id");
		reply_json(c->req, 200, json_pack("{s:O, s:O?}", "entries", list, "next", last));
	}
	json_decref(list);
}
