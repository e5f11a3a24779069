/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal's database: one row a file with the bitmap of its pieces, so that
 * a million pieces are 125 KB and a start reads them in milliseconds.  A commit
 * is on the disk when it returns.  On a disk that takes no writes it is read.
 */
#include "edge/store_rows.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define WHERE "edge/journal"

struct rows {
	sqlite3 *db;
	char *path;
	bool only_reads;
};

static int complain(struct rows *rows, const char *what)
{
	log_error(WHERE, "%s: %s path=\"%s\"", what, sqlite3_errmsg(rows->db), rows->path);
	switch (sqlite3_errcode(rows->db) & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_IOERR:
		return -EIO;
	default:
		return ERR_DATABASE;
	}
}

static int run(struct rows *rows, const char *sql)
{
	return sqlite3_exec(rows->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : complain(rows, sql);
}

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS package(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL,"
	" revision TEXT NOT NULL, torrent BLOB NOT NULL, UNIQUE(title, revision)) STRICT;"
	"CREATE TABLE IF NOT EXISTS held(package INTEGER NOT NULL REFERENCES package(id) ON DELETE CASCADE,"
	" file INTEGER NOT NULL, pieces BLOB NOT NULL, PRIMARY KEY(package, file)) STRICT, WITHOUT ROWID;"
	"PRAGMA user_version=1;";

static int64_t number(struct rows *rows, const char *sql)
{
	sqlite3_stmt *s;
	int64_t n = -1;

	if (sqlite3_prepare_v2(rows->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

/* The store's lock keeps others away; with SQLite's own, exclusive, the index of its log is in memory, so that
 * a start needs no new file on a full disk.  What is as it should be is not written. */
static int prepare_database(struct rows *rows)
{
	int r = run(rows, "PRAGMA locking_mode=EXCLUSIVE");

	if (r == 0)
		r = run(rows, "PRAGMA foreign_keys=ON");
	if (r == 0 && number(rows, "PRAGMA user_version") != 1)
		r = run(rows, "PRAGMA journal_mode=WAL");
	if (r == 0) /* FULL: a commit is on the disk when it returns */
		r = run(rows, "PRAGMA synchronous=FULL");
	return r == 0 && number(rows, "PRAGMA user_version") != 1 ? run(rows, schema) : r;
}

/* Closes what was open. */
static int open_database(struct rows *rows, const char *name, int flags, const char *vfs)
{
	sqlite3_close(rows->db);
	rows->db = NULL;
	if (sqlite3_open_v2(name, &rows->db, flags | SQLITE_OPEN_NOMUTEX, vfs) != SQLITE_OK)
		return complain(rows, "cannot open the journal");
	return prepare_database(rows);
}

/* What a file name may not have in a URI (sqlite.org/uri.html). */
static char *uri_of(const char *path)
{
	struct buf b;
	char *uri;

	buf_init(&b, 1 << 16);
	buf_puts(&b, "file:");
	for (; *path != '\0'; path++)
		buf_printf(&b, strchr("%?#", *path) != NULL ? "%%%02x" : "%c", (unsigned char)*path);
	buf_puts(&b, "?immutable=1");
	uri = mem_dup(buf_text(&b));
	buf_fini(&b);
	return uri;
}

/* Where nothing can be written: with a log the log is read as well, without one the file is all there is. */
static int open_for_reading(struct rows *rows)
{
	char *wal = mem_printf("%s-wal", rows->path), *uri = uri_of(rows->path);
	uint64_t size = 0;
	int r;

	if (file_size(wal, &size) == 0 && size > 0)
		r = open_database(rows, rows->path, SQLITE_OPEN_READWRITE, "unix-none");
	else
		r = open_database(rows, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	rows->only_reads = r == 0;
	free(wal);
	free(uri);
	return r;
}

static int open_for_writing(struct rows *rows)
{
	return open_database(rows, rows->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
}

/* A journal that could only be read is opened anew once the disk takes writes. */
static int make_writable(struct rows *rows)
{
	if (!rows->only_reads)
		return 0;
	if (open_for_writing(rows) != 0) {
		open_for_reading(rows);
		return -EROFS;
	}
	rows->only_reads = false;
	return 0;
}

static bool is_damaged(const struct rows *rows)
{
	int code = rows->db != NULL ? sqlite3_errcode(rows->db) & 0xff : SQLITE_NOMEM;

	return code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
}

int rows_open(const char *path, struct rows **ret_rows, struct fault *f)
{
	struct rows *rows = mem_new(sizeof *rows);
	int r;

	rows->path = mem_dup(path);
	r = open_for_writing(rows);
	if (r != 0 && !is_damaged(rows) && file_exists(path))
		r = open_for_reading(rows);
	if (r != 0) {
		r = is_damaged(rows) ? ERR_CORRUPT : ERR_DATABASE;
		fault_set(f, r, "%s: %s", path, sqlite3_errmsg(rows->db));
		rows_close(&rows);
		return r;
	}
	*ret_rows = rows;
	return 0;
}

bool rows_only_read(const struct rows *rows)
{
	return rows->only_reads;
}

void rows_close(struct rows **prows)
{
	struct rows *rows = *prows;

	if (rows == NULL)
		return;
	*prows = NULL;
	sqlite3_close(rows->db);
	free(rows->path);
	free(rows);
}

/* --- reading -------------------------------------------------------------------------- */

static int load_packages(struct rows *rows, const struct journal_hooks *hooks, void *ctx)
{
	sqlite3_stmt *s;
	int r = 0, step = SQLITE_DONE;

	if (sqlite3_prepare_v2(rows->db, "SELECT id, title, revision, torrent FROM package ORDER BY id", -1, &s, NULL) !=
	    SQLITE_OK)
		return complain(rows, "cannot read the packages");
	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct sha256 hash = {{0}};

		if (sqlite3_column_bytes(s, 3) == sizeof hash)
			memcpy(hash.bytes, sqlite3_column_blob(s, 3), sizeof hash);
		r = hooks->package(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1),
		                   (const char *)sqlite3_column_text(s, 2), &hash);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = complain(rows, "cannot read the packages");
	sqlite3_finalize(s);
	return r;
}

static int load_held(struct rows *rows, const struct journal_hooks *hooks, void *ctx)
{
	sqlite3_stmt *s;
	int r = 0, step = SQLITE_DONE;

	if (sqlite3_prepare_v2(rows->db, "SELECT package, file, pieces FROM held", -1, &s, NULL) != SQLITE_OK)
		return complain(rows, "cannot read the pieces");
	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW)
		r = hooks->held(ctx, sqlite3_column_int64(s, 0), (size_t)sqlite3_column_int64(s, 1),
		                sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2));
	if (r == 0 && step != SQLITE_DONE)
		r = complain(rows, "cannot read the pieces");
	sqlite3_finalize(s);
	return r;
}

int rows_load(struct rows *rows, const struct journal_hooks *hooks, void *ctx)
{
	int r = load_packages(rows, hooks, ctx);

	return r == 0 ? load_held(rows, hooks, ctx) : r;
}

/* --- writing -------------------------------------------------------------------------- */

/* Runs one statement whose parameters `bind` sets. */
static int write_row(struct rows *rows, const char *sql, void (*bind)(sqlite3_stmt *, const void *), const void *ctx)
{
	sqlite3_stmt *s;
	int r = make_writable(rows);

	if (r != 0)
		return r;
	if (sqlite3_prepare_v2(rows->db, sql, -1, &s, NULL) != SQLITE_OK)
		return complain(rows, sql);
	bind(s, ctx);
	if (sqlite3_step(s) != SQLITE_DONE)
		r = complain(rows, sql);
	sqlite3_finalize(s);
	return r;
}

struct package_row {
	const char *title, *revision;
	const struct sha256 *torrent;
};

static void bind_name(sqlite3_stmt *s, const void *ctx)
{
	const struct package_row *row = ctx;

	sqlite3_bind_text(s, 1, row->title, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, row->revision, -1, SQLITE_STATIC);
}

static void bind_package(sqlite3_stmt *s, const void *ctx)
{
	const struct package_row *row = ctx;

	bind_name(s, ctx);
	sqlite3_bind_blob(s, 3, row->torrent->bytes, sizeof row->torrent->bytes, SQLITE_STATIC);
}

int rows_add_package(struct rows *rows, const char *title, const char *revision, const struct sha256 *torrent,
                     int64_t *ret_id)
{
	struct package_row row = {title, revision, torrent};
	/* one that was given up while its row could not be removed */
	int r = write_row(rows, "DELETE FROM package WHERE title = ? AND revision = ?", bind_name, &row);

	if (r == 0)
		r = write_row(rows, "INSERT INTO package(title, revision, torrent) VALUES(?, ?, ?)", bind_package, &row);
	if (r == 0)
		*ret_id = sqlite3_last_insert_rowid(rows->db);
	return r;
}

static void bind_id(sqlite3_stmt *s, const void *ctx)
{
	sqlite3_bind_int64(s, 1, *(const int64_t *)ctx);
}

int rows_remove_package(struct rows *rows, int64_t id)
{
	return write_row(rows, "DELETE FROM package WHERE id = ?", bind_id, &id);
}

static void bind_copy(sqlite3_stmt *s, const void *ctx)
{
	const struct copy *c = ctx;

	sqlite3_bind_int64(s, 1, c->package->id);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)c->index);
}

static void bind_held(sqlite3_stmt *s, const void *ctx)
{
	const struct copy *c = ctx;

	bind_copy(s, ctx);
	sqlite3_bind_blob(s, 3, c->journalled, (int)((c->n_pieces + 7) / 8), SQLITE_STATIC);
}

int rows_write_held(struct rows *rows, const struct copy *c)
{
	return write_row(rows, "INSERT OR REPLACE INTO held(package, file, pieces) VALUES(?, ?, ?)", bind_held, c);
}

int rows_remove_held(struct rows *rows, const struct copy *c)
{
	return write_row(rows, "DELETE FROM held WHERE package = ? AND file = ?", bind_copy, c);
}

int rows_begin(struct rows *rows)
{
	int r = make_writable(rows);

	return r == 0 ? run(rows, "BEGIN IMMEDIATE") : r;
}

int rows_commit(struct rows *rows)
{
	return run(rows, "COMMIT");
}

void rows_give_up(struct rows *rows)
{
	if (rows->db != NULL && !sqlite3_get_autocommit(rows->db))
		sqlite3_exec(rows->db, "ROLLBACK", NULL, NULL, NULL);
}
