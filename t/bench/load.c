/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A load that costs less than the servers it measures: HTTP/1.1 keep-alive over some
 * connections in one thread, bodies thrown away in the kernel (MSG_TRUNC).
 *
 *   load PORT CONNECTIONS SECONDS <REQUESTS >RESULT
 *
 * REQUESTS: one a line, "PATH" or "PATH FIRST-LAST" (a range); they are asked for in an order made of a fixed seed.
 * RESULT: one JSON object; times in milliseconds from the request to the last byte.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_REQUESTS 65536
#define MAX_CONNECTIONS 4096
#define BUCKETS 4096

struct connection {
	int fd;
	double begun;            /* seconds */
	char head[4096];
	size_t n_head;
	uint64_t left;           /* bytes of the body */
	bool in_body;
};

static char *requests[MAX_REQUESTS];
static size_t n_requests;
static uint64_t random_state = 88172645463325252u, n_done, n_bytes, n_bad, buckets[BUCKETS];
static char garbage[1 << 20];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Logarithmic: 1 us to 100 s, about 0.45 % a bucket. */
static void note_time(double seconds)
{
	double at = seconds > 1e-6 ? __builtin_log(seconds / 1e-6) / __builtin_log(1e8) * BUCKETS : 0;

	buckets[at < BUCKETS ? (size_t)at : BUCKETS - 1]++;
}

static double quantile(double q)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		seen += buckets[i];
		if ((double)seen >= q * (double)n_done)
			return 1e-6 * __builtin_exp((double)(i + 1) / BUCKETS * __builtin_log(1e8)) * 1e3;
	}
	return 0;
}

static void read_requests(void)
{
	char line[1024], text[2048], path[900], range[100];

	while (n_requests < MAX_REQUESTS && fgets(line, sizeof line, stdin) != NULL) {
		int n = sscanf(line, "%899s %99s", path, range);

		if (n < 1)
			continue;
		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nCMCD-Session: sid=\"6e2fb550-c457-11e9-bb97-0800200c9a66\"\r\n%s%s%s\r\n", path,
		         n > 1 ? "Range: bytes=" : "", n > 1 ? range : "", n > 1 ? "\r\n" : "");
		requests[n_requests++] = strdup(text);
	}
	if (n_requests == 0) {
		fputs("no requests on standard input\n", stderr);
		exit(2);
	}
}

static void ask(struct connection *c)
{
	const char *text;
	size_t n;

	random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
	text = requests[random_state % n_requests];
	n = strlen(text);
	c->begun = now();
	c->n_head = 0;
	c->in_body = false;
	if (send(c->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
		die("send");
}

static void answered(struct connection *c)
{
	n_done++;
	note_time(now() - c->begun);
	ask(c);
}

/* The head ends within what was read: its body's length, and how much of that is here. */
static bool take_head(struct connection *c, size_t n)
{
	char *end, *length;

	c->n_head += n;
	c->head[c->n_head] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (end == NULL)
		return false;
	if (strncmp(c->head, "HTTP/1.1 2", 10) != 0)
		n_bad++;
	length = strcasestr(c->head, "\r\ncontent-length:");
	c->left = length != NULL && length < end ? strtoull(length + 17, NULL, 10) : 0;
	n_bytes += c->left;
	c->left -= c->n_head - (size_t)(end + 4 - c->head);
	c->in_body = true;
	return true;
}

static void readable(struct connection *c)
{
	for (;;) {
		ssize_t n = c->in_body ? recv(c->fd, garbage, c->left < sizeof garbage ? c->left : sizeof garbage, MSG_TRUNC | MSG_DONTWAIT)
		                       : recv(c->fd, c->head + c->n_head, sizeof c->head - 1 - c->n_head, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			fputs("the server closed a connection\n", stderr);
			exit(1);
		}
		if (!c->in_body && !take_head(c, (size_t)n))
			continue;
		else if (c->in_body && c->n_head == 0)
			c->left -= (uint64_t)n;
		if (c->in_body && c->n_head > 0)
			c->n_head = 0; /* the head is used up; from now on only the body counts */
		if (c->left == 0) {
			answered(c);
			return;
		}
	}
}

static void connect_all(struct connection *all, size_t n, int port, int epoll)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (size_t i = 0; i < n; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &all[i]};
		int one = 1;

		all[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(all[i].fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
		if (all[i].fd < 0 || connect(all[i].fd, (struct sockaddr *)&a, sizeof a) < 0)
			die("connect");
		setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &e) < 0)
			die("epoll");
		ask(&all[i]);
	}
}

int main(int argc, char **argv)
{
	static struct connection all[MAX_CONNECTIONS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	size_t n = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	double begun, end;

	if (n == 0 || n > MAX_CONNECTIONS) {
		fputs("usage: load PORT CONNECTIONS SECONDS <REQUESTS\n", stderr);
		return 2;
	}
	read_requests();
	connect_all(all, n, (int)strtol(argv[1], NULL, 10), epoll);
	begun = now();
	end = begun + strtod(argv[3], NULL);
	while (now() < end) {
		struct epoll_event events[256];
		int got = epoll_wait(epoll, events, 256, 100);

		for (int i = 0; i < got; i++)
			readable(events[i].data.ptr);
	}
	printf("{\"seconds\": %.3f, \"requests\": %llu, \"bytes\": %llu, \"bad\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n", now() - begun,
	       (unsigned long long)n_done, (unsigned long long)n_bytes, (unsigned long long)n_bad, quantile(0.5), quantile(0.99));
	return 0;
}
