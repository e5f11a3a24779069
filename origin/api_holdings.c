/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What edges hold, and what is on its way to them, as lists over all edges: a row for each edge and revision, by edge
 * and then by TITLE/REVISION.  A page begins behind a key and ends when it is full, so that it costs what it shows.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "origin/api.h"
#include "origin/form.h"
#include "origin/library.h"
#include "origin/origin.h"
#include "origin/paging.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "serve/serve.h"

static const struct paging_keys keys = {{"edge", "title", "revision"}};

struct page {
	json_t *rows;
	size_t limit;
	bool fills, more;
	const char *edge, *after; /* after: of the first edge alone, its keys behind this one; NULL: all */
	char *prefix;             /* "TITLE/": these keys alone; NULL: all */
	struct library_view *view;
};

static json_t *row_of(const struct registry_edge *e, const char *key)
{
	const char *slash = strchr(key, '/');

	return json_pack("{s:s, s:s%, s:s}", "edge", e->name, "title", key, (size_t)(slash - key), "revision", slash + 1);
}

static json_t *holding_json(const struct registry_edge *e, size_t i)
{
	json_t *o = row_of(e, e->holds[i]), *files;
	size_t n, skip = strlen(e->holds[i]) + 1;
	char *const *parts = registry_edge_parts(e, e->holds[i], &n);

	json_object_set_new(o, "complete", json_boolean(parts == NULL));
	if (parts == NULL)
		return o;
	files = json_array();
	for (size_t k = 0; k < n; k++)
		json_array_append_new(files, json_string(parts[k] + skip));
	json_object_set_new(o, "files", files);
	return o;
}

static json_t *fill_json(const struct page *p, const struct registry_edge *e, size_t i)
{
	const struct revision *r = library_view_revision(p->view, e->filling[i].key);
	json_t *o = row_of(e, e->filling[i].key);

	json_object_set_new(o, "bytes", json_integer((json_int_t)e->filling[i].bytes));
	json_object_set_new(o, "total", r != NULL ? json_integer((json_int_t)r->bytes) : json_null());
	return o;
}

static const char *key_at(const struct page *p, const struct registry_edge *e, size_t i)
{
	return p->fills ? e->filling[i].key : e->holds[i];
}

/* The first of the edge's keys, which are sorted, that is not before `key`. */
static size_t find(const struct page *p, const struct registry_edge *e, size_t n, const char *key)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(key_at(p, e, middle), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool take_edge(void *ctx, const struct registry_edge *e)
{
	struct page *p = ctx;
	size_t n = p->fills ? e->n_filling : e->n_holds, i = p->prefix != NULL ? find(p, e, n, p->prefix) : 0, behind;

	if (p->after != NULL && p->edge != NULL && strcmp(e->name, p->edge) == 0) {
		behind = find(p, e, n, p->after);
		behind += behind < n && strcmp(key_at(p, e, behind), p->after) == 0;
		i = behind > i ? behind : i;
	}
	for (; i < n && (p->prefix == NULL || str_starts(key_at(p, e, i), p->prefix)); i++) {
		if (json_array_size(p->rows) == p->limit) {
			p->more = true;
			return false;
		}
		json_array_append_new(p->rows, p->fills ? fill_json(p, e, i) : holding_json(e, i));
	}
	return true;
}

/* Of one edge, or of all from `from` on, which is among them when it is still there. */
static void take_edges(struct api_call *c, struct page *p, const char *only, const char *from)
{
	struct registry *r = c->origin->registry;

	if (from != NULL && (only == NULL || strcmp(from, only) == 0))
		registry_with(r, from, take_edge, p);
	if (only != NULL && from == NULL)
		registry_with(r, only, take_edge, p);
	if (only == NULL && !p->more)
		registry_each(r, from, take_edge, p);
}

static json_t *next_of(const struct page *p)
{
	const json_t *last = json_array_get(p->rows, p->limit - 1);

	return p->more ? json_sprintf("%s/%s/%s", json_string_value(json_object_get(last, "edge")), json_string_value(json_object_get(last, "title")),
	                              json_string_value(json_object_get(last, "revision")))
	               : json_null();
}

/* A name, or not there.  False: it has been answered. */
static bool read_name(struct serve_request *req, const char *param, const char **ret_name)
{
	struct form_error e;

	*ret_name = serve_param(req, param);
	if (*ret_name == NULL || str_is_name(*ret_name, strlen(*ret_name)))
		return true;
	form_fail(&e, param, "expected a name");
	reply_form_error(req, &e);
	return false;
}

static void list(struct api_call *c, bool fills)
{
	struct page p = {.fills = fills};
	const char *edge, *title, *from[PAGING_KEYS_MAX] = {NULL};
	char *copy = NULL, *after = NULL;

	if (!paging_read_limit(c->req, &p.limit) || !read_name(c->req, "edge", &edge) || !read_name(c->req, "title", &title) ||
	    !paging_read_after(c->req, &keys, &copy, from))
		return;
	if (copy != NULL)
		p.after = after = mem_printf("%s/%s", from[1], from[2]);
	p.edge = from[0];
	p.prefix = title != NULL ? mem_printf("%s/", title) : NULL;
	p.rows = json_array();
	p.view = library_view(c->origin->library);
	take_edges(c, &p, edge, from[0]);
	reply_json(c->req, 200, json_pack("{s:O, s:o}", fills ? "fills" : "holdings", p.rows, "next", next_of(&p)));
	library_view_unref(&p.view);
	json_decref(p.rows);
	free(p.prefix);
	free(after);
	free(copy);
}

void api_list_holdings(struct api_call *c)
{
	list(c, false);
}

void api_list_fills(struct api_call *c)
{
	list(c, true);
}
