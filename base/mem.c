/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Allocation that either works or ends the program, and one that may fail.
 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

static void *or_die(void *p)
{
	if (p == NULL) {
		fputs("ribera: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_new(size_t size)
{
	return or_die(calloc(1, size > 0 ? size : 1));
}

void *mem_new_array(size_t n, size_t size)
{
	return or_die(calloc(n > 0 ? n : 1, size > 0 ? size : 1));
}

void *mem_resize(void *old, size_t n, size_t size)
{
	MUST(size > 0 && n <= SIZE_MAX / size);
	return or_die(realloc(old, n > 0 ? n * size : 1));
}

char *mem_dup(const char *s)
{
	return s == NULL ? NULL : or_die(strdup(s));
}

char *mem_dup_n(const char *s, size_t n)
{
	char *copy = or_die(malloc(n + 1));

	if (n > 0)
		memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return or_die(n < 0 ? NULL : s);
}

void *mem_try(size_t n, size_t size)
{
	return calloc(n > 0 ? n : 1, size > 0 ? size : 1);
}

void mem_grow(void **v, size_t *cap, size_t n, size_t size)
{
	size_t want = *cap > 0 ? *cap : 8;

	if (n < *cap)
		return;
	while (want <= n) {
		MUST(want <= SIZE_MAX / 2);
		want *= 2;
	}
	*v = mem_resize(*v, want, size);
	*cap = want;
}
