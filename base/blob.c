/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Refcounted immutable bytes.  Invariant: bytes are never written after the
 * constructor returned.
 */
#include "base/blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"

struct blob *blob_copy(const void *bytes, size_t n)
{
	uint8_t *copy = mem_try(n, 1);
	struct blob *b;

	if (copy == NULL)
		return NULL;
	if (n > 0)
		memcpy(copy, bytes, n);
	b = mem_new(sizeof *b);
	*b = (struct blob){.bytes = copy, .size = n, .refs = 1};
	return b;
}

struct blob *blob_take_buf(struct buf *buf)
{
	struct blob *b = mem_new(sizeof *b);

	b->size = buf->size;
	b->bytes = (const uint8_t *)buf_take(buf);
	b->refs = 1;
	return b;
}

struct blob *blob_ref(struct blob *b)
{
	MUST(__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED) > 0);
	return b;
}

bool blob_is_shared(const struct blob *b)
{
	return __atomic_load_n(&b->refs, __ATOMIC_RELAXED) > 1;
}

void blob_unref(struct blob **pb)
{
	struct blob *b = *pb;

	*pb = NULL;
	if (b == NULL || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free((void *)(uintptr_t)b->bytes);
	free(b);
}
