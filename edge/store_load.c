/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The start of a store: claims the folder, reads the journal, removes what a
 * crash left.  Invariant: a folder that the journal does not know, and a file
 * whose size is not what the digest says, are removed or emptied before anything
 * is served.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/package.h"
#include "edge/store_inner.h"

#define WHERE "edge/store"

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
		p->copies[at] = store_new_whole_copy(s, p, at, PACKAGE_LEAVES, size);
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
		struct package *p = store_new_package(l->store, d, title, hash, size, id);

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
	__atomic_add_fetch(&l->store->used, __atomic_load_n(&c->held, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
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

	*n += strcmp(name, "lost+found") != 0 && !str_starts(name, ".setup-"); /* of a trial that was killed */
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
	bool is_new = !file_exists(private);

	if (r == 0 && is_new)
		r = folder_list(s->folder, count_name, &others);
	if (r == 0 && others > 0)
		r = fault_set(f, ERR_EXISTS, _("%s is not empty and no store of an edge: set store to an empty folder"),
		              s->folder);
	else if (r == 0)
		r = folder_make(private, 0755);
	if (r == 0)
		r = file_lock(lock, &s->lock_fd);
	if (r == 0)
		r = sync_claim(s->folder, private);
	if (r != 0 && r != ERR_LOCKED && s->lock_fd >= 0 && !is_new) { /* it was a store before: what is in it is served */
		disk_failed(&s->disk, r, "the store's folder cannot be synced");
		r = 0;
	}
	if (r == ERR_LOCKED)
		fault_set(f, r, _("%s is in use by another ribera-edge: give each edge a store of its own"), s->folder);
	else if (r != 0 && others == 0)
		fault_set(f, r, _("cannot use %s as store: %s"), s->folder, words_error(r));
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
	if (r == 0 && journal_only_reads(s->journal))
		disk_failed(&s->disk, -EROFS, "the journal can only be read");
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

	if (r != 0) {
		free(l.lost_ids);
		return fault_set(f, r, _("cannot load the store %s: %s"), s->folder, words_error(r));
	}
	for (size_t i = 0; r == 0 && i < l.lost; i++)
		r = journal_remove_package(s->journal, l.lost_ids[i]);
	free(l.lost_ids);
	if (r == 0)
		r = folder_list(s->folder, sweep_title, s);
	if (r != 0) /* left for the next start; nothing of it is served */
		disk_failed(&s->disk, r, "what a crash left behind cannot be removed");
	return 0;
}

static void on_kept(void *ctx)
{
	struct store *s = ctx;

	if (s->kept != NULL)
		s->kept(s->ctx);
}

static void on_failed(void *ctx, int error)
{
	struct store *s = ctx;

	disk_failed(&s->disk, error, "what came cannot be synced and journalled");
}

static void on_lost(void *ctx, struct copy *c, size_t piece)
{
	store_hide_piece(ctx, c, piece);
}

int store_open(const struct store_settings *settings, struct store **ret_store, struct fault *f)
{
	static const struct journal_news news = {on_kept, on_failed, on_lost};
	struct store *s = mem_new(sizeof *s);
	int r;

	s->folder = mem_dup(settings->folder);
	s->capacity = settings->capacity;
	s->reserve = settings->reserve;
	s->ops = (struct serve_object_ops){.ready = settings->ready, .want = settings->want, .source = settings->source, .sent = settings->sent, .free = free_object, .open = copy_open_object};
	s->ctx = settings->ctx;
	s->kept = settings->kept;
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
	journal_start(s->journal, &news, s);
	*ret_store = s;
	return 0;
}
