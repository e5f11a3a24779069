/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bodies in chunks (RFC 9112 7.1), decoded in place as they come.
 */
#ifndef RIBERA_SERVE_CHUNKS_H
#define RIBERA_SERVE_CHUNKS_H

#include <stddef.h>
#include <sys/types.h>

/* Where a body is; begins as zeros.  Laid out as picohttpparser's phr_chunked_decoder, of which libh2o has some. */
struct chunks {
	size_t left; /* of a chunk */
	char consume_trailer; /* libh2o's; trailers are always read past */
	char n_digits, state;
};

/* *n becomes the bytes of the body that were among them.  -1: it cannot be read; -2: more is to come; else it has ended,
 * and so many bytes, which stand behind those of the body, are something else. */
ssize_t chunks_decode(struct chunks *, char *bytes, size_t *n);

#endif
