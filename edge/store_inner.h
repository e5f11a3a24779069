/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What store.c and store_load.c share; for them only.
 */
#ifndef RIBERA_EDGE_STORE_INNER_H
#define RIBERA_EDGE_STORE_INNER_H

#include "edge/disk.h"
#include "edge/store.h"

#define PRIVATE ".ribera"

struct store {
	char *folder;
	uint64_t capacity, reserve;
	struct serve_object_ops ops;
	void *ctx;
	int lock_fd;
	struct journal *journal;
	struct disk disk;
	void (*kept)(void *ctx);
	struct package **packages;
	size_t n_packages, cap_packages;
	struct package **names; /* n_names chains of packages, by the hash of title and revision */
	size_t n_names;         /* 0, or a power of two */
	uint64_t used;     /* atomic: bytes verified, and whole small files */
	uint64_t reserved; /* atomic: bytes of pieces being written */
};

/* The store's; the digest is taken over. */
struct package *store_new_package(struct store *, struct digest *, const char *title, const struct sha256 *hash,
                                  uint64_t torrent_size, int64_t id);
/* package.torrent or package.leaves, whole on the disk. */
struct copy *store_new_whole_copy(struct store *, struct package *, size_t index, const char *name, uint64_t size);
/* Its bytes do not count any more.  Any thread. */
void store_hide_piece(struct store *, struct copy *, size_t piece);

#endif
