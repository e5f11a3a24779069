/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The catalogue's record of the library: what was seen, and when it went.
 */
#include <string.h>

#include "origin/catalogue_sql.h"
#include "origin/library.h"

static int put_files(struct catalogue *c, int64_t id, const struct revision *r, struct fault *f)
{
	int e = 0;

	for (size_t i = 0; e >= 0 && i < r->n_files; i++) {
		const struct revision_file *file = &r->files[i];

		e = catalogue_run(c, catalogue_bind(c, SQL_PUT_FILE, "isih", id, file->name, (int64_t)file->size, &file->root), f);
	}
	return e < 0 ? e : 0;
}

static int put_revision(struct catalogue *c, const struct revision *r, wall_us when, struct fault *f)
{
	sqlite3_stmt *s;
	int64_t id = 0;
	int e = catalogue_run(c, catalogue_bind(c, SQL_PUT_TITLE, "ssi", r->title, r->name, (int64_t)when), f);

	if (e < 0)
		return e;
	s = catalogue_bind(c, SQL_PUT_REVISION, "sshiii", r->title, r->revision, &r->digest, (int64_t)r->bytes,
	                   (int64_t)r->published, (int64_t)when);
	if (sqlite3_step(s) == SQLITE_ROW)
		id = sqlite3_column_int64(s, 0);
	e = catalogue_run(c, s, f);
	if (e >= 0)
		e = put_files(c, id, r, f);
	if (e >= 0)
		e = catalogue_audit(c, when, "library", "revision found", r->key, NULL, f);
	return e < 0 ? e : 0;
}

static int drop_revision(struct catalogue *c, const struct revision *r, wall_us when, struct fault *f)
{
	int e = catalogue_run(c, catalogue_bind(c, SQL_GONE_REVISION, "ssi", r->title, r->revision, (int64_t)when), f);

	if (e >= 0)
		e = catalogue_audit(c, when, "library", "revision gone", r->key, NULL, f);
	return e < 0 ? e : 0;
}

static bool has(const struct library_title *t, const struct revision *r)
{
	for (size_t i = 0; t != NULL && i < t->n_revisions; i++)
		if (strcmp(t->revisions[i]->revision, r->revision) == 0)
			return true;
	return false;
}

typedef int (*change_f)(struct catalogue *, const struct revision *, wall_us, struct fault *);

/* Calls `change` for the revisions of `a` that are not in `b`; both are sorted. */
static int for_missing(struct catalogue *c, const struct library_view *a, const struct library_view *b, change_f change,
                       wall_us when, struct fault *f)
{
	size_t j = 0;
	int e = 0;

	for (size_t i = 0; a != NULL && i < a->n_titles; i++) {
		const struct library_title *t = &a->titles[i], *other;

		while (b != NULL && j < b->n_titles && strcmp(b->titles[j].name, t->name) < 0)
			j++;
		other = b != NULL && j < b->n_titles && strcmp(b->titles[j].name, t->name) == 0 ? &b->titles[j] : NULL;
		for (size_t k = 0; e == 0 && k < t->n_revisions; k++)
			if (!has(other, t->revisions[k]))
				e = change(c, t->revisions[k], when, f);
	}
	return e;
}

int catalogue_put_library(struct catalogue *c, const struct library_view *old, const struct library_view *now,
                          wall_us when, struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	e = for_missing(c, now, old, put_revision, when, f);
	if (e == 0)
		e = for_missing(c, old, now, drop_revision, when, f);
	return catalogue_end(c, e, f);
}
