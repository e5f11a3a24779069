/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The catalogue's schema as steps that only go forward.  Step N brings version
 * N-1 to N in one transaction; PRAGMA user_version says where a database is.
 * A step that was released is never changed: the next one repairs it.
 *
 *   title 1-n revision 1-n file        edge 1-n holding        token      audit      demand      batch
 *
 * Times are wall microseconds.  A holding names its revision by its key, not by
 * reference: an edge may hold what the library no longer has.
 */
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "origin/catalogue_sql.h"
#include "origin/plan_pack.h"

static const char *const steps[] = {
	"CREATE TABLE title("
	"  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, label TEXT NOT NULL, seen INTEGER NOT NULL) STRICT;"
	"CREATE TABLE revision("
	"  id INTEGER PRIMARY KEY, title INTEGER NOT NULL REFERENCES title(id) ON DELETE CASCADE,"
	"  revision TEXT NOT NULL, digest BLOB NOT NULL, bytes INTEGER NOT NULL, published INTEGER NOT NULL,"
	"  seen INTEGER NOT NULL, gone INTEGER, UNIQUE(title, revision)) STRICT;"
	"CREATE TABLE file("
	"  revision INTEGER NOT NULL REFERENCES revision(id) ON DELETE CASCADE, name TEXT NOT NULL,"
	"  bytes INTEGER NOT NULL, root BLOB NOT NULL, PRIMARY KEY(revision, name)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE edge("
	"  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, url TEXT NOT NULL, capacity INTEGER NOT NULL,"
	"  up INTEGER NOT NULL, registered INTEGER NOT NULL) STRICT;"
	"CREATE TABLE holding("
	"  edge INTEGER NOT NULL REFERENCES edge(id) ON DELETE CASCADE, key TEXT NOT NULL,"
	"  PRIMARY KEY(edge, key)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE token("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, role TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, note TEXT NOT NULL,"
	"  created INTEGER NOT NULL, expires INTEGER, revoked INTEGER) STRICT;"
	"CREATE TABLE audit("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,"
	"  subject TEXT NOT NULL, detail TEXT) STRICT;",
	/* 2: demand; edges by name, so that what was asked for outlives them */
	"CREATE TABLE demand("
	"  hour INTEGER NOT NULL, edge TEXT NOT NULL, name TEXT NOT NULL, requests INTEGER NOT NULL,"
	"  bytes INTEGER NOT NULL, sessions INTEGER NOT NULL, PRIMARY KEY(hour, edge, name)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE batch("
	"  edge TEXT NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL,"
	"  PRIMARY KEY(edge, stream)) STRICT, WITHOUT ROWID;",
	/* 3: edges that shall get no viewers */
	"ALTER TABLE edge ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;",
	/* 4: what the operator wants held everywhere, or nowhere */
	"CREATE TABLE policy(title TEXT PRIMARY KEY, policy TEXT NOT NULL) STRICT, WITHOUT ROWID;",
	/* 5: what people say of a title; tokens for one edge; requests that were done; the log of one subject */
	"CREATE TABLE meta("
	"  title TEXT PRIMARY KEY, name TEXT, description TEXT, year INTEGER, tags TEXT) STRICT, WITHOUT ROWID;"
	"ALTER TABLE token ADD COLUMN edge TEXT;"
	"CREATE TABLE once("
	"  key BLOB PRIMARY KEY, request BLOB NOT NULL, at INTEGER NOT NULL, status INTEGER, location TEXT, body TEXT)"
	"  STRICT, WITHOUT ROWID;"
	"CREATE INDEX once_at ON once(at);"
	"CREATE INDEX audit_subject ON audit(subject, id);",
	/* 6: what operators want of places; what was decided for a site last; every day's plans */
	"CREATE TABLE rule("
	"  place TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(place, key)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE night(site TEXT PRIMARY KEY, day INTEGER NOT NULL, decided TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE plan_files(hash TEXT PRIMARY KEY, files TEXT NOT NULL) STRICT;"
	"CREATE TABLE plan("
	"  edge TEXT NOT NULL, day INTEGER NOT NULL, version TEXT NOT NULL, files TEXT NOT NULL, made INTEGER NOT NULL,"
	"  summary TEXT NOT NULL, PRIMARY KEY(edge, day)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX plan_by_files ON plan(files);"
	"CREATE INDEX demand_by_edge ON demand(edge, hour);",
	/* 7: what plans held, packed: whole, or as the difference from a whole one (pack() is below) */
	"ALTER TABLE plan_files RENAME TO plan_texts;"
	"CREATE TABLE plan_files("
	"  hash TEXT PRIMARY KEY, base TEXT, bytes INTEGER NOT NULL, packed BLOB NOT NULL) STRICT;"
	"INSERT INTO plan_files SELECT hash, NULL, length(CAST(files AS BLOB)), pack(files) FROM plan_texts;"
	"DROP TABLE plan_texts;"
	"CREATE INDEX plan_files_base ON plan_files(base);",
	/* 8: sums of demand, and from where on (catalogue_sums.c): what is older is added bit by bit, while all else goes on */
	"CREATE TABLE demand_day("
	"  day INTEGER NOT NULL, name TEXT NOT NULL, requests INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	"  sessions INTEGER NOT NULL, PRIMARY KEY(day, name)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE demand_hour("
	"  hour INTEGER PRIMARY KEY, requests INTEGER NOT NULL, bytes INTEGER NOT NULL, sessions INTEGER NOT NULL) STRICT;"
	"CREATE TABLE demand_summed(hour INTEGER NOT NULL, edge TEXT NOT NULL) STRICT;"
	"INSERT INTO demand_summed SELECT coalesce(max(hour) + 3600, -1), '' FROM demand;",
};
#define N_STEPS ((int)(sizeof steps / sizeof steps[0]))

static int read_version(sqlite3 *db, int *ret_version)
{
	sqlite3_stmt *s = NULL;
	int r = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_step(s);
	if (r == SQLITE_ROW)
		*ret_version = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return r == SQLITE_ROW ? SQLITE_OK : r;
}

static void pack(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	const char *text = (const char *)sqlite3_value_text(v[0]);
	struct buf b;

	buf_init(&b, SIZE_MAX);
	if (text == NULL || plan_pack(text, (size_t)sqlite3_value_bytes(v[0]), NULL, 0, &b) != 0)
		sqlite3_result_error_nomem(ctx);
	else
		sqlite3_result_blob64(ctx, b.bytes, b.size, SQLITE_TRANSIENT);
	buf_fini(&b);
}

static int do_step(sqlite3 *db, int version)
{
	char pragma[64];
	int r = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version + 1);
	if (r == SQLITE_OK)
		r = sqlite3_exec(db, steps[version], NULL, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(db, pragma, NULL, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	return r;
}

int catalogue_schema_update(sqlite3 *db, const char *path, struct fault *f)
{
	int version = 0;

	if (read_version(db, &version) != SQLITE_OK)
		return catalogue_error(db, path, f);
	if (version > N_STEPS)
		return fault_set(f, ERR_UNSUPPORTED,
		                 "catalogue \"%s\" has schema %d, this program knows up to %d: use the program that wrote it, or a newer one",
		                 path, version, N_STEPS);
	if (version < N_STEPS && sqlite3_create_function_v2(db, "pack", 1, SQLITE_UTF8, NULL, pack, NULL, NULL, NULL) != SQLITE_OK)
		return catalogue_error(db, path, f);
	for (; version < N_STEPS; version++)
		if (do_step(db, version) != SQLITE_OK)
			return catalogue_error(db, path, f);
	return 0;
}
