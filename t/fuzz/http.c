/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The whole HTTP server in this process, over connections of its own: the first byte
 * of an input chooses ('h' HTTP/1, '2' HTTP/2 behind its preface, 's' HTTP/1 where URLs
 * are signed), the rest is what a client sends before it closes its side.
 *
 * Held: the server ends every such connection, HTTP/1 answers begin with a status
 * line, without a signature no byte of an object comes out, and a body that is taken as it
 * comes has as many bytes as its client told, and one end.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "serve/serve.h"

#define OBJECT_SIZE 300000
#define CANARY "canary-in-object "
#define PATIENCE_MS 30000 /* longer than the server's own timeouts; a connection that stays for good is what we look for */
#define ROUNDS 3
#define INPUT_MAX 65536

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct serve *plain, *guarded;
static uint16_t plain_port, guarded_port;
static struct serve_object object;

static void object_free(struct serve_object *o)
{
	MUST(o == NULL); /* one reference is ours */
}

static void find(void *ctx, const char *path, size_t n, struct serve_request *r, struct serve_found *ret)
{
	(void)ctx;
	(void)r;
	MUST(path[0] == '/' && strlen(path) == n && strstr(path, "/../") == NULL && strstr(path, "//") == NULL);
	ret->status = 404;
	ret->cache = "hit";
	if (strcmp(path, "/v/t/r/f.mp4") == 0)
		ret->object = serve_object_ref(&object);
}

static void echo(void *ctx, struct serve_request *r)
{
	struct buf out;
	size_t n;
	const void *body = serve_body(r, &n);
	const char *q = serve_param(r, "q");

	(void)ctx;
	buf_init(&out, 4 << 20);
	buf_printf(&out, "%s %s %s ", serve_method(r), serve_path(r, NULL), q != NULL ? q : "-");
	buf_append(&out, body, n);
	serve_reply(r, 200, "text/plain", blob_take_buf(&out), NULL, 0);
}

/* Whose Authorization begins with 'x' sends its bodies in vain. */
static bool trusts(void *ctx, const char *authorization, size_t n)
{
	(void)ctx;
	return n == 0 || authorization[0] != 'x';
}

/* A body that is taken as it comes; begins with 'n': no more of it is wanted. */
struct taken {
	uint64_t told, bytes;
	bool refused;
};

static int take(void *ctx, const void *bytes, size_t n)
{
	struct taken *t = ctx;

	MUST(n > 0 && !t->refused);
	t->refused = t->bytes == 0 && *(const char *)bytes == 'n';
	t->bytes += n;
	return t->refused ? -1 : 0;
}

static void end_body(void *ctx, struct serve_request *r, int error)
{
	struct taken *t = ctx;
	struct buf out;

	buf_init(&out, 100);
	if (r != NULL) {
		MUST((error != 0) == t->refused && (error != 0 || t->told == UINT64_MAX || t->told == t->bytes));
		buf_printf(&out, "%llu", (unsigned long long)t->bytes);
		serve_reply(r, error == 0 ? 200 : 409, "text/plain", blob_take_buf(&out), NULL, 0);
	}
	buf_fini(&out);
	free(t);
}

static void take_body(void *ctx, struct serve_request *r)
{
	static const struct serve_intake_ops ops = {take, end_body};
	struct taken *t = mem_new(sizeof *t);

	(void)ctx;
	t->told = serve_body_size(r);
	serve_take_body(r, &ops, t);
}

static void make_object(void)
{
	static const struct serve_object_ops ops = {.free = object_free};
	int fd = memfd_create("object", MFD_CLOEXEC);

	MUST(fd >= 0);
	for (size_t i = 0; i < OBJECT_SIZE; i += strlen(CANARY))
		MUST(file_pwrite_all(fd, CANARY, strlen(CANARY), i) == 0);
	object = (struct serve_object){.magic = SERVE_OBJECT_MAGIC, .refs = 1, .fd = fd, .size = OBJECT_SIZE, .modified = 1700000000 * DUR_S,
	                               .type = "video/mp4", .etag = "\"0123\"", .cache_control = "public", .ops = &ops};
}

static uint16_t start(struct serve **ret, const char *keys)
{
	const struct serve_settings settings = {.name = "fuzz", .threads = 1, .idle_timeout = 20 * DUR_S, .trusts = trusts, .stall_timeout = 20 * DUR_S,
	                                        .max_connections = 1000, .max_per_client = 1000, .allow_origin = "*", .url_keys = keys};
	struct fault f = {0};
	uint16_t port = 0;

	MUST(serve_new(&settings, ret, &f) == 0);
	serve_route_objects(*ret, "/v/", find, NULL);
	serve_route(*ret, "/h/echo", echo, NULL);
	serve_route_bodies(*ret, "/h/take", take_body, NULL);
	MUST(serve_listen(*ret, "127.0.0.1:0", false, &port, &f) == 0 && serve_start(*ret, &f) == 0);
	return port;
}

static void stop(void)
{
	serve_free(&plain, 0);
	serve_free(&guarded, 0);
	close(object.fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[] = "/tmp/ribera-fuzz-XXXXXX";
	static const char key[] = "k1 00112233445566778899aabbccddeeff\n";
	int fd = mkstemp(path);

	(void)argc;
	(void)argv;
	MUST(fd >= 0 && file_write_all(fd, key, sizeof key - 1) == 0);
	close(fd);
	log_set_level(LOG_ERROR);
	make_object();
	plain_port = start(&plain, NULL);
	guarded_port = start(&guarded, path);
	unlink(path);
	atexit(stop);
	return 0;
}

static int dial(uint16_t port)
{
	const struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct linger now = {.l_onoff = 1, .l_linger = 0}; /* no TIME_WAIT: there are thousands of us */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
	MUST(connect(fd, (const struct sockaddr *)&a, sizeof a) == 0);
	return fd;
}

/* That nothing came may be for want of a processor: the server has had one when it has answered somebody else. */
static void ask_something_else(void)
{
	static const char question[] = "GET /h/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	int fd = dial(plain_port);
	char byte;

	MUST(send(fd, question, sizeof question - 1, MSG_NOSIGNAL) == (ssize_t)sizeof question - 1);
	MUST(recv(fd, &byte, 1, 0) == 1);
	close(fd);
}

static void await(struct pollfd *p)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (poll(p, 1, PATIENCE_MS) > 0)
			return;
		ask_something_else();
	}
	MUST(poll(p, 1, 0) > 0); /* else: it keeps a connection that has ended */
}

/* Sends what there is room for, takes what comes, closes our side behind the last byte. */
static void talk(int fd, const uint8_t *data, size_t n, struct buf *got)
{
	bool open = true;
	size_t sent = 0;

	while (open) {
		struct pollfd p = {.fd = fd, .events = POLLIN | (sent < n ? POLLOUT : 0)};
		char bytes[65536];
		ssize_t k;

		await(&p);
		if ((p.revents & POLLOUT) != 0 && sent < n) {
			k = send(fd, data + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
			sent = k > 0 ? sent + (size_t)k : n;
			if (sent == n)
				shutdown(fd, SHUT_WR);
		}
		if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
			k = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
			open = k > 0;
			if (k > 0)
				buf_append(got, bytes, (size_t)k);
		}
	}
}

static void check_head(const struct buf *got)
{
	const char *s = (const char *)got->bytes;

	if (got->size < 13)
		return;
	MUST(memcmp(s, "HTTP/1.1 ", 9) == 0 && s[9] >= '1' && s[9] <= '5' && s[12] == ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct buf sent, got;
	char kind = n > 0 ? (char)data[0] : 'h';
	int fd;

	if (n < 2 || n > INPUT_MAX)
		return 0;
	buf_init(&sent, INPUT_MAX + sizeof preface);
	buf_init(&got, (size_t)1 << 26);
	if (kind == '2')
		buf_append(&sent, preface, sizeof preface - 1);
	buf_append(&sent, data + 1, n - 1);
	fd = dial(kind == 's' ? guarded_port : plain_port);
	talk(fd, sent.bytes, sent.size, &got);
	close(fd);
	if (kind != '2')
		check_head(&got);
	if (kind == 's' && got.size > 0)
		MUST(memmem(got.bytes, got.size, CANARY, strlen(CANARY)) == NULL);
	buf_fini(&sent);
	buf_fini(&got);
	return 0;
}
