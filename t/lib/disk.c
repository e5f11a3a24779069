/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A disk to test with, to be preloaded (LD_PRELOAD): what a program does to the files below one folder is written
 * down, in order, or fails on demand.
 *
 *   DISK_ROOT   the folder
 *   DISK_DIARY  file to which every successful change is appended: "OP INODE OFFSET SIZE PATH\n" and, for a write, its bytes
 *   DISK_FAULT  while this file is there it says what fails and how: "ERRNO OP..." with OP one of write fsync create
 *               rename unlink truncate mkdir, or "any"; EINTR-free and without effect
 *   DISK_STALL  while this file is there, files whose path has its text in it are not opened: who asks waits
 *   DISK_NTH    "I ERRNO": the I-th of these operations fails, counted from 1, and no other
 *   DISK_READS  when set, DISK_NTH and DISK_COUNT count reads instead: read, pread, sendfile and open of what is there
 *   DISK_COUNT  file into which their number is written at the end of the program
 *
 * Operations are serialised, so that the diary's order is the disk's.  Changes through mmap (SQLite's -shm, which
 * holds nothing that must survive) are not seen.
 */
#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_below_root(const char *path)
{
	const char *root = getenv("DISK_ROOT");
	size_t n = root != NULL ? strlen(root) : 0;

	return n > 0 && strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool path_of(int fd, char path[4096])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, 4095);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return is_below_root(path);
}

static void path_at(int at, const char *name, char path[4096])
{
	char folder[4096];

	/* by hand: AddressSanitizer makes folders for its reports before its snprintf can be called */
	if (*name == '/' || at == AT_FDCWD) {
		size_t n = 0;

		for (; n < 4095 && name[n] != '\0'; n++)
			path[n] = name[n];
		path[n] = '\0';
	} else {
		snprintf(path, 4096, "%.2000s/%.2000s", path_of(at, folder) ? folder : "", name);
	}
}

static const struct {
	const char *name;
	int code;
} codes[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}};

static unsigned long n_done; /* under the lock */

static bool is_the_one(bool reads)
{
	const char *nth = getenv("DISK_NTH");
	char *rest;

	if (reads != (getenv("DISK_READS") != NULL))
		return false;
	n_done++;
	if (nth == NULL || strtoul(nth, &rest, 10) != n_done)
		return false;
	errno = EIO;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (strcmp(rest + strspn(rest, " "), codes[i].name) == 0)
			errno = codes[i].code;
	return true;
}

static void __attribute__((destructor)) tell_count(void)
{
	const char *file = getenv("DISK_COUNT");
	FILE *f = file != NULL ? fopen(file, "w") : NULL;

	if (f != NULL) {
		fprintf(f, "%lu\n", n_done);
		fclose(f);
	}
}

/* True: this one fails, and errno says how. */
static bool fails(const char *op)
{
	const char *file = getenv("DISK_FAULT");
	char text[256] = "", *word, *rest = text;
	int code = EIO, fd = -1;
	ssize_t n;

	if (is_the_one(false))
		return true;
	if (file != NULL)
		fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0 || (word = strtok_r(text, " \n", &rest)) == NULL)
		return false;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (strcmp(word, codes[i].name) == 0)
			code = codes[i].code;
	while ((word = strtok_r(NULL, " \n", &rest)) != NULL)
		if (strcmp(word, op) == 0 || strcmp(word, "any") == 0) {
			errno = code;
			return true;
		}
	return false;
}

/* True: this read fails, and errno says how. */
static bool read_fails(int fd)
{
	char path[4096];
	bool r;

	if (getenv("DISK_READS") == NULL || !path_of(fd, path))
		return false;
	pthread_mutex_lock(&lock);
	r = is_the_one(true);
	pthread_mutex_unlock(&lock);
	return r;
}

static void note(const char *op, uint64_t inode, uint64_t offset, const void *bytes, size_t n, const char *path)
{
	const char *file = getenv("DISK_DIARY");
	char head[4400];
	int size = snprintf(head, sizeof head, "%s %llu %llu %zu %s\n", op, (unsigned long long)inode,
	                    (unsigned long long)offset, n, path);
	struct iovec parts[2] = {{head, (size_t)size}, {(void *)bytes, bytes != NULL ? n : 0}};
	int fd, saved = errno;

	if (file == NULL)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || syscall(SYS_writev, fd, parts, 2) != size + (ssize_t)parts[1].iov_len)
		abort();
	close(fd);
	errno = saved;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

#define REAL(f) ((typeof(&f))(uintptr_t)dlsym(RTLD_NEXT, #f))

/* --- names ----------------------------------------------------------------------------- */

static bool stalls(const char *path)
{
	const char *file = getenv("DISK_STALL");
	int fd = file != NULL ? (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC) : -1;
	char text[256] = "";

	if (fd < 0)
		return false;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	close(fd);
	return text[0] != '\0' && strstr(path, text) != NULL;
}

static int open_file(int at, const char *name, int flags, mode_t mode)
{
	char path[4096];
	struct stat st;
	bool fresh;
	int fd;

	path_at(at, name, path);
	if (!is_below_root(path))
		return (int)syscall(SYS_openat, at, name, flags, mode);
	while (stalls(path))
		usleep(5000);
	pthread_mutex_lock(&lock);
	fresh = stat(path, &st) < 0;
	if (!fresh && is_the_one(true))
		fd = -1;
	else if (!(flags & (O_CREAT | O_TRUNC)))
		fd = (int)syscall(SYS_openat, at, name, flags, mode), fresh = false;
	else
		fd = fresh && fails("create") ? -1 : (int)syscall(SYS_openat, at, name, flags, mode);
	if (fd >= 0 && fresh)
		note("create", inode_of(fd), 0, NULL, 0, path);
	else if (fd >= 0 && (flags & O_TRUNC))
		note("truncate", inode_of(fd), 0, NULL, 0, path);
	pthread_mutex_unlock(&lock);
	return fd;
}

static mode_t mode_of(int flags, va_list *args)
{
	return flags & (O_CREAT) ? va_arg(*args, mode_t) : 0;
}

#define OPEN(name)                                                   \
	int name(const char *path, int flags, ...)                   \
	{                                                            \
		va_list args;                                        \
		mode_t mode;                                         \
                                                                     \
		va_start(args, flags);                               \
		mode = mode_of(flags, &args);                        \
		va_end(args);                                        \
		return open_file(AT_FDCWD, path, flags, mode);       \
	}
#define OPENAT(name)                                                 \
	int name(int at, const char *path, int flags, ...)           \
	{                                                            \
		va_list args;                                        \
		mode_t mode;                                         \
                                                                     \
		va_start(args, flags);                               \
		mode = mode_of(flags, &args);                        \
		va_end(args);                                        \
		return open_file(at, path, flags, mode);             \
	}
OPEN(open64)
OPENAT(openat64)

int mkostemp64(char *name, int flags)
{
	int fd;

	if (!is_below_root(name))
		return REAL(mkostemp64)(name, flags);
	pthread_mutex_lock(&lock);
	fd = fails("create") ? -1 : REAL(mkostemp64)(name, flags);
	if (fd >= 0)
		note("create", inode_of(fd), 0, NULL, 0, name);
	pthread_mutex_unlock(&lock);
	return fd;
}

static int change_name(const char *op, int at, const char *name, int (*change)(int, const char *, int), int arg)
{
	char path[4096];
	int r;

	path_at(at, name, path);
	if (!is_below_root(path))
		return change(at, name, arg);
	pthread_mutex_lock(&lock);
	r = fails(op) ? -1 : change(at, name, arg);
	if (r == 0)
		note(op, 0, 0, NULL, 0, path);
	pthread_mutex_unlock(&lock);
	return r;
}

static int do_unlink(int at, const char *name, int flags)
{
	return (int)syscall(SYS_unlinkat, at, name, flags);
}

static int do_mkdir(int at, const char *name, int mode)
{
	return (int)syscall(SYS_mkdirat, at, name, mode);
}

int unlink(const char *path)
{
	return change_name("unlink", AT_FDCWD, path, do_unlink, 0);
}

int unlinkat(int at, const char *path, int flags)
{
	return change_name("unlink", at, path, do_unlink, flags);
}

int rmdir(const char *path)
{
	return change_name("unlink", AT_FDCWD, path, do_unlink, AT_REMOVEDIR);
}

int mkdir(const char *path, mode_t mode)
{
	return change_name("mkdir", AT_FDCWD, path, do_mkdir, (int)mode);
}

int rename(const char *from, const char *to)
{
	char both[4096];
	int r;

	if (!is_below_root(to))
		return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
	pthread_mutex_lock(&lock);
	r = fails("rename") ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
	snprintf(both, sizeof both, "%.2000s\t%.2000s", from, to);
	if (r == 0)
		note("rename", 0, 0, NULL, 0, both);
	pthread_mutex_unlock(&lock);
	return r;
}

/* --- reads ----------------------------------------------------------------------------- */

ssize_t read(int fd, void *bytes, size_t n)
{
	return read_fails(fd) ? -1 : (ssize_t)syscall(SYS_read, fd, bytes, n);
}

ssize_t pread64(int fd, void *bytes, size_t n, off_t offset)
{
	return read_fails(fd) ? -1 : (ssize_t)syscall(SYS_pread64, fd, bytes, n, offset);
}

ssize_t sendfile64(int to, int from, off_t *offset, size_t n)
{
	return read_fails(from) ? -1 : (ssize_t)syscall(SYS_sendfile, to, from, offset, n);
}

ssize_t splice(int from, __off64_t *at, int to, __off64_t *to_at, size_t n, unsigned flags)
{
	return read_fails(from) ? -1 : (ssize_t)syscall(SYS_splice, from, at, to, to_at, n, flags);
}

/* --- bytes ----------------------------------------------------------------------------- */

static ssize_t write_at(int fd, const void *bytes, size_t n, off_t offset)
{
	char path[4096];
	ssize_t r;

	if (!path_of(fd, path))
		return offset < 0 ? (ssize_t)syscall(SYS_write, fd, bytes, n) : (ssize_t)syscall(SYS_pwrite64, fd, bytes, n, offset);
	pthread_mutex_lock(&lock);
	if (fails("write"))
		r = -1;
	else if (offset >= 0)
		r = (ssize_t)syscall(SYS_pwrite64, fd, bytes, n, offset);
	else
		r = (ssize_t)syscall(SYS_write, fd, bytes, n);
	if (r > 0)
		note("write", inode_of(fd), offset >= 0 ? (uint64_t)offset : (uint64_t)(lseek(fd, 0, SEEK_CUR) - r), bytes,
		     (size_t)r, path);
	pthread_mutex_unlock(&lock);
	return r;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	return write_at(fd, bytes, n, -1);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t offset)
{
	return write_at(fd, bytes, n, offset);
}

/* Part by part: what a disk keeps of it may end at any of them. */
ssize_t pwritev64(int fd, const struct iovec *parts, int n, off_t offset)
{
	ssize_t done = 0, r;

	for (int i = 0; i < n; i++) {
		if (parts[i].iov_len == 0)
			continue;
		r = write_at(fd, parts[i].iov_base, parts[i].iov_len, offset + done);
		if (r < 0)
			return done > 0 ? done : -1;
		done += r;
		if ((size_t)r < parts[i].iov_len)
			break;
	}
	return done;
}

/* By reading and writing, so that its bytes are seen and either can fail; a part of what was asked for, as the kernel may. */
ssize_t copy_file_range(int from, __off64_t *at, int to, __off64_t *to_at, size_t n, unsigned flags)
{
	static _Thread_local char bytes[1 << 16];
	char path[4096];
	ssize_t r;

	if (!path_of(to, path))
		return (ssize_t)syscall(SYS_copy_file_range, from, at, to, to_at, n, flags);
	n = n < sizeof bytes ? n : sizeof bytes;
	r = at != NULL ? pread64(from, bytes, n, *at) : read(from, bytes, n);
	if (r > 0)
		r = write_at(to, bytes, (size_t)r, to_at != NULL ? *to_at : -1);
	if (r > 0 && at != NULL)
		*at += r;
	if (r > 0 && to_at != NULL)
		*to_at += r;
	return r;
}

int ftruncate64(int fd, off_t size)
{
	char path[4096];
	int r;

	if (!path_of(fd, path))
		return (int)syscall(SYS_ftruncate, fd, size);
	pthread_mutex_lock(&lock);
	r = fails("truncate") ? -1 : (int)syscall(SYS_ftruncate, fd, size);
	if (r == 0)
		note("truncate", inode_of(fd), (uint64_t)size, NULL, 0, path);
	pthread_mutex_unlock(&lock);
	return r;
}

int fallocate64(int fd, int mode, off_t offset, off_t n)
{
	char path[4096];

	if (path_of(fd, path) && fails("write"))
		return -1;
	return (int)syscall(SYS_fallocate, fd, mode, offset, n); /* within the size: changes nothing that is read */
}

static int sync_fd(int fd, long call)
{
	char path[4096];
	int r;

	if (!path_of(fd, path))
		return (int)syscall(call, fd);
	pthread_mutex_lock(&lock);
	r = fails("fsync") ? -1 : (int)syscall(call, fd);
	if (r == 0)
		note("fsync", inode_of(fd), 0, NULL, 0, path);
	pthread_mutex_unlock(&lock);
	return r;
}

int fsync(int fd)
{
	return sync_fd(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return sync_fd(fd, SYS_fdatasync);
}
