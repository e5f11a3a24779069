/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Built anew whenever plan or packages change; readers keep references of what
 * they found.
 */
#include "edge/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "edge/store.h"

static int compare(const char *a, const char *b, size_t n)
{
	int r = strncmp(a, b, n);

	return r != 0 ? r : a[n] != '\0';
}

static int by_title(const void *a, const void *b)
{
	const struct view_title *x = a, *y = b;

	return strcmp(x->title, y->title);
}

struct view_title *view_find(const struct view *v, const char *title, size_t n)
{
	size_t low = 0, high = v->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = compare(v->titles[mid].title, title, n);

		if (r == 0)
			return &v->titles[mid];
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct view_revision *view_find_revision(const struct view_title *t, const char *revision)
{
	for (size_t i = 0; i < t->n; i++)
		if (memcmp(t->revisions[i].revision, revision, PACKAGE_REVISION_SIZE - 1) == 0)
			return &t->revisions[i];
	return NULL;
}

static struct view_revision *add_revision(struct view_title *t, const char *revision)
{
	struct view_revision *r;

	MEM_GROW(t->revisions, t->cap, t->n);
	r = &t->revisions[t->n++];
	*r = (struct view_revision){.listed = false};
	memcpy(r->revision, revision, sizeof r->revision);
	return r;
}

/* Every title once, by name. */
static void add_titles(struct view *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->plan->n_titles; i++)
		v->titles[n++].title = v->plan->titles[i].title;
	qsort(v->titles, n, sizeof *v->titles, by_title);
	for (size_t i = 0; i < n; i++)
		if (v->n == 0 || strcmp(v->titles[v->n - 1].title, v->titles[i].title) != 0)
			v->titles[v->n++] = v->titles[i];
}

static void add_listed(struct view *v)
{
	for (size_t i = 0; i < v->plan->n_titles; i++) {
		const struct plan_title *p = &v->plan->titles[i];
		struct view_title *t = view_find(v, p->title, strlen(p->title));

		if (view_find_revision(t, p->revision) == NULL) {
			struct view_revision *r = add_revision(t, p->revision);

			r->listed = true;
			r->hold = p->hold;
		}
	}
}

/* What is here, revisions that are not listed any more among them: a viewer in
 * the middle of one goes on with it. */
static void add_packages(struct view *v, const struct store *store)
{
	size_t n;
	struct package **packages = store_packages(store, &n);

	for (size_t i = 0; i < n; i++) {
		struct view_title *t = view_find(v, packages[i]->title, strlen(packages[i]->title));
		struct view_revision *r;

		if (t == NULL)
			continue;
		r = (struct view_revision *)view_find_revision(t, packages[i]->revision);
		if (r == NULL)
			r = add_revision(t, packages[i]->revision);
		r->package = package_ref(packages[i]);
	}
}

struct view *view_new(struct plan *plan, const struct store *store)
{
	struct view *v = mem_new(sizeof *v);

	v->plan = plan_ref(plan);
	v->titles = mem_new_array(plan->n_titles + 1, sizeof *v->titles);
	add_titles(v);
	add_listed(v);
	add_packages(v, store);
	return v;
}

void view_free(struct view **pv)
{
	struct view *v = *pv;

	if (v == NULL)
		return;
	*pv = NULL;
	for (size_t i = 0; i < v->n; i++) {
		for (size_t k = 0; k < v->titles[i].n; k++)
			package_unref(&v->titles[i].revisions[k].package);
		free(v->titles[i].revisions);
		serve_object_unref(&v->titles[i].manifest);
		serve_object_unref(&v->titles[i].playlist);
	}
	free(v->titles);
	plan_unref(&v->plan);
	free(v);
}
