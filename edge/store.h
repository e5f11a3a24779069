/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The edge's disk: package files as they are under STORE/TITLE/REVISION/, and a
 * journal (SQLite) of the pieces that are verified and on the disk.
 *
 * Order of writing: bytes into the file, verified in memory, shown to viewers,
 * fdatasync, journal row committed.  So what the journal names survived every
 * crash and power cut; what it does not name is fetched again.
 *
 *   STORE/.ribera/lock, journal.sqlite, plan.json     TITLE cannot start with '.'
 *   STORE/TITLE/REVISION/FILE
 *
 * Threads: the journal runs in a thread of the store; everything else belongs
 * to one owner (the engine), except what says "any thread".
 */
#ifndef RIBERA_EDGE_STORE_H
#define RIBERA_EDGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/copy.h"
#include "edge/disk.h"

struct store; /* hidden */

struct store_settings {
	const char *folder;
	uint64_t capacity; /* bytes of packages; 0: what the file system has */
	uint64_t reserve;  /* bytes of the file system that stay free */
	/* Asked by viewers for bytes that are not there; see serve_object_ops. */
	int64_t (*ready)(struct serve_object *, uint64_t offset, uint64_t length);
	void (*want)(struct serve_object *, uint64_t offset, uint64_t length, struct serve_waiter *);
	int (*source)(struct serve_object *, uint64_t offset, uint64_t *length);
	void (*sent)(struct serve_object *, struct serve_request *, uint64_t bytes, bool first);
	/* More pieces are on the disk for good; the journal's thread.  NULL: nobody cares. */
	void (*kept)(void *ctx);
	void *ctx; /* object.ctx of every copy */
};

/* Locks the folder (made if need be) and reads the journal.  ERR_LOCKED: another
 * edge has it; ERR_EXISTS: the folder has other things in it; -errno. */
int store_open(const struct store_settings *, struct store **ret_store, struct fault *);
/* Journals what is verified and closes. */
void store_close(struct store **);

/* STORE/.ribera/NAME; caller frees. */
char *store_path(const struct store *, const char *name);

/* The packages here, in no order; until the next add or remove. */
struct package **store_packages(const struct store *, size_t *ret_n);
struct package *store_find(const struct store *, const char *title, const char *revision); /* no reference */

/* Takes in a package by its package.torrent, whose hash the caller was told by
 * the plan.  ERR_HASH, ERR_CORRUPT (it is not that title or revision), -ENOSPC,
 * -errno, ERR_DATABASE.  ret_package is the store's. */
int store_add_package(struct store *, const char *title, const char *revision, const struct sha256 *want,
                      const uint8_t *torrent, size_t n, struct package **ret_package, struct fault *);
/* Takes in its package.leaves.  ERR_HASH, -ENOSPC, -errno. */
int store_add_leaves(struct store *, struct package *, const uint8_t *leaves, size_t n);

/* Its package.torrent again, after store_drop_small: as the one it had.  ERR_HASH, -ENOSPC, -errno. */
int store_add_torrent(struct store *, struct package *, const uint8_t *torrent, size_t n);
/* package.torrent or package.leaves is not what it was: it is to be added anew. */
void store_drop_small(struct store *, struct copy *);

/* Forgets the package and its files; viewers who have them open keep them. */
int store_remove_package(struct store *, struct package *);
/* Starts the file anew, empty. */
int store_reset_copy(struct store *, struct copy *);

/* Room for a piece that will be written: -ENOSPC when capacity or reserve or the
 * disk itself would be passed. */
int store_reserve(struct store *, struct copy *, size_t piece);
/* The end of a store_reserve: the piece is whole in the file (it is journalled soon), or is not. */
void store_settle(struct store *, struct copy *, size_t piece, bool whole);

/* The piece on the disk is not what it was: forgotten here and in the journal. */
int store_forget_piece(struct store *, struct copy *, size_t piece);

uint64_t store_used(const struct store *);      /* any thread */
uint64_t store_capacity(const struct store *);  /* any thread; bytes it may use in all, as the disk is now */
uint64_t store_available(const struct store *); /* any thread; bytes it may still take */
uint64_t store_journal_lag(const struct store *); /* any thread; pieces verified and not yet journalled */
/* What is wrong with the disk, NULL when nothing; for people.  Any thread. */
const char *store_trouble(const struct store *);
/* The disk under it (edge/disk.h): writes of others below the store tell it when they fail. */
struct disk *store_disk(struct store *);
/* Looks whether a disk that failed is well again; as disk_probe.  The owner. */
bool store_probe(struct store *, mono_us now, mono_us *wake);

/* --- the journal's half (store_journal.c), for store.c only ---------------------------- */

struct journal; /* hidden */

struct journal_hooks {
	/* One row each; `pieces` is the bitmap as bytes, lowest bit first. */
	int (*package)(void *ctx, int64_t id, const char *title, const char *revision, const struct sha256 *torrent);
	int (*held)(void *ctx, int64_t package, size_t file, const uint8_t *pieces, size_t n);
};

/* What the journal's thread tells. */
struct journal_news {
	void (*kept)(void *ctx);              /* rows are on the disk */
	void (*failed)(void *ctx, int error); /* a sync or a commit; the rows are tried again, the pieces that were to be synced are lost */
	void (*lost)(void *ctx, struct copy *, size_t piece); /* before it is hidden */
};

/* An existing journal on a file system that takes no writes is opened for reading. */
int journal_open(const char *path, struct journal **ret_journal, struct fault *);
bool journal_only_reads(const struct journal *); /* before journal_start */
void journal_close(struct journal **);
int journal_load(struct journal *, const struct journal_hooks *, void *ctx);
void journal_start(struct journal *, const struct journal_news *, void *ctx); /* the thread; after loading; static text */
int journal_add_package(struct journal *, const char *title, const char *revision, const struct sha256 *torrent,
                        int64_t *ret_id);
int journal_remove_package(struct journal *, int64_t id);
int journal_remove_copy(struct journal *, struct copy *);
int journal_remove_piece(struct journal *, struct copy *, size_t piece);
/* The piece is whole: fdatasync and a row, soon. */
void journal_add(struct journal *, struct copy *, size_t piece);
uint64_t journal_lag(const struct journal *);

#endif
