/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The web page's files, read into memory once: "/" is index.html, "/www/FILE"
 * the others.  Immutable; any thread.
 */
#ifndef RIBERA_ORIGIN_PAGE_H
#define RIBERA_ORIGIN_PAGE_H

#include "base/err.h"

struct page; /* hidden */
struct serve_request;

/* A folder that is not there gives a page that says so.  -errno, ERR_LIMIT (over 64 MiB). */
int page_load(const char *folder, struct page **ret_page, struct fault *);
void page_free(struct page **);

/* Answers the request (GET and HEAD; others 405). */
void page_answer(const struct page *, struct serve_request *);

#endif
