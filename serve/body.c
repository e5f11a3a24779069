/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sending a body.  Two ways: sendfile(2) or what is faster (pipe.c) under h2o's feet on plain HTTP/1.1, and
 * slices of memory (a mapped file, or a buffer filled by pread) handed to h2o for
 * everything else.
 *
 *   start -> proceed -> ... -> finish | fail
 *               \-> wait (growing object) -> wake -> proceed
 *
 * Invariant: the request is freed inside h2o_send(FINAL or ERROR), so nothing is
 * touched behind it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/sockios.h>

#include "base/counter.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rcu.h"
#include "serve/inner.h"
#include "serve/trip.h"

#define BUFFER (64 << 10)
#define TURN (3 << 19) /* of sendfile, before the neighbours have theirs: a usual segment */

static void proceed(struct serve_request *r);

static void made_progress(struct serve_request *r)
{
	r->progress = true;
}

/* --- waiting for bytes ------------------------------------------------------------- */

static void waiter_unref(struct serve_waiter *w)
{
	if (atomic_fetch_sub(&w->refs, 1) > 1)
		return;
	mailbox_unref(w->mailbox);
	free(w);
}

static struct serve_waiter *waiter_new(struct serve_request *r)
{
	struct serve_waiter *w = mem_new(sizeof *w);

	w->refs = 1;
	w->mailbox = r->lane->mailbox;
	atomic_fetch_add(&w->mailbox->refs, 1);
	w->request = r;
	return w;
}

void body_make_waiter(struct serve_request *r)
{
	if (r->waiter == NULL)
		r->waiter = waiter_new(r);
}

void body_begin_wait(struct serve_request *r)
{
	MUST(!r->waiting);
	r->waiting = true;
	watch_begin(r);
}

void body_wait(struct serve_request *r, uint64_t offset, uint64_t length)
{
	body_make_waiter(r);
	body_begin_wait(r);
	atomic_fetch_add(&r->waiter->refs, 1);
	r->object->ops->want(r->object, offset, length, r->waiter);
}

/* Within an RCU section. */
static int source_of(const struct serve_request *r, uint64_t offset, uint64_t *length)
{
	const struct serve_object *o = r->object;

	return r->growing && o->ops->source != NULL ? o->ops->source(r->object, offset, length) : o->fd;
}

/* The next bytes stand in the object's file, so many of `length`; 0: in memory, or nowhere any more. */
static uint64_t on_disk(const struct serve_request *r, uint64_t offset, uint64_t length)
{
	int fd;

	if (!r->growing || r->object->ops->source == NULL)
		return length;
	rcu_read_begin();
	fd = source_of(r, offset, &length);
	rcu_read_end();
	return fd >= 0 && fd == __atomic_load_n(&r->object->fd, __ATOMIC_RELAXED) ? length : 0;
}

/* What of it is read is looked at later: a reply may need none. */
void body_wait_open(struct serve_request *r)
{
	r->opened = true;
	body_make_waiter(r);
	body_begin_wait(r);
	disk_open(r->lane->serve->disk, r->object, serve_waiter_ref(r->waiter));
}

bool body_wait_disk(struct serve_request *r, uint64_t offset, uint64_t length)
{
	length = on_disk(r, offset, length);
	if (length == 0)
		return false;
	if (disk_warm(r->lane, r->object, offset, length < TURN ? length : TURN) > 0)
		return false;
	counters_add(r->lane->serve->counters, C_DISK_WAITS, 1);
	body_make_waiter(r);
	body_begin_wait(r);
	disk_fetch(r->lane->serve->disk, r->object, offset, length, serve_waiter_ref(r->waiter));
	return true;
}

void body_wake(struct serve_waiter *w, int error)
{
	w->error = error;
	serve_wake(w);
}

struct serve_waiter *serve_waiter_ref(struct serve_waiter *w)
{
	atomic_fetch_add(&w->refs, 1);
	return w;
}

struct serve_request *serve_waiter_request(struct serve_waiter *w)
{
	return w->request;
}

void serve_wake(struct serve_waiter *w)
{
	struct mailbox *m = w->mailbox;
	bool sent = false;

	pthread_mutex_lock(&m->lock);
	if (m->open) {
		h2o_multithread_send_message(&m->receiver, &w->message); /* the reference goes with it */
		sent = true;
	}
	pthread_mutex_unlock(&m->lock);
	if (!sent)
		waiter_unref(w);
}

void body_on_messages(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
	while (!h2o_linklist_is_empty(messages)) {
		struct serve_waiter *w = H2O_STRUCT_FROM_MEMBER(struct serve_waiter, message.link, messages->next);
		struct serve_request *r = w->request;

		h2o_linklist_unlink(&w->message.link);
		if (r != NULL && r->waiting) {
			int error = w->error;

			w->error = 0;
			r->waiting = false;
			watch_end(r);
			made_progress(r);
			if (error < 0 && !r->replied && r->object != NULL && !object_is_open(r->object) && error != ERR_CANCELLED)
				object_not_opened(r, error);
			else if (error < 0)
				body_fail(r, error);
			else
				r->resume(r);
		}
		waiter_unref(w);
	}
}

/* --- ends -------------------------------------------------------------------------- */

static void cork(struct serve_request *r, int on)
{
	(void)setsockopt(h2o_socket_get_fd(r->conn->sock), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

void body_fail(struct serve_request *r, int error)
{
	r->waiting = false;
	watch_end(r);
	r->conn->sending = NULL;
	if (!r->replied) {
		r->growing = false; /* the text of the error is all here */
		request_refuse(r, error == ERR_TIMEOUT ? 504 : error == ERR_CANCELLED ? 503 : 502);
		return;
	}
	r->cut = true;
	counters_add(r->lane->serve->counters, C_CUT_FAILED, 1);
	h2o_send(r->req, NULL, 0, H2O_SEND_STATE_ERROR);
}

void body_leave(struct serve_request *r)
{
	r->stopped = true;
	r->waiting = false;
	watch_end(r);
	if (r->replied) {
		h2o_send(r->req, NULL, 0, H2O_SEND_STATE_ERROR);
		return;
	}
	r->growing = false;
	r->req->http1_is_persistent = 0;
	request_refuse(r, 499); /* nobody reads it: for the log */
}

size_t body_under_way(const struct serve_request *r)
{
	h2o_socket_t *sock = r->conn->sock;
	int64_t acknowledged = trip_acknowledged(h2o_socket_get_fd(sock));

	return acknowledged >= 0 && (size_t)acknowledged < sock->bytes_written ? sock->bytes_written - (size_t)acknowledged : 0;
}

/* While it runs, at a moment when h2o has nothing of it left. */
static void tell_on_the_way(struct serve_request *r)
{
	size_t sent = r->req->bytes_sent, lost;

	if (r->object == NULL || r->object->ops->sent == NULL || sent <= r->told_sent)
		return;
	lost = r->body.by_sendfile ? body_under_way(r) : 0;
	if (sent > lost)
		body_tell_sent(r, sent - lost);
}

void body_tell_sent(struct serve_request *r, size_t sent)
{
	struct serve_object *o = r->object;
	size_t told = r->told_sent;

	if (o == NULL || o->ops->sent == NULL || sent <= told || (r->req->res.status != 200 && r->req->res.status != 206))
		return;
	r->told_sent = sent;
	o->ops->sent(o, r, sent - told, told == 0);
}

/* The request ends, sent whole or not. */
void body_release(struct serve_request *r)
{
	h2o_timeout_unlink(&r->stall);
	watch_end(r);
	later_release(r);
	beside_release(r);
	if (r->conn->sending == r)
		r->conn->sending = NULL;
	if (r->waiter != NULL) {
		r->waiter->request = NULL;
		waiter_unref(r->waiter);
		r->waiter = NULL;
	}
}

static int64_t least_of(const struct serve_request *r)
{
	const struct serve_settings *settings = &r->lane->serve->settings;
	uint64_t least = __atomic_load_n(&settings->min_rate, __ATOMIC_RELAXED) * (uint64_t)(settings->stall_timeout / DUR_MS) / 1000;

	return least > 0 ? (int64_t)least : 1;
}

/* Has the viewer made no room on HTTP/2 for the bytes that this reply has? */
static bool is_shut_out(struct serve_request *r)
{
	size_t taken = r->req->bytes_sent - r->seen_sent;

	r->seen_sent = r->req->bytes_sent;
	return r->req->version >= 0x200 && r->replied && (int64_t)taken < least_of(r) && h2_is_shut(r->req);
}

/* Does the viewer take too little?  Its kernel's and ours hold bytes it could have had. */
static bool is_too_slow(struct serve_request *r)
{
	h2o_socket_t *sock = r->conn->sock;
	int64_t taken;
	int queued = 0, before = r->seen_queued;

	(void)ioctl(h2o_socket_get_fd(sock), SIOCOUTQ, &queued);
	taken = (int64_t)(sock->bytes_written - r->seen_written) + before - queued;
	r->seen_queued = queued;
	r->seen_written = sock->bytes_written;
	return before >= 0 && queued > 0 && taken < least_of(r);
}

/* Every stall_timeout as long as the reply runs. */
void body_on_stall(h2o_timeout_entry_t *e)
{
	struct serve_request *r = H2O_STRUCT_FROM_MEMBER(struct serve_request, stall, e);
	bool taking = intake_is_taking(r), stalled = taking ? intake_is_slow(r) : r->waiting ? !r->progress : is_too_slow(r);
	struct linger at_once = {.l_onoff = 1};
	int fd = h2o_socket_get_fd(r->conn->sock);

	r->progress = false;
	if (!stalled && !r->waiting && is_shut_out(r)) {
		counters_add(r->lane->serve->counters, C_CUT_STALLED, 1);
		h2_cut(r->req);
		return;
	}
	if (!stalled) {
		h2o_timeout_link(r->lane->loop, &r->lane->stall, &r->stall);
		return;
	}
	counters_add(r->lane->serve->counters, C_CUT_STALLED, 1);
	if (taking) {
		intake_fail(r, ERR_TIMEOUT);
		return;
	}
	if (r->waiting) {
		body_fail(r, ERR_TIMEOUT);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* what is queued is dropped, not sent for hours */
	shutdown(fd, SHUT_RDWR); /* h2o finds out by itself */
}

/* --- by sendfile ------------------------------------------------------------------- */

static void on_writable(h2o_socket_t *sock, const char *err)
{
	struct conn *c = sock->on_close.data;
	struct serve_request *r = c->sending;

	MUST(r != NULL);
	c->sending = NULL;
	if (err != NULL)
		body_fail(r, -EPIPE);
	else
		proceed(r);
}

static void await_room(struct serve_request *r)
{
	r->conn->sending = r;
	h2o_socket_notify_write(r->conn->sock, on_writable);
}

static void finish_sendfile(struct serve_request *r)
{
	cork(r, 0);
	h2o_send(r->req, NULL, 0, H2O_SEND_STATE_FINAL);
}

static int64_t arrived(struct serve_request *r, const struct span *s)
{
	return r->growing ? r->object->ops->ready(r->object, s->offset, s->left) : (int64_t)s->left;
}

/* How much may be sent from the span now, at most `max`; 0: wait; negative: never. */
static int64_t available(struct serve_request *r, const struct span *s, uint64_t max)
{
	int64_t n = arrived(r, s);
	uint64_t here;

	if (n > (int64_t)max)
		n = (int64_t)max;
	if (n > (int64_t)s->left)
		n = (int64_t)s->left;
	here = n > 0 && r->body.on_disk ? on_disk(r, s->offset, (uint64_t)n) : 0;
	return here > 0 ? (int64_t)disk_warm(r->lane, r->object, s->offset, here) : n;
}

/* Nothing is available: for want of bytes, or of reading them.  False: now something is. */
static bool await_bytes(struct serve_request *r, const struct span *s)
{
	int64_t n = arrived(r, s);

	if (n > 0)
		return body_wait_disk(r, s->offset, (uint64_t)n < s->left ? (uint64_t)n : s->left);
	if (n == 0)
		body_wait(r, s->offset, s->left);
	return n == 0;
}

/* Sends up to n bytes that are available; 0: they have gone again.  *ret_full: as of pipe_send. */
static ssize_t send_some(struct serve_request *r, const struct span *s, uint64_t n, bool *ret_full)
{
	ssize_t sent;
	int from;

	*ret_full = false;
	rcu_read_begin();
	from = source_of(r, s->offset, &n);
	sent = from < 0 ? 0 : pipe_send(r->conn, from, s->offset, (size_t)n, ret_full);
	if (sent == 0 && from >= 0) {
		sent = -1;
		errno = ENODATA; /* the file is shorter than it is said to be */
	}
	rcu_read_end();
	return sent;
}

static void run_sendfile(struct serve_request *r)
{
	struct span *s = &r->body.spans[0];
	h2o_socket_t *sock = r->conn->sock;
	uint64_t budget = TURN;
	bool full = false;

	while (s->left > 0 && budget > 0 && !full) {
		int64_t n = available(r, s, budget);
		ssize_t sent;

		if (n < 0) {
			body_fail(r, (int)n);
			return;
		}
		if (n == 0) {
			cork(r, 0); /* what is here goes out */
			if (await_bytes(r, s))
				return;
			continue;
		}
		sent = send_some(r, s, (uint64_t)n, &full);
		if (sent > 0) {
			s->offset += (uint64_t)sent;
			s->left -= (uint64_t)sent;
			budget -= (uint64_t)sent;
			r->req->bytes_sent += (size_t)sent;
			sock->bytes_written += (size_t)sent;
			continue;
		}
		if (sent == 0 || errno == EINTR)
			continue;
		if (errno != EAGAIN) {
			body_fail(r, errno == ENODATA ? ERR_TRUNCATED : -errno);
			return;
		}
		break;
	}
	if (s->left == 0)
		finish_sendfile(r);
	else
		await_room(r);
}

/* --- by memory --------------------------------------------------------------------- */

/* As pread(2); *ret_gone: the bytes have gone again. */
static ssize_t read_some(struct serve_request *r, uint64_t offset, void *buffer, size_t n, bool *ret_gone)
{
	uint64_t length = n;
	ssize_t got;
	int from;

	rcu_read_begin();
	from = source_of(r, offset, &length);
	*ret_gone = from < 0;
	do
		got = from < 0 ? 0 : pread(from, buffer, (size_t)length, (off_t)offset);
	while (got < 0 && errno == EINTR);
	rcu_read_end();
	return got;
}

/* Points `ret` to the next bytes of the span, at most `n`; none when they have gone again. */
static int fill(struct serve_request *r, const struct span *s, size_t n, h2o_iovec_t *ret)
{
	ssize_t got;
	bool gone;

	if (r->body.view != NULL) {
		*ret = h2o_iovec_init(r->body.view + s->offset, n);
		return 0;
	}
	if (r->body.buffer == NULL)
		r->body.buffer = h2o_mem_alloc_pool(&r->req->pool, BUFFER);
	got = read_some(r, s->offset, r->body.buffer, n < BUFFER ? n : BUFFER, &gone);
	if (got <= 0 && !gone)
		return got < 0 ? -errno : ERR_TRUNCATED;
	*ret = h2o_iovec_init(r->body.buffer, (size_t)got);
	return 0;
}

/* Gathers what goes out next: 0 and *ret_n vectors (none: wait), or an error. */
static int gather(struct serve_request *r, h2o_iovec_t vec[static 2], size_t *ret_n)
{
	struct span *s = &r->body.spans[r->body.at];
	int64_t n = s->left > 0 ? available(r, s, BODY_SLICE) : 0;
	int error;

	*ret_n = 0;
	if (n < 0)
		return (int)n;
	if (s->text_n > 0) {
		vec[(*ret_n)++] = h2o_iovec_init(s->text, s->text_n);
		s->text_n = 0;
	}
	if (n > 0) {
		error = fill(r, s, (size_t)n, &vec[*ret_n]);
		if (error < 0)
			return error;
		s->offset += vec[*ret_n].len;
		s->left -= vec[*ret_n].len;
		*ret_n += vec[*ret_n].len > 0;
	}
	return 0;
}

static void run_memory(struct serve_request *r)
{
	struct span *s;
	h2o_iovec_t vec[2];
	size_t n;
	int error;

	if (r->body.at == r->body.n) { /* no body */
		h2o_send(r->req, NULL, 0, H2O_SEND_STATE_FINAL);
		return;
	}
	s = &r->body.spans[r->body.at];
	error = gather(r, vec, &n);
	if (error < 0) {
		body_fail(r, error);
		return;
	}
	if (n == 0) {
		if (!await_bytes(r, s))
			run_memory(r);
		return;
	}
	if (s->left == 0 && s->text_n == 0)
		r->body.at++;
	h2o_send(r->req, vec, n, r->body.at == r->body.n ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

/* --- both -------------------------------------------------------------------------- */

static void proceed(struct serve_request *r)
{
	made_progress(r);
	tell_on_the_way(r);
	if (r->stream != NULL)
		stream_run(r);
	else if (r->body.by_sendfile)
		run_sendfile(r);
	else
		run_memory(r);
}

static void on_proceed(h2o_generator_t *g, h2o_req_t *req)
{
	proceed(H2O_STRUCT_FROM_MEMBER(struct serve_request, generator, g));
}

static void on_stop(h2o_generator_t *g, h2o_req_t *req)
{
	H2O_STRUCT_FROM_MEMBER(struct serve_request, generator, g)->stopped = true;
}

/* The header shares a packet with the first bytes, whoever sends it. */
static void start_sendfile(struct serve_request *r)
{
	struct lane *l = r->lane;
	const int *watched;
	int begun;

	/* sendfile pushes after every 64 KB, which are no multiple of what goes in one packet: uncorked, a crumb follows each */
	cork(r, 1);
	begun = head_begin(r);
	if (begun == 0)
		run_sendfile(r);
	if (begun >= 0)
		return;
	watched = head_watch(r);
	h2o_send(r->req, NULL, 0, H2O_SEND_STATE_IN_PROGRESS);
	head_learn(l, watched);
}

static bool may_sendfile(const struct serve_request *r)
{
	return r->req->version < 0x200 && r->conn->sock->ssl == NULL && r->body.n == 1 && r->body.spans[0].text_n == 0 &&
	       r->req->_ostr_top->next == NULL;
}

void body_start(struct serve_request *r)
{
	struct body *b = &r->body;
	struct lane *l = r->lane;
	const int *watched;

	if (r->first_byte == 0)
		r->first_byte = clock_mono();
	r->generator = (h2o_generator_t){on_proceed, on_stop};
	r->resume = proceed;
	if (r->is_head || r->req->res.status == 204 || r->req->res.status == 304)
		b->n = 0;
	request_add(r, H2O_TOKEN_SERVER, l->serve->settings.name);
	trace_answer(r);
	h2o_start_response(r->req, &r->generator);
	if (r->stream != NULL) {
		stream_run(r);
		return;
	}
	if (b->n > 0 && b->view == NULL) {
		bool sendfile_fits = may_sendfile(r);

		if (!r->growing && (!sendfile_fits || b->spans[0].left <= SMALL_BODY || object_is_memory(r->object)))
			b->view = object_view(r->object);
		b->by_sendfile = b->view == NULL && sendfile_fits;
		b->on_disk = !object_is_copied(r->object);
	}
	if (!b->by_sendfile) {
		if (head_send(r))
			return;
		watched = head_watch(r);
		run_memory(r);
		head_learn(l, watched);
		return;
	}
	start_sendfile(r);
}
