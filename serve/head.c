/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small replies of HTTP/1.1 without TLS in one sendmsg(2) of ours, and the heads of
 * those that sendfile(2) brings.  h2o prints the head of every reply, and learns at its
 * loop's next turn only that the kernel took it all: for a manifest that is a quarter of
 * what this process does, for a segment half.
 *
 * h2o is told that the head is out by the word of its connection that says so: it
 * stands behind the last ostream (lib/http1.c of libh2o 0.13).  Every loop sees h2o
 * set it with its first reply, and leaves all to h2o when it does not or when libh2o
 * is another.  Invariant: either nothing was sent, or the request has ended.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/inner.h"

#define MAX_HEAD 2048

struct last_ostream {
	h2o_ostream_t super;
	int sent_headers;
};

static struct last_ostream *last_of(const struct serve_request *r)
{
	return (struct last_ostream *)(void *)r->req->_ostr_top;
}

/* Is it of the kind that we know, and the request all that was asked (the end of one reply begins the next: no
 * recursion over a pipeline)? */
static bool is_plain(const struct serve_request *r)
{
	const h2o_req_t *req = r->req;

	return H2O_LIBRARY_VERSION_MAJOR == 0 && H2O_LIBRARY_VERSION_MINOR == 13 && r->object != NULL && r->asked_alone && r->conn->sock->ssl == NULL &&
	       req->http1_is_persistent && req->_ostr_top->next == NULL;
}

/* And is all of it here? */
static bool is_fit(const struct serve_request *r)
{
	const struct body *b = &r->body;
	const struct span *s = b->spans;

	if (!is_plain(r) || r->growing)
		return false;
	return b->n == 0 || (b->n == 1 && b->view != NULL && s->text_n == 0 && s->left <= SMALL_BODY &&
	                     (!b->on_disk || disk_warm(r->lane, r->object, s->offset, s->left) == s->left));
}

/* --- the head ---------------------------------------------------------------------- */

static char *put(char *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}
#define PUT(p, s) put(p, s, sizeof s - 1)

static char *put_number(char *p, uint64_t v)
{
	char digits[20], *d = digits + sizeof digits;

	do
		*--d = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	return put(p, d, (size_t)(digits + sizeof digits - d));
}

static char *put_date(char *p, struct lane *l)
{
	int64_t second = h2o_get_timestamp(&l->ctx, NULL, NULL)->tv_sec;

	if (l->head.second != second) {
		clock_to_http(second * DUR_S, l->head.date);
		l->head.second = second;
	}
	return put(p, l->head.date, sizeof "Fri, 02 Jan 2026 03:04:05 GMT" - 1);
}

/* As h2o writes it.  0: it is too long for `out`. */
static size_t print(const struct serve_request *r, char out[static MAX_HEAD])
{
	const h2o_res_t *res = &r->req->res;
	size_t size = 160 + strlen(res->reason);
	char *p = out;

	for (size_t i = 0; i < res->headers.size; i++)
		size += res->headers.entries[i].name->len + res->headers.entries[i].value.len + 4;
	if (size > MAX_HEAD)
		return 0;
	p = PUT(p, "HTTP/1.1 ");
	p = put_number(p, (uint64_t)res->status);
	*p++ = ' ';
	p = put(p, res->reason, strlen(res->reason));
	p = PUT(p, "\r\nDate: ");
	p = put_date(p, r->lane);
	p = PUT(p, "\r\nConnection: keep-alive\r\n");
	if (res->content_length != SIZE_MAX) {
		p = PUT(p, "Content-Length: ");
		p = put_number(p, res->content_length);
		p = PUT(p, "\r\n");
	}
	for (size_t i = 0; i < res->headers.size; i++) {
		const h2o_header_t *h = &res->headers.entries[i];

		p = put(p, h->name->base, h->name->len);
		p = PUT(p, ": ");
		p = put(p, h->value.base, h->value.len);
		p = PUT(p, "\r\n");
	}
	p = PUT(p, "\r\n");
	return (size_t)(p - out);
}

/* --- sending ----------------------------------------------------------------------- */

/* What the kernel had no room for is h2o's to send. */
static void send_rest(struct serve_request *r, const struct iovec v[static 2], size_t sent)
{
	size_t of_head = sent < v[0].iov_len ? sent : v[0].iov_len, of_body = sent - of_head, n = 0;
	h2o_iovec_t rest[2];

	r->req->bytes_sent += of_body;
	if (of_head < v[0].iov_len) {
		rest[n++] = h2o_strdup(&r->req->pool, (const char *)v[0].iov_base + of_head, v[0].iov_len - of_head);
		r->req->bytes_sent -= rest[0].len; /* h2o_send takes it for body */
	}
	if (of_body < v[1].iov_len)
		rest[n++] = h2o_iovec_init((const char *)v[1].iov_base + of_body, v[1].iov_len - of_body);
	h2o_send(r->req, rest, n, H2O_SEND_STATE_FINAL);
}

/* As sendmsg(2), of which libc makes a point where the thread may be cancelled: two locked instructions that nobody here needs. */
static ssize_t send_both(int fd, const struct msghdr *m)
{
	ssize_t sent;

	do
		sent = syscall(SYS_sendmsg, fd, m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

bool head_send(struct serve_request *r)
{
	h2o_socket_t *sock = r->conn->sock;
	struct body *b = &r->body;
	char head[MAX_HEAD];
	struct iovec v[2] = {{.iov_base = head}};
	struct msghdr m = {.msg_iov = v};
	ssize_t sent;

	if (r->lane->head.trust <= 0 || !is_fit(r) || (v[0].iov_len = print(r, head)) == 0)
		return false;
	if (b->n > 0)
		v[1] = (struct iovec){.iov_base = (void *)(uintptr_t)(b->view + b->spans->offset), .iov_len = b->spans->left};
	m.msg_iovlen = b->n > 0 ? 2 : 1;
	sent = send_both(h2o_socket_get_fd(sock), &m);
	if (sent < 0)
		return false; /* no room at all, or nobody there: h2o finds out */
	last_of(r)->sent_headers = 1;
	sock->bytes_written += (size_t)sent;
	send_rest(r, v, (size_t)sent);
	return true;
}

int head_begin(struct serve_request *r)
{
	h2o_socket_t *sock = r->conn->sock;
	char head[MAX_HEAD];
	h2o_iovec_t rest;
	ssize_t sent;
	size_t n;

	if (r->lane->head.trust <= 0 || !is_plain(r) || (n = print(r, head)) == 0)
		return -1;
	do
		sent = send(h2o_socket_get_fd(sock), head, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -1;
	last_of(r)->sent_headers = 1;
	sock->bytes_written += (size_t)sent;
	if ((size_t)sent == n)
		return 0;
	rest = h2o_strdup(&r->req->pool, head + sent, n - (size_t)sent);
	r->req->bytes_sent -= rest.len; /* h2o_send takes it for body */
	h2o_send(r->req, &rest, 1, H2O_SEND_STATE_IN_PROGRESS);
	return 1;
}

/* --- trust ------------------------------------------------------------------------- */

const int *head_watch(const struct serve_request *r)
{
	return r->lane->head.trust == 0 && (r->body.by_sendfile ? is_plain(r) : is_fit(r)) && last_of(r)->sent_headers == 0 ? &last_of(r)->sent_headers : NULL;
}

void head_learn(struct lane *l, const int *watched)
{
	if (watched != NULL)
		l->head.trust = *watched == 1 ? 1 : -1;
}
