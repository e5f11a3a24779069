/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Files on their way into the library over HTTP, kept in LIBRARY/.uploads:
 *
 *   ID.json                          what it is (written once, and when it is whole)
 *   ID.part                          its bytes so far; the offset is its size
 *   package-TITLE-REVISION/FILE      whole files of a package whose others are still coming
 *   master-ID/FILE                   a whole master
 *
 * A package's first file is package.torrent; every piece of the others is checked
 * against it before it is written, so what is on the disk is true up to its last
 * whole piece.  When the last file is whole the folder is renamed into the library.
 * A master's SHA-256 is made while its bytes come, and compared with what the client told of it; what an earlier process
 * had is not in it, and then its worker makes it (masters.c).
 * What was acknowledged is on the disk (fdatasync).  A body is written as it comes, so what came of one that
 * was cut is kept, and told as the offset.  Control thread.
 */
#ifndef RIBERA_ORIGIN_UPLOAD_H
#define RIBERA_ORIGIN_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sha256.h"

struct digest;
struct library;
struct uploads; /* hidden */

#define UPLOAD_ID_SIZE 33

struct upload {
	char id[UPLOAD_ID_SIZE];
	bool is_master;
	char *title, *file; /* names; a master's title may be NULL */
	char *revision;     /* of a package */
	char *name;         /* of a master: its title for people, or NULL */
	uint64_t length, offset; /* what is there; upload_offset() counts */
	wall_us expires;
	bool whole;
	bool published;     /* a package whose last file is whole */
	bool has_want, has_sum; /* of a master: the client told its SHA-256; it is known */
	struct sha256 want, is;
	/* private */
	bool trusted;       /* its bytes were written or looked at by this process */
	struct digest *digest;
	bool dirty;         /* there may be bytes that are not on the disk yet */
	struct upload_body *body; /* that is being written, or NULL */
	struct upload_sum {
		struct sha256_state *state; /* NULL: none runs */
		uint64_t n;         /* bytes in it */
	} sum;              /* of a master */
	uint64_t sure;      /* noted on the disk: what stands behind it counts for nothing; UINT64_MAX: all counts */
};

/* A body on its way in; the caller's, between uploads_begin and uploads_end. */
struct upload_body {
	struct upload *upload; /* NULL: it was removed, or another body is being written in its place */
	int fd;
	uint64_t start;   /* where it began */
	uint64_t written; /* up to here the kernel was told to write out */
	bool held;        /* it counts only as a whole */
};

struct upload_settings {
	const char *library_folder;
	struct library *library;
	uint64_t max_bytes; /* of all uploads together */
	dur_us life;        /* without a new byte */
	/* A master is whole at the path; it is the callee's to remove.  Durable when it returns 0. */
	int (*take_master)(void *ctx, const struct upload *, const char *path, struct fault *);
	uint64_t (*other_bytes)(void *ctx); /* that count against max_bytes */
	void *ctx;
};

/* Takes up what an earlier process left. */
struct uploads *uploads_new(const struct upload_settings *);
void uploads_free(struct uploads **);

/* What is wished for; the strings are copied. */
struct upload_wish {
	bool is_master;
	const char *title, *revision, *file, *name;
	uint64_t length;
	const struct sha256 *sha256; /* of a master: what its bytes have to be; NULL: not told */
};
/* The same file of the same package is the same upload.  ERR_EXISTS: the package is in
 * the library; ERR_NOT_FOUND: package.torrent is not there yet; ERR_SYNTAX, ERR_CORRUPT: not a
 * file of it, or of another length; -ENOSPC: no room; -errno. */
int uploads_create(struct uploads *, const struct upload_wish *, wall_us now, struct upload **ret_upload, struct fault *);

/* Bytes that count: of a body that counts only as a whole none do yet. */
static inline uint64_t upload_offset(const struct upload *u)
{
	return u->body != NULL && u->body->held ? u->body->start : u->offset;
}

struct upload *uploads_find(struct uploads *, const char *id); /* or NULL */
typedef void (*upload_each_f)(void *ctx, const struct upload *);
void uploads_each(struct uploads *, upload_each_f, void *ctx);

/* A body begins at u->offset; one that is being written is left behind there.  held: when it is not ended well, or the
 * process ends, nothing of it counts.  ERR_NOT_FOUND: the package's digest is gone; -errno. */
int uploads_begin(struct uploads *, struct upload *, bool held, struct upload_body *ret_body, struct fault *);
/* Its next bytes, in memory of the kernel.  ERR_HASH, ERR_LIMIT, -ENOSPC, -errno: see uploads_write; ERR_CANCELLED: b->upload is
 * NULL.  It is to be ended in all cases. */
int uploads_add(struct uploads *, struct upload_body *, const void *bytes, size_t n, wall_us now, struct fault *);
/* `well`: what was written is on the disk when it returns 0, and the upload, when that was all of it, in its place.  Else what was
 * written of a body that is not held is kept. */
int uploads_end(struct uploads *, struct upload_body *, bool well, wall_us now, struct fault *);
/* Puts on the disk what u->offset tells of. */
int uploads_sync(const struct uploads *, struct upload *, struct fault *);

/* A whole body: bytes at u->offset.  ERR_HASH: a piece is not what it has to be: what came in front of it was
 * taken, what stood of it dropped (u->offset tells).  ERR_LIMIT: more than there is to come. -ENOSPC, -errno. */
int uploads_write(struct uploads *, struct upload *, const void *bytes, size_t n, wall_us now, struct fault *);
/* Frees it. */
int uploads_remove(struct uploads *, struct upload *, struct fault *);
/* Forgets what was not gone on with. */
void uploads_sweep(struct uploads *, wall_us now);
/* Bytes that are promised or there. */
uint64_t uploads_bytes(const struct uploads *);

#endif
