/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lists of what edges held, in few bytes (zstd, RFC 8878): whole, or as what is other than in a base.  A list
 * of tomorrow is mostly today's, so its difference is a small part of it.
 *
 * Pure: any thread; bytes are those of UTF-8 text, at most PLAN_PACK_MAX of them.
 */
#ifndef RIBERA_ORIGIN_PLAN_PACK_H
#define RIBERA_ORIGIN_PLAN_PACK_H

#include <stddef.h>

#define PLAN_PACK_MAX ((size_t)1 << 30)

struct buf;

/* Appends to `out`.  `base` NULL: whole.  -E2BIG: too long; -ENOMEM. */
int plan_pack(const char *text, size_t n, const char *base, size_t base_n, struct buf *out);

/* The text of `size` bytes and a NUL behind it; the caller frees.  `base` is the one it was packed with, or NULL.
 * ERR_CORRUPT: that is not what these bytes were made of. */
int plan_unpack(const void *packed, size_t n, const char *base, size_t base_n, size_t size, char **ret_text);

#endif
