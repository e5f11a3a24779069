/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal: one row a file with the bitmap of its pieces, so that a million
 * pieces are 125 KB and a start reads them in milliseconds.
 *
 * A thread takes whatever pieces have come since its last round, syncs their
 * files, then commits their rows in one transaction: the slower the disk, the
 * larger the batch.  Rows are removed in a durable commit before the file they
 * speak of is, so no row ever describes another file's bytes.
 */
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/background.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "edge/store.h"

#define WHERE "edge/journal"
#define RETRY_S 2

struct entry {
	struct copy *copy; /* one reference */
	size_t piece;
	bool synced;
};

struct journal {
	sqlite3 *db;
	char *path;
	bool only_reads; /* db_lock's */
	pthread_t thread;
	bool started;
	const struct journal_news *news_to; /* not NULL once started */
	void *ctx;

	pthread_mutex_t db_lock; /* guards db and every copy's `journalled` */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t news;
	struct entry *fresh;
	size_t n_fresh, cap_fresh;
	bool stop;

	uint64_t lag; /* atomic */
};

static int complain(struct journal *j, const char *what)
{
	log_error(WHERE, "%s: %s path=\"%s\"", what, sqlite3_errmsg(j->db), j->path);
	switch (sqlite3_errcode(j->db) & 0xff) {
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

static int run(struct journal *j, const char *sql)
{
	return sqlite3_exec(j->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : complain(j, sql);
}

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS package(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL,"
	" revision TEXT NOT NULL, torrent BLOB NOT NULL, UNIQUE(title, revision)) STRICT;"
	"CREATE TABLE IF NOT EXISTS held(package INTEGER NOT NULL REFERENCES package(id) ON DELETE CASCADE,"
	" file INTEGER NOT NULL, pieces BLOB NOT NULL, PRIMARY KEY(package, file)) STRICT, WITHOUT ROWID;"
	"PRAGMA user_version=1;";

static int64_t number(struct journal *j, const char *sql)
{
	sqlite3_stmt *s;
	int64_t n = -1;

	if (sqlite3_prepare_v2(j->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

/* The store's lock keeps others away; with SQLite's own, exclusive, the index of its log is in memory, so that
 * a start needs no new file on a full disk.  What is as it should be is not written. */
static int prepare_database(struct journal *j)
{
	int r = run(j, "PRAGMA locking_mode=EXCLUSIVE");

	if (r == 0)
		r = run(j, "PRAGMA foreign_keys=ON");
	if (r == 0 && number(j, "PRAGMA user_version") != 1)
		r = run(j, "PRAGMA journal_mode=WAL");
	if (r == 0) /* FULL: a commit is on the disk when it returns */
		r = run(j, "PRAGMA synchronous=FULL");
	return r == 0 && number(j, "PRAGMA user_version") != 1 ? run(j, schema) : r;
}

/* Closes what was open. */
static int open_database(struct journal *j, const char *name, int flags, const char *vfs)
{
	sqlite3_close(j->db);
	j->db = NULL;
	if (sqlite3_open_v2(name, &j->db, flags | SQLITE_OPEN_NOMUTEX, vfs) != SQLITE_OK)
		return complain(j, "cannot open the journal");
	return prepare_database(j);
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
static int open_for_reading(struct journal *j)
{
	char *wal = mem_printf("%s-wal", j->path), *uri = uri_of(j->path);
	uint64_t size = 0;
	int r;

	if (file_size(wal, &size) == 0 && size > 0)
		r = open_database(j, j->path, SQLITE_OPEN_READWRITE, "unix-none");
	else
		r = open_database(j, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	j->only_reads = r == 0;
	free(wal);
	free(uri);
	return r;
}

static int open_for_writing(struct journal *j)
{
	return open_database(j, j->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
}

/* Under db_lock: a journal that could only be read is opened anew once the disk takes writes. */
static int make_writable(struct journal *j)
{
	if (!j->only_reads)
		return 0;
	if (open_for_writing(j) != 0) {
		open_for_reading(j);
		return -EROFS;
	}
	j->only_reads = false;
	return 0;
}

static bool is_damaged(const struct journal *j)
{
	int code = j->db != NULL ? sqlite3_errcode(j->db) & 0xff : SQLITE_NOMEM;

	return code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
}

static struct journal *new_journal(const char *path)
{
	struct journal *j = mem_new(sizeof *j);
	pthread_condattr_t attr;

	j->path = mem_dup(path);
	pthread_mutex_init(&j->db_lock, NULL);
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->news, &attr);
	pthread_condattr_destroy(&attr);
	return j;
}

int journal_open(const char *path, struct journal **ret_journal, struct fault *f)
{
	struct journal *j = new_journal(path);
	int r = open_for_writing(j);

	if (r != 0 && !is_damaged(j) && file_exists(path))
		r = open_for_reading(j);
	if (r != 0) {
		r = is_damaged(j) ? ERR_CORRUPT : ERR_DATABASE;
		fault_set(f, r, "%s: %s", path, sqlite3_errmsg(j->db));
		journal_close(&j);
		return r;
	}
	*ret_journal = j;
	return 0;
}

bool journal_only_reads(const struct journal *j)
{
	return j->only_reads;
}

/* --- reading -------------------------------------------------------------------------- */

static int load_packages(struct journal *j, const struct journal_hooks *hooks, void *ctx)
{
	sqlite3_stmt *s;
	int r = 0, step = SQLITE_DONE;

	if (sqlite3_prepare_v2(j->db, "SELECT id, title, revision, torrent FROM package ORDER BY id", -1, &s, NULL) !=
	    SQLITE_OK)
		return complain(j, "cannot read the packages");
	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct sha256 hash = {{0}};

		if (sqlite3_column_bytes(s, 3) == sizeof hash)
			memcpy(hash.bytes, sqlite3_column_blob(s, 3), sizeof hash);
		r = hooks->package(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1),
		                   (const char *)sqlite3_column_text(s, 2), &hash);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = complain(j, "cannot read the packages");
	sqlite3_finalize(s);
	return r;
}

static int load_held(struct journal *j, const struct journal_hooks *hooks, void *ctx)
{
	sqlite3_stmt *s;
	int r = 0, step = SQLITE_DONE;

	if (sqlite3_prepare_v2(j->db, "SELECT package, file, pieces FROM held", -1, &s, NULL) != SQLITE_OK)
		return complain(j, "cannot read the pieces");
	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW)
		r = hooks->held(ctx, sqlite3_column_int64(s, 0), (size_t)sqlite3_column_int64(s, 1),
		                sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2));
	if (r == 0 && step != SQLITE_DONE)
		r = complain(j, "cannot read the pieces");
	sqlite3_finalize(s);
	return r;
}

int journal_load(struct journal *j, const struct journal_hooks *hooks, void *ctx)
{
	int r = load_packages(j, hooks, ctx);

	return r == 0 ? load_held(j, hooks, ctx) : r;
}

/* --- writing -------------------------------------------------------------------------- */

/* Runs one statement whose parameters `bind` sets. */
static int write_row(struct journal *j, const char *sql, void (*bind)(sqlite3_stmt *, const void *), const void *ctx)
{
	sqlite3_stmt *s;
	int r = make_writable(j);

	if (r != 0)
		return r;
	if (sqlite3_prepare_v2(j->db, sql, -1, &s, NULL) != SQLITE_OK)
		return complain(j, sql);
	bind(s, ctx);
	if (sqlite3_step(s) != SQLITE_DONE)
		r = complain(j, sql);
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

int journal_add_package(struct journal *j, const char *title, const char *revision, const struct sha256 *torrent,
                        int64_t *ret_id)
{
	struct package_row row = {title, revision, torrent};
	int r;

	pthread_mutex_lock(&j->db_lock);
	/* one that was given up while its row could not be removed */
	r = write_row(j, "DELETE FROM package WHERE title = ? AND revision = ?", bind_name, &row);
	if (r == 0)
		r = write_row(j, "INSERT INTO package(title, revision, torrent) VALUES(?, ?, ?)", bind_package, &row);
	if (r == 0)
		*ret_id = sqlite3_last_insert_rowid(j->db);
	pthread_mutex_unlock(&j->db_lock);
	return r;
}

static void bind_id(sqlite3_stmt *s, const void *ctx)
{
	sqlite3_bind_int64(s, 1, *(const int64_t *)ctx);
}

int journal_remove_package(struct journal *j, int64_t id)
{
	int r;

	pthread_mutex_lock(&j->db_lock);
	r = write_row(j, "DELETE FROM package WHERE id = ?", bind_id, &id);
	pthread_mutex_unlock(&j->db_lock);
	return r;
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

static int write_held(struct journal *j, const struct copy *c)
{
	return write_row(j, "INSERT OR REPLACE INTO held(package, file, pieces) VALUES(?, ?, ?)", bind_held, c);
}

static void set_bit(struct copy *c, size_t piece, bool on)
{
	uint8_t *bytes = (uint8_t *)c->journalled; /* byte order of the row, on any machine */

	if (on)
		bytes[piece / 8] |= (uint8_t)(1u << piece % 8);
	else
		bytes[piece / 8] &= (uint8_t) ~(1u << piece % 8);
}

/* Its row is on the disk as `journalled` says. */
static void count_kept(struct copy *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_pieces / 64 + 1; i++)
		n += (size_t)__builtin_popcountll(c->journalled[i]);
	__atomic_store_n(&c->n_kept, n, __ATOMIC_RELEASE);
}

int journal_remove_copy(struct journal *j, struct copy *c)
{
	int r;

	pthread_mutex_lock(&j->db_lock);
	r = write_row(j, "DELETE FROM held WHERE package = ? AND file = ?", bind_copy, c);
	if (r == 0)
		__atomic_store_n(&c->gone, 1, __ATOMIC_RELEASE); /* under db_lock: the thread writes no row of it from now on */
	pthread_mutex_unlock(&j->db_lock);
	return r;
}

int journal_remove_piece(struct journal *j, struct copy *c, size_t piece)
{
	int r;

	pthread_mutex_lock(&j->db_lock);
	set_bit(c, piece, false);
	count_kept(c);
	r = write_held(j, c);
	pthread_mutex_unlock(&j->db_lock);
	return r;
}

/* --- the thread ----------------------------------------------------------------------- */

void journal_add(struct journal *j, struct copy *c, size_t piece)
{
	pthread_mutex_lock(&j->lock);
	MEM_GROW(j->fresh, j->cap_fresh, j->n_fresh);
	j->fresh[j->n_fresh++] = (struct entry){.copy = copy_ref(c), .piece = piece};
	__atomic_add_fetch(&j->lag, 1, __ATOMIC_RELAXED);
	pthread_cond_signal(&j->news);
	pthread_mutex_unlock(&j->lock);
}

/* A new name is on the disk only when its folder is, and that one's folder. */
static int sync_names(struct package *p)
{
	char *title = mem_dup_n(p->folder, strlen(p->folder) - strlen(p->revision) - 1);
	char *root = mem_dup_n(title, strlen(title) - strlen(p->title) - 1);
	int r = folder_sync(p->folder);

	if (r == 0 && !p->named)
		r = folder_sync(title);
	if (r == 0 && !p->named)
		r = folder_sync(root);
	if (r == 0)
		p->named = true;
	free(title);
	free(root);
	return r;
}

static int by_copy(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->copy != y->copy)
		return (uintptr_t)x->copy < (uintptr_t)y->copy ? -1 : 1;
	return x->piece < y->piece ? -1 : x->piece > y->piece;
}

/* After a failed fdatasync nobody knows what is on the disk: those pieces are fetched again. */
static void lose(struct journal *j, struct entry *e, size_t n, int r)
{
	j->news_to->failed(j->ctx, r);
	log_error(WHERE, "cannot sync a file, its pieces are fetched again: %s folder=\"%s\" file=\"%s\" pieces=%zu",
	          err_text(r), e->copy->package->folder, e->copy->name, n);
	for (size_t i = 0; i < n; i++)
		j->news_to->lost(j->ctx, e[i].copy, e[i].piece);
}

/* The entries [0, n) of one copy. */
static void sync_copy(struct journal *j, struct entry *e, size_t n)
{
	int r = 0;

	if (__atomic_load_n(&e->copy->gone, __ATOMIC_ACQUIRE))
		return;
	if (fdatasync(e->copy->object.fd) < 0)
		r = -errno;
	if (r == 0)
		r = sync_names(e->copy->package);
	if (r != 0 && !__atomic_load_n(&e->copy->gone, __ATOMIC_ACQUIRE)) {
		lose(j, e, n, r);
		return;
	}
	for (size_t i = 0; i < n; i++)
		e[i].synced = true;
}

static size_t same_copy(const struct entry *e, size_t n)
{
	size_t i = 1;

	while (i < n && e[i].copy == e[0].copy)
		i++;
	return i;
}

static int commit(struct journal *j, struct entry *e, size_t n)
{
	int r;

	pthread_mutex_lock(&j->db_lock);
	r = make_writable(j);
	if (r == 0)
		r = run(j, "BEGIN IMMEDIATE");
	for (size_t i = 0, m; r == 0 && i < n; i += m) {
		m = same_copy(e + i, n - i);
		if (!e[i].synced || __atomic_load_n(&e[i].copy->gone, __ATOMIC_ACQUIRE))
			continue;
		for (size_t k = 0; k < m; k++)
			if (copy_has_piece(e[i + k].copy, e[i + k].piece)) /* not hidden since */
				set_bit(e[i + k].copy, e[i + k].piece, true);
		r = write_held(j, e[i].copy);
	}
	if (r == 0)
		r = run(j, "COMMIT");
	if (r != 0 && j->db != NULL && !sqlite3_get_autocommit(j->db))
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	for (size_t i = 0; r == 0 && i < n; i += same_copy(e + i, n - i))
		if (e[i].synced)
			count_kept(e[i].copy);
	pthread_mutex_unlock(&j->db_lock);
	return r;
}

static void wait_a_little(struct journal *j)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RETRY_S;
	pthread_mutex_lock(&j->lock);
	while (!j->stop && pthread_cond_timedwait(&j->news, &j->lock, &until) == 0)
		;
	pthread_mutex_unlock(&j->lock);
}

/* Until it is in the journal, or the program ends (then it is fetched again). */
static void journal_batch(struct journal *j, struct entry *e, size_t n)
{
	int r;

	qsort(e, n, sizeof *e, by_copy);
	for (size_t i = 0, m; i < n; i += m) {
		m = same_copy(e + i, n - i);
		sync_copy(j, e + i, m);
	}
	while ((r = commit(j, e, n)) != 0) {
		bool stop;

		j->news_to->failed(j->ctx, r);
		wait_a_little(j);
		pthread_mutex_lock(&j->lock);
		stop = j->stop;
		pthread_mutex_unlock(&j->lock);
		if (stop)
			break;
	}
	if (r == 0)
		j->news_to->kept(j->ctx);
	for (size_t i = 0; i < n; i++)
		copy_unref(&e[i].copy);
	__atomic_sub_fetch(&j->lag, n, __ATOMIC_RELAXED);
}

static void *journal_main(void *ctx)
{
	struct journal *j = ctx;

	background_thread();
	for (;;) {
		struct entry *batch;
		size_t n;
		bool stop;

		pthread_mutex_lock(&j->lock);
		while (j->n_fresh == 0 && !j->stop)
			pthread_cond_wait(&j->news, &j->lock);
		batch = j->fresh;
		n = j->n_fresh;
		stop = j->stop;
		j->fresh = NULL;
		j->n_fresh = j->cap_fresh = 0;
		pthread_mutex_unlock(&j->lock);
		if (n > 0)
			journal_batch(j, batch, n);
		free(batch);
		if (stop && n == 0)
			return NULL;
	}
}

void journal_start(struct journal *j, const struct journal_news *news, void *ctx)
{
	j->news_to = news;
	j->ctx = ctx;
	MUST(pthread_create(&j->thread, NULL, journal_main, j) == 0);
	j->started = true;
}

void journal_close(struct journal **pj)
{
	struct journal *j = *pj;

	if (j == NULL)
		return;
	*pj = NULL;
	if (j->started) {
		pthread_mutex_lock(&j->lock);
		j->stop = true;
		pthread_cond_broadcast(&j->news);
		pthread_mutex_unlock(&j->lock);
		pthread_join(j->thread, NULL);
	}
	sqlite3_close(j->db);
	pthread_mutex_destroy(&j->db_lock);
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->news);
	free(j->fresh);
	free(j->path);
	free(j);
}

uint64_t journal_lag(const struct journal *j)
{
	return __atomic_load_n(&j->lag, __ATOMIC_RELAXED);
}
