/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The library as plans tell of it: a line for every revision, written once for all
 * plans.  A plan has lines of its own for what its edge shall hold, and these for
 * all else that exists.
 */
#ifndef RIBERA_ORIGIN_SHELF_H
#define RIBERA_ORIGIN_SHELF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sha256.h"

struct library_view;

/* Zeroed: nothing. */
struct shelf {
	struct buf text;
	size_t *at;       /* of each of the view's titles, two places in the text: its current revision's, its old ones' */
	size_t n;         /* titles */
	char hash[SHA256_HEX_SIZE]; /* of all lines */
};

/* `max`: bytes of text.  ERR_LIMIT, -ENOMEM: it is empty. */
int shelf_write(const struct library_view *, size_t max, struct shelf *ret_shelf);
void shelf_fini(struct shelf *);

/* A title's current revision as one to hold, without the end of the object. */
void shelf_copy_to_hold(const struct shelf *, size_t title, struct buf *out);
/* Appends the lines, each with a comma behind it, of all but the titles' current revisions that are left out, a bool each. */
void shelf_copy(const struct shelf *, const bool *left_out, struct buf *out);

#endif
