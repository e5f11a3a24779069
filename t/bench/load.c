/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A load that costs less than the servers it measures: HTTP/1.1 keep-alive over some
 * connections in one thread, bodies thrown away in the kernel (MSG_TRUNC).  An answer
 * with another status, length or range than was asked for ends the program.
 *
 *   load PORT CONNECTIONS SECONDS|once <REQUESTS >RESULT
 *
 * REQUESTS: one a line, "PATH LENGTH" or "PATH LENGTH FIRST-LAST" (a range); LENGTH is that of the body. They
 * are asked for in an order made of a fixed seed, for so many seconds or once on every connection.
 * RESULT: one JSON object; times in milliseconds from the request to the first and to the last byte of the answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "times.h"

#define MAX_REQUESTS 65536
#define MAX_CONNECTIONS 4096

struct request {
	char *text, *range; /* range: what Content-Range has to begin with, or NULL */
	size_t n;
	uint64_t length;
};

struct connection {
	int fd;
	const struct request *asked;
	double begun; /* seconds */
	char head[4096];
	size_t n_head;
	uint64_t left; /* bytes of the body */
	bool in_body, any;
};

static struct request requests[MAX_REQUESTS];
static size_t n_requests, n_running;
static uint64_t random_state = 88172645463325252u, n_bytes;
static struct times first, last;
static char garbage[1 << 20];
static bool once;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("load: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void read_requests(void)
{
	char line[1024], text[2048], path[800], range[100];

	while (n_requests < MAX_REQUESTS && fgets(line, sizeof line, stdin) != NULL) {
		struct request *r = &requests[n_requests];
		int n = sscanf(line, "%799s %" SCNu64 " %99s", path, &r->length, range);

		if (n < 2)
			die("a request is \"PATH LENGTH [FIRST-LAST]\", not \"%s\"", line);
		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nCMCD-Session: sid=\"6e2fb550-c457-11e9-bb97-0800200c9a66\"\r\n%s%s%s\r\n", path,
		         n > 2 ? "Range: bytes=" : "", n > 2 ? range : "", n > 2 ? "\r\n" : "");
		r->text = strdup(text);
		r->n = strlen(text);
		snprintf(text, sizeof text, "bytes %s/", range);
		r->range = n > 2 ? strdup(text) : NULL;
		n_requests++;
	}
	if (n_requests == 0)
		die("no requests on standard input");
}

static void ask(struct connection *c)
{
	random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
	c->asked = &requests[random_state % n_requests];
	c->begun = now();
	c->n_head = 0;
	c->in_body = c->any = false;
	if (send(c->fd, c->asked->text, c->asked->n, MSG_NOSIGNAL) != (ssize_t)c->asked->n)
		die("cannot send: %s", strerror(errno));
}

static const char *field(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at != NULL ? at + strlen(name) + strspn(at + strlen(name), " ") : "";
}

static void check_head(const struct connection *c)
{
	const struct request *r = c->asked;
	const char *status = r->range != NULL ? "HTTP/1.1 206" : "HTTP/1.1 200";

	if (strncmp(c->head, status, 12) != 0 || strtoull(field(c->head, "\r\ncontent-length:"), NULL, 10) != r->length ||
	    (r->range != NULL && strncmp(field(c->head, "\r\ncontent-range:"), r->range, strlen(r->range)) != 0))
		die("a wrong answer to\n%s%s", r->text, c->head);
}

/* Is the head all here?  What was read behind it is of the body. */
static bool take_head(struct connection *c, size_t n)
{
	char *end;

	c->n_head += n;
	c->head[c->n_head] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (end == NULL) {
		if (c->n_head == sizeof c->head - 1)
			die("a head that does not end");
		return false;
	}
	n = c->n_head - (size_t)(end + 4 - c->head);
	end[2] = '\0';
	check_head(c);
	if (n > c->asked->length)
		die("more than was asked for");
	c->left = c->asked->length - n;
	return true;
}

static void answered(struct connection *c)
{
	n_bytes += c->asked->length;
	times_note(&last, now() - c->begun);
	n_running--;
	if (!once) {
		n_running++;
		ask(c);
	}
}

static void readable(struct connection *c)
{
	do {
		ssize_t n = c->in_body ? recv(c->fd, garbage, c->left < sizeof garbage ? c->left : sizeof garbage, MSG_TRUNC | MSG_DONTWAIT)
		                       : recv(c->fd, c->head + c->n_head, sizeof c->head - 1 - c->n_head, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			die("the server closed a connection: %s", n < 0 ? strerror(errno) : "end of stream");
		if (!c->any)
			times_note(&first, now() - c->begun);
		c->any = true;
		if (c->in_body)
			c->left -= (uint64_t)n;
		else
			c->in_body = take_head(c, (size_t)n);
	} while (!c->in_body || c->left > 0);
	answered(c);
}

static void connect_all(struct connection *all, size_t n, int port, int epoll)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (size_t i = 0; i < n; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &all[i]};
		int one = 1;

		all[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (all[i].fd < 0 || connect(all[i].fd, (struct sockaddr *)&a, sizeof a) < 0 ||
		    setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &e) < 0)
			die("cannot connect: %s", strerror(errno));
	}
	for (size_t i = 0; i < n; i++)
		ask(&all[i]);
	n_running = n;
}

int main(int argc, char **argv)
{
	static struct connection all[MAX_CONNECTIONS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	size_t n = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	double begun, end;

	if (n == 0 || n > MAX_CONNECTIONS) {
		fputs("usage: load PORT CONNECTIONS SECONDS|once <REQUESTS\n", stderr);
		return 2;
	}
	once = strcmp(argv[3], "once") == 0;
	read_requests();
	connect_all(all, n, (int)strtol(argv[1], NULL, 10), epoll);
	begun = now();
	end = begun + (once ? 120 : strtod(argv[3], NULL));
	while (n_running > 0 && now() < end) {
		struct epoll_event events[256];
		int got = epoll_wait(epoll, events, 256, 100);

		for (int i = 0; i < got; i++)
			readable(events[i].data.ptr);
	}
	if (once && n_running > 0)
		die("%zu answers did not end within two minutes", n_running);
	printf("{\"seconds\": %.3f, \"requests\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
	       "\"first_p50_ms\": %.3f, \"first_p99_ms\": %.3f}\n",
	       now() - begun, last.n, n_bytes, times_quantile(&last, 0.5), times_quantile(&last, 0.99), times_quantile(&last, 1), times_quantile(&first, 0.5), times_quantile(&first, 0.99));
	return 0;
}
