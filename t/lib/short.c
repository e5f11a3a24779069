/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * System calls that do less than they were asked for, to be preloaded (LD_PRELOAD): reads and writes of files and sockets are cut
 * short, down to a byte, or interrupted before they did anything (EINTR), as a kernel may at any time.  Who takes
 * a part for the whole loses bytes here.
 *
 *   SHORT_SEED   a number: which ones are (default 1)
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned chance(unsigned of)
{
	static _Thread_local uint64_t state; /* xorshift64 */
	const char *seed = getenv("SHORT_SEED");

	if (state == 0)
		state = ((seed != NULL ? strtoull(seed, NULL, 10) : 1) * 0x9e3779b97f4a7c15) ^ (uint64_t)(uintptr_t)pthread_self() ^ 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 24) % of;
}

/* Not pipes, eventfds and timers: what is written there in one piece arrives in one. */
static bool is_cut(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode));
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t n = sizeof type;

	return is_cut(fd) && (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type == SOCK_STREAM);
}

static size_t part(size_t n)
{
	unsigned fate = chance(8);

	return n < 2 || fate > 3 ? n : fate == 0 ? 1 : 1 + chance((unsigned)(n < 1 << 30 ? n : 1 << 30));
}

static bool is_interrupted(void)
{
	if (chance(16) != 0)
		return false;
	errno = EINTR;
	return true;
}

/* The real one in parts, or not at all. */
#define DO(fd, call) (!is_stream(fd) ? (call) : is_interrupted() ? -1 : (n = part(n), (call)))

ssize_t read(int fd, void *bytes, size_t n)
{
	return DO(fd, (ssize_t)syscall(SYS_read, fd, bytes, n));
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	return DO(fd, (ssize_t)syscall(SYS_write, fd, bytes, n));
}

ssize_t pread64(int fd, void *bytes, size_t n, off_t offset)
{
	return DO(fd, (ssize_t)syscall(SYS_pread64, fd, bytes, n, offset));
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t offset)
{
	return DO(fd, (ssize_t)syscall(SYS_pwrite64, fd, bytes, n, offset));
}

ssize_t recv(int fd, void *bytes, size_t n, int flags)
{
	return DO(fd, (ssize_t)syscall(SYS_recvfrom, fd, bytes, n, flags, NULL, NULL));
}

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	return DO(fd, (ssize_t)syscall(SYS_sendto, fd, bytes, n, flags, NULL, 0));
}

ssize_t sendfile64(int to, int from, off_t *offset, size_t n)
{
	return DO(to, (ssize_t)syscall(SYS_sendfile, to, from, offset, n));
}

ssize_t splice(int from, __off64_t *at, int to, __off64_t *to_at, size_t n, unsigned flags)
{
	return DO(is_cut(from) ? from : to, (ssize_t)syscall(SYS_splice, from, at, to, to_at, n, flags));
}

ssize_t copy_file_range(int from, __off64_t *at, int to, __off64_t *to_at, size_t n, unsigned flags)
{
	return DO(to, (ssize_t)syscall(SYS_copy_file_range, from, at, to, to_at, n, flags));
}

/* The first piece, cut, or all of them. */
#define DO_PIECES(fd, v, k, all, first)                                                                              \
	size_t n = (k) > 0 ? (v)[0].iov_len : 0;                                                                     \
                                                                                                                     \
	if (!is_stream(fd) || n == 0 || chance(3) != 0)                                                              \
		return is_stream(fd) && is_interrupted() ? -1 : (ssize_t)(all);                                      \
	return DO(fd, (ssize_t)(first))

ssize_t writev(int fd, const struct iovec *v, int k)
{
	DO_PIECES(fd, v, k, syscall(SYS_writev, fd, v, k), syscall(SYS_write, fd, v[0].iov_base, n));
}

ssize_t pwritev64(int fd, const struct iovec *v, int k, off_t offset)
{
	DO_PIECES(fd, v, k, syscall(SYS_pwritev, fd, v, k, offset, 0), syscall(SYS_pwrite64, fd, v[0].iov_base, n, offset));
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct msghdr one = *m;
	struct iovec first;

	if (!is_stream(fd) || m->msg_iovlen == 0 || m->msg_control != NULL || chance(3) != 0)
		return is_stream(fd) && is_interrupted() ? -1 : (ssize_t)syscall(SYS_sendmsg, fd, m, flags);
	first = m->msg_iov[0];
	first.iov_len = part(first.iov_len);
	one.msg_iov = &first;
	one.msg_iovlen = 1;
	return (ssize_t)syscall(SYS_sendmsg, fd, &one, flags);
}
