/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pages of lists that are made whole and are not long: tokens, masters, uploads, rules, what was withdrawn.
 * A page ends with `next`, the keys of its last row with slashes between; asked for again with after=NEXT comes what
 * stands behind that row, which may be gone meanwhile.  Any thread.
 */
#ifndef RIBERA_ORIGIN_PAGING_H
#define RIBERA_ORIGIN_PAGING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct serve_request;

#define PAGING_KEYS_MAX 3

/* How a list is ordered: by these fields of its rows, whole numbers by value, texts by their bytes.  All rows have
 * them; those that have the same (tokens of a file) are not parted; only the last may have slashes in it. */
struct paging_keys {
	const char *names[PAGING_KEYS_MAX]; /* NULL behind the last */
};

/* Reads `limit`: 1 to PAGE_LIMIT_MAX.  False: it has been answered with a problem. */
bool paging_read_limit(struct serve_request *, size_t *ret_limit);

/* `after` taken apart: one text for each key, all in *ret_copy, which is to be freed; *ret_copy is NULL when there is
 * no `after`.  False: it has been answered. */
bool paging_read_after(struct serve_request *, const struct paging_keys *, char **ret_copy, const char *ret_parts[static PAGING_KEYS_MAX]);

/* Answers with a page of `list` under `name`, and the fields of `more` (NULL: none).  Takes both. */
void paging_answer(struct serve_request *, const char *name, json_t *list, const struct paging_keys *, json_t *more);

#endif
