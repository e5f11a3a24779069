/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A growing byte buffer with a stated maximum.  Appends past the maximum, or
 * without memory, put the buffer in a failed state that sticks: writers append
 * freely and look once, at the end, at buf_error().  A failed buffer keeps what
 * it had.
 */
#ifndef RIBERA_BASE_BUF_H
#define RIBERA_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *bytes; /* owned; a NUL stands behind the last byte */
	size_t size;
	size_t cap;
	size_t max;
	int error; /* 0, ERR_LIMIT or -ENOMEM */
};

void buf_init(struct buf *, size_t max);
void buf_fini(struct buf *);
void buf_clear(struct buf *); /* empties and forgets the error; keeps the memory */
int buf_error(const struct buf *);

/* Each returns 0, ERR_LIMIT or -ENOMEM (which may be ignored: it sticks). */
int buf_append(struct buf *, const void *bytes, size_t n);
int buf_puts(struct buf *, const char *s);
int buf_putc(struct buf *, char c);
int buf_printf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *, const char *fmt, va_list) __attribute__((format(printf, 2, 0)));
int buf_be(struct buf *, uint64_t value, unsigned n_bytes); /* big-endian, 1 to 8 bytes */

/* Room for n more bytes; write there, then buf_commit what was written.
 * NULL in the failed state. */
void *buf_reserve(struct buf *, size_t n);
void buf_commit(struct buf *, size_t n);

const char *buf_text(const struct buf *); /* NUL-terminated view, "" when empty */
char *buf_take(struct buf *);             /* caller frees; the buffer is empty afterwards */

#endif
