/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Growing buffer.  Invariant: bytes is NULL, or size < cap and bytes[size] == 0.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/must.h"

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
	free(b->bytes);
	*b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
	b->size = 0;
	b->error = 0;
	if (b->bytes != NULL)
		b->bytes[0] = 0;
}

int buf_error(const struct buf *b)
{
	return b->error;
}

static size_t grown(const struct buf *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : 128;

	while (cap < need)
		cap *= 2;
	return cap;
}

void *buf_reserve(struct buf *b, size_t n)
{
	if (b->error != 0)
		return NULL;
	if (n > b->max || b->size > b->max - n) {
		b->error = ERR_LIMIT;
		return NULL;
	}
	if (b->size + n + 1 > b->cap) {
		size_t cap = grown(b, b->size + n + 1);
		uint8_t *bytes = realloc(b->bytes, cap);

		if (bytes == NULL) {
			b->error = -ENOMEM;
			return NULL;
		}
		b->bytes = bytes;
		b->cap = cap;
	}
	return b->bytes + b->size;
}

void buf_commit(struct buf *b, size_t n)
{
	MUST(b->bytes != NULL && b->size + n < b->cap);
	b->size += n;
	b->bytes[b->size] = 0;
}

int buf_append(struct buf *b, const void *bytes, size_t n)
{
	void *room = buf_reserve(b, n);

	if (room == NULL)
		return b->error;
	if (n > 0)
		memcpy(room, bytes, n);
	buf_commit(b, n);
	return 0;
}

int buf_puts(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

int buf_putc(struct buf *b, char c)
{
	return buf_append(b, &c, 1);
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;
	char *room;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	MUST(n >= 0);
	room = buf_reserve(b, (size_t)n);
	if (room == NULL)
		return b->error;
	vsnprintf(room, (size_t)n + 1, fmt, ap);
	buf_commit(b, (size_t)n);
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return r;
}

int buf_be(struct buf *b, uint64_t value, unsigned n_bytes)
{
	uint8_t out[8];

	MUST(n_bytes >= 1 && n_bytes <= 8);
	for (unsigned i = 0; i < n_bytes; i++)
		out[i] = (uint8_t)(value >> (8 * (n_bytes - 1 - i)));
	return buf_append(b, out, n_bytes);
}

const char *buf_text(const struct buf *b)
{
	return b->bytes != NULL ? (const char *)b->bytes : "";
}

char *buf_take(struct buf *b)
{
	char *s = b->bytes != NULL ? (char *)b->bytes : mem_dup("");

	*b = (struct buf){.max = b->max};
	return s;
}
