/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Memory that runs out, to be preloaded (LD_PRELOAD): the I-th allocation of the program, and no other, is
 * refused.
 *
 *   MEMORY_NTH    I, counted from 1
 *   MEMORY_COUNT  file into which the number of allocations is written at the end of the program
 *   MEMORY_PLACES file into which the numbers are written, one a line, of the allocations that were the first of their place: of the
 *                 calls that led there, all of them.  Allocations of one place have the same thing to say.
 *   SETOPT_LOST   number: libcurl is told that this option cannot be kept
 *   OPTION_LOST   name: FFmpeg is told that this option of a part of its cannot be kept
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
/* Of AddressSanitizer, when it is there: it must know of all that it is to free. */
extern void *__interceptor_malloc(size_t) __attribute__((weak)), *__interceptor_calloc(size_t, size_t) __attribute__((weak)),
	*__interceptor_realloc(void *, size_t) __attribute__((weak));

#define N_PLACES (1 << 18)
#define DEPTH 48

static atomic_ulong n_done;
static unsigned long nth;
static struct {
	_Atomic uint64_t calls; /* a sum over them; 0: free */
	unsigned long first;
} *places;
static __thread int looking __attribute__((tls_model("initial-exec"))); /* the one who looks allocates, too */

static void __attribute__((constructor)) begin(void)
{
	const char *text = getenv("MEMORY_NTH");
	void *warm[DEPTH];

	backtrace(warm, DEPTH); /* loads what it needs */
	if (getenv("MEMORY_PLACES") != NULL)
		places = mmap(NULL, N_PLACES * sizeof *places, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	n_done = 0;
	nth = text != NULL ? strtoul(text, NULL, 10) : 0;
}

static uint64_t sum_of_calls(void)
{
	void *calls[DEPTH];
	uint64_t sum = 14695981039346656037u;
	int n = backtrace(calls, DEPTH);

	for (int i = 0; i < n; i++)
		sum = (sum ^ (uintptr_t)calls[i]) * 1099511628211u;
	return sum | 1;
}

static void note_place(unsigned long number)
{
	uint64_t sum;

	if (places == NULL || looking)
		return;
	looking = 1;
	sum = sum_of_calls();
	for (size_t i = sum >> 20, tries = 0; tries < N_PLACES; i++, tries++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(&places[i % N_PLACES].calls, &none, sum))
			places[i % N_PLACES].first = number;
		if (none == 0 || none == sum)
			break;
	}
	looking = 0;
}

static void write_places(void)
{
	const char *file = getenv("MEMORY_PLACES");
	FILE *f = places != NULL ? fopen(file, "w") : NULL;

	for (size_t i = 0; f != NULL && i < N_PLACES; i++)
		if (places[i].calls != 0)
			fprintf(f, "%lu\n", places[i].first);
	if (f != NULL)
		fclose(f);
}

static void __attribute__((destructor)) end(void)
{
	const char *file = getenv("MEMORY_COUNT");
	unsigned long n = n_done;
	FILE *f = file != NULL ? fopen(file, "w") : NULL;

	looking = 1;
	write_places();
	if (f != NULL) {
		fprintf(f, "%lu\n", n);
		fclose(f);
	}
}

static int is_refused(void)
{
	unsigned long number = ++n_done;

	note_place(number);
	if (number != nth || nth == 0)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t n)
{
	return is_refused() ? NULL : (__interceptor_malloc != NULL ? __interceptor_malloc : __libc_malloc)(n);
}

void *calloc(size_t n, size_t size)
{
	return is_refused() ? NULL : (__interceptor_calloc != NULL ? __interceptor_calloc : __libc_calloc)(n, size);
}

void *realloc(void *old, size_t n)
{
	return is_refused() ? NULL : (__interceptor_realloc != NULL ? __interceptor_realloc : __libc_realloc)(old, n);
}

struct AVDictionary;
int av_dict_set(struct AVDictionary **options, const char *name, const char *value, int flags);

int av_dict_set(struct AVDictionary **options, const char *name, const char *value, int flags)
{
	__typeof__(av_dict_set) *real = (__typeof__(av_dict_set) *)dlsym(RTLD_NEXT, "av_dict_set");
	const char *lost = getenv("OPTION_LOST");

	return lost != NULL && name != NULL && strcmp(name, lost) == 0 ? -ENOMEM : real(options, name, value, flags);
}

int curl_easy_setopt(void *easy, int option, ...);

int curl_easy_setopt(void *easy, int option, ...)
{
	__typeof__(curl_easy_setopt) *real = (__typeof__(curl_easy_setopt) *)dlsym(RTLD_NEXT, "curl_easy_setopt");
	const char *lost = getenv("SETOPT_LOST");
	va_list args;
	void *value;

	va_start(args, option);
	value = va_arg(args, void *); /* a long or an offset is as large */
	va_end(args);
	return lost != NULL && atoi(lost) == option ? 27 /* CURLE_OUT_OF_MEMORY */ : real(easy, option, value);
}
