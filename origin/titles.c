/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Titles as JSON.
 */
#include "origin/titles.h"

#include <jansson.h>
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

static void set_text(json_t *o, const char *name, char *text)
{
	json_object_set_new(o, name, json_string(text));
	free(text);
}

static json_t *duration_json(const struct revision *r)
{
	return r->duration > 0 ? json_real((double)r->duration / (double)DUR_S) : json_null();
}

static json_t *title_json(struct serve_request *req, const struct origin *o, const struct library_title *t)
{
	const struct revision *r = t->revisions[0];
	char published[CLOCK_RFC3339_SIZE], *scope = mem_printf("/v/%s/", t->name);
	const char *prefix = serve_sign(req, scope, 2);
	json_t *j;

	free(scope);
	clock_to_rfc3339(r->published, published);
	j = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:I}", "title", t->name, "name", r->name, "revision", r->revision,
	              "published", published, "bytes", (json_int_t)r->bytes, "duration", duration_json(r), "edges",
	              (json_int_t)count_holders(registry_holders(o->registry), r->key));
	set_text(j, "manifest", mem_printf("%s/v/%s/" PACKAGE_MANIFEST, prefix, t->name));
	set_text(j, "playlist", mem_printf("%s/v/%s/" PACKAGE_PLAYLIST, prefix, t->name));
	if (r->has_poster)
		set_text(j, "poster", mem_printf("%s/v/%s/" PACKAGE_POSTER, prefix, r->key));
	else
		json_object_set_new(j, "poster", json_null());
	metadata_add(o->metadata, t->name, j);
	return j;
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
	json_t *titles = json_array();

	popular_read(o->popular, &list);
	if (q->text != NULL || q->tag != NULL)
		list.n = search_keep(o->search, q, list.titles, list.n);
	for (size_t i = 0; i < list.n && json_array_size(titles) < q->limit; i++) {
		const struct library_title *t = library_view_find(v, list.titles[i], strlen(list.titles[i]));

		if (t != NULL)
			json_array_append_new(titles, title_json(req, o, t));
	}
	popular_list_fini(&list);
	reply_json(req, 200, json_pack("{s:o, s:I, s:n}", "titles", titles, "total", (json_int_t)json_array_size(titles), "next"));
	library_view_unref(&v);
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
	json_t *titles = json_array(), *body;
	size_t i;

	for (i = library_view_behind(v, after); i < v->n_titles && json_array_size(titles) < limit; i++)
		json_array_append_new(titles, title_json(req, o, &v->titles[i]));
	body = json_pack("{s:o, s:I, s:s?}", "titles", titles, "total", (json_int_t)v->n_titles, "next",
	                 i < v->n_titles ? v->titles[i - 1].name : NULL);
	library_view_unref(&v);
	reply_json(req, 200, body);
}

static void answer_search(struct serve_request *req, const struct origin *o, const struct search_query *q)
{
	struct library_view *v;
	struct search_found found;
	json_t *titles = json_array(), *body;

	search_find(o->search, q, &found);
	v = library_view(o->library);
	for (size_t i = 0; i < found.n; i++) {
		const struct library_title *t = library_view_find(v, found.titles[i], strlen(found.titles[i]));

		if (t != NULL) /* else it was withdrawn at this moment */
			json_array_append_new(titles, title_json(req, o, t));
	}
	body = json_pack("{s:o, s:I, s:s?}", "titles", titles, "total", (json_int_t)found.total, "next",
	                 found.more ? found.titles[found.n - 1] : NULL);
	library_view_unref(&v);
	search_found_fini(&found);
	reply_json(req, 200, body);
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
	if (file_read(path, &b) == 0)
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
	json_t *j;

	if (t == NULL) {
		library_view_unref(&v);
		reply_problem(req, 404, "there is no title \"%.128s\"", title);
		return;
	}
	j = title_json(req, o, t);
	json_object_set_new(j, "revisions", revisions_json(t));
	json_object_set_new(j, "files", files_json(t->revisions[0]));
	json_object_set_new(j, "report", report_json(t->revisions[0]));
	library_view_unref(&v);
	reply_json(req, 200, j);
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
