/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The catalogue's record of the library: what was seen, and when it went.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/catalogue_sql.h"
#include "origin/library.h"

/* Ends a statement that was stepped by hand: 0, or what its last step failed with. */
static int finish(struct catalogue *c, sqlite3_stmt *s, struct fault *f)
{
	int e = sqlite3_reset(s) == SQLITE_OK ? 0 : catalogue_error(c->db, c->path, f);

	sqlite3_clear_bindings(s);
	return e;
}

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
	bool is_news;
	int e = catalogue_run(c, catalogue_bind(c, SQL_PUT_TITLE, "ssi", r->title, r->name, (int64_t)when), f);

	if (e < 0)
		return e;
	s = catalogue_bind(c, SQL_PUT_REVISION, "sshiii", r->title, r->revision, &r->digest, (int64_t)r->bytes,
	                   (int64_t)r->published, (int64_t)when);
	is_news = sqlite3_step(s) == SQLITE_ROW; /* nothing comes back for a revision that is known and there */
	if (is_news)
		id = sqlite3_column_int64(s, 0);
	e = finish(c, s, f);
	if (e != 0 || !is_news)
		return e;
	e = put_files(c, id, r, f);
	if (e >= 0)
		e = catalogue_audit(c, when, "library", "revision found", r->key, NULL, f);
	return e < 0 ? e : 0;
}

static int drop_key(struct catalogue *c, const char *title, const char *revision, wall_us when, struct fault *f)
{
	char *key = mem_printf("%s/%s", title, revision);
	int e = catalogue_run(c, catalogue_bind(c, SQL_GONE_REVISION, "ssi", title, revision, (int64_t)when), f);

	if (e >= 0)
		e = catalogue_audit(c, when, "library", "revision gone", key, NULL, f);
	free(key);
	return e < 0 ? e : 0;
}

static int drop_revision(struct catalogue *c, const struct revision *r, wall_us when, struct fault *f)
{
	return drop_key(c, r->title, r->revision, when, f);
}

static bool has(const struct library_title *t, const char *revision)
{
	for (size_t i = 0; t != NULL && i < t->n_revisions; i++)
		if (strcmp(t->revisions[i]->revision, revision) == 0)
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
			if (!has(other, t->revisions[k]->revision))
				e = change(c, t->revisions[k], when, f);
	}
	return e;
}

/* What went while no origin ran: on record as there, but not in the view. */
static int drop_vanished(struct catalogue *c, const struct library_view *now, wall_us when, struct fault *f)
{
	sqlite3_stmt *s = catalogue_bind(c, SQL_EACH_REVISION, "");
	char **gone = NULL; /* pairs of title and revision */
	size_t n = 0, cap = 0;
	int e;

	while (sqlite3_step(s) == SQLITE_ROW) {
		const char *title = (const char *)sqlite3_column_text(s, 0);
		const char *revision = (const char *)sqlite3_column_text(s, 1);

		if (title == NULL || revision == NULL || has(library_view_find(now, title, strlen(title)), revision))
			continue;
		MEM_GROW(gone, cap, n + 1);
		gone[n++] = mem_dup(title);
		gone[n++] = mem_dup(revision);
	}
	e = finish(c, s, f);
	for (size_t i = 0; i < n; i += 2) {
		if (e == 0)
			e = drop_key(c, gone[i], gone[i + 1], when, f);
		free(gone[i]);
		free(gone[i + 1]);
	}
	free(gone);
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
		e = old != NULL ? for_missing(c, old, now, drop_revision, when, f) : drop_vanished(c, now, when, f);
	return catalogue_end(c, e, f);
}
