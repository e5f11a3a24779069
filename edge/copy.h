/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The edge's copy of one file of a package, and the package it belongs to.
 *
 * A copy is a full-size (sparse) file plus one 64-bit word a piece: bit i is set
 * when the piece's 16 KiB block i stands in the file and was verified.  Bits are
 * set by the engine's thread after the bytes were written, and read by any
 * thread; so what copy_ready says is there may be sent, and nothing else.
 *
 * Both are reference counted; a copy holds its package.  An evicted copy
 * ("gone") keeps its unlinked file for the viewers it has.
 */
#ifndef RIBERA_EDGE_COPY_H
#define RIBERA_EDGE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "dash/digest.h"
#include "serve/serve.h"

struct flight;
struct store;

/* Of one file of a package, for edge/demand. */
#define DEMAND_WORDS 16
#define DEMAND_BITS (64 * DEMAND_WORDS)
struct demand_seen {
	uint64_t sessions[DEMAND_WORDS]; /* atomic: this hour's viewers, a bit each */
	uint64_t requests, bytes, told;  /* what was reported; the contact thread's */
};

/* Of one file of a package; edge/admit's. */
struct rank {
	uint32_t number; /* there, from 1 on; 0: not known */
	uint64_t seen;   /* of copy.bytes */
	uint64_t unsaved; /* bytes of plays that edge/plays has not */
};

struct package {
	unsigned refs;
	struct store *store;
	char *title;
	char revision[PACKAGE_REVISION_SIZE];
	char *folder;               /* STORE/TITLE/REVISION */
	int64_t id;                 /* in the journal */
	struct package *alike;      /* the next in its chain of the store's names */
	struct digest *digest;
	struct sha256 torrent_hash;
	uint64_t torrent_size;
	/* One for every file of the digest, then package.torrent and
	 * package.leaves (NULL until here).  The store's owner swaps entries,
	 * readers load them inside an RCU section. */
	struct copy **copies;
	size_t n_copies;
	struct demand_seen *seen;   /* one for every file of the digest */
	struct rank *ranks;         /* one for every file of the digest */
	/* By the plan in force; the engine's thread writes, any reads (atomic). */
	int listed;                 /* it exists */
	int hold;                   /* some of it is to be filled, and is not evicted: */
	uint8_t *keep;              /* by file, 1: this one */
	size_t fill_at;             /* in the fill's list, if it is there; edge/fill's */
	bool named;                 /* its folders are known to be on disk; the journal thread's */
};
#define PACKAGE_TORRENT_AT(p) ((p)->digest->n_files)
#define PACKAGE_LEAVES_AT(p) ((p)->digest->n_files + 1)

/* Pieces that are in memory for those who wait for them, and not to be kept (edge/passing.h). */
struct passage {
	int fd;           /* as the file, sparse */
	uint64_t *blocks; /* as the copy's */
};

struct copy {
	struct serve_object object; /* carries the reference count; fd is -1 until copy_open */
	struct package *package;    /* one reference */
	size_t index;               /* in package->copies */
	const char *name;           /* the digest's, or static */
	char *etag;
	size_t n_pieces;
	uint64_t *blocks;           /* n_pieces words, atomic */
	uint64_t *journalled;       /* bitmap of pieces; the journal's lock */
	size_t n_kept;              /* atomic: pieces whose row is on the disk */
	uint64_t held;              /* bytes in verified pieces, atomic */
	struct passage *passage;      /* RCU; NULL mostly; edge/passing.c's */
	bool evicted;               /* atomic: an earlier copy was given up for others */
	int gone;                   /* atomic: not in the store any more */
	mono_us fail_until;         /* atomic: bytes that are not here will not come before */
	int fail_code;              /* atomic: why */
	uint64_t requests, bytes;   /* sent to viewers so far, atomic: the demand */
	struct flight *flights;     /* under way; the flights' lock */
};

struct copy *copy_of_object(struct serve_object *);
struct copy *copy_ref(struct copy *);   /* any thread */
void copy_unref(struct copy **);        /* any thread */

/* A new copy with nothing in it; takes a reference of the package. */
struct copy *copy_new(struct package *, size_t index, const char *name, uint64_t size, const char *etag,
                      const struct serve_object_ops *);

/* Opens (and creates at full size) the file, once.  -errno.  Any thread. */
int copy_open(struct copy *);
/* serve_object_ops.open: the same when something is in the file. */
int copy_open_object(struct serve_object *);

/* The descriptor once copy_open has succeeded.  Any thread. */
static inline int copy_fd(const struct copy *c)
{
	return __atomic_load_n(&c->object.fd, __ATOMIC_ACQUIRE);
}

/* One that was opened while the disk took no writes can be written from now on.  -errno.  The engine's thread. */
int copy_make_writable(struct copy *);

/* Verified bytes from `offset` on, at most to offset + length, in the file or in memory.
 * Any thread; not inside an RCU section. */
uint64_t copy_ready(const struct copy *, uint64_t offset, uint64_t length);
/* As serve_object_ops.source: inside an RCU section. */
int copy_source(const struct copy *, uint64_t offset, uint64_t *length);
/* The piece is whole, in the file or in memory.  As copy_ready. */
bool copy_shows_piece(const struct copy *, size_t piece);
bool copy_is_whole(const struct copy *);               /* any thread */
bool copy_is_kept(const struct copy *);                /* whole, and all of it journalled; any thread */
bool copy_has_piece(const struct copy *, size_t piece); /* any thread */
/* No block from `first` to `end` in the piece is shown out of the file; the engine's thread. */
bool copy_is_bare(const struct copy *, size_t piece, uint64_t first, uint64_t end);
uint64_t copy_piece_size(const struct copy *, size_t piece);
uint64_t copy_full_word(const struct copy *, size_t piece); /* the word of a piece that is whole */

/* The engine's: blocks [first, first + n) of the piece are in the file. */
void copy_show_blocks(struct copy *, size_t piece, unsigned first, unsigned n);
/* True: it was whole.  Any thread. */
bool copy_hide_piece(struct copy *, size_t piece);

/* Bytes that are missing will not come before `until`; 0 forgets it. */
void copy_fail(struct copy *, int code, mono_us until);
int copy_failure(const struct copy *, mono_us now); /* negative, or 0 */

/* The manifest, which is kept as long as its package is; one that is larger than a manifest can be is a file as others are. */
bool copy_is_manifest(const struct copy *);

struct package *package_ref(struct package *);
void package_unref(struct package **);
/* Every file, package.torrent and package.leaves are whole, and a power cut
 * would change nothing of it.  Inside an RCU section, or on the engine's thread. */
bool package_is_whole(const struct package *);
/* The plan wants this file held.  Any thread. */
bool package_keeps(const struct package *, size_t index);
/* All that the plan wants of it is so, and it wants some.  As package_is_whole. */
bool package_is_filled(const struct package *);
/* Bytes verified, of the digest's files. */
uint64_t package_held(const struct package *);
/* The index in copies for a file name, or -1. */
int package_find(const struct package *, const char *name, size_t n);

#endif
