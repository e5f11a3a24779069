/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The process as the kernel sees it (proc(5)).
 */
#include "base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

#define STAT_MAX 4096

/* Counts from 1, as proc(5) does; the second, the program's name, is the only one that may hold spaces. */
static const char *stat_field(const char *text, int number)
{
	const char *p = strrchr(text, ')');

	for (int i = 2; p != NULL && i < number; i++) {
		p = strchr(p + 1, ' ');
	}
	return p != NULL ? p + 1 : NULL;
}

/* Files of /proc have no size to go by. */
static bool read_stat(char text[static STAT_MAX])
{
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, STAT_MAX - 1) : -1;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void family(struct buf *out, const char *name, const char *kind, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void write_open_files(struct buf *out)
{
	DIR *folder = opendir("/proc/self/fd");
	struct rlimit limit;
	long n = -1; /* the folder's own */

	if (folder != NULL) {
		for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder))
			n += e->d_name[0] != '.';
		closedir(folder);
		family(out, "process_open_fds", "gauge", "Descriptors open.");
		buf_printf(out, "process_open_fds %ld\n", n);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		family(out, "process_max_fds", "gauge", "Descriptors that may be open.");
		buf_printf(out, "process_max_fds %" PRIu64 "\n", (uint64_t)limit.rlim_cur);
	}
}

/* Of a start that the kernel tells in seconds since the boot. */
static double wall_time_of(double since_boot)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9 + since_boot;
}

void process_write_metrics(const char *program, const char *version, struct buf *out)
{
	char text[STAT_MAX];
	struct rusage use;
	const char *start, *pages;

	family(out, "ribera_build_info", "gauge", "1; what runs is in the labels.");
	buf_printf(out, "ribera_build_info{program=\"%s\",version=\"%s\"} 1\n", program, version);
	if (getrusage(RUSAGE_SELF, &use) == 0) {
		family(out, "process_cpu_seconds_total", "counter", "Processor time taken.");
		buf_printf(out, "process_cpu_seconds_total %.6f\n",
		           (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	}
	if (read_stat(text)) {
		start = stat_field(text, 22);
		pages = stat_field(text, 24);
		if (start != NULL) {
			family(out, "process_start_time_seconds", "gauge", "When it was started, in seconds since 1970.");
			buf_printf(out, "process_start_time_seconds %.2f\n", wall_time_of(strtod(start, NULL) / (double)sysconf(_SC_CLK_TCK)));
		}
		if (pages != NULL) {
			family(out, "process_resident_memory_bytes", "gauge", "Memory in use, files that it maps with it.");
			buf_printf(out, "process_resident_memory_bytes %lld\n", strtoll(pages, NULL, 10) * sysconf(_SC_PAGESIZE));
		}
	}
	write_open_files(out);
}
