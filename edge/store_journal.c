/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal: who may name a piece in it, and when.  A thread takes whatever
 * pieces have come since its last round, syncs their files, then commits their
 * rows in one transaction: the slower the disk, the larger the batch.  Rows are
 * removed in a durable commit before the file they speak of is, so no row ever
 * describes another file's bytes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/background.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "edge/store.h"
#include "edge/store_rows.h"

#define WHERE "edge/journal"
#define RETRY_S 2

struct entry {
	struct copy *copy; /* one reference */
	size_t piece;
	bool synced;
};

struct journal {
	struct rows *rows;
	pthread_t thread;
	bool started;
	const struct journal_news *news_to; /* not NULL once started */
	void *ctx;

	pthread_mutex_t db_lock; /* guards rows and every copy's `journalled` */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t news;
	struct entry *fresh;
	size_t n_fresh, cap_fresh;
	bool stop;

	uint64_t lag; /* atomic */
};

static struct journal *new_journal(void)
{
	struct journal *j = mem_new(sizeof *j);
	pthread_condattr_t attr;

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
	struct journal *j = new_journal();
	int r = rows_open(path, &j->rows, f);

	if (r != 0) {
		journal_close(&j);
		return r;
	}
	*ret_journal = j;
	return 0;
}

bool journal_only_reads(const struct journal *j)
{
	return rows_only_read(j->rows);
}

int journal_load(struct journal *j, const struct journal_hooks *hooks, void *ctx)
{
	return rows_load(j->rows, hooks, ctx);
}

/* --- the engine's rows ------------------------------------------------------------------ */

int journal_add_package(struct journal *j, const char *title, const char *revision, const struct sha256 *torrent,
                        int64_t *ret_id)
{
	int r;

	pthread_mutex_lock(&j->db_lock);
	r = rows_add_package(j->rows, title, revision, torrent, ret_id);
	pthread_mutex_unlock(&j->db_lock);
	return r;
}

int journal_remove_package(struct journal *j, int64_t id)
{
	int r;

	pthread_mutex_lock(&j->db_lock);
	r = rows_remove_package(j->rows, id);
	pthread_mutex_unlock(&j->db_lock);
	return r;
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
	r = rows_remove_held(j->rows, c);
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
	r = rows_write_held(j->rows, c);
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
	if (fdatasync(copy_fd(e->copy)) < 0)
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
	r = rows_begin(j->rows);
	for (size_t i = 0, m; r == 0 && i < n; i += m) {
		m = same_copy(e + i, n - i);
		if (!e[i].synced || __atomic_load_n(&e[i].copy->gone, __ATOMIC_ACQUIRE))
			continue;
		for (size_t k = 0; k < m; k++)
			if (copy_has_piece(e[i + k].copy, e[i + k].piece)) /* not hidden since */
				set_bit(e[i + k].copy, e[i + k].piece, true);
		r = rows_write_held(j->rows, e[i].copy);
	}
	if (r == 0)
		r = rows_commit(j->rows);
	if (r != 0)
		rows_give_up(j->rows);
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
	rows_close(&j->rows);
	pthread_mutex_destroy(&j->db_lock);
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->news);
	free(j->fresh);
	free(j);
}

uint64_t journal_lag(const struct journal *j)
{
	return __atomic_load_n(&j->lag, __ATOMIC_RELAXED);
}
