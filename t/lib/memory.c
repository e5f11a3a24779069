/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Memory that runs out, to be preloaded (LD_PRELOAD): the I-th allocation of the program, and no other, is
 * refused.
 *
 *   MEMORY_NTH    I, counted from 1
 *   MEMORY_COUNT  file into which the number of allocations is written at the end of the program
 */
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static atomic_ulong n_done;
static unsigned long nth;

static void __attribute__((constructor)) begin(void)
{
	const char *text = getenv("MEMORY_NTH");

	n_done = 0;
	nth = text != NULL ? strtoul(text, NULL, 10) : 0;
}

static void __attribute__((destructor)) end(void)
{
	const char *file = getenv("MEMORY_COUNT");
	unsigned long n = n_done;
	FILE *f = file != NULL ? fopen(file, "w") : NULL;

	if (f != NULL) {
		fprintf(f, "%lu\n", n);
		fclose(f);
	}
}

static int is_refused(void)
{
	if (++n_done != nth || nth == 0)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t n)
{
	return is_refused() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return is_refused() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
	return is_refused() ? NULL : __libc_realloc(old, n);
}
