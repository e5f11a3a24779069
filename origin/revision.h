/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One package of the library, as it is served: read from its folder once,
 * checked, constant afterwards.  Its files are opened when they are first asked
 * for, and at most so many are open at a time (struct open_files).
 */
#ifndef RIBERA_ORIGIN_REVISION_H
#define RIBERA_ORIGIN_REVISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sha256.h"
#include "dash/package.h"

struct serve_object;
struct open_files; /* hidden */

struct revision_file {
	char *name;
	uint64_t size;
	wall_us modified;            /* when its revision was read */
	struct sha256 root;          /* of the Merkle tree; for package.torrent its SHA-256 */
	struct serve_object *object; /* private: made lazily, read by rcu */
	bool used;                   /* private: since the last look of open_files */
	struct revision *of;
};

struct revision {
	unsigned refs;               /* private */
	char *title;
	char revision[PACKAGE_REVISION_SIZE];
	char *key;                   /* "TITLE/REVISION" */
	char *folder;                /* path */
	wall_us published;
	struct sha256 digest;        /* of package.torrent */
	uint64_t digest_bytes;
	uint64_t bytes;              /* of all files, package.torrent and package.leaves included */
	char *name;                  /* for people; the title when report.json has none */
	dur_us duration;             /* 0: unknown */
	bool has_poster;
	struct revision_file *files; /* sorted by name */
	size_t n_files;
	struct open_files *open;     /* borrowed */
};

/* Reads LIBRARY/TITLE/REVISION: the digest is read and must give this title and
 * revision; every file must be there with its size (their bytes are not hashed:
 * that is `ribera-admin verify`).  One reference.  The fault names the file. */
int revision_load(const char *library, const char *title, const char *revision, struct open_files *,
                  struct revision **ret_revision, struct fault *);

struct revision *revision_ref(struct revision *);
/* The last one frees; no read section may still see it then.  Takes NULL, sets NULL. */
void revision_unref(struct revision **);

/* The file with this name, or NULL. */
struct revision_file *revision_find(const struct revision *, const char *name, size_t n);

/* Inside a read section: its object if it has one (a new reference), else NULL. */
struct serve_object *revision_file_object(struct revision_file *);
/* Outside: makes it, without a look at the disk: the file is opened beside the loops before its first bytes are
 * sent (ops->open: -errno, or ERR_CORRUPT when its size has changed).  The caller keeps the revision referenced meanwhile. */
struct serve_object *revision_file_make(struct revision_file *);

/* At most `max` files are open; beyond that those are closed that were not asked
 * for lately.  A viewer who is served from one keeps it. */
struct open_files *open_files_new(size_t max);
void open_files_free(struct open_files **); /* after all revisions */
size_t open_files_count(struct open_files *);

#endif
