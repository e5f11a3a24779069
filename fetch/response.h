/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Header fields of one response, line by line, into struct fetch_response.
 * Pure; private to fetch/.  A peer's fields are untrusted: what does not parse
 * is as if it were absent.
 */
#ifndef RIBERA_FETCH_RESPONSE_H
#define RIBERA_FETCH_RESPONSE_H

#include "fetch/fetch.h"

struct response {
	struct fetch_response facts; /* its strings point to the members below */
	char *etag, *content_type, *cache_status, *effective_url;
};

void response_init(struct response *);
void response_fini(struct response *);

/* One line as it came, with or without its CRLF.  A status line starts anew
 * (1xx, redirects).  `now` is for Retry-After as a date. */
void response_line(struct response *, const char *line, size_t n, wall_us now);

#endif
