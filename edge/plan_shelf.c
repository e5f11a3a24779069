/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Short plans.  The shelf is not kept beside the plan: a whole plan has all its
 * lines, in another order, so what is on the disk is one file that is whole or old.
 */
#include "edge/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cdn/plan_text.h"

/* By title; a title's revisions stay in their order, the current one first. */
static int by_title(const void *a, const void *b)
{
	const struct plan_title *x = *(const struct plan_title *const *)a, *y = *(const struct plan_title *const *)b;
	int r = strcmp(x->title, y->title);

	return r != 0 ? r : (x > y) - (x < y);
}

int plan_shelf(const struct plan *p, struct shelf *ret)
{
	const struct plan_title **sorted = mem_new_array(p->n_titles + 1, sizeof *sorted);

	for (size_t i = 0; i < p->n_titles; i++)
		sorted[i] = &p->titles[i];
	qsort(sorted, p->n_titles, sizeof *sorted, by_title);
	shelf_init(ret, PLAN_MAX_BYTES);
	for (size_t i = 0; i < p->n_titles; i++)
		shelf_add(ret, sorted[i]->title, sorted[i]->revision, &sorted[i]->digest, sorted[i]->digest_bytes, sorted[i]->bytes);
	free(sorted);
	return shelf_close(ret);
}

static int lengthen(const struct plan *before, const json_t *o, struct buf *out, char *ret_hash, struct fault *f)
{
	struct shelf had, changed, *now = &had;
	int r = plan_shelf(before, &had);

	if (r != 0)
		return fault_set(f, r, "no memory for the plan's lines, or they have more than %zu bytes", PLAN_MAX_BYTES);
	if (json_object_get(o, "changes") != NULL) {
		r = plan_text_shelf(o, &had, PLAN_MAX_BYTES, &changed, f);
		shelf_fini(&had);
		now = &changed;
	}
	if (r == 0) {
		r = plan_text_whole(o, now, out, f);
		memcpy(ret_hash, now->hash, SHA256_HEX_SIZE);
		shelf_fini(now);
	}
	return r;
}

int plan_lengthen(const struct plan *before, const void *json, size_t n, struct buf *out, char ret_hash[static SHA256_HEX_SIZE],
                  struct fault *f)
{
	json_error_t e;
	json_t *o;
	int r;

	ret_hash[0] = '\0';
	o = json_loadb(json, n, JSON_REJECT_DUPLICATES, &e);
	if (o == NULL)
		return fault_set(f, ERR_SYNTAX, "plan:%d:%d: %s", e.line, e.column, e.text);
	if (json_object_get(o, "shelf") != NULL)
		r = lengthen(before, o, out, ret_hash, f);
	else
		r = buf_append(out, json, n);
	json_decref(o);
	return r;
}
