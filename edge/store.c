/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Packages on the disk and in memory.  Invariant: a folder that the journal
 * does not know, and a file whose size is not what the digest says, are removed
 * or emptied before anything is served.
 */
#include "edge/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rcu.h"
#include "base/str.h"
#include "dash/package.h"

#define WHERE "edge/store"
#define PRIVATE ".ribera"

struct store {
	char *folder;
	uint64_t capacity, reserve;
	struct serve_object_ops ops;
	void *ctx;
	int lock_fd;
	struct journal *journal;
	struct package **packages;
	size_t n_packages, cap_packages;
	uint64_t used;     /* atomic: bytes verified, and whole small files */
	uint64_t reserved; /* atomic: bytes of pieces being written */
	uint64_t last_order;
};

static void free_object(struct serve_object *o)
{
	struct copy *c = copy_of_object(o);

	if (c->object.fd >= 0)
		close(c->object.fd);
	package_unref(&c->package);
	free(c->etag);
	free(c->blocks);
	free(c->journalled);
	free(c);
}

char *store_path(const struct store *s, const char *name)
{
	return mem_printf("%s/" PRIVATE "/%s", s->folder, name);
}

struct package **store_packages(const struct store *s, size_t *ret_n)
{
	*ret_n = s->n_packages;
	return s->packages;
}

struct package *store_find(const struct store *s, const char *title, const char *revision)
{
	for (size_t i = 0; i < s->n_packages; i++)
		if (strcmp(s->packages[i]->title, title) == 0 && strcmp(s->packages[i]->revision, revision) == 0)
			return s->packages[i];
	return NULL;
}

/* --- space ---------------------------------------------------------------------------- */

static uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

uint64_t store_used(const struct store *s)
{
	return load(&s->used) + load(&s->reserved);
}

/* Bytes the file system can still give without touching the reserve. */
static uint64_t disk_room(const struct store *s)
{
	uint64_t free_bytes, total;

	if (folder_free_bytes(s->folder, &free_bytes, &total) != 0)
		return 0;
	return free_bytes > s->reserve ? free_bytes - s->reserve : 0;
}

uint64_t store_capacity(const struct store *s)
{
	uint64_t disk = disk_room(s) + load(&s->used);

	return s->capacity > 0 && s->capacity < disk ? s->capacity : disk;
}

uint64_t store_available(const struct store *s)
{
	uint64_t used = store_used(s), room = disk_room(s);

	if (s->capacity == 0)
		return room;
	if (used >= s->capacity)
		return 0;
	return s->capacity - used < room ? s->capacity - used : room;
}

uint64_t store_journal_lag(const struct store *s)
{
	return journal_lag(s->journal);
}

const char *store_trouble(const struct store *s)
{
	return journal_trouble(s->journal);
}

int store_reserve(struct store *s, struct copy *c, size_t piece)
{
	uint64_t n = copy_piece_size(c, piece);
	int r = copy_open(c);

	if (r != 0)
		return r;
	if (store_available(s) < n)
		return -ENOSPC;
	/* The disk says now, not at the first write, that it is full; file
	 * systems that cannot say it will at the write. */
	if (fallocate(c->object.fd, 0, (off_t)(piece * DIGEST_PIECE), (off_t)n) < 0 && errno != EOPNOTSUPP &&
	    errno != ENOSYS && errno != EINTR)
		return -errno;
	__atomic_add_fetch(&s->reserved, n, __ATOMIC_RELAXED);
	return 0;
}

void store_settle(struct store *s, struct copy *c, size_t piece, bool whole)
{
	uint64_t n = copy_piece_size(c, piece);

	__atomic_sub_fetch(&s->reserved, n, __ATOMIC_RELAXED);
	if (!whole || __atomic_load_n(&c->gone, __ATOMIC_ACQUIRE))
		return;
	__atomic_add_fetch(&s->used, n, __ATOMIC_RELAXED);
	journal_add(s->journal, c, piece);
}

int store_forget_piece(struct store *s, struct copy *c, size_t piece)
{
	if (copy_has_piece(c, piece))
		__atomic_sub_fetch(&s->used, copy_piece_size(c, piece), __ATOMIC_RELAXED);
	copy_hide_piece(c, piece);
	return journal_remove_piece(s->journal, c, piece);
}

/* --- packages ------------------------------------------------------------------------- */

static struct copy *new_copy(struct store *s, struct package *p, size_t index)
{
	const struct digest_file *file = &p->digest->files[index];
	char etag[SHA256_HEX_SIZE + 2], hex[SHA256_HEX_SIZE];
	struct copy *c;

	sha256_to_hex(&file->root, hex);
	snprintf(etag, sizeof etag, "\"%s\"", hex);
	c = copy_new(p, index, file->name, file->size, etag, &s->ops);
	c->object.ctx = s->ctx;
	c->order = ++s->last_order;
	return c;
}

/* package.torrent or package.leaves, whole on the disk. */
static struct copy *new_whole_copy(struct store *s, struct package *p, size_t index, const char *name, uint64_t size)
{
	char etag[80], hex[SHA256_HEX_SIZE];
	struct copy *c;

	sha256_to_hex(&p->torrent_hash, hex);
	snprintf(etag, sizeof etag, "\"%.32s-%s\"", hex, index == PACKAGE_LEAVES_AT(p) ? "l" : "t");
	c = copy_new(p, index, name, size, etag, &s->ops);
	c->object.ctx = s->ctx;
	for (size_t i = 0; i < c->n_pieces; i++)
		copy_show_blocks(c, i, 0, (unsigned)__builtin_popcountll(copy_full_word(c, i)));
	__atomic_add_fetch(&s->used, size, __ATOMIC_RELAXED);
	return c;
}

static struct package *new_package(struct store *s, struct digest *d, const char *title, const struct sha256 *hash,
                                   uint64_t torrent_size, int64_t id)
{
	struct package *p = mem_new(sizeof *p);

	p->refs = 1;
	p->store = s;
	p->title = mem_dup(title);
	memcpy(p->revision, d->revision, sizeof p->revision);
	p->folder = mem_printf("%s/%s/%s", s->folder, title, d->revision);
	p->id = id;
	p->digest = d;
	p->torrent_hash = *hash;
	p->torrent_size = torrent_size;
	p->n_copies = d->n_files + 2;
	p->copies = mem_new_array(p->n_copies, sizeof *p->copies);
	p->seen = mem_new_array(d->n_files + 1, sizeof *p->seen);
	p->keep = mem_new_array(p->n_copies, sizeof *p->keep);
	for (size_t i = 0; i < d->n_files; i++)
		p->copies[i] = new_copy(s, p, i);
	p->copies[PACKAGE_TORRENT_AT(p)] = new_whole_copy(s, p, PACKAGE_TORRENT_AT(p), PACKAGE_DIGEST, torrent_size);
	MEM_GROW(s->packages, s->cap_packages, s->n_packages);
	s->packages[s->n_packages++] = p;
	return p;
}

/* Lets go of a package that no reader can find any more. */
static void drop_package(struct store *s, struct package *p)
{
	for (size_t i = 0; i < s->n_packages; i++)
		if (s->packages[i] == p) {
			s->packages[i] = s->packages[--s->n_packages];
			break;
		}
	for (size_t i = 0; i < p->n_copies; i++) {
		struct copy *c = p->copies[i];

		if (c == NULL)
			continue;
		__atomic_store_n(&c->gone, 1, __ATOMIC_RELEASE);
		__atomic_sub_fetch(&s->used, load(&c->held), __ATOMIC_RELAXED);
		__atomic_store_n(&p->copies[i], NULL, __ATOMIC_RELEASE);
		rcu_synchronize();
		copy_unref(&c);
	}
	package_unref(&p);
}

static int write_small(const struct store *s, const char *folder, const char *name, const uint8_t *bytes, size_t n)
{
	char *path = path_join(folder, name);
	int r = store_available(s) < n ? -ENOSPC : file_write_atomic(path, bytes, n, 0644);

	free(path);
	return r;
}

int store_add_package(struct store *s, const char *title, const char *revision, const struct sha256 *want,
                      const uint8_t *torrent, size_t n, struct package **ret_package, struct fault *f)
{
	char *folder = mem_printf("%s/%s/%s", s->folder, title, revision);
	struct digest *d = NULL;
	struct sha256 hash;
	int64_t id;
	int r;

	sha256_of(torrent, n, &hash);
	if (!sha256_equal(&hash, want)) {
		r = fault_set(f, ERR_HASH, "package.torrent is not the one of the plan");
		goto out;
	}
	r = digest_read(torrent, n, &d, f);
	if (r == 0 && strcmp(d->revision, revision) != 0)
		r = fault_set(f, ERR_CORRUPT, "package.torrent says revision %s", d->revision);
	if (r != 0)
		goto out;
	r = folder_make(folder, 0755);
	if (r == 0)
		r = write_small(s, folder, PACKAGE_DIGEST, torrent, n);
	if (r == 0)
		r = journal_add_package(s->journal, title, revision, &hash, &id);
	if (r != 0) {
		fault_set(f, r, "%s: %s", folder, err_text(r));
		folder_remove(folder);
		goto out;
	}
	*ret_package = new_package(s, d, title, &hash, n, id);
	d = NULL;
out:
	digest_free(&d);
	free(folder);
	return r;
}

int store_add_leaves(struct store *s, struct package *p, const uint8_t *leaves, size_t n)
{
	size_t at = PACKAGE_LEAVES_AT(p);
	int r = digest_check_leaves(p->digest, leaves, n);

	if (r == 0)
		r = write_small(s, p->folder, PACKAGE_LEAVES, leaves, n);
	if (r == 0 && p->copies[at] == NULL)
		__atomic_store_n(&p->copies[at], new_whole_copy(s, p, at, PACKAGE_LEAVES, n), __ATOMIC_RELEASE);
	return r;
}

int store_remove_package(struct store *s, struct package *p)
{
	char *folder = mem_dup(p->folder), *title = mem_dup_n(folder, strlen(folder) - strlen(p->revision) - 1);
	int r = journal_remove_package(s->journal, p->id);

	if (r == 0) {
		drop_package(s, p);
		r = folder_remove(folder);
		rmdir(title); /* the last revision's; else not empty */
	}
	free(folder);
	free(title);
	return r;
}

int store_reset_copy(struct store *s, struct copy *c)
{
	struct package *p = c->package;
	char *path = path_join(p->folder, c->name);
	size_t index = c->index;
	int r = journal_remove_copy(s->journal, c);

	if (r == 0 && unlink(path) < 0 && errno != ENOENT)
		r = -errno;
	free(path);
	if (!__atomic_load_n(&c->gone, __ATOMIC_ACQUIRE))
		return r;
	__atomic_sub_fetch(&s->used, load(&c->held), __ATOMIC_RELAXED);
	__atomic_store_n(&p->copies[index], new_copy(s, p, index), __ATOMIC_RELEASE);
	__atomic_store_n(&p->copies[index]->requests, load(&c->requests), __ATOMIC_RELAXED);
	__atomic_store_n(&p->copies[index]->bytes, load(&c->bytes), __ATOMIC_RELAXED);
	rcu_synchronize();
	copy_unref(&c);
	return r;
}

/* --- the start ------------------------------------------------------------------------ */

struct loading {
	struct store *store;
	size_t lost; /* packages */
	int64_t *lost_ids;
	size_t cap_lost;
};

static int read_torrent(const char *folder, const struct sha256 *want, struct digest **ret_digest, uint64_t *ret_size)
{
	char *path = path_join(folder, PACKAGE_DIGEST);
	struct sha256 hash;
	struct buf b;
	int r;

	buf_init(&b, DIGEST_MAX_BYTES);
	r = file_read(path, &b);
	if (r == 0) {
		sha256_of(b.bytes, b.size, &hash);
		r = sha256_equal(&hash, want) ? digest_read(b.bytes, b.size, ret_digest, NULL) : ERR_HASH;
	}
	*ret_size = b.size;
	buf_fini(&b);
	free(path);
	return r;
}

static void load_leaves(struct store *s, struct package *p)
{
	size_t at = PACKAGE_LEAVES_AT(p);
	char *path = path_join(p->folder, PACKAGE_LEAVES);
	uint64_t size;

	if (file_size(path, &size) == 0 && size == digest_leaves_size(p->digest))
		p->copies[at] = new_whole_copy(s, p, at, PACKAGE_LEAVES, size);
	free(path);
}

static int load_package(void *ctx, int64_t id, const char *title, const char *revision, const struct sha256 *hash)
{
	struct loading *l = ctx;
	char *folder = mem_printf("%s/%s/%s", l->store->folder, title, revision);
	struct digest *d = NULL;
	uint64_t size;
	int r = read_torrent(folder, hash, &d, &size);

	if (r == 0 && strcmp(d->revision, revision) != 0)
		r = ERR_CORRUPT;
	if (r == 0) {
		struct package *p = new_package(l->store, d, title, hash, size, id);

		p->named = true;
		load_leaves(l->store, p);
	} else {
		log_warn(WHERE, "package.torrent is damaged, the package is fetched again: %s folder=\"%s\"",
		         err_text(r), folder);
		digest_free(&d);
		MEM_GROW(l->lost_ids, l->cap_lost, l->lost);
		l->lost_ids[l->lost++] = id;
	}
	free(folder);
	return 0;
}

static struct package *package_of_id(struct store *s, int64_t id)
{
	size_t low = 0, high = s->n_packages; /* loaded in order of id */

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->packages[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n_packages && s->packages[low]->id == id ? s->packages[low] : NULL;
}

/* The journal's row counts when the file has its size. */
static int load_held(void *ctx, int64_t id, size_t file, const uint8_t *pieces, size_t n)
{
	struct loading *l = ctx;
	struct package *p = package_of_id(l->store, id);
	struct copy *c;
	uint64_t size;
	char *path;

	if (p == NULL || file >= p->digest->n_files)
		return 0;
	c = p->copies[file];
	path = path_join(p->folder, c->name);
	if (n != (c->n_pieces + 7) / 8 || file_size(path, &size) != 0 || size != c->object.size) {
		log_warn(WHERE, "a file is not what it was, it is fetched again path=\"%s\"", path);
		free(path);
		return 0;
	}
	free(path);
	memcpy(c->journalled, pieces, n);
	for (size_t i = 0; i < c->n_pieces; i++)
		if (pieces[i / 8] >> i % 8 & 1) {
			copy_show_blocks(c, i, 0, (unsigned)__builtin_popcountll(copy_full_word(c, i)));
			c->n_kept++;
		}
	__atomic_add_fetch(&l->store->used, load(&c->held), __ATOMIC_RELAXED);
	return 0;
}

/* What a crash left behind: a revision's folder without a row. */
static int sweep_revision(void *ctx, const char *path)
{
	struct store *s = ctx;
	const char *revision = strrchr(path, '/') + 1;
	char *title = mem_dup_n(path + strlen(s->folder) + 1, (size_t)(revision - 1 - path) - strlen(s->folder) - 1);
	int r = 0;

	if (strlen(revision) == PACKAGE_REVISION_SIZE - 1 && store_find(s, title, revision) == NULL)
		r = folder_remove(path);
	free(title);
	return r;
}

struct sweep {
	struct store *store;
	const char *folder;
};

static int sweep_below(void *ctx, const char *name)
{
	struct sweep *sweep = ctx;
	char *path = path_join(sweep->folder, name);
	int r = file_is_folder(path) ? sweep_revision(sweep->store, path) : 0;

	free(path);
	return r;
}

static int sweep_title(void *ctx, const char *name)
{
	struct store *s = ctx;
	char *path = path_join(s->folder, name);
	struct sweep below = {s, path};
	int r = 0;

	if (str_is_name(name, strlen(name)) && file_is_folder(path)) {
		r = folder_list(path, sweep_below, &below);
		rmdir(path); /* when empty */
	}
	free(path);
	return r;
}

static int count_name(void *ctx, const char *name)
{
	int *n = ctx;

	*n += strcmp(name, "lost+found") != 0;
	return 0;
}

/* That the folder is a store is on the disk before anything else is: after a power cut what is in it
 * would be taken for somebody else's. */
static int sync_claim(const char *folder, const char *private)
{
	char *above = path_join(folder, "..");
	int r = folder_sync(private);

	if (r == 0)
		r = folder_sync(folder);
	if (r == 0)
		folder_sync(above); /* may not be ours to open; whose folder is lost has no store, not a wrong one */
	free(above);
	return r;
}

/* A folder with other things in it is a mistake in the settings, not a store. */
static int claim_folder(struct store *s, struct fault *f)
{
	char *private = path_join(s->folder, PRIVATE), *lock = store_path(s, "lock");
	int others = 0, r = folder_make(s->folder, 0755);

	if (r == 0 && !file_exists(private))
		r = folder_list(s->folder, count_name, &others);
	if (r == 0 && others > 0)
		r = fault_set(f, ERR_EXISTS, "%s is not empty and no store of an edge: set store to an empty folder",
		              s->folder);
	else if (r == 0)
		r = folder_make(private, 0755);
	if (r == 0)
		r = file_lock(lock, &s->lock_fd);
	if (r == 0)
		r = sync_claim(s->folder, private);
	if (r == ERR_LOCKED)
		fault_set(f, r, "%s is in use by another ribera-edge: give each edge a store of its own", s->folder);
	else if (r != 0 && others == 0)
		fault_set(f, r, "cannot use %s as store: %s", s->folder, err_text(r));
	free(private);
	free(lock);
	return r;
}

/* A journal that cannot be read is set aside: everything is fetched again, nothing wrong is served. */
static int open_journal(struct store *s, struct fault *f)
{
	char *path = store_path(s, "journal.sqlite"), *aside = store_path(s, "journal.damaged");
	char *wal = store_path(s, "journal.sqlite-wal"), *shm = store_path(s, "journal.sqlite-shm");
	int r = journal_open(path, &s->journal, f);

	if (r == ERR_CORRUPT) {
		log_error(WHERE, "the journal is damaged, everything is fetched again: %s", fault_text(f));
		rename(path, aside);
		unlink(wal);
		unlink(shm);
		r = journal_open(path, &s->journal, f);
	}
	free(path);
	free(aside);
	free(wal);
	free(shm);
	return r;
}

static int load_all(struct store *s, struct fault *f)
{
	static const struct journal_hooks hooks = {load_package, load_held};
	struct loading l = {.store = s};
	int r = journal_load(s->journal, &hooks, &l);

	for (size_t i = 0; r == 0 && i < l.lost; i++)
		r = journal_remove_package(s->journal, l.lost_ids[i]);
	free(l.lost_ids);
	if (r == 0)
		r = folder_list(s->folder, sweep_title, s);
	return r == 0 ? 0 : fault_set(f, r, "cannot load the store %s: %s", s->folder, err_text(r));
}

int store_open(const struct store_settings *settings, struct store **ret_store, struct fault *f)
{
	struct store *s = mem_new(sizeof *s);
	int r;

	s->folder = mem_dup(settings->folder);
	s->capacity = settings->capacity;
	s->reserve = settings->reserve;
	s->ops = (struct serve_object_ops){settings->ready, settings->want, free_object};
	s->ctx = settings->ctx;
	s->lock_fd = -1;
	r = claim_folder(s, f);
	if (r == 0)
		r = open_journal(s, f);
	if (r == 0)
		r = load_all(s, f);
	if (r != 0) {
		store_close(&s);
		return r;
	}
	journal_start(s->journal, settings->kept, settings->ctx);
	*ret_store = s;
	return 0;
}

void store_close(struct store **ps)
{
	struct store *s = *ps;

	if (s == NULL)
		return;
	*ps = NULL;
	journal_close(&s->journal);
	while (s->n_packages > 0)
		drop_package(s, s->packages[s->n_packages - 1]);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->packages);
	free(s->folder);
	free(s);
}
