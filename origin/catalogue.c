/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The catalogue's connection: opening, statements, transactions, troubles.
 * Invariant: outside a begin..end pair no transaction is open and no statement
 * is in the middle, so the file is never locked longer than one call.
 */
#include "origin/catalogue.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "origin/catalogue_sql.h"

enum { C_TRANSACTION, C_FAILURES, N_COUNTERS };
static const struct counter_row counter_rows[] = {
	[C_TRANSACTION] = {"ribera_origin_catalogue_seconds", NULL, COUNTER_SECONDS, "A transaction with the catalogue, from asking for it until it is on the disk."},
	[C_FAILURES] = {"ribera_origin_catalogue_failures_total", NULL, COUNTER_TOTAL, "Transactions that the database refused."},
};

static const char *const statements[] = {
#define CATALOGUE_TEXT(name, sql) [name] = sql,
	CATALOGUE_STATEMENTS(CATALOGUE_TEXT)
#undef CATALOGUE_TEXT
};

const char *catalogue_text(enum catalogue_statement s)
{
	return statements[s];
}

static const char *cure(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "another process holds it; end that process";
	case SQLITE_FULL:
		return "make room on the disk";
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return "restore a backup, or move it away: titles are found again by scanning, edges register again";
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return "make it and its folder writable";
	default:
		return "look at the disk and the system's log";
	}
}

int catalogue_error(sqlite3 *db, const char *path, struct fault *f)
{
	int code = db != NULL ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
	bool busy = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;

	return fault_set(f, busy ? ERR_BUSY : ERR_DATABASE, "catalogue \"%s\": %s: %s", path,
	                 db != NULL ? sqlite3_errmsg(db) : "no memory", cure(code));
}

static void close_db(struct catalogue *c)
{
	for (int i = 0; i < N_SQL; i++) {
		sqlite3_finalize(c->statements[i]);
		c->statements[i] = NULL;
	}
	sqlite3_close(c->db);
	c->db = NULL;
}

/* Tokens' hashes are in it; SQLite gives the files beside it the same mode.  Only one that is new: closing a descriptor of one that
 * is open would take SQLite's locks away. */
static void make_private(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

static int open_db(struct catalogue *c, struct fault *f)
{
	int e = 0;

	if (c->db != NULL)
		return 0;
	make_private(c->path);
	if (sqlite3_open_v2(c->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		e = catalogue_error(c->db, c->path, f);
		close_db(c);
		return e;
	}
	sqlite3_extended_result_codes(c->db, 1);
	sqlite3_busy_timeout(c->db, CATALOGUE_BUSY_MS);
	if (sqlite3_exec(c->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
	                        "PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=16777216",
	                 NULL, NULL, NULL) != SQLITE_OK)
		e = catalogue_error(c->db, c->path, f);
	if (e == 0)
		e = catalogue_schema_update(c->db, c->path, f);
	for (int i = 0; e == 0 && i < N_SQL; i++)
		if (sqlite3_prepare_v3(c->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &c->statements[i], NULL) != SQLITE_OK)
			e = catalogue_error(c->db, c->path, f);
	if (e != 0)
		close_db(c);
	return e;
}

/* A result becomes the state that is shown; said once in the log. */
static void remember(struct catalogue *c, int e, const struct fault *f)
{
	char text[sizeof c->problem] = "";

	if (e == ERR_BUSY || e == ERR_DATABASE || e == ERR_UNSUPPORTED)
		snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1, f != NULL ? fault_text(f) : err_text(e));
	else if (e < 0)
		return; /* says nothing about the database */
	pthread_mutex_lock(&c->telling);
	if (strcmp(text, c->problem) != 0 && text[0] != '\0')
		log_error("origin/catalogue", "%s", text);
	else if (c->problem[0] != '\0' && text[0] == '\0')
		log_info("origin/catalogue", "works again");
	memcpy(c->problem, text, sizeof text);
	pthread_mutex_unlock(&c->telling);
}

static bool must_reopen(sqlite3 *db)
{
	int code = sqlite3_errcode(db) & 0xff;

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_IOERR || code == SQLITE_READONLY;
}

int catalogue_begin(struct catalogue *c, struct fault *f)
{
	mono_us asked = clock_mono();
	int e;

	pthread_mutex_lock(&c->lock);
	c->began = asked;
	e = open_db(c, f);
	if (e == 0)
		e = catalogue_run(c, c->statements[SQL_BEGIN], f);
	if (e < 0) {
		remember(c, e, f);
		counters_add(c->counters, C_FAILURES, 1);
		if (c->db != NULL && must_reopen(c->db))
			close_db(c);
		pthread_mutex_unlock(&c->lock);
	}
	return e < 0 ? e : 0;
}

int catalogue_end(struct catalogue *c, int e, struct fault *f)
{
	bool reopen;

	if (e >= 0 && c->once != NULL && pthread_equal(c->once_thread, pthread_self()))
		e = catalogue_note_once(c, f);
	if (e >= 0)
		e = catalogue_run(c, c->statements[SQL_COMMIT], f);
	if (e < 0)
		c->once_noted = false;
	reopen = e < 0 && must_reopen(c->db);
	if (e < 0 && !sqlite3_get_autocommit(c->db))
		catalogue_run(c, c->statements[SQL_ROLLBACK], NULL);
	remember(c, e, f);
	counters_observe(c->counters, C_TRANSACTION, clock_mono() - c->began);
	counters_add(c->counters, C_FAILURES, e == ERR_BUSY || e == ERR_DATABASE);
	if (reopen)
		close_db(c);
	pthread_mutex_unlock(&c->lock);
	return e < 0 ? e : 0;
}

sqlite3_stmt *catalogue_bind(struct catalogue *c, enum catalogue_statement which, const char *fmt, ...)
{
	sqlite3_stmt *s = c->statements[which];
	const struct sha256 *h;
	va_list ap;

	va_start(ap, fmt);
	for (int i = 1; *fmt != '\0'; fmt++, i++) {
		switch (*fmt) {
		case 's':
			MUST(sqlite3_bind_text(s, i, va_arg(ap, const char *), -1, SQLITE_STATIC) == SQLITE_OK);
			break;
		case 'i':
			MUST(sqlite3_bind_int64(s, i, va_arg(ap, int64_t)) == SQLITE_OK);
			break;
		default:
			MUST(*fmt == 'h');
			h = va_arg(ap, const struct sha256 *);
			MUST(sqlite3_bind_blob(s, i, h->bytes, sizeof h->bytes, SQLITE_STATIC) == SQLITE_OK);
			break;
		}
	}
	va_end(ap);
	return s;
}

int catalogue_run(struct catalogue *c, sqlite3_stmt *s, struct fault *f)
{
	int r, e = 0;

	while ((r = sqlite3_step(s)) == SQLITE_ROW)
		;
	if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return e != 0 ? e : sqlite3_changes(c->db);
}

int catalogue_audit(struct catalogue *c, wall_us when, const char *who, const char *what, const char *subject,
                    const char *detail, struct fault *f)
{
	return catalogue_run(c, catalogue_bind(c, SQL_AUDIT, "issss", (int64_t)when, who, what, subject, detail), f);
}

static int make_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	int e;

	if (slash == NULL || slash == path)
		return 0;
	folder = mem_dup_n(path, (size_t)(slash - path));
	e = folder_make(folder, 0755);
	free(folder);
	return e;
}

int catalogue_new(const char *path, struct catalogue **ret_catalogue, struct fault *f)
{
	struct catalogue *c = mem_new(sizeof *c);
	char *lock = mem_printf("%s.lock", path);
	struct fault trouble = {0};
	int e;

	*c = (struct catalogue){.path = mem_dup(path), .lock_fd = -1, .max_history = (int64_t)1 << 30, .counters = counters_new(counter_rows, N_COUNTERS)};
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->telling, NULL);
	make_folder(path);
	e = file_lock(lock, &c->lock_fd);
	free(lock);
	if (e == ERR_LOCKED) {
		fault_set(f, e, _("catalogue \"%s\" is in use by another origin: end that one, or set another database"), path);
		catalogue_free(&c);
		return e;
	}
	e = open_db(c, &trouble);
	remember(c, e, &trouble);
	*ret_catalogue = c;
	return 0;
}

void catalogue_free(struct catalogue **pc)
{
	struct catalogue *c = *pc;

	if (c == NULL)
		return;
	close_db(c);
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->telling);
	counters_free(&c->counters);
	free(c->path);
	free(c);
	*pc = NULL;
}

void catalogue_problem(struct catalogue *c, char *ret_text, size_t size)
{
	pthread_mutex_lock(&c->telling);
	snprintf(ret_text, size, "%s", c->problem);
	pthread_mutex_unlock(&c->telling);
}

void catalogue_write_metrics(const struct catalogue *c, struct buf *out)
{
	counters_write(c->counters, out);
}

bool catalogue_tick(struct catalogue *c)
{
	struct fault f = {0};
	char problem[sizeof c->problem];

	catalogue_problem(c, problem, sizeof problem);
	/* an empty write transaction takes the lock but touches no page, so a full
	 * disk is only known to be over when a row goes through */
	if (problem[0] == '\0' || catalogue_begin(c, &f) != 0)
		return false;
	return catalogue_end(c, catalogue_audit(c, clock_wall(), "origin", "catalogue works again", "", NULL, &f), &f) == 0;
}
