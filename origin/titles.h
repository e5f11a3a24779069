/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The answers about titles, the same on both listeners.  They read a view of
 * the library, the holders' table, the metadata and the search in memory; no database.
 */
#ifndef RIBERA_ORIGIN_TITLES_H
#define RIBERA_ORIGIN_TITLES_H

#include <stdbool.h>
#include <stddef.h>

struct origin;
struct serve_request;

/* GET /api/v1/titles?q=&tag=&limit=&after= by name, or with order=popular by viewers, one page */
void titles_answer_list(struct serve_request *, const struct origin *);
/* GET /api/v1/titles/{title} */
void titles_answer_one(struct serve_request *, const struct origin *, const char *title);
/* GET /api/v1/titles/{title}/revisions/{revision} */
void titles_answer_revision(struct serve_request *, const struct origin *, const char *title, const char *revision);
/* GET /api/v1/tags?limit= */
void titles_answer_tags(struct serve_request *, const struct origin *);

#define PAGE_LIMIT_DEFAULT 100
#define PAGE_LIMIT_MAX 1000
/* Reads limit and after; *ret_after is NULL at the first page.  False: it has
 * been answered with a problem. */
bool titles_read_page(struct serve_request *, size_t *ret_limit, const char **ret_after);

#endif
