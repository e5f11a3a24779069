/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Files and folders.  Invariant of file_write_atomic: a reader of `path` sees
 * the old bytes or the new ones, after a crash too.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

char *path_join(const char *folder, const char *name)
{
	size_t n = strlen(folder);

	return mem_printf("%s%s%s", folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name);
}

static int read_fd(int fd, struct buf *out)
{
	for (;;) {
		void *room = buf_reserve(out, 16384);
		ssize_t n;
		char last;

		if (room == NULL) { /* full: fine if the file ends exactly here */
			n = read(fd, &last, 1);
			if (n != 0)
				return n < 0 ? -errno : buf_error(out);
			out->error = 0;
			return 0;
		}
		n = read(fd, room, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buf_commit(out, (size_t)n);
	}
}

/* The last stretch before the maximum is read byte-exactly. */
static int read_bounded(int fd, struct buf *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISREG(st.st_mode)) {
		ssize_t n;
		void *room;

		if ((uint64_t)st.st_size > SIZE_MAX / 2)
			return ERR_LIMIT;
		room = buf_reserve(out, (size_t)st.st_size);
		if (room == NULL)
			return buf_error(out);
		n = file_pread_all(fd, room, (size_t)st.st_size, 0);
		if (n < 0)
			return (int)n;
		buf_commit(out, (size_t)n);
		return 0;
	}
	return read_fd(fd, out);
}

int file_read(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = read_bounded(fd, out);
	close(fd);
	return r;
}

int file_read_regular(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r = ERR_CORRUPT;
	struct stat st;

	if (fd < 0)
		return errno == ENXIO ? ERR_CORRUPT : -errno; /* a socket */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		r = read_bounded(fd, out);
	close(fd);
	return r;
}

int file_write_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int file_pwrite_all(int fd, const void *bytes, size_t n, uint64_t offset)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t w = pwrite(fd, p, n, (off_t)offset);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
		offset += (uint64_t)w;
	}
	return 0;
}

ssize_t file_pread_all(int fd, void *bytes, size_t n, uint64_t offset)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, (char *)bytes + got, n - got, (off_t)(offset + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static int write_sync_close(int fd, const void *bytes, size_t n)
{
	int r = file_write_all(fd, bytes, n);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_dup(".");
	return mem_dup_n(path, slash == path ? 1 : (size_t)(slash - path));
}

/* A device or a pipe is written to: a rename would put a file in its place, for everybody, if that is /dev/null. */
static int write_special(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, bytes, n);
	close(fd);
	return r;
}

static bool is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode));
}

static int write_and_rename(const char *path, const void *bytes, size_t n, mode_t mode)
{
	char *temporary = mem_printf("%s.XXXXXX", path);
	char *folder = parent_of(path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	int r;

	if (fd < 0) {
		r = -errno;
		goto out;
	}
	if (fchmod(fd, mode) < 0) {
		r = -errno;
		close(fd);
	} else {
		r = write_sync_close(fd, bytes, n);
	}
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r != 0)
		unlink(temporary);
	else
		r = folder_sync(folder);
out:
	free(temporary);
	free(folder);
	return r;
}

int file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode)
{
	return is_special(path) ? write_special(path, bytes, n) : write_and_rename(path, bytes, n, mode);
}

int file_size(const char *path, uint64_t *ret_size)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

bool file_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

bool file_is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_is_shared(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXO | S_IWGRP)) != 0;
}

int folder_sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = slash == NULL ? mem_dup(".") : mem_dup_n(path, slash == path ? 1 : (size_t)(slash - path));
	int r = folder_sync(parent);

	free(parent);
	return r == -EACCES || r == -EINVAL ? 0 : r; /* who may not read it, and systems that have no such thing */
}

int folder_make(const char *path, mode_t mode)
{
	char *copy = mem_dup(path);
	int r = 0;

	for (char *p = copy + 1; copy[0] != '\0' && r == 0; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) == 0)
			r = folder_sync_parent(copy);
		else if (errno != EEXIST)
			r = -errno;
		*p = c;
		if (c == '\0')
			break;
	}
	free(copy);
	return r == 0 && !file_is_folder(path) ? -ENOTDIR : r;
}

int folder_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int remove_at(int at, const char *name);

static int remove_below(int fd)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (d == NULL) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = remove_at(dirfd(d), e->d_name);
	closedir(d);
	return r;
}

static int remove_at(int at, const char *name)
{
	int fd, r;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = remove_below(fd);
	if (r == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int folder_remove(const char *path)
{
	return remove_at(AT_FDCWD, path);
}

int folder_free_bytes(const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
	struct statvfs v;

	if (statvfs(path, &v) < 0)
		return -errno;
	*ret_free = (uint64_t)v.f_bavail * v.f_frsize;
	*ret_total = (uint64_t)v.f_blocks * v.f_frsize;
	return 0;
}

static int keep_name(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

int folder_list(const char *path, int (*each)(void *ctx, const char *name), void *ctx)
{
	struct dirent **names;
	int n = scandir(path, &names, keep_name, alphasort);
	int r = 0;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = each(ctx, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return r;
}

int file_lock(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 && errno == EROFS) /* one that is there can be locked all the same */
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = errno == EWOULDBLOCK ? ERR_LOCKED : -errno;

		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}
