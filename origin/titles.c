/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Titles as JSON.
 */
#include "origin/titles.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/str.h"
#include "origin/form.h"
#include "origin/holders.h"
#include "origin/json_text.h"
#include "origin/library.h"
#include "origin/metadata.h"
#include "origin/origin.h"
#include "origin/paging.h"
#include "origin/popular.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "origin/search.h"
#include "serve/serve.h"

#define REPORT_MAX ((size_t)4 << 20)

static size_t count_holders(const struct holders *h, const char *key)
{
	const struct holders_set *set;
	size_t n;

	rcu_read_begin();
	set = holders_find(h, key);
	n = set != NULL ? set->n : 0;
	rcu_read_end();
	return n;
}

static void write_link(struct json_text *t, const char *name, const char *prefix, const char *what, const char *file)
{
	char *link = mem_printf("%s/v/%s/%s", prefix, what, file);

	json_text_string(t, name, link);
	free(link);
}

/* Its object, which is left open. */
static void write_title(struct json_text *t, struct serve_request *req, const struct origin *o, const struct library_title *title)
{
	const struct revision *r = title->revisions[0];
	json_t *said = metadata_said(o->metadata, title->name), *tags = json_object_get(said, "tags");
	const char *name = json_string_value(json_object_get(said, "name"));
	char published[CLOCK_RFC3339_SIZE], *scope = mem_printf("/v/%s/", title->name);
	const char *prefix = serve_sign(req, scope, 2);

	free(scope);
	clock_to_rfc3339(r->published, published);
	json_text_open(t, NULL, '{');
	json_text_string(t, "title", title->name);
	json_text_string(t, "name", name != NULL ? name : r->name);
	json_text_string(t, "revision", r->revision);
	json_text_string(t, "published", published);
	json_text_integer(t, "bytes", (int64_t)r->bytes);
	json_text_real(t, "duration", r->duration > 0 ? (double)r->duration / (double)DUR_S : NAN);
	json_text_integer(t, "edges", (int64_t)count_holders(registry_holders(o->registry), r->key));
	write_link(t, "manifest", prefix, title->name, PACKAGE_MANIFEST);
	write_link(t, "playlist", prefix, title->name, PACKAGE_PLAYLIST);
	if (r->has_poster)
		write_link(t, "poster", prefix, r->key, PACKAGE_POSTER);
	else
		json_text_null(t, "poster");
	json_text_string(t, "description", json_string_value(json_object_get(said, "description")));
	json_text_value(t, "year", json_object_get(said, "year"));
	if (json_array_size(tags) > 0) {
		json_text_value(t, "tags", tags);
	} else {
		json_text_open(t, "tags", '[');
		json_text_close(t, ']');
	}
	json_decref(said);
}

/* A list of titles. */
static void begin_list(struct json_text *t)
{
	json_text_init(t);
	json_text_open(t, NULL, '{');
	json_text_open(t, "titles", '[');
}

static void add_title(struct json_text *t, struct serve_request *req, const struct origin *o, const struct library_title *title)
{
	write_title(t, req, o, title);
	json_text_close(t, '}');
}

static void end_list(struct json_text *t, size_t total, const char *next)
{
	json_text_close(t, ']');
	json_text_integer(t, "total", (int64_t)total);
	json_text_string(t, "next", next);
	json_text_close(t, '}');
}

bool titles_read_page(struct serve_request *req, size_t *ret_limit, const char **ret_after)
{
	const char *after = serve_param(req, "after"), *query;
	struct form_error e;
	size_t query_n;

	query = serve_query(req, &query_n);
	if (form_check_query(query, query_n, &e) != 0) {
		reply_form_error(req, &e);
		return false;
	}
	if (!paging_read_limit(req, ret_limit))
		return false;
	if (after != NULL && !str_is_name(after, strlen(after))) {
		form_fail(&e, "after", "expected a name");
		reply_form_error(req, &e);
		return false;
	}
	*ret_after = after;
	return true;
}

static void answer_popular(struct serve_request *req, const struct origin *o, const struct search_query *q)
{
	struct library_view *v = library_view(o->library);
	struct popular_list list;
	struct json_text text;
	size_t n = 0;

	begin_list(&text);
	popular_read(o->popular, &list);
	if (q->text != NULL || q->tag != NULL)
		list.n = search_keep(o->search, q, list.titles, list.n);
	for (size_t i = 0; i < list.n && n < q->limit; i++) {
		const struct library_title *t = library_view_find(v, list.titles[i], strlen(list.titles[i]));

		if (t == NULL)
			continue;
		add_title(&text, req, o, t);
		n++;
	}
	popular_list_fini(&list);
	end_list(&text, n, NULL);
	library_view_unref(&v);
	reply_json_text(req, &text);
}

/* "name", which is what there is without it, or "popular". */
static bool read_order(struct serve_request *req, bool *ret_popular)
{
	const char *order = serve_param(req, "order");
	struct form_error e;

	*ret_popular = order != NULL && strcmp(order, "popular") == 0;
	if (order == NULL || *ret_popular || strcmp(order, "name") == 0)
		return true;
	form_fail(&e, "order", "expected name or popular");
	reply_form_error(req, &e);
	return false;
}

static void answer_page(struct serve_request *req, const struct origin *o, size_t limit, const char *after)
{
	struct library_view *v = library_view(o->library);
	size_t i, first = library_view_behind(v, after);
	struct json_text text;

	begin_list(&text);
	for (i = first; i < v->n_titles && i - first < limit; i++)
		add_title(&text, req, o, &v->titles[i]);
	end_list(&text, v->n_titles, i < v->n_titles ? v->titles[i - 1].name : NULL);
	library_view_unref(&v);
	reply_json_text(req, &text);
}

static void answer_search(struct serve_request *req, const struct origin *o, const struct search_query *q)
{
	struct library_view *v;
	struct search_found found;
	struct json_text text;

	begin_list(&text);
	search_find(o->search, q, &found);
	v = library_view(o->library);
	for (size_t i = 0; i < found.n; i++) {
		const struct library_title *t = library_view_find(v, found.titles[i], strlen(found.titles[i]));

		if (t != NULL) /* else it was withdrawn at this moment */
			add_title(&text, req, o, t);
	}
	end_list(&text, found.total, found.more ? found.titles[found.n - 1] : NULL);
	library_view_unref(&v);
	search_found_fini(&found);
	reply_json_text(req, &text);
}

/* What is searched for; empty is as not there.  False: it has been answered. */
static bool read_search(struct serve_request *req, struct search_query *q)
{
	struct form_error e = {.text = ""};

	q->text = serve_param(req, "q");
	q->tag = serve_param(req, "tag");
	if (q->text != NULL && *q->text == '\0')
		q->text = NULL;
	if (q->tag != NULL && *q->tag == '\0')
		q->tag = NULL;
	if (q->text != NULL && search_is_too_long(q->text))
		form_fail(&e, "q", "expected at most %d bytes and %d words", SEARCH_TEXT_MAX, SEARCH_WORDS_MAX);
	else if (q->tag != NULL && strlen(q->tag) > METADATA_TAG_MAX)
		form_fail(&e, "tag", "expected at most %d bytes", METADATA_TAG_MAX);
	if (e.text[0] == '\0')
		return true;
	reply_form_error(req, &e);
	return false;
}

void titles_answer_list(struct serve_request *req, const struct origin *o)
{
	struct search_query q = {0};
	bool popular;

	if (!titles_read_page(req, &q.limit, &q.after) || !read_order(req, &popular) || !read_search(req, &q))
		return;
	if (popular)
		answer_popular(req, o, &q);
	else if (q.text != NULL || q.tag != NULL)
		answer_search(req, o, &q);
	else
		answer_page(req, o, q.limit, q.after);
}

void titles_answer_tags(struct serve_request *req, const struct origin *o)
{
	struct search_tag *tags;
	const char *after;
	json_t *list;
	size_t limit, n;

	if (!titles_read_page(req, &limit, &after))
		return;
	list = json_array();
	n = search_tags(o->search, limit, &tags);
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(list, json_pack("{s:s, s:I}", "tag", tags[i].tag, "titles", (json_int_t)tags[i].titles));
		free(tags[i].tag);
	}
	free(tags);
	reply_json(req, 200, json_pack("{s:o}", "tags", list));
}

/* --- one title --- */

static json_t *revision_json(const struct revision *r, bool current)
{
	char published[CLOCK_RFC3339_SIZE];

	clock_to_rfc3339(r->published, published);
	return json_pack("{s:s, s:s, s:I, s:b}", "revision", r->revision, "published", published, "bytes", (json_int_t)r->bytes,
	                 "current", (int)current);
}

static json_t *revisions_json(const struct library_title *t)
{
	json_t *a = json_array();

	for (size_t i = 0; i < t->n_revisions; i++)
		json_array_append_new(a, revision_json(t->revisions[i], i == 0));
	return a;
}

static json_t *files_json(const struct revision *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->n_files; i++) {
		const struct revision_file *f = &r->files[i];
		bool in_digest = strcmp(f->name, PACKAGE_DIGEST) != 0 && strcmp(f->name, PACKAGE_LEAVES) != 0;
		char root[SHA256_HEX_SIZE];

		sha256_to_hex(&f->root, root);
		json_array_append_new(a, json_pack("{s:s, s:I, s:s, s:s?}", "name", f->name, "bytes", (json_int_t)f->size, "type",
		                                   package_media_type(f->name, strlen(f->name)), "root", in_digest ? root : NULL));
	}
	return a;
}

/* What is said of each segment is long, and stands in the file for those who want it. */
static void drop_segments(json_t *report)
{
	static const char *const kinds[] = {"video", "audio"}, *const keys[] = {"segment_bytes", "segment_ssim", "segment_psnr"};

	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		json_t *track;
		size_t i;

		json_array_foreach(json_object_get(report, kinds[k]), i, track)
			for (size_t n = 0; n < sizeof keys / sizeof keys[0]; n++)
				json_object_del(track, keys[n]);
	}
}

/* report.json as the ingest wrote it, but for its numbers of each segment; null when it cannot be read. */
static json_t *report_json(const struct revision *r)
{
	char *path = path_join(r->folder, PACKAGE_REPORT);
	json_t *j = NULL;
	struct buf b;

	buf_init(&b, REPORT_MAX);
	if (file_read_regular(path, &b) == 0)
		j = json_loadb((const char *)b.bytes, b.size, 0, NULL);
	buf_fini(&b);
	free(path);
	drop_segments(j);
	if (json_is_object(j))
		return j;
	json_decref(j);
	return json_null();
}

void titles_answer_one(struct serve_request *req, const struct origin *o, const char *title)
{
	struct library_view *v = library_view(o->library);
	const struct library_title *t = library_view_find(v, title, strlen(title));
	json_t *revisions, *files, *report;
	struct json_text text;

	if (t == NULL) {
		library_view_unref(&v);
		reply_problem(req, 404, "there is no title \"%.128s\"", title);
		return;
	}
	json_text_init(&text);
	write_title(&text, req, o, t);
	json_text_value(&text, "revisions", revisions = revisions_json(t));
	json_text_value(&text, "files", files = files_json(t->revisions[0]));
	json_text_value(&text, "report", report = report_json(t->revisions[0]));
	json_text_close(&text, '}');
	json_decref(revisions);
	json_decref(files);
	json_decref(report);
	library_view_unref(&v);
	reply_json_text(req, &text);
}

void titles_answer_revision(struct serve_request *req, const struct origin *o, const char *title, const char *revision)
{
	struct library_view *v = library_view(o->library);
	const struct library_title *t = library_view_find(v, title, strlen(title));
	const struct revision *r = NULL;
	json_t *j = NULL;

	for (size_t i = 0; t != NULL && i < t->n_revisions && r == NULL; i++)
		r = strcmp(t->revisions[i]->revision, revision) == 0 ? t->revisions[i] : NULL;
	if (r != NULL) {
		j = revision_json(r, r == t->revisions[0]);
		json_object_set_new(j, "title", json_string(title));
		json_object_set_new(j, "name", json_string(r->name));
		json_object_set_new(j, "edges", json_integer((json_int_t)count_holders(registry_holders(o->registry), r->key)));
		json_object_set_new(j, "files", files_json(r));
	}
	library_view_unref(&v);
	if (j != NULL)
		reply_json(req, 200, j);
	else
		reply_problem(req, 404, "there is no \"%.128s/%.128s\"", title, revision);
}
