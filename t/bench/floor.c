/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the kernel alone costs: the least that can be called a server of these files.  One loop, no log, no conditions,
 * no ranges, no limits; a head of two lines and the file's bytes, by sendfile(2), by splice(2) through a pipe of 1 MiB, or
 * out of a mapping (as a cache that holds all in memory would); of a small file in one call with the head.  Nobody who uses the same calls can need less.
 *
 *   floor PORT FOLDER PREFIX sendfile|pipe|copy
 *
 * serves FOLDER/NAME as PREFIX/NAME on 127.0.0.1 until it is killed.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <search.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FILES 16384
#define AT_ONCE ((size_t)1 << 20) /* of one connection before the next has its turn */
#define SMALL ((size_t)16 << 10)   /* goes out with its head */

struct file {
	int fd;
	size_t size;
	const char *bytes;
};

struct connection {
	int fd;
	char in[4096];
	size_t n_in;
	const struct file *file; /* that is being sent, from `at` on */
	size_t at;
	int pipe[2];    /* as of pipe2(2), or both 0 */
	size_t in_pipe; /* bytes that are in it */
};

static bool copies, pipes;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void take_file(const char *folder, const char *prefix, const char *name)
{
	struct file *f = calloc(1, sizeof *f);
	char path[4096], *key = malloc(strlen(prefix) + strlen(name) + 2);
	struct stat st;

	if (f == NULL || key == NULL)
		die(name);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	sprintf(key, "%s/%s", prefix, name);
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) != 0)
		die(path);
	f->size = (size_t)st.st_size;
	f->bytes = f->size > 0 ? mmap(NULL, f->size, PROT_READ, MAP_SHARED | MAP_POPULATE, f->fd, 0) : NULL;
	if (f->bytes == MAP_FAILED || hsearch((ENTRY){key, f}, ENTER) == NULL)
		die(path);
}

static void take_files(const char *folder, const char *prefix)
{
	DIR *d = opendir(folder);

	if (d == NULL || hcreate(2 * MAX_FILES) == 0)
		die(folder);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.')
			take_file(folder, prefix, e->d_name);
	closedir(d);
}

/* sendfile pushes after every 64 KB, which are no multiple of what goes in one packet. */
static void cork(const struct connection *c, int on)
{
	if (setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on) != 0)
		die("cannot cork");
}

static void make_pipe(struct connection *c)
{
	if (pipe2(c->pipe, O_CLOEXEC | O_NONBLOCK) != 0 || fcntl(c->pipe[1], F_SETPIPE_SZ, (int)AT_ONCE) < 0)
		die("pipe");
}

/* As sendfile(2); what the socket does not take stays in the pipe, which is the connection's own. */
static ssize_t send_by_pipe(struct connection *c, size_t n)
{
	off_t at = (off_t)c->at;
	ssize_t sent;

	if (c->pipe[1] == 0)
		make_pipe(c);
	if (c->in_pipe == 0) {
		ssize_t got = splice(c->file->fd, &at, c->pipe[1], NULL, n, SPLICE_F_NONBLOCK);

		if (got <= 0)
			return got;
		c->in_pipe = (size_t)got;
	}
	sent = splice(c->pipe[0], NULL, c->fd, NULL, c->in_pipe, SPLICE_F_NONBLOCK);
	c->in_pipe -= sent > 0 ? (size_t)sent : 0;
	return sent;
}

/* Up to AT_ONCE of what is left; false: the connection is no more. */
static bool send_some(struct connection *c)
{
	size_t begin = c->at;

	while (c->at < c->file->size && c->at - begin < AT_ONCE) {
		size_t left = c->file->size - c->at, n = left < AT_ONCE ? left : AT_ONCE;
		off_t at = (off_t)c->at;
		ssize_t sent = copies ? send(c->fd, c->file->bytes + c->at, n, MSG_NOSIGNAL) : pipes ? send_by_pipe(c, n) : sendfile(c->fd, c->file->fd, &at, n);

		if (sent < 0)
			return errno == EAGAIN;
		c->at += (size_t)sent;
	}
	return true;
}

/* What the kernel has no room for at once is none of this bench's. */
static bool send_whole(struct connection *c, const struct file *f, void *head, size_t n)
{
	struct iovec v[2] = {{head, n}, {(void *)(uintptr_t)f->bytes, f->size}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

	c->file = NULL;
	return sendmsg(c->fd, &m, MSG_NOSIGNAL) == (ssize_t)(n + f->size);
}

static bool answer(struct connection *c)
{
	char head[200], *path = c->in + 4, *end = strchr(path, ' ');
	ENTRY *found;
	int n;

	if (end == NULL)
		return false;
	*end = '\0';
	found = hsearch((ENTRY){path, NULL}, FIND);
	if (found == NULL)
		return false;
	c->file = found->data;
	c->at = c->n_in = 0;
	n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", c->file->size);
	if (c->file->size <= SMALL)
		return send_whole(c, c->file, head, (size_t)n);
	cork(c, 1);
	return send(c->fd, head, (size_t)n, MSG_NOSIGNAL) == n;
}

/* false: the connection is no more. */
static bool go_on(struct connection *c)
{
	ssize_t n;

	if (c->file == NULL) {
		n = recv(c->fd, c->in + c->n_in, sizeof c->in - 1 - c->n_in, 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		c->n_in += (size_t)n;
		c->in[c->n_in] = '\0';
		if (strstr(c->in, "\r\n\r\n") == NULL)
			return c->n_in < sizeof c->in - 1;
		if (!answer(c))
			return false;
		if (c->file == NULL)
			return true;
	}
	if (!send_some(c))
		return false;
	if (c->at == c->file->size) {
		cork(c, 0);
		c->file = NULL;
	}
	return true;
}

/* Level-triggered: for room while something is being sent, else for a request. */
static void watch(int epoll, struct connection *c, int how)
{
	struct epoll_event e = {.events = c->file != NULL ? EPOLLOUT : EPOLLIN, .data.ptr = c};

	if (epoll_ctl(epoll, how, c->fd, &e) != 0)
		die("epoll_ctl");
}

static int listen_on(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 1000) != 0)
		die("cannot listen");
	return fd;
}

int main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), door, one = 1;
	struct connection *c;
	struct epoll_event events[64];

	if (argc != 5) {
		fputs("usage: floor PORT FOLDER PREFIX sendfile|pipe|copy\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	copies = strcmp(argv[4], "copy") == 0;
	pipes = strcmp(argv[4], "pipe") == 0;
	take_files(argv[2], argv[3]);
	door = listen_on(atoi(argv[1]));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, door, &(struct epoll_event){.events = EPOLLIN}) != 0)
		die("epoll_ctl");
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			bool sending;

			c = events[i].data.ptr;
			if (c == NULL) {
				c = calloc(1, sizeof *c);
				if (c == NULL || (c->fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
					die("accept");
				(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				watch(epoll, c, EPOLL_CTL_ADD);
				continue;
			}
			sending = c->file != NULL;
			if (!go_on(c)) {
				close(c->fd);
				if (c->pipe[1] != 0) {
					close(c->pipe[0]);
					close(c->pipe[1]);
				}
				free(c);
			} else if (sending != (c->file != NULL)) {
				watch(epoll, c, EPOLL_CTL_MOD);
			}
		}
	}
}
