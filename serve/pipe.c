/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bytes of a file to a socket by way of a pipe of the lane's (splice(2)).  sendfile(2) does the same with a pipe of sixteen pages
 * and gives the socket 64 KB at a time; with 256 pages a segment takes a sixth less of the processor (t/bench/floor.c).
 * Invariant: the pipe is empty between two calls.  What the socket has no room for is dropped, and read again when it has: so
 * no more is put in than twice what it took last.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "serve/inner.h"

#define SIZE ((size_t)1 << 20)    /* what the kernel allows without privileges (fs.pipe-max-size) */
#define LEAST ((size_t)128 << 10) /* of less sendfile makes one call or two, and here it is two always */

void pipe_end(struct lane *l)
{
	if (l->pipe.in < 0)
		return;
	close(l->pipe.in);
	close(l->pipe.out);
	close(l->pipe.nowhere);
	l->pipe.in = -1;
}

void pipe_begin(struct lane *l)
{
	int ends[2];

	l->pipe.in = -1;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return; /* sendfile does it too */
	l->pipe.in = ends[1];
	l->pipe.out = ends[0];
	l->pipe.nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (l->pipe.nowhere < 0 || fcntl(ends[1], F_SETPIPE_SZ, (int)SIZE) < (int)SIZE)
		pipe_end(l);
}

static void drop(struct lane *l, size_t left)
{
	while (left > 0) {
		ssize_t n = splice(l->pipe.out, NULL, l->pipe.nowhere, NULL, left, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			pipe_end(l); /* never again: its rest would be somebody's */
			return;
		}
		left -= (size_t)n;
	}
}

/* What the pipe holds; -1 with errno: nothing was sent. */
static ssize_t empty_into(struct lane *l, int to, size_t n)
{
	size_t sent = 0;
	ssize_t put = 1;
	int error = EIO;

	while (sent < n && (put > 0 || (put < 0 && errno == EINTR))) {
		put = splice(l->pipe.out, NULL, to, NULL, n - sent, SPLICE_F_NONBLOCK);
		sent += put > 0 ? (size_t)put : 0;
	}
	if (put < 0)
		error = errno;
	drop(l, n - sent);
	errno = error;
	return sent > 0 ? (ssize_t)sent : -1;
}

ssize_t pipe_send(struct conn *c, int from, uint64_t offset, size_t n, bool *ret_full)
{
	struct lane *l = c->lane;
	int to = h2o_socket_get_fd(c->sock);
	size_t most = c->room == 0 || c->room > SIZE / 2 ? SIZE : 2 * c->room;
	off_t at = (off_t)offset;
	ssize_t got, sent;

	*ret_full = false;
	if (l->pipe.in < 0 || n < LEAST || most < LEAST) {
		sent = sendfile(to, from, &at, n);
		if (sent > 0)
			c->room = (size_t)sent;
		return sent;
	}
	got = splice(from, &at, l->pipe.in, NULL, n < most ? n : most, SPLICE_F_NONBLOCK);
	if (got <= 0)
		return got;
	sent = empty_into(l, to, (size_t)got);
	*ret_full = sent > 0 && sent < got;
	if (sent < got)
		c->room = sent > 0 ? (size_t)sent : 1;
	else if (c->room < (size_t)sent)
		c->room = (size_t)sent;
	return sent;
}
