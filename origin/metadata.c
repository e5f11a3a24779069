/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A sorted table of JSON objects.  Invariant: an object once in the table is not
 * changed; a change puts another one in its place, after the catalogue has it.
 */
#include "origin/metadata.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/events.h"
#include "origin/form.h"
#include "origin/library.h"
#include "origin/origin.h"
#include "origin/reply.h"
#include "origin/search.h"
#include "serve/serve.h"

#define NAME_MAX_BYTES 200
#define DESCRIPTION_MAX 4000
#define TAGS_MAX 32
#define YEAR_MIN 1800
#define YEAR_MAX 2999

struct row {
	char *title;
	json_t *about;
};

struct metadata {
	struct catalogue *catalogue;
	pthread_rwlock_t lock; /* guards all below */
	struct row *rows;      /* sorted by title */
	size_t n, cap;
};

struct metadata *metadata_new(struct catalogue *catalogue)
{
	struct metadata *m = mem_new(sizeof *m);

	m->catalogue = catalogue;
	pthread_rwlock_init(&m->lock, NULL);
	return m;
}

static void forget_all(struct metadata *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->rows[i].title);
		json_decref(m->rows[i].about);
	}
	m->n = 0;
}

void metadata_free(struct metadata **pm)
{
	struct metadata *m = *pm;

	if (m == NULL)
		return;
	forget_all(m);
	free(m->rows);
	pthread_rwlock_destroy(&m->lock);
	free(m);
	*pm = NULL;
}

static size_t place_of(const struct metadata *m, const char *title)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(m->rows[middle].title, title) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct metadata *m, size_t i, const char *title)
{
	return i < m->n && strcmp(m->rows[i].title, title) == 0;
}

static void put(struct metadata *m, const char *title, json_t *about)
{
	size_t at = place_of(m, title);

	if (is_at(m, at, title)) {
		json_decref(m->rows[at].about);
		m->rows[at].about = about;
		return;
	}
	MEM_GROW(m->rows, m->cap, m->n);
	memmove(m->rows + at + 1, m->rows + at, (m->n - at) * sizeof *m->rows);
	m->rows[at] = (struct row){mem_dup(title), about};
	m->n++;
}

/* --- from the catalogue --- */

static void load_one(void *ctx, const char *title, const struct catalogue_meta *c)
{
	json_t *tags = c->tags != NULL ? json_loads(c->tags, 0, NULL) : NULL;

	put(ctx, title, json_pack("{s:s?, s:s?, s:o, s:o}", "name", c->name, "description", c->description, "year",
	                          c->year != 0 ? json_integer(c->year) : json_null(), "tags", tags != NULL ? tags : json_array()));
}

int metadata_load(struct metadata *m, struct fault *f)
{
	int e;

	pthread_rwlock_wrlock(&m->lock);
	forget_all(m);
	e = catalogue_each_meta(m->catalogue, load_one, m, f);
	pthread_rwlock_unlock(&m->lock);
	return e;
}

json_t *metadata_said(struct metadata *m, const char *title)
{
	json_t *o = NULL;
	size_t at;

	pthread_rwlock_rdlock(&m->lock);
	at = place_of(m, title);
	if (is_at(m, at, title))
		o = json_incref(m->rows[at].about);
	pthread_rwlock_unlock(&m->lock);
	return o;
}

json_t *metadata_about(struct metadata *m, const char *title)
{
	json_t *o = metadata_said(m, title);

	return o != NULL ? o : json_pack("{s:n, s:n, s:n, s:[]}", "name", "description", "year", "tags");
}

/* --- the API --- */

struct wish {
	const char *name, *description, *policy;
	uint64_t year;
	json_t *tags;
};

static const struct form_row wish_rows[] = {
	{"name", FORM_TEXT, false, offsetof(struct wish, name), 1, NAME_MAX_BYTES},
	{"description", FORM_PROSE, false, offsetof(struct wish, description), 0, DESCRIPTION_MAX},
	{"year", FORM_SIZE, false, offsetof(struct wish, year), YEAR_MIN, YEAR_MAX},
	{"tags", FORM_LIST, false, offsetof(struct wish, tags), 0, TAGS_MAX},
	{"policy", FORM_TEXT, false, offsetof(struct wish, policy), 0, 8},
};
#define N_WISHES (sizeof wish_rows / sizeof wish_rows[0])

struct policy_search {
	const char *title;
	char policy[8];
};

static void find_policy(void *ctx, const char *title, const char *policy)
{
	struct policy_search *s = ctx;

	if (strcmp(title, s->title) == 0)
		snprintf(s->policy, sizeof s->policy, "%s", policy);
}

static bool is_known(struct api_call *c)
{
	struct library_view *v = library_view(c->origin->library);
	const struct library_gone *first;
	bool known = library_view_find(v, c->name, strlen(c->name)) != NULL || library_view_gone(v, c->name, &first) > 0;

	library_view_unref(&v);
	return known;
}

/* The document as GET shows it; NULL: it has been answered. */
static json_t *document(struct api_call *c)
{
	struct policy_search s = {.title = c->name, .policy = "none"};
	struct fault f = {0};
	json_t *said, *o;

	if (!is_known(c)) {
		reply_problem(c->req, 404, "there is no title \"%.128s\"", c->name);
		return NULL;
	}
	if (catalogue_each_policy(c->origin->catalogue, find_policy, &s, &f) != 0) {
		reply_fault(c->req, &f);
		return NULL;
	}
	said = metadata_about(c->origin->metadata, c->name);
	o = json_copy(said);
	json_decref(said);
	json_object_set_new(o, "policy", json_string(s.policy));
	return o;
}

void api_get_metadata(struct api_call *c)
{
	json_t *o = document(c);

	if (o != NULL)
		reply_json(c->req, 200, o);
}

static int check_tags(const json_t *tags, struct form_error *e)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)tags, i, v) {
		const char *s = json_string_value(v);
		char field[32];

		snprintf(field, sizeof field, "tags[%zu]", i);
		if (s == NULL || !form_is_text(s, json_string_length(v), METADATA_TAG_MAX) || *s == '\0')
			return form_fail(e, field, "expected text of 1 to %d bytes", METADATA_TAG_MAX);
		for (size_t j = 0; j < i; j++)
			if (json_equal(json_array_get(tags, j), v))
				return form_fail(e, field, "stands there twice");
	}
	return 0;
}

static int check(const struct wish *w, struct form_error *e)
{
	if (strcmp(w->policy, "pin") != 0 && strcmp(w->policy, "ban") != 0 && strcmp(w->policy, "none") != 0 &&
	    strcmp(w->policy, "urgent") != 0)
		return form_fail(e, "policy", "expected pin, urgent, ban or none");
	return w->tags != NULL ? check_tags(w->tags, e) : 0;
}

static int save(struct api_call *c, const struct wish *w, struct fault *f)
{
	char *tags = w->tags != NULL ? json_dumps(w->tags, JSON_COMPACT) : NULL;
	struct catalogue_meta row = {w->name, w->description, (int64_t)w->year, tags};
	struct metadata *m = c->origin->metadata;
	struct library_view *view;
	int e = catalogue_put_meta(c->origin->catalogue, c->name, &row, strcmp(w->policy, "none") != 0 ? w->policy : NULL, c->who,
	                           clock_wall(), f);

	if (e == 0) {
		pthread_rwlock_wrlock(&m->lock);
		load_one(m, c->name, &row);
		pthread_rwlock_unlock(&m->lock);
		view = library_view(c->origin->library);
		search_take_title(c->origin->search, view, c->name);
		library_view_unref(&view);
		events_say(c->origin->events, EVENT_TITLE_CHANGED, json_pack("{s:s}", "title", c->name));
	}
	free(tags);
	return e;
}

/* `o` is the whole document that is wished for. */
static void put_document(struct api_call *c, const json_t *o)
{
	struct wish w = {.policy = "none"};
	struct form_error e;
	struct fault f = {0};

	if (form_read_object(o, "", wish_rows, N_WISHES, &w, &e) != 0 || check(&w, &e) != 0)
		reply_form_error(c->req, &e);
	else if (save(c, &w, &f) != 0)
		reply_fault(c->req, &f);
	else
		api_get_metadata(c);
}

static void drop_nulls(json_t *o)
{
	const char *key;
	void *next;
	json_t *v;

	json_object_foreach_safe(o, next, key, v)
		if (json_is_null(v))
			json_object_del(o, key);
}

static void change(struct api_call *c, bool merge)
{
	json_t *now = document(c), *body;
	struct form_error e;

	if (now == NULL)
		return;
	if (form_parse(c->req, &body, &e) != 0) {
		reply_form_error(c->req, &e);
	} else {
		if (merge)
			json_object_update(now, body);
		drop_nulls(merge ? now : body);
		put_document(c, merge ? now : body);
		json_decref(body);
	}
	json_decref(now);
}

void api_put_metadata(struct api_call *c)
{
	change(c, false);
}

void api_patch_metadata(struct api_call *c)
{
	change(c, true);
}
