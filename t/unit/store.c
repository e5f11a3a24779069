/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * edge/store: what is journalled is there after a restart, what is not is not,
 * and nothing is ever shown that was not verified.
 */
#include "edge/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "edge/counts.h"
#include "edge/demand.h"
#include "edge/passing.h"
#include "t/lib/unit.h"

#define BIG (3 * DIGEST_PIECE + 5000)
#define SMALL 70000

struct film {
	char *folder;
	uint8_t *big, *small;
	struct buf torrent, leaves;
	char revision[PACKAGE_REVISION_SIZE];
	struct sha256 hash;
};

static struct film film;

static void setup(void)
{
	struct digest_builder *b = digest_builder_new("film");
	char template[] = "/tmp/ribera-store-XXXXXX";

	film.folder = mem_dup(mkdtemp(template));
	film.big = mem_new(BIG);
	film.small = mem_new(SMALL);
	for (size_t i = 0; i < BIG; i++)
		film.big[i] = (uint8_t)(i * 2654435761u >> 13);
	for (size_t i = 0; i < SMALL; i++)
		film.small[i] = (uint8_t)(i * 40503u >> 7);
	buf_init(&film.torrent, 1 << 20);
	buf_init(&film.leaves, 1 << 20);
	digest_builder_file(b, "a.mp4");
	digest_builder_bytes(b, film.big, BIG);
	digest_builder_file(b, "b.txt");
	digest_builder_bytes(b, film.small, SMALL);
	cr_assert(digest_builder_finish(b, NULL, &film.torrent, &film.leaves, film.revision) == 0);
	digest_builder_free(&b);
	sha256_of(film.torrent.bytes, film.torrent.size, &film.hash);
}

static void teardown(void)
{
	folder_remove(film.folder);
	free(film.folder);
	free(film.big);
	free(film.small);
	buf_fini(&film.torrent);
	buf_fini(&film.leaves);
}

TestSuite(store, .init = setup, .fini = teardown);

static struct store *open_store(uint64_t capacity)
{
	struct store_settings s = {.folder = film.folder, .capacity = capacity};
	struct fault f = {0};
	struct store *store = NULL;

	cr_assert(store_open(&s, &store, &f) == 0, "%s", fault_text(&f));
	return store;
}

static struct package *add_film(struct store *s)
{
	struct fault f = {0};
	struct package *p = NULL;

	cr_assert(store_add_package(s, "film", film.revision, &film.hash, film.torrent.bytes, film.torrent.size, &p, &f) ==
	                  0,
	          "%s", fault_text(&f));
	return p;
}

static void write_piece(struct store *s, struct copy *c, size_t piece, const uint8_t *bytes)
{
	uint64_t n = copy_piece_size(c, piece);

	CHECK_INT(store_reserve(s, c, piece), 0);
	CHECK_INT(file_pwrite_all(c->object.fd, bytes + piece * DIGEST_PIECE, (size_t)n, piece * DIGEST_PIECE), 0);
	copy_show_blocks(c, piece, 0, (unsigned)((n + DIGEST_BLOCK - 1) / DIGEST_BLOCK));
	store_settle(s, c, piece, true);
}

/* What a server would read there; -1: nowhere. */
static int source(const struct copy *c, uint64_t offset, uint64_t *length, uint8_t *ret_byte)
{
	int fd;

	rcu_read_begin();
	fd = copy_source(c, offset, length);
	if (fd >= 0)
		CHECK_INT(file_pread_all(fd, ret_byte, 1, offset), 1);
	rcu_read_end();
	return fd;
}

Test(store, what_passes_through_is_seen_beside_what_is_kept_and_goes)
{
	struct store *s = open_store(0);
	struct package *p = add_film(s);
	struct passing *passing = passing_new();
	struct copy *c = p->copies[0];
	uint64_t n = BIG;
	uint8_t byte;

	write_piece(s, c, 0, film.big);
	CHECK_INT(source(c, DIGEST_PIECE, &n, &byte), -1);
	CHECK_INT(passing_begin(passing, c, 1), 0);
	CHECK_INT(passing_show(c, 1, 0, film.big + DIGEST_PIECE, 2 * DIGEST_BLOCK), 0);
	CHECK_INT((int64_t)copy_ready(c, 5, BIG), DIGEST_PIECE + 2 * DIGEST_BLOCK - 5); /* over the seam */
	CHECK_INT(source(c, 5, &n, &byte), c->object.fd);
	CHECK_INT((int64_t)n, DIGEST_PIECE - 5);
	CHECK_INT(byte, film.big[5]);
	n = BIG;
	CHECK(source(c, DIGEST_PIECE + 7, &n, &byte) != c->object.fd);
	CHECK_INT((int64_t)n, 2 * DIGEST_BLOCK - 7);
	CHECK_INT(byte, film.big[DIGEST_PIECE + 7]);
	CHECK(!copy_shows_piece(c, 1));
	CHECK_INT(passing_show(c, 1, 2 * DIGEST_BLOCK, film.big + DIGEST_PIECE + 2 * DIGEST_BLOCK, DIGEST_PIECE - 2 * DIGEST_BLOCK), 0);
	CHECK(copy_shows_piece(c, 1) && !copy_has_piece(c, 1));
	CHECK_INT((int64_t)package_held(p), DIGEST_PIECE);

	CHECK_INT(passing_step(passing, 100 * PASSING_LINGER), INT64_MAX); /* while more may come, it stays */
	passing_end(passing, c, 1, 1000);
	CHECK_INT(passing_step(passing, 1000), 1000 + PASSING_LINGER);
	CHECK(copy_shows_piece(c, 1));
	CHECK_INT(passing_step(passing, 1000 + PASSING_LINGER), INT64_MAX);
	CHECK(c->passage == NULL);
	CHECK_INT((int64_t)copy_ready(c, DIGEST_PIECE, BIG), 0);
	CHECK_INT(source(c, DIGEST_PIECE, &n, &byte), -1);

	for (size_t i = 0; i < 2; i++) { /* one of two goes: the other's bytes stay */
		CHECK_INT(passing_begin(passing, c, i + 1), 0);
		CHECK_INT(passing_show(c, i + 1, 0, film.big + (i + 1) * DIGEST_PIECE, DIGEST_PIECE), 0);
		passing_end(passing, c, i + 1, (mono_us)i * DUR_S);
	}
	passing_step(passing, PASSING_LINGER);
	CHECK(!copy_shows_piece(c, 1) && copy_shows_piece(c, 2));
	n = BIG;
	CHECK(source(c, 2 * DIGEST_PIECE, &n, &byte) >= 0 && byte == film.big[2 * DIGEST_PIECE]);
	passing_free(&passing);
	CHECK(c->passage == NULL);
	store_close(&s);
}

Test(store, pieces_survive_a_restart)
{
	struct store *s = open_store(0);
	struct package *p = add_film(s);

	CHECK_INT(store_add_leaves(s, p, film.leaves.bytes, film.leaves.size), 0);
	write_piece(s, p->copies[0], 1, film.big);
	write_piece(s, p->copies[0], 3, film.big);
	write_piece(s, p->copies[1], 0, film.small);
	CHECK(!package_is_whole(p));
	store_close(&s);

	s = open_store(0);
	p = store_find(s, "film", film.revision);
	CHECK(p != NULL);
	CHECK(!copy_has_piece(p->copies[0], 0));
	CHECK(copy_has_piece(p->copies[0], 1));
	CHECK(!copy_has_piece(p->copies[0], 2));
	CHECK(copy_has_piece(p->copies[0], 3));
	CHECK(copy_is_whole(p->copies[1]));
	CHECK(p->copies[PACKAGE_LEAVES_AT(p)] != NULL);
	CHECK_INT(package_held(p), DIGEST_PIECE + 5000 + SMALL);
	CHECK_INT(store_used(s), DIGEST_PIECE + 5000 + SMALL + film.torrent.size + film.leaves.size);
	write_piece(s, p->copies[0], 0, film.big);
	write_piece(s, p->copies[0], 2, film.big);
	while (store_journal_lag(s) > 0) /* whole is what would survive a power cut */
		sched_yield();
	CHECK(package_is_whole(p));
	store_close(&s);
}

Test(store, ready_is_what_was_verified_block_by_block)
{
	struct store *s = open_store(0);
	struct copy *c = add_film(s)->copies[0];

	CHECK_INT(store_reserve(s, c, 0), 0);
	CHECK_INT(copy_ready(c, 0, BIG), 0);
	copy_show_blocks(c, 0, 0, 2);
	CHECK_INT(copy_ready(c, 0, BIG), 2 * DIGEST_BLOCK);
	CHECK_INT(copy_ready(c, 100, 50), 50);
	CHECK_INT(copy_ready(c, DIGEST_BLOCK + 1, BIG), DIGEST_BLOCK - 1);
	CHECK_INT(copy_ready(c, 2 * DIGEST_BLOCK, BIG), 0);
	copy_show_blocks(c, 0, 2, 62);
	copy_show_blocks(c, 1, 0, 64);
	CHECK_INT(copy_ready(c, 10, BIG), 2 * DIGEST_PIECE - 10);
	copy_show_blocks(c, 3, 0, 1);
	CHECK_INT(copy_ready(c, 3 * DIGEST_PIECE, BIG), 5000);
	CHECK_INT(copy_ready(c, 3 * DIGEST_PIECE + 4999, BIG), 1);
	CHECK_INT(copy_ready(c, BIG, 1), 0);
	CHECK_INT(copy_ready(c, UINT64_MAX, 1), 0);
	copy_show_blocks(c, 2, 0, 64);
	CHECK(copy_is_whole(c));
	CHECK_INT(copy_ready(c, 0, UINT64_MAX), BIG);
	copy_hide_piece(c, 2);
	CHECK(!copy_is_whole(c));
	CHECK_INT(copy_ready(c, 0, BIG), 2 * DIGEST_PIECE);
	store_settle(s, c, 0, false);
	store_close(&s);
}

Test(store, two_edges_never_share_one)
{
	struct store_settings settings = {.folder = film.folder};
	struct store *s = open_store(0), *other = NULL;
	struct fault f = {0};

	CHECK_INT(store_open(&settings, &other, &f), ERR_LOCKED);
	CHECK_HAS(f.text, "in use by another ribera-edge");
	CHECK(other == NULL);
	store_close(&s);
}

Test(store, a_folder_with_other_things_is_refused)
{
	struct store_settings settings = {.folder = film.folder};
	char *path = path_join(film.folder, "holiday.jpg");
	struct store *s = NULL;
	struct fault f = {0};

	CHECK_INT(file_write_atomic(path, "x", 1, 0644), 0);
	CHECK_INT(store_open(&settings, &s, &f), ERR_EXISTS);
	CHECK_HAS(f.text, "is not empty and no store");
	CHECK(file_exists(path));
	free(path);
}

Test(store, a_wrong_torrent_or_leaves_is_refused_and_leaves_nothing)
{
	struct store *s = open_store(0);
	struct package *p = NULL;
	struct sha256 other = film.hash;
	struct fault f = {0};
	size_t n;

	other.bytes[0] ^= 1;
	CHECK_INT(store_add_package(s, "film", film.revision, &other, film.torrent.bytes, film.torrent.size, &p, &f),
	          ERR_HASH);
	CHECK_INT(store_add_package(s, "film", "0123456789abcdef0123", &film.hash, film.torrent.bytes, film.torrent.size,
	                            &p, &f), ERR_CORRUPT);
	store_packages(s, &n);
	CHECK_INT(n, 0);
	p = add_film(s);
	film.leaves.bytes[0] ^= 1;
	CHECK_INT(store_add_leaves(s, p, film.leaves.bytes, film.leaves.size), ERR_HASH);
	CHECK(p->copies[PACKAGE_LEAVES_AT(p)] == NULL);
	store_close(&s);
}

Test(store, capacity_is_kept)
{
	struct store *s = open_store(film.torrent.size + DIGEST_PIECE + 100);
	struct copy *c = add_film(s)->copies[0];

	CHECK_INT(store_available(s), DIGEST_PIECE + 100);
	write_piece(s, c, 0, film.big);
	CHECK_INT(store_available(s), 100);
	CHECK_INT(store_reserve(s, c, 1), -ENOSPC);
	CHECK_INT(store_reserve(s, c, 3), -ENOSPC);
	CHECK_INT(store_forget_piece(s, c, 0), 0);
	CHECK_INT(store_available(s), DIGEST_PIECE + 100);
	CHECK_INT(store_reserve(s, c, 1), 0);
	store_settle(s, c, 1, false);
	CHECK_INT(store_available(s), DIGEST_PIECE + 100);
	store_close(&s);
}

Test(store, an_evicted_file_starts_anew_and_old_viewers_keep_theirs)
{
	struct store *s = open_store(0);
	struct package *p = add_film(s);
	struct copy *old = copy_ref(p->copies[1]);
	char byte;

	write_piece(s, old, 0, film.small);
	CHECK_INT(store_reset_copy(s, p->copies[1]), 0);
	CHECK(p->copies[1] != old);
	CHECK(old->gone);
	CHECK_INT(copy_ready(p->copies[1], 0, SMALL), 0);
	CHECK_INT(copy_ready(old, 0, SMALL), SMALL);
	CHECK_INT(pread(old->object.fd, &byte, 1, 500), 1);
	CHECK_INT((uint8_t)byte, film.small[500]);
	CHECK_INT(store_used(s), film.torrent.size);
	copy_unref(&old);
	store_close(&s);
	s = open_store(0);
	p = store_find(s, "film", film.revision);
	CHECK_INT(copy_ready(p->copies[1], 0, SMALL), 0);
	store_close(&s);
}

Test(store, a_removed_package_is_gone_after_a_restart)
{
	struct store *s = open_store(0);
	struct package *p = add_film(s);
	char *folder = mem_dup(p->folder);

	write_piece(s, p->copies[1], 0, film.small);
	CHECK_INT(store_remove_package(s, p), 0);
	CHECK(!file_exists(folder));
	CHECK_INT(store_used(s), 0);
	store_close(&s);
	s = open_store(0);
	CHECK(store_find(s, "film", film.revision) == NULL);
	store_close(&s);
	free(folder);
}

Test(store, files_of_another_size_and_folders_nobody_knows_do_not_count)
{
	struct store *s = open_store(0);
	struct package *p = add_film(s);
	char *path = path_join(p->folder, "b.txt");
	char *stray = mem_printf("%s/other/0123456789abcdef0123", film.folder);

	write_piece(s, p->copies[1], 0, film.small);
	write_piece(s, p->copies[0], 0, film.big);
	store_close(&s);
	CHECK_INT(truncate(path, 10), 0);
	CHECK_INT(folder_make(stray, 0755), 0);
	s = open_store(0);
	p = store_find(s, "film", film.revision);
	CHECK_INT(copy_ready(p->copies[1], 0, SMALL), 0);
	CHECK_INT(copy_ready(p->copies[0], 0, BIG), DIGEST_PIECE);
	CHECK(!file_exists(stray));
	write_piece(s, p->copies[1], 0, film.small);
	CHECK(copy_is_whole(p->copies[1]));
	store_close(&s);
	free(path);
	free(stray);
}

Test(store, a_damaged_torrent_or_journal_means_starting_over)
{
	struct store *s = open_store(0);
	struct package *p = add_film(s);
	char *torrent = path_join(p->folder, PACKAGE_DIGEST), *journal = store_path(s, "journal.sqlite");
	size_t n;

	write_piece(s, p->copies[1], 0, film.small);
	store_close(&s);
	CHECK_INT(file_write_atomic(torrent, "d4:infoe", 8, 0644), 0);
	s = open_store(0);
	store_packages(s, &n);
	CHECK_INT(n, 0);
	p = add_film(s); /* and it can be taken in again */
	write_piece(s, p->copies[1], 0, film.small);
	store_close(&s);
	CHECK_INT(file_write_atomic(journal, "this is no database, it is a long enough text", 45, 0644), 0);
	s = open_store(0);
	store_packages(s, &n);
	CHECK_INT(n, 0);
	CHECK(!file_exists(torrent));
	add_film(s);
	store_close(&s);
	free(torrent);
	free(journal);
}

/* Batches told, as they add up: requests of a.mp4. */
static long long asked_for(struct demand *d)
{
	long long n = 0;
	char *text;

	while ((text = demand_next(d)) != NULL) {
		const char *at = strstr(text, "\"requests\":");

		n += at != NULL ? atoll(at + 11) : 0;
		free(text);
		demand_delivered(d);
	}
	return n;
}

Test(store, demand_is_counted_once_through_eviction_and_removal)
{
	struct counters *counters = counts_new();
	struct store *s = open_store(0);
	struct package *p = package_ref(add_film(s));
	char *folder = store_path(s, "demand");
	struct demand *d = demand_new(folder, DUR_S, counters);

	p->copies[0]->requests = 5;
	demand_collect(d, &p, 1, 1, 1, true);
	CHECK_INT(asked_for(d), 5);
	CHECK_INT(store_reset_copy(s, p->copies[0]), 0);
	demand_collect(d, &p, 1, 2, 2, true);
	CHECK_INT(asked_for(d), 0);
	p->copies[0]->requests += 2;
	demand_collect(d, &p, 1, 3, 3, true);
	CHECK_INT(asked_for(d), 2);
	CHECK_INT(store_remove_package(s, p), 0);
	demand_collect(d, &p, 1, 4, 4, true); /* whoever collects may have had the package in hand when it went */
	CHECK_INT(asked_for(d), 0);
	package_unref(&p);
	demand_free(&d);
	store_close(&s);
	counters_free(&counters);
	free(folder);
}
