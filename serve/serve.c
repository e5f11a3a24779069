/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A server's life: settings, routes, listeners, start, stop.  Invariant: routes,
 * listeners and settings are constant once the lanes run.
 */
#include "serve/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "base/words.h"
#include "serve/handover.h"
#include "serve/inner.h"
#include "serve/tls.h"

#define METRICS_MAX ((size_t)1 << 20)
#define MAX_THREADS 64
#define MAX_INHERITED 128
#define MAX_KEPT_FDS 4096
#define BACKLOG 65535 /* the kernel clips it to net.core.somaxconn */

#define SHED "Connections that a full machine answered with 503 or closed."

static const struct counter_row rows[N_COUNTERS] = {
	[C_CONNECTIONS] = {"ribera_http_connections_total", NULL, COUNTER_TOTAL, "Connections accepted."},
	[C_SHED_CONNECTIONS] = {"ribera_http_connections_shed_total", "reason=\"connections\"", COUNTER_TOTAL, SHED},
	[C_SHED_LAG] = {"ribera_http_connections_shed_total", "reason=\"lag\"", COUNTER_TOTAL, SHED},
	[C_SHED_FILES] = {"ribera_http_connections_shed_total", "reason=\"descriptors\"", COUNTER_TOTAL, SHED},
	[C_CONNECTIONS_REFUSED] = {"ribera_http_connections_refused_total", NULL, COUNTER_TOTAL,
	                           "Connections of clients that had too many, answered with 429 or closed."},
	[C_CONNECTIONS_FLOOD] = {"ribera_http_connections_cut_total", "reason=\"flood\"", COUNTER_TOTAL,
	                         "Connections ended because of what their client did."},
	[C_CONNECTIONS_SLOW] = {"ribera_http_connections_cut_total", "reason=\"slow\"", COUNTER_TOTAL,
	                        "Connections ended because of what their client did."},
	[C_ACCEPT_FAILED] = {"ribera_http_accept_failed_total", NULL, COUNTER_TOTAL,
	                     "Connections that could not be accepted for want of descriptors or memory."},
	[C_REPLIES_2XX] = {"ribera_http_replies_total", "code=\"2xx\"", COUNTER_TOTAL, "Replies, by status."},
	[C_REPLIES_206] = {"ribera_http_replies_total", "code=\"206\"", COUNTER_TOTAL, "Replies, by status."},
	[C_REPLIES_3XX] = {"ribera_http_replies_total", "code=\"3xx\"", COUNTER_TOTAL, "Replies, by status."},
	[C_REPLIES_4XX] = {"ribera_http_replies_total", "code=\"4xx\"", COUNTER_TOTAL, "Replies, by status."},
	[C_REPLIES_5XX] = {"ribera_http_replies_total", "code=\"5xx\"", COUNTER_TOTAL, "Replies, by status."},
	[C_BYTES] = {"ribera_http_body_bytes_total", NULL, COUNTER_TOTAL, "Bytes of reply bodies given to the kernel."},
	[C_REFUSED_TARGET] = {"ribera_http_refused_total", "reason=\"target\"", COUNTER_TOTAL,
	                      "Requests refused before any look-up."},
	[C_REFUSED_FRAMING] = {"ribera_http_refused_total", "reason=\"framing\"", COUNTER_TOTAL,
	                       "Requests refused before any look-up."},
	[C_REFUSED_SIGNATURE] = {"ribera_http_refused_total", "reason=\"signature\"", COUNTER_TOTAL,
	                         "Requests refused before any look-up."},
	[C_REFUSED_UNREAD] = {"ribera_http_refused_total", "reason=\"unread\"", COUNTER_TOTAL,
	                      "Requests refused before any look-up."},
	[C_CUT_STALLED] = {"ribera_http_cut_total", "reason=\"stalled\"", COUNTER_TOTAL, "Replies that did not end whole."},
	[C_CUT_FAILED] = {"ribera_http_cut_total", "reason=\"failed\"", COUNTER_TOTAL, "Replies that did not end whole."},
	[C_CUT_LEFT] = {"ribera_http_cut_total", "reason=\"left\"", COUNTER_TOTAL, "Replies that did not end whole."},
	[C_CMCD] = {"ribera_http_cmcd_requests_total", NULL, COUNTER_TOTAL, "Requests that carried CMCD."},
	[C_CMCD_STARVED] = {"ribera_http_cmcd_starved_total", NULL, COUNTER_TOTAL,
	                    "Requests whose CMCD told of an empty buffer since the one before (bs)."},
	[C_LOG_DROPPED] = {"ribera_http_log_dropped_total", NULL, COUNTER_TOTAL, "Access log lines that could not be written."},
	[C_DISK_WAITS] = {"ribera_http_disk_waits_total", NULL, COUNTER_TOTAL, "Reads that a reply had to wait for, done beside the loops."},
	[C_OPEN] = {"ribera_http_open_connections", NULL, COUNTER_GAUGE, "Connections open now."},
	[C_LAG] = {"ribera_http_loop_lag_seconds", NULL, COUNTER_SECONDS, "How late loops are, ten times a second each."},
	[C_FIRST_BYTE] = {"ribera_http_first_byte_seconds", NULL, COUNTER_SECONDS, "From request to the reply's first byte."},
	[C_TOTAL] = {"ribera_http_reply_seconds", NULL, COUNTER_SECONDS, "From request to the reply's end."},
};

/* The host of ADDR:PORT without brackets; NULL for none. */
static char *host_of(const char *address)
{
	const char *colon = address != NULL ? strrchr(address, ':') : NULL;
	size_t n = colon != NULL ? (size_t)(colon - address) : 0;

	if (n > 2 && address[0] == '[' && address[n - 1] == ']')
		return mem_dup_n(address + 1, n - 2);
	return n > 0 ? mem_dup_n(address, n) : NULL;
}

/* Those that may change while it runs. */
static void take_limits(struct serve_settings *out, const struct serve_settings *in)
{
	out->max_connections = in->max_connections > 0 ? in->max_connections : 100000;
	out->max_per_client = in->max_per_client > 0 ? in->max_per_client : out->max_connections / 10 + 100;
	out->min_rate = in->min_rate > 0 ? in->min_rate : 500;
	out->max_lag = in->max_lag;
}

static void take_settings(struct serve *s, const struct serve_settings *in)
{
	struct serve_settings *out = &s->settings;

	*out = *in;
	out->name = mem_dup(in->name != NULL ? in->name : "ribera");
	out->access_log = mem_dup(in->access_log);
	out->tls_cert = mem_dup(in->tls_cert);
	out->tls_key = mem_dup(in->tls_key);
	out->url_keys = mem_dup(in->url_keys);
	out->tls_dev_address = host_of(in->tls_dev_address);
	out->allow_origin = mem_dup(in->allow_origin);
	s->cors_lines = request_cors_lines(out->allow_origin);
	take_limits(out, in);
	out->max_body = in->max_body > 0 ? in->max_body : 1 << 20;
	out->idle_timeout = in->idle_timeout > 0 ? in->idle_timeout : 30 * DUR_S;
	out->stall_timeout = in->stall_timeout > 0 ? in->stall_timeout : 60 * DUR_S;
}

/* One host, no path of h2o's: all requests come to request_start. */
static void configure_h2o(struct serve *s)
{
	h2o_hostconf_t *host;
	h2o_handler_t *handler;
	h2o_logger_t *logger;

	h2o_config_init(&s->h2o);
	s->h2o.server_name = h2o_iovec_init(NULL, 0); /* we add the field: h2o prints it, which costs more than all ours */
	s->h2o.max_request_entity_size = s->settings.max_body;
	s->h2o.http1.req_timeout = (uint64_t)(s->settings.idle_timeout / DUR_MS);
	s->h2o.http1.upgrade_to_http2 = 0; /* see lane.c */
	s->h2o.http2.max_concurrent_requests_per_connection = 100;
	s->h2o.http2.idle_timeout = (uint64_t)(s->settings.idle_timeout / DUR_MS);
	host = h2o_config_register_host(&s->h2o, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	host->http2.push_preload = 0;
	host->fallback_path.error_log.emit_request_errors = 0;
	handler = h2o_create_handler(&host->fallback_path, sizeof *handler);
	handler->on_req = request_start;
	logger = h2o_create_logger(&host->fallback_path, sizeof *logger);
	logger->log_access = request_end;
}

static int open_tls(struct serve *s, struct fault *f)
{
	const struct tls_settings t = {
		.cert = s->settings.tls_cert,
		.key = s->settings.tls_key,
		.dev = s->settings.tls_dev,
		.dev_host = s->settings.tls_dev_address,
		.ticket_life = s->settings.tls_ticket_life > 0 ? s->settings.tls_ticket_life : 12 * DUR_HOUR,
	};

	return tls_new(&t, &s->tls, f);
}

int serve_new(const struct serve_settings *settings, struct serve **ret_serve, struct fault *fault)
{
	struct serve *s;
	int r = 0;

	if (settings->threads < 1 || settings->threads > MAX_THREADS)
		return fault_set(fault, ERR_OUT_OF_RANGE, _("threads must be 1 to %d, not %u"), MAX_THREADS, settings->threads);
	parse_init();
	refuse_init();
	h2_init();
	frames_init();
	s = mem_new(sizeof *s);
	take_settings(s, settings);
	s->counters = counters_new(rows, N_COUNTERS);
	s->limit = limit_new();
	s->disk = disk_new();
	configure_h2o(s);
	if (s->settings.tls_cert != NULL || s->settings.tls_dev)
		r = open_tls(s, fault);
	if (r == 0 && s->settings.url_keys != NULL)
		r = guard_new(s->settings.url_keys, s->settings.url_life > 0 ? s->settings.url_life : 12 * DUR_HOUR, &s->guard, fault);
	if (r == 0 && s->settings.access_log != NULL)
		r = access_open(s->settings.access_log, &s->log, fault);
	if (r < 0) {
		serve_free(&s, 0);
		return r;
	}
	*ret_serve = s;
	return 0;
}

/* --- routes ------------------------------------------------------------------------ */

static void add_route(struct serve *s, struct route route)
{
	size_t i = s->n_routes;

	MUST(!s->started);
	MEM_GROW(s->routes, s->cap_routes, s->n_routes);
	for (; i > 0 && s->routes[i - 1].n < route.n; i--)
		s->routes[i] = s->routes[i - 1];
	s->routes[i] = route;
	s->n_routes++;
}

void serve_route_objects(struct serve *s, const char *prefix, serve_find_f find, void *ctx)
{
	add_route(s, (struct route){.prefix = mem_dup(prefix), .n = strlen(prefix), .find = find, .ctx = ctx});
}

void serve_route(struct serve *s, const char *prefix, serve_handler_f handle, void *ctx)
{
	add_route(s, (struct route){.prefix = mem_dup(prefix), .n = strlen(prefix), .handle = handle, .ctx = ctx});
}

void serve_route_bodies(struct serve *s, const char *prefix, serve_handler_f handle, void *ctx)
{
	s->takes_bodies = true;
	add_route(s, (struct route){.prefix = mem_dup(prefix), .n = strlen(prefix), .handle = handle, .ctx = ctx, .takes_bodies = true});
}

void serve_route_read(struct serve *s, const char *prefix, serve_handler_f handle, void *ctx)
{
	add_route(s, (struct route){.prefix = mem_dup(prefix), .n = strlen(prefix), .handle = handle, .ctx = ctx, .read_only = true});
}

/* --- listeners --------------------------------------------------------------------- */

static int bind_fault(struct fault *f, const char *address, int error)
{
	const char *cure = error == EADDRINUSE      ? _(": another program listens there: stop it or choose another port")
	                   : error == EACCES        ? _(": ports below 1024 need root or CAP_NET_BIND_SERVICE")
	                   : error == EADDRNOTAVAIL ? _(": no network interface of this machine has this address")
	                                            : "";

	return fault_set(f, -error, _("cannot listen on \"%s\": %s%s"), address, words_error(-error), cure);
}

/* Splits "HOST:PORT", "[V6]:PORT", "*:PORT". */
static int resolve(const char *address, struct addrinfo **ret, struct fault *f)
{
	const char *colon = strrchr(address, ':');
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	uint64_t port;
	char *host;
	size_t n;
	int r;

	if (colon == NULL || str_parse_u64(colon + 1, strlen(colon + 1), &port) != 0 || port > 65535)
		return fault_set(f, ERR_SYNTAX, _("\"%s\" is no address to listen on: write ADDRESS:PORT, as in 127.0.0.1:8080, [::1]:8080 or *:8080"),
		                 address);
	n = (size_t)(colon - address);
	host = n > 2 && address[0] == '[' && colon[-1] == ']' ? mem_dup_n(address + 1, n - 2) : mem_dup_n(address, n);
	r = getaddrinfo(strcmp(host, "*") == 0 || n == 0 ? NULL : host, colon + 1, &hints, ret);
	free(host);
	if (r != 0)
		return fault_set(f, ERR_SYNTAX, _("cannot listen on \"%s\": %s"), address, gai_strerror(r));
	return 0;
}

/* "*" means IPv4 and IPv6 where the machine has both: prefer the dual-stack address. */
static struct addrinfo *choose(struct addrinfo *list, bool any)
{
	for (struct addrinfo *a = list; any && a != NULL; a = a->ai_next)
		if (a->ai_family == AF_INET6)
			return a;
	return list;
}

static int bind_one(const struct addrinfo *a, bool share, bool listening)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
	    (a->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
	    bind(fd, a->ai_addr, a->ai_addrlen) != 0 || (listening && listen(fd, BACKLOG) != 0)) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static uint16_t *port_of(struct sockaddr *a)
{
	return a->sa_family == AF_INET6 ? &((struct sockaddr_in6 *)(void *)a)->sin6_port
	                                : &((struct sockaddr_in *)(void *)a)->sin_port;
}

/* One socket per thread on one port.  Sharing a port hides that another process
 * of the same user has it, so a lone socket looks first. */
static int bind_all(struct addrinfo *a, unsigned n, int *fds)
{
	bool share = n > 1;
	int probe = share && *port_of(a->ai_addr) != 0 ? bind_one(a, false, true) : -1;

	if (probe < 0 && share && *port_of(a->ai_addr) != 0)
		return probe;
	if (probe >= 0)
		close(probe);
	for (unsigned i = 0; i < n; i++) {
		socklen_t len = a->ai_addrlen;

		fds[i] = bind_one(a, share, true);
		if (fds[i] < 0 || (i == 0 && getsockname(fds[0], a->ai_addr, &len) != 0)) {
			int error = fds[i] < 0 ? fds[i] : -errno;

			while (i-- > 0)
				close(fds[i]);
			return error;
		}
	}
	return 0;
}

static void add_listener(struct serve *s, const struct listener *l)
{
	MEM_GROW(s->listeners, s->cap_listeners, s->n_listeners);
	s->listeners[s->n_listeners++] = *l;
}

/* Every thread gets a socket of those handed to us, every socket a thread.  0 when there are none. */
static int adopt(struct serve *s, const struct listener *l, const struct addrinfo *list, uint16_t *ret_port)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;
	unsigned threads = s->settings.threads;
	int fds[MAX_INHERITED];
	size_t n = 0;

	for (const struct addrinfo *a = list; n == 0 && a != NULL; a = a->ai_next)
		n = handover_take(a->ai_addr, l->index, fds, MAX_INHERITED);
	if (n == 0)
		return 0;
	if (getsockname(fds[0], (struct sockaddr *)&at, &len) != 0)
		return -errno;
	*ret_port = ntohs(*port_of((struct sockaddr *)&at));
	for (size_t first = 0; first < n; first += threads) {
		struct listener part = *l;
		size_t here = n - first < threads ? n - first : threads;

		part.fds = mem_new_array(threads, sizeof *part.fds);
		for (unsigned k = 0; k < threads; k++) {
			part.fds[k] = k < here ? fds[first + k] : fcntl(fds[first + k % here], F_DUPFD_CLOEXEC, 0);
			if (part.fds[k] < 0)
				return -errno;
		}
		add_listener(s, &part);
	}
	return 1;
}

static int open_new(struct serve *s, struct listener *l, struct addrinfo *list, bool any, uint16_t *ret_port)
{
	struct addrinfo *a = choose(list, any);
	int r;

	l->fds = mem_new_array(s->settings.threads, sizeof *l->fds);
	r = bind_all(a, s->settings.threads, l->fds);
	if (r == -EAFNOSUPPORT && a != list)
		r = bind_all(a = list, s->settings.threads, l->fds);
	if (r < 0) {
		free(l->fds);
		return r;
	}
	add_listener(s, l);
	*ret_port = ntohs(*port_of(a->ai_addr));
	return 0;
}

int serve_listen(struct serve *s, const char *address, bool tls, uint16_t *ret_port, struct fault *fault)
{
	static unsigned n_opened; /* by the main thread */
	struct addrinfo *list;
	struct listener l = {.tls = tls, .index = n_opened++};
	uint16_t port;
	int r = resolve(address, &list, fault);

	MUST(!s->started);
	if (r < 0)
		return r;
	if (tls && s->tls == NULL) {
		freeaddrinfo(list);
		return fault_set(fault, ERR_USAGE, _("cannot listen with TLS on \"%s\": no certificate and key are set"), address);
	}
	r = adopt(s, &l, list, &port);
	if (r == 0)
		r = open_new(s, &l, list, address[0] == '*' || address[0] == ':', &port);
	freeaddrinfo(list);
	if (r < 0)
		return bind_fault(fault, address, -r);
	if (ret_port != NULL)
		*ret_port = port;
	return 0;
}

void serve_keep_listeners(const struct serve *s)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		handover_keep(s->listeners[i].index, s->listeners[i].fds, s->settings.threads);
}

void serve_set_limits(struct serve *s, const struct serve_settings *from)
{
	struct serve_settings fresh;

	take_limits(&fresh, from);
	__atomic_store_n(&s->settings.max_connections, fresh.max_connections, __ATOMIC_RELAXED);
	__atomic_store_n(&s->settings.max_per_client, fresh.max_per_client, __ATOMIC_RELAXED);
	__atomic_store_n(&s->settings.min_rate, fresh.min_rate, __ATOMIC_RELAXED);
	__atomic_store_n(&s->settings.max_lag, fresh.max_lag, __ATOMIC_RELAXED);
}

/* --- running ----------------------------------------------------------------------- */

/* Every viewer takes a descriptor: allow what the administrator allows, and keep some for files. */
static void raise_descriptor_limit(struct serve *s)
{
	struct rlimit limit;
	rlim_t max, kept;

	s->max_fd = s->last_fd = INT_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	max = limit.rlim_cur < INT_MAX ? limit.rlim_cur : INT_MAX;
	kept = max / 8 < MAX_KEPT_FDS ? max / 8 : MAX_KEPT_FDS;
	s->max_fd = (int)(max - kept);
	s->last_fd = (int)(max - kept + kept / 4);
}

int serve_start(struct serve *s, struct fault *fault)
{
	MUST(!s->started);
	signal(SIGPIPE, SIG_IGN); /* a viewer who leaves is an error code, not a signal */
	raise_descriptor_limit(s);
	return lanes_start(s, fault);
}

void serve_stop(struct serve *s, dur_us limit)
{
	if (s == NULL || !s->started || s->lanes == NULL)
		return;
	lanes_stop(s, limit);
	disk_free(&s->disk);
}

void serve_free(struct serve **ps, dur_us limit)
{
	struct serve *s = *ps;

	if (s == NULL)
		return;
	if (s->started)
		serve_stop(s, limit);
	else
		for (size_t i = 0; i < s->n_listeners; i++)
			for (unsigned k = 0; k < s->settings.threads; k++)
				if (s->listeners[i].fds[k] >= 0)
					close(s->listeners[i].fds[k]);
	for (size_t i = 0; i < s->n_listeners; i++)
		free(s->listeners[i].fds);
	for (size_t i = 0; i < s->n_routes; i++)
		free(s->routes[i].prefix);
	free(s->listeners);
	free(s->routes);
	access_close(&s->log);
	h2o_config_dispose(&s->h2o);
	tls_free(&s->tls);
	guard_free(&s->guard);
	limit_free(&s->limit);
	disk_free(&s->disk);
	counters_free(&s->counters);
	free((void *)(uintptr_t)s->settings.name);
	free((void *)(uintptr_t)s->settings.access_log);
	free((void *)(uintptr_t)s->settings.tls_cert);
	free((void *)(uintptr_t)s->settings.tls_key);
	free((void *)(uintptr_t)s->settings.tls_dev_address);
	free((void *)(uintptr_t)s->settings.url_keys);
	free((void *)(uintptr_t)s->settings.allow_origin);
	free(s->cors_lines);
	free(s);
	*ps = NULL; /* not before: handlers may have read it until the lanes ended */
}

void serve_write_metrics(const struct serve *s, struct buf *out)
{
	counters_set(s->counters, C_OPEN, serve_open_connections(s));
	counters_write(s->counters, out);
}

void serve_write_metrics_as(const struct serve *s, const char *prefix, struct buf *out)
{
	static const char usual[] = "ribera_http_";
	struct buf text;
	const char *p, *next;

	buf_init(&text, METRICS_MAX);
	serve_write_metrics(s, &text);
	for (p = buf_text(&text); (next = strstr(p, usual)) != NULL; p = next + sizeof usual - 1) {
		buf_append(out, p, (size_t)(next - p));
		buf_printf(out, "%s_", prefix);
	}
	buf_puts(out, p);
	buf_fini(&text);
}

int64_t serve_open_connections(const struct serve *s)
{
	return atomic_load_explicit(&s->open, memory_order_relaxed);
}

void serve_reopen_log(struct serve *s)
{
	if (s->log != NULL)
		access_reopen(s->log);
}

int serve_refresh(struct serve *s, bool always, struct fault *f)
{
	struct fault second = {0};
	int r = s->tls != NULL ? tls_refresh(s->tls, always, f) : 0, k = s->guard != NULL ? guard_refresh(s->guard, always, &second) : 0;

	if (r > 0)
		log_info("serve", "new connections get the certificate of %s", s->settings.tls_cert);
	if (k > 0)
		log_info("serve", "the keys of signed URLs are those of %s now", s->settings.url_keys);
	if (k >= 0 || r < 0)
		return r < 0 ? r : r > 0 || k > 0;
	return fault_set(f, k, _("%s: the keys before stay in force"), second.text);
}
