/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Memory for small, fixed needs: these abort when there is none, so callers
 * need no path for it.  Sizes that come from input use mem_try*, which return
 * NULL, or a `struct buf` with a maximum.
 */
#ifndef RIBERA_BASE_MEM_H
#define RIBERA_BASE_MEM_H

#include <stddef.h>

void *mem_new(size_t size);                    /* zeroed; free() it */
void *mem_new_array(size_t n, size_t size);    /* zeroed, overflow-checked */
void *mem_resize(void *old, size_t n, size_t size); /* like reallocarray, not zeroed */
char *mem_dup(const char *s);                  /* NULL gives NULL */
char *mem_dup_n(const char *s, size_t n);      /* n bytes and a NUL */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void *mem_try(size_t n, size_t size); /* zeroed; NULL when n*size overflows or there is none */

/* Grows the array *v of *cap elements so that index `n` exists; doubles.
 * Aborts without memory: use only where `n` has a stated maximum. */
void mem_grow(void **v, size_t *cap, size_t n, size_t size);
#define MEM_GROW(v, cap, n) mem_grow((void **)&(v), &(cap), (n), sizeof *(v))

#endif
