/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The catalogue's words about titles, its log, requests done once, and its copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "origin/catalogue_sql.h"

#define BACKUP_PAGES 1024 /* between two looks at others */
#define BACKUP_PAUSE 5   /* ms */

static const char *text(sqlite3_stmt *s, int column)
{
	return (const char *)sqlite3_column_text(s, column);
}

static char *copy_text(sqlite3_stmt *s, int column)
{
	return text(s, column) != NULL ? mem_dup(text(s, column)) : NULL;
}

/* Ends a statement that was stepped to r, and the transaction. */
static int end_read(struct catalogue *c, sqlite3_stmt *s, int r, struct fault *f)
{
	int e = r == SQLITE_DONE || r == SQLITE_ROW ? 0 : catalogue_error(c->db, c->path, f);

	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return catalogue_end(c, e, f);
}

/* --- titles --- */

static int put_policy(struct catalogue *c, const char *title, const char *policy, struct fault *f)
{
	return catalogue_run(c, policy != NULL ? catalogue_bind(c, SQL_PUT_POLICY, "ss", title, policy)
	                                       : catalogue_bind(c, SQL_DROP_POLICY, "s", title), f);
}

int catalogue_put_meta(struct catalogue *c, const char *title, const struct catalogue_meta *m, const char *policy,
                       const char *who, wall_us when, struct fault *f)
{
	int e = catalogue_begin(c, f);
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_PUT_META, "sssis", title, m->name, m->description, m->year, m->tags);
	e = catalogue_run(c, s, f);
	if (e >= 0)
		e = put_policy(c, title, policy, f);
	if (e >= 0)
		e = catalogue_audit(c, when, who, "title described", title, m->name, f);
	e = catalogue_end(c, e, f);
	if (e == 0)
		__atomic_add_fetch(&c->policy_version, 1, __ATOMIC_RELEASE);
	return e;
}

int catalogue_each_meta(struct catalogue *c, catalogue_meta_f each, void *ctx, struct fault *f)
{
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_EACH_META, "");
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		struct catalogue_meta m = {text(s, 1), text(s, 2), sqlite3_column_int64(s, 3), text(s, 4)};

		each(ctx, text(s, 0), &m);
	}
	return end_read(c, s, r, f);
}

/* --- the log --- */

int catalogue_add_entry(struct catalogue *c, const struct catalogue_entry *t, struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	return catalogue_end(c, catalogue_audit(c, t->at, t->who, t->what, t->subject, t->detail, f), f);
}

int catalogue_each_entry(struct catalogue *c, int64_t before, uint64_t limit, const char *subject, catalogue_entry_f each,
                         void *ctx, struct fault *f)
{
	int64_t behind = before > 0 ? before : INT64_MAX;
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = subject != NULL ? catalogue_bind(c, SQL_READ_AUDIT_OF, "iis", behind, (int64_t)limit, subject)
	                    : catalogue_bind(c, SQL_READ_AUDIT, "ii", behind, (int64_t)limit);
	while ((r = sqlite3_step(s)) == SQLITE_ROW)
		each(ctx, &(struct catalogue_entry){sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), text(s, 2), text(s, 3),
		                                    text(s, 4), text(s, 5)});
	return end_read(c, s, r, f);
}

/* --- once --- */

int catalogue_find_once(struct catalogue *c, const struct sha256 *key, struct catalogue_done *ret_done, struct fault *f)
{
	struct catalogue_done d = {0};
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_FIND_ONCE, "h", key);
	r = sqlite3_step(s);
	if (r == SQLITE_ROW && sqlite3_column_bytes(s, 0) == (int)sizeof d.request.bytes) {
		memcpy(d.request.bytes, sqlite3_column_blob(s, 0), sizeof d.request.bytes);
		d.status = sqlite3_column_int(s, 1);
		d.location = copy_text(s, 2);
		d.body = copy_text(s, 3);
		*ret_done = d;
	}
	e = end_read(c, s, r, f);
	return e == 0 && r == SQLITE_DONE ? ERR_NOT_FOUND : e;
}

void catalogue_begin_once(struct catalogue *c, const struct catalogue_once *once)
{
	pthread_mutex_lock(&c->lock);
	c->once = once;
	c->once_thread = pthread_self();
	c->once_noted = false;
	pthread_mutex_unlock(&c->lock);
}

int catalogue_note_once(struct catalogue *c, struct fault *f)
{
	int e;

	if (c->once_noted)
		return 0;
	e = catalogue_run(c, catalogue_bind(c, SQL_DO_ONCE, "hhi", &c->once->key, &c->once->request, c->once->at), f);
	c->once_noted = e >= 0;
	return e < 0 ? e : 0;
}

int catalogue_end_once(struct catalogue *c, int status, const char *location, const char *body, wall_us forget, struct fault *f)
{
	int e = catalogue_begin(c, f);
	const struct catalogue_once *once = c->once;

	if (e != 0)
		return e;
	e = catalogue_note_once(c, f);
	if (e == 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_DONE_ONCE, "hiss", &once->key, (int64_t)status, location, body), f);
	if (e >= 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_ONCE, "i", forget), f);
	return catalogue_end(c, e, f);
}

/* --- the copy --- */

static int copy_pages(sqlite3 *from, sqlite3 *to, const atomic_bool *stop)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	int r;

	if (b == NULL)
		return SQLITE_ERROR;
	do {
		r = sqlite3_backup_step(b, BACKUP_PAGES);
		if (r != SQLITE_DONE)
			sqlite3_sleep(BACKUP_PAUSE);
	} while (!atomic_load(stop) && (r == SQLITE_OK || r == SQLITE_BUSY || r == SQLITE_LOCKED));
	sqlite3_backup_finish(b);
	return r;
}

/* A connection of its own reads, so that nobody waits for the copy.  Its one transaction sees one state: without it
 * every write by others would make the copy begin anew, and of a large catalogue none would ever end. */
static int copy_database(const char *from, const char *to, const atomic_bool *stop, struct fault *f)
{
	sqlite3 *a = NULL, *b = NULL;
	int e = 0;

	if (sqlite3_open_v2(from, &a, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
	    sqlite3_exec(a, "BEGIN; SELECT COUNT(*) FROM sqlite_schema", NULL, NULL, NULL) != SQLITE_OK)
		e = catalogue_error(a, from, f);
	else if (sqlite3_open_v2(to, &b, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK ||
	         copy_pages(a, b, stop) != SQLITE_DONE || sqlite3_exec(b, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) != SQLITE_OK)
		e = atomic_load(stop) ? fault_set(f, ERR_CANCELLED, "the copy was given up: the program ends") : catalogue_error(b, to, f);
	sqlite3_close(a);
	sqlite3_close(b);
	return e;
}

char *catalogue_beside(const struct catalogue *c, const char *ending)
{
	return mem_printf("%s%s", c->path, ending);
}

int catalogue_copy(const char *from, const char *path, const atomic_bool *stop, struct fault *f)
{
	char *part = mem_printf("%s.part", path);
	int e, fd;

	if (file_exists(path)) {
		free(part);
		return fault_set(f, ERR_EXISTS, "backup \"%s\": there is such a file", path);
	}
	unlink(part);
	fd = open(part, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600); /* tokens' hashes are in it */
	e = fd < 0 ? fault_set(f, -errno, "backup \"%s\": %s", part, err_text(-errno)) : copy_database(from, part, stop, f);
	if (fd >= 0) {
		if (e == 0 && fsync(fd) != 0)
			e = fault_set(f, -errno, "backup \"%s\": %s", part, err_text(-errno));
		close(fd);
	}
	if (e == 0 && rename(part, path) != 0)
		e = fault_set(f, -errno, "backup \"%s\": %s", path, err_text(-errno));
	if (e != 0)
		unlink(part);
	free(part);
	return e;
}
