/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal's database (SQLite), for store_journal.c only, which locks: no
 * two calls at once.  Errors, of all that writes: -ENOSPC, -EROFS, -EIO,
 * ERR_DATABASE; logged here.
 */
#ifndef RIBERA_EDGE_STORE_ROWS_H
#define RIBERA_EDGE_STORE_ROWS_H

#include "edge/store.h"

struct rows; /* hidden */

/* Made if it is not there; one that cannot be written is opened for reading and anew when something is to be
 * written.  ERR_CORRUPT, ERR_DATABASE. */
int rows_open(const char *path, struct rows **ret_rows, struct fault *);
bool rows_only_read(const struct rows *);
void rows_close(struct rows **); /* takes NULL */
int rows_load(struct rows *, const struct journal_hooks *, void *ctx);

int rows_add_package(struct rows *, const char *title, const char *revision, const struct sha256 *torrent,
                     int64_t *ret_id);
int rows_remove_package(struct rows *, int64_t id); /* and what is held of it */
int rows_write_held(struct rows *, const struct copy *); /* as its `journalled` says */
int rows_remove_held(struct rows *, const struct copy *);

/* Around several of these: all or none. */
int rows_begin(struct rows *);
int rows_commit(struct rows *);
void rows_give_up(struct rows *); /* after an error of any of them */

#endif
