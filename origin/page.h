/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The web pages' files, read into memory once.  Immutable; any thread.
 */
#ifndef RIBERA_ORIGIN_PAGE_H
#define RIBERA_ORIGIN_PAGE_H

#include "base/err.h"

struct page; /* hidden */
struct serve_request;

/* A folder that is not there gives a page that says so.  -errno, ERR_LIMIT (over 64 MiB). */
int page_load(const char *folder, struct page **ret_page, struct fault *);
void page_free(struct page **);

#define PAGE_VIEWERS "index.html"
#define PAGE_STATUS "status.html"

/*
 * Answers the request (GET and HEAD; others 405): "/" is `home`, "/www/FILE"
 * any of the files; "/status" is PAGE_STATUS where that is the home.
 */
void page_answer(const struct page *, const char *home, struct serve_request *);

#endif
