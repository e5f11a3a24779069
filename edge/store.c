/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Packages on the disk and in memory.
 */
#include "edge/store_inner.h"

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
char *store_path(const struct store *s, const char *name)
{
	return mem_printf("%s/" PRIVATE "/%s", s->folder, name);
}

struct package **store_packages(const struct store *s, size_t *ret_n)
{
	*ret_n = s->n_packages;
	return s->packages;
}

/* --- names ---------------------------------------------------------------------------- */

static struct package **chain_of(const struct store *s, const char *title, const char *revision)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *title != '\0'; title++)
		h = (h ^ (unsigned char)*title) * UINT64_C(0x100000001b3);
	for (; *revision != '\0'; revision++)
		h = (h ^ (unsigned char)*revision) * UINT64_C(0x100000001b3);
	return &s->names[(h ^ h >> 32) & (s->n_names - 1)];
}

static void link_name(struct store *s, struct package *p)
{
	struct package **chain = chain_of(s, p->title, p->revision);

	p->alike = *chain;
	*chain = p;
}

static void unlink_name(struct store *s, struct package *p)
{
	struct package **link = chain_of(s, p->title, p->revision);

	while (*link != p)
		link = &(*link)->alike;
	*link = p->alike;
}

/* As many chains as packages, or more. */
static void add_name(struct store *s, struct package *p)
{
	if (s->n_packages <= s->n_names) {
		link_name(s, p);
		return;
	}
	s->n_names = s->n_names > 0 ? 2 * s->n_names : 64;
	free(s->names);
	s->names = mem_new_array(s->n_names, sizeof *s->names);
	for (size_t i = 0; i < s->n_packages; i++)
		link_name(s, s->packages[i]);
}

struct package *store_find(const struct store *s, const char *title, const char *revision)
{
	struct package *p = s->n_names > 0 ? *chain_of(s, title, revision) : NULL;

	while (p != NULL && (strcmp(p->title, title) != 0 || strcmp(p->revision, revision) != 0))
		p = p->alike;
	return p;
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
	return disk_trouble(&s->disk);
}

struct disk *store_disk(struct store *s)
{
	return &s->disk;
}

bool store_probe(struct store *s, mono_us now, mono_us *wake)
{
	char *folder = path_join(s->folder, PRIVATE);
	bool well = disk_probe(&s->disk, folder, now, wake);

	free(folder);
	return well;
}

/* What a caller gets of a write that may have failed. */
static int told(struct store *s, int r, const char *what)
{
	if (r != 0)
		disk_failed(&s->disk, r, what);
	return r;
}

int store_reserve(struct store *s, struct copy *c, size_t piece)
{
	uint64_t n = copy_piece_size(c, piece);
	int r = copy_open(c);

	if (disk_reads_only(&s->disk))
		return -EROFS;
	if (r == 0)
		r = copy_make_writable(c);
	if (r != 0)
		return told(s, r, "a file cannot be made");
	if (store_available(s) < n)
		return -ENOSPC;
	/* The disk says now, not at the first write, that it is full; file
	 * systems that cannot say it will at the write. */
	if (fallocate(copy_fd(c), 0, (off_t)(piece * DIGEST_PIECE), (off_t)n) < 0 && errno != EOPNOTSUPP &&
	    errno != ENOSYS && errno != EINTR)
		return told(s, -errno, "space cannot be had");
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

void store_hide_piece(struct store *s, struct copy *c, size_t piece)
{
	if (copy_hide_piece(c, piece))
		__atomic_sub_fetch(&s->used, copy_piece_size(c, piece), __ATOMIC_RELAXED);
}

int store_forget_piece(struct store *s, struct copy *c, size_t piece)
{
	store_hide_piece(s, c, piece);
	return told(s, journal_remove_piece(s->journal, c, piece), "the journal");
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
	return c;
}

/* package.torrent or package.leaves, whole on the disk. */
struct copy *store_new_whole_copy(struct store *s, struct package *p, size_t index, const char *name, uint64_t size)
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

struct package *store_new_package(struct store *s, struct digest *d, const char *title, const struct sha256 *hash,
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
	p->ranks = mem_new_array(d->n_files + 1, sizeof *p->ranks);
	p->keep = mem_new_array(p->n_copies, sizeof *p->keep);
	for (size_t i = 0; i < d->n_files; i++)
		p->copies[i] = new_copy(s, p, i);
	p->copies[PACKAGE_TORRENT_AT(p)] = store_new_whole_copy(s, p, PACKAGE_TORRENT_AT(p), PACKAGE_DIGEST, torrent_size);
	MEM_GROW(s->packages, s->cap_packages, s->n_packages);
	s->packages[s->n_packages++] = p;
	add_name(s, p);
	return p;
}

/* Lets go of a package that no reader can find any more. */
static void drop_package(struct store *s, struct package *p)
{
	unlink_name(s, p);
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

static int write_small(struct store *s, const char *folder, const char *name, const uint8_t *bytes, size_t n)
{
	char *path = path_join(folder, name);
	int r = store_available(s) < n ? -ENOSPC : told(s, file_write_atomic(path, bytes, n, 0644), name);

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
	r = told(s, folder_make(folder, 0755), "a package's folder");
	if (r == 0)
		r = write_small(s, folder, PACKAGE_DIGEST, torrent, n);
	if (r == 0)
		r = told(s, journal_add_package(s->journal, title, revision, &hash, &id), "the journal");
	if (r != 0) {
		fault_set(f, r, "%s: %s", folder, err_text(r));
		folder_remove(folder);
		goto out;
	}
	*ret_package = store_new_package(s, d, title, &hash, n, id);
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
		__atomic_store_n(&p->copies[at], store_new_whole_copy(s, p, at, PACKAGE_LEAVES, n), __ATOMIC_RELEASE);
	return r;
}

int store_add_torrent(struct store *s, struct package *p, const uint8_t *torrent, size_t n)
{
	size_t at = PACKAGE_TORRENT_AT(p);
	struct sha256 hash;
	int r;

	sha256_of(torrent, n, &hash);
	if (!sha256_equal(&hash, &p->torrent_hash))
		return ERR_HASH;
	r = write_small(s, p->folder, PACKAGE_DIGEST, torrent, n);
	if (r == 0 && p->copies[at] == NULL)
		__atomic_store_n(&p->copies[at], store_new_whole_copy(s, p, at, PACKAGE_DIGEST, n), __ATOMIC_RELEASE);
	return r;
}

void store_drop_small(struct store *s, struct copy *c)
{
	struct package *p = c->package;

	__atomic_store_n(&c->gone, 1, __ATOMIC_RELEASE);
	__atomic_sub_fetch(&s->used, load(&c->held), __ATOMIC_RELAXED);
	__atomic_store_n(&p->copies[c->index], NULL, __ATOMIC_RELEASE);
	rcu_synchronize();
	copy_unref(&c);
}

int store_remove_package(struct store *s, struct package *p)
{
	char *folder = mem_dup(p->folder), *title = mem_dup_n(folder, strlen(folder) - strlen(p->revision) - 1);
	int r = told(s, journal_remove_package(s->journal, p->id), "the journal");

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
	struct copy *fresh;
	int r = told(s, journal_remove_copy(s->journal, c), "the journal");

	if (r == 0 && unlink(path) < 0 && errno != ENOENT)
		r = -errno;
	free(path);
	if (!__atomic_load_n(&c->gone, __ATOMIC_ACQUIRE))
		return r;
	__atomic_sub_fetch(&s->used, load(&c->held), __ATOMIC_RELAXED);
	fresh = new_copy(s, p, index);
	fresh->requests = load(&c->requests); /* before it is seen: a demand that went back to 0 would be counted again */
	fresh->bytes = load(&c->bytes);
	__atomic_store_n(&p->copies[index], fresh, __ATOMIC_RELEASE);
	rcu_synchronize();
	copy_unref(&c);
	return r;
}

/* --- the end -------------------------------------------------------------------------- */

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
	free(s->names);
	free(s->folder);
	free(s);
}
