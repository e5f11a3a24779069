/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A worn disk to test with, to be preloaded (LD_PRELOAD): reads of files below one folder are slow or fail, but for what the
 * program has read since it began: that is in memory, as with any disk.
 *
 *   WORN_ROOT   the folder
 *   WORN_FAULT  while this file is there it says how: "EIO", or the milliseconds that 128 KiB take
 *
 * RWF_NOWAIT finds only what is in memory.  Blocks of 16 KiB are remembered, of the first 256 files.
 */
#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK 16384
#define FILES 256
#define SLOW_UNIT (128 << 10)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory {
	ino_t inode;
	size_t n;
	uint8_t *known; /* a byte a block */
} files[FILES];

static bool is_below_root(int fd)
{
	const char *root = getenv("WORN_ROOT");
	char link[64], path[4096];
	ssize_t n;

	if (root == NULL)
		abort(); /* a disk that nothing is on would prove nothing */
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return strncmp(path, root, strlen(root)) == 0 && path[strlen(root)] == '/';
}

/* Under the lock; NULL: not remembered. */
static struct memory *memory_of(int fd)
{
	struct stat st;
	size_t blocks;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	blocks = (size_t)st.st_size / BLOCK + 1;
	for (size_t i = 0; i < FILES; i++) {
		struct memory *m = &files[i];

		if (m->inode != 0 && m->inode != st.st_ino)
			continue;
		m->inode = st.st_ino;
		if (m->n < blocks) {
			m->known = realloc(m->known, blocks);
			if (m->known == NULL)
				abort();
			memset(m->known + m->n, 0, blocks - m->n);
			m->n = blocks;
		}
		return m;
	}
	return NULL;
}

/* Blocks of the range that have not been read; `note`: they have now. */
static size_t n_cold(int fd, uint64_t offset, size_t n, bool note)
{
	struct memory *m;
	size_t cold = 0;

	pthread_mutex_lock(&lock);
	m = memory_of(fd);
	for (uint64_t i = offset / BLOCK; m != NULL && n > 0 && i < m->n && i * BLOCK < offset + n; i++) {
		cold += !m->known[i];
		m->known[i] |= note;
	}
	pthread_mutex_unlock(&lock);
	return cold;
}

/* What the file of the fault says; false: all is well. */
static bool is_worn(char text[32])
{
	const char *file = getenv("WORN_FAULT");
	int fd = file != NULL ? (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? syscall(SYS_read, fd, text, 31) : 0;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Waits as the disk would; false with errno when it fails. */
static bool passes(int fd, uint64_t offset, size_t n)
{
	char how[32];
	size_t cold;

	if (!is_below_root(fd))
		return true;
	if (!is_worn(how))
		return n_cold(fd, offset, n, true), true;
	if (strncmp(how, "EIO", 3) == 0) {
		if (n_cold(fd, offset, n, false) == 0)
			return true;
		errno = EIO;
		return false;
	}
	cold = n_cold(fd, offset, n, true);
	if (cold > 0)
		usleep((useconds_t)(strtod(how, NULL) * 1000 * (double)(cold * BLOCK) / SLOW_UNIT));
	return true;
}

ssize_t pread64(int fd, void *bytes, size_t n, off_t offset)
{
	return passes(fd, (uint64_t)offset, n) ? (ssize_t)syscall(SYS_pread64, fd, bytes, n, offset) : -1;
}

ssize_t preadv64v2(int fd, const struct iovec *v, int count, off_t offset, int flags)
{
	__typeof__(preadv64v2) *real = (__typeof__(preadv64v2) *)dlsym(RTLD_NEXT, "preadv64v2");
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += v[i].iov_len;
	if (flags & RWF_NOWAIT && is_below_root(fd) && n_cold(fd, (uint64_t)offset, n, false) > 0) {
		errno = EAGAIN;
		return -1;
	}
	return flags & RWF_NOWAIT || passes(fd, (uint64_t)offset, n) ? real(fd, v, count, offset, flags) : -1;
}

/* A socket takes so much at a time: what would not fit is not read. */
#define AT_ONCE (256 << 10)

ssize_t sendfile64(int to, int from, off_t *offset, size_t n)
{
	uint64_t at = offset != NULL ? (uint64_t)*offset : (uint64_t)lseek(from, 0, SEEK_CUR);

	if (n > AT_ONCE)
		n = AT_ONCE;
	return passes(from, at, n) ? (ssize_t)syscall(SYS_sendfile, to, from, offset, n) : -1;
}

/* Out of a pipe there is nothing to wait for. */
ssize_t splice(int from, __off64_t *at, int to, __off64_t *to_at, size_t n, unsigned flags)
{
	if (at != NULL && n > AT_ONCE)
		n = AT_ONCE;
	return at == NULL || passes(from, (uint64_t)*at, n) ? (ssize_t)syscall(SYS_splice, from, at, to, to_at, n, flags) : -1;
}
