/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The library as plans tell of it: a line for every revision, sorted by title, a
 * title's current revision first.  The same on the origin and on every edge that
 * has heard of the same library, which their hashes tell; so a plan need only say
 * which titles are to be held, and what has changed in the library since.
 */
#ifndef RIBERA_CDN_SHELF_H
#define RIBERA_CDN_SHELF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"

struct shelf_line {
	size_t at;       /* in the text; it ends where the next one begins */
	uint32_t name_n; /* bytes of the title's name */
	bool current;    /* the first of its title */
};

/* Zeroed: nothing. */
struct shelf {
	struct buf text;            /* JSON objects, each with a comma behind it */
	struct shelf_line *lines;
	size_t n, cap;
	char hash[SHA256_HEX_SIZE]; /* of the text */
};

/* `max`: bytes of text.  Then the revisions are added in order, then it is closed: ERR_LIMIT, -ENOMEM (it is empty). */
void shelf_init(struct shelf *, size_t max);
void shelf_add(struct shelf *, const char *title, const char *revision, const struct sha256 *digest, uint64_t digest_bytes, uint64_t bytes);
/* Lines of another shelf, from..end-1. */
void shelf_add_lines(struct shelf *, const struct shelf *, size_t from, size_t end);
int shelf_close(struct shelf *);
void shelf_fini(struct shelf *);

/* Views into the text, not NUL-terminated. */
const char *shelf_title(const struct shelf *, size_t line);
const char *shelf_revision(const struct shelf *, size_t line, size_t *ret_n);
/* The title's lines: their number, and the first.  0: none, the first is that of the next title. */
size_t shelf_find(const struct shelf *, const char *title, size_t n, size_t *ret_first);
/* The line of a key "TITLE/REVISION"; n: not there. */
size_t shelf_find_key(const struct shelf *, const char *key);

/* A current revision as one to hold, without the end of the object. */
void shelf_copy_to_hold(const struct shelf *, size_t line, struct buf *out);
/* Appends all lines but those left out, a bool each. */
void shelf_copy(const struct shelf *, const bool *left_out, struct buf *out);

/* Titles whose lines are not the same in both, in order; a name is valid within the call alone. */
typedef void (*shelf_differ_f)(void *ctx, const char *title, size_t n);
void shelf_compare(const struct shelf *a, const struct shelf *b, shelf_differ_f, void *ctx);

#endif
