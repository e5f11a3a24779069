/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pages by key and not by number: what comes and goes meanwhile makes no row be told twice or left out.
 */
#include "origin/paging.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "origin/form.h"
#include "origin/reply.h"
#include "origin/titles.h"
#include "serve/serve.h"

bool paging_read_limit(struct serve_request *req, size_t *ret_limit)
{
	const char *limit = serve_param(req, "limit");
	uint64_t n = PAGE_LIMIT_DEFAULT;
	struct form_error e;

	if (limit != NULL && (str_parse_u64(limit, strlen(limit), &n) != 0 || n == 0 || n > PAGE_LIMIT_MAX)) {
		form_fail(&e, "limit", "expected a number from 1 to %d", PAGE_LIMIT_MAX);
		reply_form_error(req, &e);
		return false;
	}
	*ret_limit = (size_t)n;
	return true;
}

static size_t count(const struct paging_keys *keys)
{
	size_t n = 0;

	while (n < PAGING_KEYS_MAX && keys->names[n] != NULL)
		n++;
	return n;
}

bool paging_read_after(struct serve_request *req, const struct paging_keys *keys, char **ret_copy,
                       const char *ret_parts[static PAGING_KEYS_MAX])
{
	const char *after = serve_param(req, "after");
	char *copy = after != NULL ? mem_dup(after) : NULL, *p = copy;
	struct form_error e;

	*ret_copy = copy;
	for (size_t i = 0, n = count(keys); copy != NULL && i < n; i++) {
		ret_parts[i] = p;
		if (i + 1 == n)
			break;
		p = strchr(p, '/');
		if (p == NULL) {
			form_fail(&e, "after", "expected the next of the page before");
			reply_form_error(req, &e);
			free(copy);
			return false;
		}
		*p++ = '\0';
	}
	return true;
}

static int compare_numbers(json_int_t a, json_int_t b)
{
	return a < b ? -1 : a > b;
}

static const json_t *key_of(const json_t *row, const struct paging_keys *keys, size_t i)
{
	return json_object_get(row, keys->names[i]);
}

static int compare_rows(const void *pa, const void *pb, void *ctx)
{
	const struct paging_keys *keys = ctx;
	int order = 0;

	for (size_t i = 0, n = count(keys); i < n && order == 0; i++) {
		const json_t *a = key_of(*(json_t *const *)pa, keys, i), *b = key_of(*(json_t *const *)pb, keys, i);

		order = json_is_integer(a) ? compare_numbers(json_integer_value(a), json_integer_value(b))
		                           : strcmp(json_string_value(a), json_string_value(b));
	}
	return order;
}

/* Does the row stand behind `after`?  A number that is none is before all. */
static bool is_behind(const json_t *row, const struct paging_keys *keys, const char *const *after)
{
	int order = 0;

	for (size_t i = 0, n = count(keys); i < n && order == 0; i++) {
		const json_t *v = key_of(row, keys, i);
		int64_t number = -1;

		if (json_is_integer(v) && str_parse_i64(after[i], strlen(after[i]), &number) != 0)
			number = -1;
		order = json_is_integer(v) ? compare_numbers(json_integer_value(v), number) : strcmp(json_string_value(v), after[i]);
	}
	return order > 0;
}

static json_t *next_of(const json_t *row, const struct paging_keys *keys)
{
	char *text = mem_dup("");
	json_t *next;

	for (size_t i = 0, n = count(keys); i < n; i++) {
		const json_t *v = key_of(row, keys, i);
		char *longer = json_is_integer(v) ? mem_printf("%s%s%lld", text, i > 0 ? "/" : "", (long long)json_integer_value(v))
		                                  : mem_printf("%s%s%s", text, i > 0 ? "/" : "", json_string_value(v));

		free(text);
		text = longer;
	}
	next = json_string(text);
	free(text);
	return next;
}

static json_t *cut(json_t *list, const struct paging_keys *keys, size_t limit, const char *const *after)
{
	size_t n = json_array_size(list), i;
	json_t **rows = mem_new_array(n + 1, sizeof *rows), *page = json_array();

	for (i = 0; i < n; i++)
		rows[i] = json_array_get(list, i);
	qsort_r(rows, n, sizeof *rows, compare_rows, (void *)keys);
	for (i = 0; after != NULL && i < n && !is_behind(rows[i], keys, after); i++)
		;
	for (; i < n && (json_array_size(page) < limit || compare_rows(&rows[i - 1], &rows[i], (void *)keys) == 0); i++)
		json_array_append(page, rows[i]);
	page = json_pack("{s:o, s:o}", "rows", page, "next", i < n ? next_of(rows[i - 1], keys) : json_null());
	free(rows);
	return page;
}

void paging_answer(struct serve_request *req, const char *name, json_t *list, const struct paging_keys *keys, json_t *more)
{
	json_t *body = more != NULL ? more : json_object(), *page;
	const char *after[PAGING_KEYS_MAX];
	char *copy;
	size_t limit;

	if (paging_read_limit(req, &limit) && paging_read_after(req, keys, &copy, after)) {
		page = cut(list, keys, limit, copy != NULL ? after : NULL);
		json_object_set(body, name, json_object_get(page, "rows"));
		json_object_set(body, "next", json_object_get(page, "next"));
		json_object_set_new(body, "total", json_integer((json_int_t)json_array_size(list)));
		json_decref(page);
		free(copy);
		reply_json(req, 200, json_incref(body));
	}
	json_decref(body);
	json_decref(list);
}
