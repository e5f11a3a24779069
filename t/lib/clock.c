/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A clock to test with, to be preloaded (LD_PRELOAD): the time of day is shifted, and set under way; the monotonic
 * clock is the machine's.
 *
 *   CLOCK_SHIFT  file of one int64 in the machine's byte order: microseconds to add.  What is written into it
 *                counts at once.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec *);
static const int64_t *shift;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("CLOCK_SHIFT");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *p = fd >= 0 ? mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (p == MAP_FAILED)
		abort(); /* a test that shifts nothing would prove nothing */
	shift = p;
	close(fd);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = real != NULL ? real(id, ts) : -1;
	int64_t us;

	if (r != 0 || shift == NULL || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return r;
	us = ts->tv_sec * INT64_C(1000000) + ts->tv_nsec / 1000 + __atomic_load_n(shift, __ATOMIC_RELAXED);
	ts->tv_sec = us / 1000000;
	ts->tv_nsec = us % 1000000 * 1000;
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_REALTIME, &ts);

	(void)zone;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return r;
}

time_t time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t != NULL)
		*t = ts.tv_sec;
	return ts.tv_sec;
}
