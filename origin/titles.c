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
#include "origin/popular.h"
#include "origin/reply.h"
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

static json_t *title_json(struct serve_request *req, const struct library_title *t, const struct holders *h,
                          struct metadata *m)
{
	const struct revision *r = t->revisions[0];
	char published[CLOCK_RFC3339_SIZE], *scope = mem_printf("/v/%s/", t->name);
	const char *prefix = serve_sign(req, scope, 2);
	json_t *o;

	free(scope);
	clock_to_rfc3339(r->published, published);
	o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:I}", "title", t->name, "name", r->name, "revision", r->revision,
	              "published", published, "bytes", (json_int_t)r->bytes, "duration", duration_json(r), "edges",
	              (json_int_t)count_holders(h, r->key));
	set_text(o, "manifest", mem_printf("%s/v/%s/" PACKAGE_MANIFEST, prefix, t->name));
	set_text(o, "playlist", mem_printf("%s/v/%s/" PACKAGE_PLAYLIST, prefix, t->name));
	if (r->has_poster)
		set_text(o, "poster", mem_printf("%s/v/%s/" PACKAGE_POSTER, prefix, r->key));
	else
		json_object_set_new(o, "poster", json_null());
	metadata_add(m, t->name, o);
	return o;
}

bool titles_read_page(struct serve_request *req, size_t *ret_limit, const char **ret_after)
{
	const char *limit = serve_param(req, "limit"), *after = serve_param(req, "after");
	struct form_error e;
	uint64_t n = PAGE_LIMIT_DEFAULT;

	if (limit != NULL && (str_parse_u64(limit, strlen(limit), &n) != 0 || n == 0 || n > PAGE_LIMIT_MAX)) {
		form_fail(&e, "limit", "expected a number from 1 to %d", PAGE_LIMIT_MAX);
		reply_form_error(req, &e);
		return false;
	}
	if (after != NULL && !str_is_name(after, strlen(after))) {
		form_fail(&e, "after", "expected a name");
		reply_form_error(req, &e);
		return false;
	}
	*ret_limit = (size_t)n;
	*ret_after = after;
	return true;
}

/* The first title behind the name. */
static size_t first_behind(const struct library_view *v, const char *after)
{
	size_t low = 0, high = v->n_titles;

	while (after != NULL && low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(v->titles[middle].name, after) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void answer_popular(struct serve_request *req, struct library *l, const struct holders *h, struct metadata *m, struct popular *p,
                           size_t limit)
{
	struct library_view *v = library_view(l);
	struct popular_list list;
	json_t *titles = json_array();

	popular_read(p, &list);
	for (size_t i = 0; i < list.n && json_array_size(titles) < limit; i++) {
		const struct library_title *t = library_view_find(v, list.titles[i], strlen(list.titles[i]));

		if (t != NULL)
			json_array_append_new(titles, title_json(req, t, h, m));
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

void titles_answer_list(struct serve_request *req, struct library *l, const struct holders *h, struct metadata *m, struct popular *p)
{
	bool popular;
	struct library_view *v;
	const char *after;
	json_t *titles, *body;
	size_t limit, i;

	if (!titles_read_page(req, &limit, &after) || !read_order(req, &popular))
		return;
	if (popular) {
		answer_popular(req, l, h, m, p, limit);
		return;
	}
	v = library_view(l);
	titles = json_array();
	for (i = first_behind(v, after); i < v->n_titles && json_array_size(titles) < limit; i++)
		json_array_append_new(titles, title_json(req, &v->titles[i], h, m));
	body = json_pack("{s:o, s:I, s:s?}", "titles", titles, "total", (json_int_t)v->n_titles, "next",
	                 i < v->n_titles ? v->titles[i - 1].name : NULL);
	library_view_unref(&v);
	reply_json(req, 200, body);
}

/* --- one title --- */

static json_t *revisions_json(const struct library_title *t)
{
	json_t *a = json_array();

	for (size_t i = 0; i < t->n_revisions; i++) {
		const struct revision *r = t->revisions[i];
		char published[CLOCK_RFC3339_SIZE];

		clock_to_rfc3339(r->published, published);
		json_array_append_new(a, json_pack("{s:s, s:s, s:I, s:b}", "revision", r->revision, "published", published,
		                                   "bytes", (json_int_t)r->bytes, "current", (int)(i == 0)));
	}
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

void titles_answer_one(struct serve_request *req, struct library *l, const struct holders *h, struct metadata *m,
                       const char *title)
{
	struct library_view *v = library_view(l);
	const struct library_title *t = library_view_find(v, title, strlen(title));
	json_t *o;

	if (t == NULL) {
		library_view_unref(&v);
		reply_problem(req, 404, "there is no title \"%.128s\"", title);
		return;
	}
	o = title_json(req, t, h, m);
	json_object_set_new(o, "revisions", revisions_json(t));
	json_object_set_new(o, "files", files_json(t->revisions[0]));
	json_object_set_new(o, "report", report_json(t->revisions[0]));
	library_view_unref(&v);
	reply_json(req, 200, o);
}
