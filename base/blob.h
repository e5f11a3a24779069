/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Immutable bytes with a reference count: the one type in which bytes pass
 * between threads and outlive the function that made them.
 */
#ifndef RIBERA_BASE_BLOB_H
#define RIBERA_BASE_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct blob {
	const uint8_t *bytes;
	size_t size;
	/* the rest is private to blob.c */
	unsigned refs;
};

struct blob *blob_copy(const void *bytes, size_t n); /* NULL without memory; one reference */
struct blob *blob_take_buf(struct buf *);            /* takes the buffer's bytes; it is empty afterwards */
struct blob *blob_ref(struct blob *);                /* any thread */
void blob_unref(struct blob **);                     /* any thread; takes NULL, sets NULL */
bool blob_is_shared(const struct blob *);            /* is there a reference besides the caller's? */

#endif
