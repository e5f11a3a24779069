/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lanes: one thread and one h2o loop each, with doors (listening sockets) and the
 * connections that came through them.  Invariant: a lane leaves its loop only
 * when it has no connection left.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/sockios.h>

#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/traceparent.h"
#include "serve/inner.h"
#include "serve/trip.h"
#include "serve/tls.h"

#define ACCEPTS_A_TURN 16
#define TICK_MS 100
#define ACTIVE (500 * DUR_MS)
#define COMING (2 * DUR_S) /* it was let in, and has not asked for anything */
#define LAST_ACCEPTS 64 /* turns */
#define RESTS_AFTER DUR_S
#define FLUSH_TICKS 10
#define LINGER (2 * DUR_S) /* after the limit: time for h2o to take down what was cut */

/* --- connections ------------------------------------------------------------------- */

static void conn_closed(void *data)
{
	struct conn *c = data;

	MUST_MAGIC(c, CONN_MAGIC);
	if (c->counted)
		limit_leave(c->lane->serve->limit, &c->client);
	atomic_fetch_sub_explicit(&c->lane->serve->open, 1, memory_order_relaxed);
	h2o_linklist_unlink(&c->link);
	h2o_timeout_unlink(&c->silence);
	c->magic = 0;
	free(c);
}

static void name_peer(struct conn *c)
{
	struct sockaddr_storage ss = {0};
	const struct sockaddr_in6 *v6 = (void *)&ss;
	const struct sockaddr_in *v4 = (void *)&ss;
	socklen_t len = sizeof ss;

	if (getpeername(h2o_socket_get_fd(c->sock), (struct sockaddr *)&ss, &len) != 0)
		return;
	c->client = limit_client_of((struct sockaddr *)&ss);
	c->counted = true;
	if (ss.ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, c->peer, sizeof c->peer);
		c->loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
	} else if (ss.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], c->peer, sizeof c->peer);
		c->loopback = v6->sin6_addr.s6_addr[12] == 127;
	} else if (ss.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, c->peer, sizeof c->peer);
		c->loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
}

/* --- which protocol ---------------------------------------------------------------- */

/* h2o ties HTTP/2 with prior knowledge to the Upgrade field, which RFC 9113 3.1 has
 * dropped and by which requests slip past proxies: so h2o's is off and we look at
 * the first bytes ourselves. */
static const char preface[] = "PRI * HTTP/2";

static void on_silence(h2o_timeout_entry_t *e)
{
	h2o_socket_close(H2O_STRUCT_FROM_MEMBER(struct conn, silence, e)->sock);
}

static void on_first_bytes(h2o_socket_t *sock, const char *err)
{
	struct conn *c = sock->on_close.data;
	size_t n = sock->input->size < sizeof preface - 1 ? sock->input->size : sizeof preface - 1;
	struct timeval now;

	if (err != NULL) {
		h2o_socket_close(sock);
		return;
	}
	if (memcmp(sock->input->bytes, preface, n) == 0 && n < sizeof preface - 1)
		return; /* more to come */
	now = *h2o_get_timestamp(&c->lane->ctx, NULL, NULL);
	h2o_timeout_unlink(&c->silence);
	h2o_socket_read_stop(sock);
	if (n == sizeof preface - 1 && memcmp(sock->input->bytes, preface, n) == 0)
		h2o_http2_accept(&c->door->accept, sock, now);
	else
		h2o_http1_accept(&c->door->accept, sock, now);
}

/* A certificate that was replaced: from the next connection on, on every loop. */
static void take_context(struct lane *l)
{
	struct serve *s = l->serve;
	unsigned generation = s->tls != NULL ? tls_generation(s->tls) : 0;
	SSL_CTX *old = l->tls;

	if (generation == l->tls_generation)
		return;
	l->tls_generation = generation;
	l->tls = tls_context(s->tls);
	for (size_t i = 0; l->doors != NULL && i < s->n_listeners; i++)
		if (s->listeners[i].tls)
			l->doors[i].accept.ssl_ctx = l->tls;
	SSL_CTX_free(old);
}

static void welcome(struct conn *c)
{
	if (c->door->accept.ssl_ctx != NULL) {
		take_context(c->lane);
		h2o_accept(&c->door->accept, c->sock); /* ALPN says */
		return;
	}
	c->silence.cb = on_silence;
	h2o_timeout_link(c->lane->loop, &c->lane->ctx.http1.req_timeout, &c->silence);
	h2o_socket_read_start(c->sock, on_first_bytes);
}

/* --- doors ------------------------------------------------------------------------- */

/* Over a limit a request still gets its refusal; far over it there is no room even for that. */
static bool far_over(uint64_t n, uint64_t max)
{
	return n > max + max / 4 + 16;
}

/* A full machine turns new viewers away, before those it has are hurt: by the number of
 * connections, by descriptors (files have to be opened too), by loops that are late.
 * False: it has been closed. */
static bool check_limits(struct conn *c, uint64_t open)
{
	struct serve *s = c->lane->serve;
	uint64_t max = __atomic_load_n(&s->settings.max_connections, __ATOMIC_RELAXED);
	uint64_t most = __atomic_load_n(&s->settings.max_per_client, __ATOMIC_RELAXED);
	unsigned mine = c->counted ? limit_enter(s->limit, &c->client) : 0;
	int fd = h2o_socket_get_fd(c->sock);
	unsigned counter;

	if (open <= max && mine <= most && fd < s->max_fd && !c->lane->lag.full)
		return true;
	counter = open > max ? C_SHED_CONNECTIONS : mine > most ? C_CONNECTIONS_REFUSED : fd >= s->max_fd ? C_SHED_FILES : C_SHED_LAG;
	c->refuse = counter == C_CONNECTIONS_REFUSED ? 429 : 503;
	counters_add(s->counters, counter, 1);
	if (!far_over(open, max) && !far_over(mine, most) && fd < s->last_fd)
		return true;
	h2o_socket_close(c->sock);
	return false;
}

static void take_in(struct door *d, h2o_socket_t *sock)
{
	struct serve *s = d->lane->serve;
	int64_t open = atomic_fetch_add_explicit(&s->open, 1, memory_order_relaxed) + 1;
	struct conn *c = mem_new(sizeof *c);

	*c = (struct conn){.magic = CONN_MAGIC, .lane = d->lane, .door = d, .sock = sock, .since = clock_mono()};
	h2o_linklist_insert(&d->lane->conns, &c->link);
	sock->on_close.cb = conn_closed;
	sock->on_close.data = c;
	counters_add(s->counters, C_CONNECTIONS, 1);
	name_peer(c);
	if (check_limits(c, (uint64_t)open))
		welcome(c);
}

static void on_accept(h2o_socket_t *listening, const char *err)
{
	struct door *d = listening->data;

	if (err != NULL)
		return;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		h2o_socket_t *sock = h2o_evloop_socket_accept(listening);

		if (sock != NULL) {
			take_in(d, sock);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* epoll would tell of it again at once: rest until the next tick */
			counters_add(d->lane->serve->counters, C_ACCEPT_FAILED, 1);
			h2o_socket_read_stop(listening);
			d->resting = true;
		}
		return;
	}
}

/* --- noisy ones -------------------------------------------------------------------- */

#define LEFT_A_SECOND 20 /* replies a viewer may give up: seeking and switching take a few */
#define LEFT_AT_ONCE 200

/* h2o ends connections that are idle, and slow requests of HTTP/1.1; one of HTTP/2 that drips a
 * head or a body (or only pings) is never idle, and has no request for us; or it has others meanwhile. */
static bool is_dripping(struct conn *c, mono_us now)
{
	dur_us limit = 2 * c->lane->serve->settings.idle_timeout;

	if (c->h2 != NULL && !h2_is_receiving(c->h2))
		c->taken = now;
	return (c->running == 0 && now - c->since > limit) || (c->h2 != NULL && now - c->taken > limit);
}

#define NOISE_A_SECOND ((uint64_t)1 << 20) /* bytes that are neither a head nor a body */
#define HEAD_MOST ((uint64_t)64 << 10)

/* Frames of HTTP/2 that ask for nothing: PING, SETTINGS, PRIORITY, CONTINUATION of nothing (CVE-2019-9512, 9515, 9518).  Bytes are counted, by
 * the kernel; an eighth of what goes out may be windows that are opened for it.  Bodies have limits of their own. */
static bool is_noise(struct conn *c)
{
	uint64_t in, out, most = NOISE_A_SECOND + c->heads * HEAD_MOST;
	bool noise;

	if (!c->frames || !trip_traffic(h2o_socket_get_fd(c->sock), &in, &out))
		return false;
	noise = !c->sends && !h2_awaits_body(c->sock) && in - c->in > most + (out - c->out) / 8;
	c->in = in;
	c->out = out;
	c->heads = 0;
	c->sends = false;
	return noise;
}

/* What is given back costs the next reply some 300 bytes, of a segment nothing. */
static bool may_rest(const struct conn *c, mono_us now)
{
	return c->h2 != NULL && !c->rests && c->running == 0 && now - c->since >= RESTS_AFTER && !h2_is_receiving(c->h2);
}

/* Once a second. */
static void look_after_conns(struct lane *l)
{
	mono_us now = clock_mono();

	for (h2o_linklist_t *n = l->conns.next; n != &l->conns; n = n->next) {
		struct conn *c = H2O_STRUCT_FROM_MEMBER(struct conn, link, n);

		c->left -= c->left < LEFT_A_SECOND ? c->left : LEFT_A_SECOND;
		if (is_noise(c)) {
			counters_add(l->serve->counters, C_CONNECTIONS_FLOOD, 1);
			shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
		} else if (is_dripping(c, now)) {
			counters_add(l->serve->counters, C_CONNECTIONS_SLOW, 1);
			shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
		} else if (may_rest(c, now)) {
			c->rests = true;
			h2_rest(c->h2);
		}
	}
}

void conn_given_up(struct conn *c)
{
	if (++c->left != LEFT_AT_ONCE)
		return;
	/* requests and resets in a row cost us more than whoever sends them (CVE-2023-44487) */
	counters_add(c->lane->serve->counters, C_CONNECTIONS_FLOOD, 1);
	shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
}

/* --- stopping ---------------------------------------------------------------------- */

static void close_doors(struct lane *l)
{
	for (size_t i = 0; i < l->serve->n_listeners; i++) {
		/* who waits in the queue is let in: closing would reset them */
		for (int k = 0; k < LAST_ACCEPTS && !l->doors[i].resting; k++)
			on_accept(l->doors[i].sock, NULL);
		h2o_socket_read_stop(l->doors[i].sock);
		h2o_socket_close(l->doors[i].sock);
	}
}

/* Has it a request for us that we have not seen?  A viewer who has just come has, or will
 * have in a moment, and so will one who is in the middle of asking: its next reply tells
 * it to go, which is better than a connection that ends under its request. */
static bool may_ask(struct conn *c, mono_us now)
{
	int fd = h2o_socket_get_fd(c->sock), n = 0;

	if (ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0)
		c->since = now; /* it has the end of its reply to read before it can think of another */
	if (now - c->since < (c->asked ? ACTIVE : COMING))
		return true;
	return c->sock->input->size > 0 || (ioctl(fd, FIONREAD, &n) == 0 && n > 0);
}

/* Ends connections from below: h2o sees the end of the stream and takes them down. */
static void hang_up(struct lane *l, bool busy_too)
{
	mono_us now = clock_mono();

	for (h2o_linklist_t *n = l->conns.next, *next; n != &l->conns; n = next) {
		struct conn *c = H2O_STRUCT_FROM_MEMBER(struct conn, link, n);

		next = n->next;
		if (busy_too || (c->running == 0 && !may_ask(c, now)))
			shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
	}
}

/* Replies that wait for bytes have no socket event to wake them. */
static int fail_waiting(h2o_req_t *req, void *ctx)
{
	struct serve_request *r = request_of(req), **ret = ctx;

	if (r == NULL || r->magic != REQUEST_MAGIC || !r->waiting)
		return 0;
	*ret = r;
	return 1;
}

static void cut_all(struct lane *l)
{
	struct serve_request *r;

	for (;;) {
		r = NULL;
		if (!l->serve->h2o.http1.callbacks.foreach_request(&l->ctx, fail_waiting, &r))
			l->serve->h2o.http2.callbacks.foreach_request(&l->ctx, fail_waiting, &r);
		if (r == NULL)
			break;
		body_fail(r, ERR_CANCELLED);
	}
	hang_up(l, true);
}

static void begin_stop(struct lane *l)
{
	close_doors(l);
	l->closed = clock_mono();
	l->ctx.shutdown_requested = 1; /* from now on replies of HTTP/1.1 are the last of their connection */
}

/* A GOAWAY that comes before the first request of a viewer who has just come makes it send none: curl calls that an
 * empty reply.  So HTTP/2 is told when all who were let in last have had the time to ask. */
static void tell_to_go(struct lane *l, mono_us now)
{
	if (l->told || now - l->closed < ACTIVE)
		return;
	l->told = true;
	h2o_context_request_shutdown(&l->ctx);
}

/* --- the loop ---------------------------------------------------------------------- */

static void on_tick(h2o_timeout_entry_t *e)
{
	struct lane *l = H2O_STRUCT_FROM_MEMBER(struct lane, tick_entry, e);
	static _Thread_local unsigned n;

	if (++n % FLUSH_TICKS == 0) {
		access_flush(l);
		look_after_conns(l);
	}
	lag_tick(l, TICK_MS * DUR_MS);
	watch_look(l);
	take_context(l);
	for (size_t i = 0; l->closed == 0 && i < l->serve->n_listeners; i++)
		if (l->doors[i].resting) {
			l->doors[i].resting = false;
			h2o_socket_read_start(l->doors[i].sock, on_accept);
		}
	h2o_timeout_link(l->loop, &l->tick, e);
}

static void open_doors(struct lane *l)
{
	struct serve *s = l->serve;

	l->doors = mem_new_array(s->n_listeners, sizeof *l->doors);
	for (size_t i = 0; i < s->n_listeners; i++) {
		struct door *d = &l->doors[i];

		d->lane = l;
		d->accept = (h2o_accept_ctx_t){.ctx = &l->ctx, .hosts = s->h2o.hosts, .ssl_ctx = s->listeners[i].tls ? l->tls : NULL};
		d->sock = h2o_evloop_socket_create(l->loop, s->listeners[i].fds[l->index], H2O_SOCKET_FLAG_DONT_READ);
		d->sock->data = d;
		h2o_socket_read_start(d->sock, on_accept);
	}
}

static void lane_init(struct lane *l)
{
	struct serve *s = l->serve;

	l->loop = h2o_evloop_create();
	h2o_context_init(&l->ctx, l->loop, &s->h2o);
	h2o_linklist_init_anchor(&l->conns);
	h2o_linklist_init_anchor(&l->waiting);
	later_begin(l);
	frames_begin(l);
	parse_begin(s);
	h2o_timeout_init(l->loop, &l->stall, (uint64_t)(s->settings.stall_timeout / DUR_MS));
	h2o_timeout_init(l->loop, &l->tick, TICK_MS);
	l->tick_entry.cb = on_tick;
	h2o_timeout_link(l->loop, &l->tick, &l->tick_entry);
	l->mailbox = mem_new(sizeof *l->mailbox);
	pthread_mutex_init(&l->mailbox->lock, NULL);
	l->mailbox->open = true;
	l->mailbox->refs = 1;
	l->mailbox->lane = l;
	h2o_multithread_register_receiver(l->ctx.queue, &l->mailbox->receiver, body_on_messages);
	lag_begin(l);
	pipe_begin(l);
	take_context(l);
	open_doors(l);
}

static void close_mailbox(struct lane *l)
{
	struct mailbox *m = l->mailbox;

	pthread_mutex_lock(&m->lock);
	m->open = false;
	pthread_mutex_unlock(&m->lock);
	while (!h2o_linklist_is_empty(&m->receiver._messages)) /* sent before it closed */
		h2o_evloop_run(l->loop, 10);
	h2o_multithread_unregister_receiver(l->ctx.queue, &m->receiver);
	mailbox_unref(m);
}

void mailbox_unref(struct mailbox *m)
{
	if (atomic_fetch_sub(&m->refs, 1) > 1)
		return;
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static void lane_fini(struct lane *l)
{
	bool empty = h2o_linklist_is_empty(&l->conns);

	access_flush(l);
	free(l->access.bytes);
	intake_end_leftovers(l);
	close_mailbox(l);
	h2o_timeout_unlink(&l->tick_entry);
	h2o_timeout_unlink(&l->turn_entry);
	lag_end(l);
	pipe_end(l);
	h2o_timeout_unlink(&l->ctx.http2._graceful_shutdown_timeout);
	free(l->doors);
	SSL_CTX_free(l->tls);
	if (!empty) { /* h2o's memory may still point here */
		log_warn("serve/lane", "connections did not close in time and are left behind");
		return;
	}
	h2o_timeout_dispose(l->loop, &l->stall);
	h2o_timeout_dispose(l->loop, &l->tick);
	h2o_timeout_dispose(l->loop, &l->turn);
	h2o_context_dispose(&l->ctx);
	h2o_evloop_run(l->loop, 0); /* frees the sockets that were closed */
	h2o_evloop_destroy(l->loop);
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	struct serve *s = l->serve;

	lane_init(l);
	sem_post(&s->ready);
	for (;;) {
		mono_us now;

		h2o_evloop_run(l->loop, 1000); /* -1 is EINTR */
		if (!atomic_load_explicit(&s->stopping, memory_order_acquire))
			continue;
		if (l->closed == 0)
			begin_stop(l);
		now = clock_mono();
		tell_to_go(l, now);
		if (now >= s->stop_at)
			cut_all(l);
		else
			hang_up(l, false);
		if (h2o_linklist_is_empty(&l->conns) || now > s->stop_at + LINGER)
			break;
	}
	lane_fini(l);
	return NULL;
}

static void join_lanes(struct serve *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pthread_join(s->lanes[i].thread, NULL);
	sem_destroy(&s->ready);
	free(s->lanes);
	s->lanes = NULL;
}

int lanes_start(struct serve *s, struct fault *fault)
{
	unsigned n = s->settings.threads, i;
	struct traceparent begin;
	sigset_t all, old;
	int error = 0;

	s->lanes = mem_new_array(n, sizeof *s->lanes);
	sem_init(&s->ready, 0, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the main thread's */
	for (i = 0; i < n && error == 0; i++) {
		s->lanes[i].serve = s;
		s->lanes[i].index = i;
		s->lanes[i].next_id = ((uint64_t)clock_wall() << 8 | i) * 0x9e3779b97f4a7c15u;
		traceparent_new(&begin);
		memcpy(s->lanes[i].traces, begin.trace, 16);
		error = pthread_create(&s->lanes[i].thread, NULL, lane_main, &s->lanes[i]);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error != 0)
		i--; /* so many run */
	for (unsigned k = 0; k < i; k++)
		while (sem_wait(&s->ready) != 0)
			;
	if (error == 0) {
		s->started = true;
		return 0;
	}
	atomic_store_explicit(&s->stopping, true, memory_order_release);
	join_lanes(s, i);
	for (size_t k = 0; k < s->n_listeners; k++)
		for (unsigned m = 0; m < n; m++) {
			if (m >= i)
				close(s->listeners[k].fds[m]);
			s->listeners[k].fds[m] = -1;
		}
	return fault_set(fault, -error, "cannot start thread %u of %u: %s", i + 1, n, err_text(-error));
}

/* The lanes look at `stopping` at every tick. */
void lanes_stop(struct serve *s, dur_us limit)
{
	s->stop_at = clock_mono() + limit;
	atomic_store_explicit(&s->stopping, true, memory_order_release);
	join_lanes(s, s->settings.threads);
}

/* h2o keeps free chunks and its queue per thread and has no call to give them back;
 * under a sanitizer these are no leaks of ours. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WITH_ASAN)
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}

const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}
#endif
