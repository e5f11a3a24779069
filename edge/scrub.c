/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Disks lose bits and people touch files; hashes notice.  A piece that reads
 * badly is read once more before it is called bad, so that one that was being
 * replaced at that moment is not.
 */
#include "edge/scrub.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/background.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rcu.h"
#include "cdn/bucket.h"
#include "edge/counts.h"

#define WHERE "edge/scrub"

struct scrub {
	struct scrub_settings s;
	pthread_t thread;
	bool started;
	struct bucket bucket;
	uint8_t *bytes; /* one piece */
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool stop;
};

/* False: the end has come. */
static bool wait_until(struct scrub *s, mono_us until)
{
	struct timespec ts = {.tv_sec = until / DUR_S, .tv_nsec = until % DUR_S * 1000};
	bool go_on;

	pthread_mutex_lock(&s->lock);
	while (!s->stop && clock_mono() < until)
		pthread_cond_timedwait(&s->news, &s->lock, &ts);
	go_on = !s->stop;
	pthread_mutex_unlock(&s->lock);
	return go_on;
}

static bool is_good(struct scrub *s, struct copy *c, size_t piece)
{
	uint64_t size = copy_piece_size(c, piece);
	ssize_t n;

	if (copy_open(c) != 0)
		return true; /* cannot be served either, and is said there */
	n = file_pread_all(copy_fd(c), s->bytes, (size_t)size, piece * DIGEST_PIECE);
	counters_add(s->s.counters, COUNT_SCRUBBED, size);
	return n == (ssize_t)size &&
	       digest_check_piece(&c->package->digest->files[c->index], piece, s->bytes, (size_t)size) == 0;
}

static void check_piece(struct scrub *s, struct copy *c, size_t piece)
{
	if (is_good(s, c, piece) || is_good(s, c, piece) || !copy_has_piece(c, piece) ||
	    __atomic_load_n(&c->gone, __ATOMIC_ACQUIRE))
		return;
	counters_add(s->s.counters, COUNT_SCRUB_BAD, 1);
	log_error(WHERE, "a piece on the disk has changed, it is fetched again folder=\"%s\" file=\"%s\" piece=%zu",
	          c->package->folder, c->name, piece);
	s->s.bad(s->s.ctx, c, piece);
}

static bool check_copy(struct scrub *s, struct copy *c)
{
	for (size_t i = 0; i < c->n_pieces; i++) {
		dur_us wait;

		if (!copy_has_piece(c, i))
			continue;
		while ((wait = bucket_take(&s->bucket, copy_piece_size(c, i), clock_mono())) > 0)
			if (!wait_until(s, clock_mono() + wait))
				return false;
		check_piece(s, c, i);
	}
	return wait_until(s, 0);
}

/* package.torrent or package.leaves, which everything else is checked by. */
static bool is_good_small(struct scrub *s, struct copy *c)
{
	const struct package *p = c->package;
	size_t size = (size_t)c->object.size;
	uint8_t *bytes = mem_try(1, size + 1);
	struct sha256 hash;
	bool good;

	if (bytes == NULL || copy_open(c) != 0) {
		free(bytes);
		return true; /* another time */
	}
	good = file_pread_all(copy_fd(c), bytes, size, 0) == (ssize_t)size;
	counters_add(s->s.counters, COUNT_SCRUBBED, size);
	if (good && c->index == PACKAGE_LEAVES_AT(p)) {
		good = digest_check_leaves(p->digest, bytes, size) == 0;
	} else if (good) {
		sha256_of(bytes, size, &hash);
		good = sha256_equal(&hash, &p->torrent_hash);
	}
	free(bytes);
	return good;
}

static bool check_small(struct scrub *s, struct copy *c)
{
	for (uint64_t done = 0; done < c->object.size; done += DIGEST_PIECE) { /* as much time as any bytes */
		uint64_t left = c->object.size - done;
		dur_us wait;

		while ((wait = bucket_take(&s->bucket, left < DIGEST_PIECE ? left : DIGEST_PIECE, clock_mono())) > 0)
			if (!wait_until(s, clock_mono() + wait))
				return false;
	}
	if (!is_good_small(s, c) && !is_good_small(s, c) && !__atomic_load_n(&c->gone, __ATOMIC_ACQUIRE)) {
		counters_add(s->s.counters, COUNT_SCRUB_BAD, 1);
		log_error(WHERE, "a digest on the disk has changed, it is fetched again folder=\"%s\" file=\"%s\"",
		          c->package->folder, c->name);
		s->s.bad(s->s.ctx, c, 0);
	}
	return wait_until(s, 0);
}

static bool check_package(struct scrub *s, struct package *p)
{
	bool go_on = true;

	for (size_t i = 0; go_on && i < p->n_copies; i++) {
		struct copy *c;

		rcu_read_begin();
		c = RCU_LOAD(&p->copies[i]);
		if (c != NULL)
			copy_ref(c);
		rcu_read_end();
		if (c != NULL)
			go_on = i < p->digest->n_files ? check_copy(s, c) : check_small(s, c);
		copy_unref(&c);
	}
	return go_on;
}

static void *scrub_main(void *ctx)
{
	struct scrub *s = ctx;
	bool go_on = true;

	background_thread();
	while (go_on) {
		mono_us began = clock_mono();
		size_t n;
		struct package **packages = s->s.packages(s->s.ctx, &n);

		for (size_t i = 0; i < n; i++) {
			go_on = go_on && check_package(s, packages[i]);
			package_unref(&packages[i]);
		}
		free(packages);
		/* at least a second: an edge without packages has nothing to hurry for */
		go_on = go_on && wait_until(s, began + (s->s.every > DUR_S ? s->s.every : DUR_S));
	}
	return NULL;
}

struct scrub *scrub_new(const struct scrub_settings *settings)
{
	struct scrub *s = mem_new(sizeof *s);
	pthread_condattr_t attr;

	s->s = *settings;
	s->bytes = mem_new(DIGEST_PIECE);
	bucket_init(&s->bucket, s->s.rate, DIGEST_PIECE, clock_mono());
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->news, &attr);
	pthread_condattr_destroy(&attr);
	s->started = s->s.rate > 0;
	if (s->started)
		MUST(pthread_create(&s->thread, NULL, scrub_main, s) == 0);
	return s;
}

void scrub_free(struct scrub **ps)
{
	struct scrub *s = *ps;

	if (s == NULL)
		return;
	*ps = NULL;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->news);
	pthread_mutex_unlock(&s->lock);
	if (s->started)
		pthread_join(s->thread, NULL);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->news);
	free(s->bytes);
	free(s);
}
