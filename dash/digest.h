/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The digest of a package: a BitTorrent v2 metainfo file (BEP 52) with SHA-256
 * Merkle trees over 16 KiB blocks, 1 MiB pieces, and the origin as web seed
 * (BEP 19, "url-list").  Beside it stand the block hashes ("leaves"), so that
 * bytes can be checked 16 KiB at a time while they arrive; the leaves
 * themselves are checked against the pieces.
 *
 * Bytes in, decisions out: no files, no threads.
 */
#ifndef RIBERA_DASH_DIGEST_H
#define RIBERA_DASH_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"
#include "dash/package.h"

struct buf;

#define DIGEST_BLOCK ((uint64_t)16384)
#define DIGEST_PIECE ((uint64_t)1048576)
#define DIGEST_BLOCKS_PER_PIECE 64
#define DIGEST_MAX_FILES 4096
#define DIGEST_MAX_BYTES ((size_t)64 << 20) /* of a metainfo file */

struct digest_file {
	char *name;              /* owned; a str_is_name, unique, sorted by bytes */
	uint64_t size;
	struct sha256 root;      /* pieces root; all zero for an empty file */
	struct sha256 *pieces;   /* owned; n_pieces hashes; one (equal to the padded root) for a file of up to one piece */
	size_t n_pieces;
};

struct digest {
	char *title;             /* owned; the torrent's name */
	struct digest_file *files;
	size_t n_files;
	uint64_t size;           /* of all files */
	struct sha256 info_hash;
	char revision[PACKAGE_REVISION_SIZE];
	char **web_seeds;        /* owned */
	size_t n_web_seeds;
};

void digest_free(struct digest **);

/* Reads a metainfo file.  Strict: canonical bencode (sorted keys, no leading
 * zeros), meta version 2, piece length 1 MiB, flat file tree, names that are
 * str_is_name, piece layers complete and agreeing with the roots.
 * ERR_SYNTAX, ERR_UNSUPPORTED, ERR_HASH, ERR_LIMIT. */
int digest_read(const uint8_t *bytes, size_t n, struct digest **ret_digest, struct fault *);

/* The block hashes of one file while it is written, front to back.  Several may
 * run at once, each in its own thread. */
struct digest_hasher;
struct digest_hasher *digest_hasher_new(void);
void digest_hasher_free(struct digest_hasher **);
void digest_hasher_bytes(struct digest_hasher *, const void *bytes, size_t n);

/* Building: add every file while or after it is written, then write.  One thread. */
struct digest_builder;
struct digest_builder *digest_builder_new(const char *title);
void digest_builder_free(struct digest_builder **);
/* Adds a file that was hashed on its own; takes the hasher on success.
 * ERR_EXISTS, ERR_LIMIT, ERR_SYNTAX (the name is no str_is_name). */
int digest_builder_add(struct digest_builder *, const char *name, struct digest_hasher **);
/* Starts the next file; the former one is complete.  Errors as above. */
int digest_builder_file(struct digest_builder *, const char *name);
/* More of the file that digest_builder_file started. */
void digest_builder_bytes(struct digest_builder *, const void *bytes, size_t n);
/* Appends the metainfo and the leaves, once, at the end.  `web_seed` may be NULL.
 * ERR_LIMIT (over DIGEST_MAX_BYTES), ERR_SYNTAX (title), or a buffer's error. */
int digest_builder_finish(struct digest_builder *, const char *web_seed, struct buf *metainfo, struct buf *leaves,
                          char ret_revision[static PACKAGE_REVISION_SIZE]);

/* Index of the file with this name, or -1. */
int digest_find(const struct digest *, const char *name, size_t n);

/* Length of piece `piece` of the file. */
uint64_t digest_piece_size(const struct digest_file *, size_t piece);

/* 0 when the n bytes are piece `piece` of the file, else ERR_HASH. */
int digest_check_piece(const struct digest_file *, size_t piece, const void *bytes, size_t n);

/* The root over the 1 to 64 block hashes of one piece of the file, padded with
 * zero hashes to a whole piece; in a file of up to one piece only to the next
 * power of two (BEP 52). */
void digest_piece_root(const struct sha256 *blocks, size_t n_blocks, const struct digest_file *, struct sha256 *ret_root);

/* Size of the leaves file, and where a file's leaves start in it. */
uint64_t digest_leaves_size(const struct digest *);
uint64_t digest_leaves_offset(const struct digest *, size_t file);

/* Checks a whole leaves file against the pieces: 0, ERR_HASH, ERR_TRUNCATED. */
int digest_check_leaves(const struct digest *, const uint8_t *leaves, size_t n);

#endif
