/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bodies that are taken as they come, of any size, in a buffer's worth of memory.  libh2o collects a body before it calls
 * a handler; here the handler is called when the head is in, and the rest is read for it:
 *
 *  - HTTP/1.1: serve/parse.c shows libh2o a length of 0 and puts the true one in store (struct parse_body); the bytes
 *    behind the head are read by us, off the same socket, before the reply begins, so libh2o goes on behind them.
 *  - HTTP/2: libh2o makes room for every frame by a call that is bound when the program starts, and finds the function
 *    below, which hands over what the frames before it left and empties the buffer.  A reply that is ready before
 *    the body's end is held until the next frame, and goes out in place of the reset that libh2o makes of a refused one (h2.c).
 *
 * Invariant: ops->end is called exactly once for every serve_take_body, by the body's end, its failure or its client's leaving.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/mem.h"
#include "base/must.h"
#include "serve/chunks.h"
#include "serve/inner.h"

#define MAX_LEFTOVERS 64 /* they are no connection that counts */
#define UNREAD_MAX ((uint64_t)16 << 20) /* of a body that nobody takes: read past, so that the client comes to the reply */

struct intake {
	const struct serve_intake_ops *ops; /* NULL: nobody has asked for the body, or it was ended */
	void *ctx;
	struct serve_request *request; /* NULL: it cannot be answered any more */
	uint64_t left;        /* UINT64_MAX: not known */
	uint64_t taken, seen; /* bytes; at the last look */
	size_t head_n;        /* HTTP/1.1: bytes of the head, in front of the body in the socket's buffer */
	struct chunks chunks;
	bool chunked, expects, reading, ended;
};

/* --- both -------------------------------------------------------------------------- */

/* The body's end, or what kept it from coming. */
static void end(struct intake *in, int error)
{
	const struct serve_intake_ops *ops = in->ops;

	in->ops = NULL;
	in->reading = false;
	if (ops != NULL)
		ops->end(in->ctx, in->request, error);
}

bool serve_body_is_coming(const struct serve_request *r)
{
	return r->intake != NULL && !r->intake->ended;
}

uint64_t serve_body_size(const struct serve_request *r)
{
	return serve_body_is_coming(r) ? r->intake->left : r->req->entity.base != NULL ? r->req->entity.len : 0;
}

static void release(struct serve_request *r)
{
	struct intake *in = r->intake;

	if (in == NULL)
		return;
	if (r->conn->taking == r)
		r->conn->taking = NULL;
	if (h2o_linklist_is_linked(&r->intake_link))
		h2o_linklist_unlink(&r->intake_link);
	in->request = NULL; /* nothing more can be answered */
	end(in, ERR_CANCELLED);
	r->intake = NULL;
}

bool intake_is_slow(const struct serve_request *r)
{
	struct intake *in = r->intake;
	uint64_t rate = __atomic_load_n(&r->lane->serve->settings.min_rate, __ATOMIC_RELAXED), came = in->taken - in->seen;

	in->seen = in->taken;
	return came < rate * (uint64_t)(r->lane->serve->settings.stall_timeout / DUR_MS) / 1000;
}

/* --- HTTP/1.1 ---------------------------------------------------------------------- */

static void stop_reading(struct serve_request *r)
{
	h2o_socket_read_stop(r->conn->sock);
	r->conn->taking = NULL;
}

void intake_fail(struct serve_request *r, int error)
{
	struct intake *in = r->intake;

	if (r->req->version >= 0x200) { /* no reply can be sent: the connection ends, and with it its requests */
		shutdown(h2o_socket_get_fd(r->conn->sock), SHUT_RDWR);
		return;
	}
	stop_reading(r);
	in->request = NULL;
	end(in, error);
	r->req->http1_is_persistent = 0;
	in->ended = true; /* there is nothing to read past */
	request_refuse(r, error == ERR_TIMEOUT ? 408 : 400);
}

/* What of the body stands in the socket's buffer: where, and *ret_n bytes; *ret_rest bytes behind them are the next
 * request's.  NULL: it cannot be read. */
static const char *next_bytes(struct serve_request *r, size_t *ret_n, size_t *ret_rest)
{
	struct intake *in = r->intake;
	h2o_buffer_t *b = r->conn->sock->input;
	char *bytes = b->bytes + in->head_n;
	size_t n = b->size - in->head_n;
	ssize_t rest = 0;

	*ret_rest = 0;
	if (in->chunked) {
		*ret_n = n;
		rest = chunks_decode(&in->chunks, bytes, ret_n);
		in->ended = rest >= 0;
		*ret_rest = rest > 0 ? (size_t)rest : 0;
		return rest == -1 ? NULL : bytes;
	}
	*ret_n = n < in->left ? n : (size_t)in->left;
	*ret_rest = n - *ret_n;
	in->left -= *ret_n;
	in->ended = in->left == 0;
	return bytes;
}

/* Hands over what is here.  The request may have been answered afterwards. */
static void feed(struct serve_request *r)
{
	struct intake *in = r->intake;
	h2o_socket_t *sock = r->conn->sock;
	size_t n, rest;
	const char *bytes = next_bytes(r, &n, &rest);
	int error;

	if (bytes == NULL) {
		intake_fail(r, ERR_SYNTAX);
		return;
	}
	in->taken += n;
	error = n > 0 ? in->ops->take(in->ctx, bytes, n) : 0;
	memmove(sock->input->bytes + in->head_n, bytes + n, rest);
	sock->input->size = in->head_n + rest;
	if (!in->ended && error == 0)
		return;
	stop_reading(r);
	end(in, error);
}

static void on_bytes(h2o_socket_t *sock, const char *err)
{
	struct conn *c = sock->on_close.data;

	if (c->taking == NULL)
		h2o_socket_read_stop(sock);
	else if (err != NULL)
		intake_fail(c->taking, ERR_CANCELLED);
	else
		feed(c->taking);
}

static void begin_reading(struct serve_request *r)
{
	r->conn->taking = r;
	h2o_socket_read_start(r->conn->sock, on_bytes);
	feed(r); /* what came with the head */
}

static void on_told(h2o_socket_t *sock, const char *err)
{
	struct conn *c = sock->on_close.data;

	if (err != NULL)
		intake_fail(c->taking, ERR_CANCELLED);
	else
		begin_reading(c->taking);
}

/* RFC 9110 10.1.1; not when the client has begun already. */
static void tell_to_go_on(struct serve_request *r)
{
	static h2o_iovec_t go_on = {(char *)(uintptr_t)"HTTP/1.1 100 Continue\r\n\r\n", 25};

	r->conn->taking = r;
	h2o_socket_write(r->conn->sock, &go_on, 1, on_told);
}

static struct intake *begin(struct serve_request *r, uint64_t length)
{
	struct intake *in = r->intake = h2o_mem_alloc_pool(&r->req->pool, sizeof *in);

	memset(in, 0, sizeof *in);
	in->request = r;
	in->left = length;
	return in;
}

void intake_begin_1(struct serve_request *r, const struct parse_body *body)
{
	struct intake *in = begin(r, body->chunked ? UINT64_MAX : body->length);

	in->head_n = body->head_n;
	in->chunked = body->chunked;
	in->expects = body->expects;
}

void serve_take_body(struct serve_request *r, const struct serve_intake_ops *ops, void *ctx)
{
	struct intake *in = r->intake;
	size_t n;
	const void *bytes = serve_body(r, &n);

	if (!serve_body_is_coming(r)) { /* it is all here */
		ops->end(ctx, r, n > 0 ? ops->take(ctx, bytes, n) : 0);
		return;
	}
	in->ops = ops;
	in->ctx = ctx;
	in->reading = true;
	if (r->req->version >= 0x200)
		return; /* by the next frames */
	if (in->expects && r->conn->sock->input->size == in->head_n)
		tell_to_go_on(r);
	else
		begin_reading(r);
}

bool intake_is_taking(const struct serve_request *r)
{
	return r->intake != NULL && r->intake->reading;
}

/* --- HTTP/2 ------------------------------------------------------------------------ */

void intake_begin_2(struct serve_request *r, uint64_t length)
{
	begin(r, length);
	h2o_linklist_insert(&r->lane->intakes, &r->intake_link);
}

bool intake_take_2(struct serve_request *r, const void *bytes, size_t n)
{
	struct intake *in = r->intake;
	int error;

	in->taken += n;
	r->conn->sends = true;
	r->conn->taken = clock_mono(); /* it does not drip: its own rate is looked at */
	if (in->left != UINT64_MAX)
		in->left -= n < in->left ? n : in->left;
	if (in->ops == NULL)
		return in->taken <= UNREAD_MAX;
	error = n > 0 ? in->ops->take(in->ctx, bytes, n) : 0;
	if (error != 0)
		end(in, error); /* whose reply is held */
	return true;
}

void intake_let_go(struct serve_request *r)
{
	MUST(r->held);
	r->held = false;
	r->intake->ended = true; /* the rest is dropped */
	body_start(r);
}

/* RFC 9113 8.1.1: a length that was told is the body's. */
void intake_finish_2(struct serve_request *r)
{
	struct intake *in = r->intake;
	size_t n;
	const void *bytes = serve_body(r, &n);
	uint64_t left = in->left;

	(void)intake_take_2(r, bytes, n);
	in->ended = true;
	if (in->ops != NULL && left != UINT64_MAX && left != n) {
		in->request = NULL;
		end(in, ERR_TRUNCATED);
		request_refuse(r, 400);
	} else if (in->ops != NULL) {
		end(in, 0);
	} else {
		MUST(r->held);
		body_start(r);
	}
}

/* --- a body that nobody takes ------------------------------------------------------ */

/* A connection that we would close over bytes that were not read is reset by the kernel, and the reply in it is lost
 * to a client that is still sending.  So what comes is read past for a while, by a descriptor of its own. */
struct leftover {
	h2o_socket_t *sock;
	h2o_timeout_entry_t limit;
	h2o_linklist_t link; /* in lane->leftovers */
	struct lane *lane;
	uint64_t n;
};

static void leftover_end(struct leftover *o)
{
	o->lane->n_leftovers--;
	h2o_timeout_unlink(&o->limit);
	h2o_linklist_unlink(&o->link);
	h2o_socket_close(o->sock);
	free(o);
}

static void on_leftover(h2o_socket_t *sock, const char *err)
{
	struct leftover *o = sock->data;

	o->n += sock->input->size;
	h2o_buffer_consume(&sock->input, sock->input->size);
	if (err != NULL || o->n > 64 * UNREAD_MAX)
		leftover_end(o);
}

static void on_leftover_limit(h2o_timeout_entry_t *e)
{
	leftover_end(H2O_STRUCT_FROM_MEMBER(struct leftover, limit, e));
}

static void read_past(struct serve_request *r)
{
	struct lane *l = r->lane;
	int fd = l->n_leftovers < MAX_LEFTOVERS ? fcntl(h2o_socket_get_fd(r->conn->sock), F_DUPFD_CLOEXEC, 0) : -1;
	struct leftover *o;

	if (fd < 0)
		return;
	l->n_leftovers++;
	shutdown(fd, SHUT_WR); /* the reply is the last that comes */
	o = mem_new(sizeof *o);
	*o = (struct leftover){.lane = l, .sock = h2o_evloop_socket_create(l->loop, fd, 0), .limit.cb = on_leftover_limit};
	o->sock->data = o;
	h2o_linklist_insert(&l->leftovers, &o->link);
	h2o_timeout_link(l->loop, &l->ctx.http1.req_timeout, &o->limit);
	h2o_socket_read_start(o->sock, on_leftover);
}

void intake_end_leftovers(struct lane *l)
{
	while (!h2o_linklist_is_empty(&l->leftovers))
		leftover_end(H2O_STRUCT_FROM_MEMBER(struct leftover, link, l->leftovers.next));
}

/* A reply begins.  True: it is to be held, for the body is still on its way. */
bool intake_reply(struct serve_request *r)
{
	struct intake *in = r->intake;
	size_t n, rest;

	if (in == NULL || in->ended)
		return false;
	in->reading = false;
	if (r->req->version >= 0x200) {
		r->held = true;
		return true;
	}
	if (next_bytes(r, &n, &rest) != NULL && in->ended) { /* small, and here already */
		memmove(r->conn->sock->input->bytes + in->head_n, r->conn->sock->input->bytes + in->head_n + n, rest);
		r->conn->sock->input->size = in->head_n + rest;
		return false;
	}
	r->req->http1_is_persistent = 0;
	return false;
}

/* The reply is out, or its connection gone. */
void intake_over(struct serve_request *r)
{
	if (r->intake != NULL && !r->intake->ended && r->req->version < 0x200 && r->replied && !r->stopped)
		read_past(r);
	release(r);
}
