/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One request: from h2o's hands to a route, and what handlers may ask and answer.
 * Invariant: every request that h2o gave us is answered exactly once, counted
 * once and logged once, whatever becomes of its connection.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>

#include "base/blob.h"
#include "base/counter.h"
#include "base/mem.h"
#include "base/must.h"
#include "serve/cmcd.h"
#include "serve/inner.h"
#include "serve/trip.h"

#define MAX_FIELDS_SIZE 32768 /* of all fields together; more is 431 */
#define MAX_FIELDS 100        /* libh2o counts those of HTTP/1 alone */

static const struct {
	int status;
	const char *text;
} statuses[] = {
	{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {206, "Partial Content"},
	{301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"},
	{307, "Temporary Redirect"}, {308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"},
	{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
	{409, "Conflict"}, {410, "Gone"}, {411, "Length Required"}, {412, "Precondition Failed"},
	{413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"}, {417, "Expectation Failed"}, {421, "Misdirected Request"},
	{422, "Unprocessable Content"}, {428, "Precondition Required"}, {429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"}, {499, "Viewer Left"}, {500, "Internal Server Error"}, {501, "Not Implemented"},
	{502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}, {507, "Insufficient Storage"},
};

const char *status_text(int status)
{
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "Other";
}

/* --- building replies -------------------------------------------------------------- */

void request_set_status(struct serve_request *r, int status)
{
	r->req->res.status = status;
	r->req->res.reason = status_text(status);
}

void request_add_field(struct serve_request *r, const h2o_iovec_t *name, const char *value, size_t n)
{
	h2o_headers_t *h = &r->req->res.headers;

	h2o_vector_reserve(&r->req->pool, h, h->size + 1);
	h->entries[h->size++] = (h2o_header_t){.name = (h2o_iovec_t *)(uintptr_t)name, .value = h2o_iovec_init(value, n)};
}

void request_add_name(struct serve_request *r, const char *name, const char *value)
{
	h2o_iovec_t *v = h2o_mem_alloc_pool(&r->req->pool, sizeof *v);

	*v = h2o_iovec_init(name, strlen(name));
	request_add_field(r, v, value, strlen(value));
}

char *request_printf(struct serve_request *r, const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	MUST(n >= 0);
	text = h2o_mem_alloc_pool(&r->req->pool, (size_t)n + 1);
	va_start(args, fmt);
	vsnprintf(text, (size_t)n + 1, fmt, args);
	va_end(args);
	return text;
}

#define EXPOSE "access-control-expose-headers"
#define EXPOSED \
	"Accept-Ranges, Age, Cache-Status, Content-Length, Content-Range, Date, ETag, Last-Modified, Location, " \
	"Retry-After, Server-Timing, X-Request-Id"
#define TIMING "timing-allow-origin"

char *request_cors_lines(const char *origin)
{
	return origin == NULL ? NULL : mem_printf("%s\r\n" EXPOSE ": " EXPOSED "\r\n" TIMING ": %s", origin, origin);
}

void request_add_cors(struct serve_request *r)
{
	static const h2o_iovec_t expose = REQUEST_NAME(EXPOSE), timing = REQUEST_NAME(TIMING);
	const char *origin = r->lane->serve->settings.allow_origin;

	if (origin == NULL)
		return;
	if (request_takes_lines(r)) {
		request_add(r, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, r->lane->serve->cors_lines);
		return;
	}
	request_add(r, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
	request_add_field(r, &expose, EXPOSED, sizeof EXPOSED - 1);
	request_add_field(r, &timing, origin, strlen(origin));
}

void request_send_memory(struct serve_request *r, const void *bytes, size_t n)
{
	r->replied = true;
	r->req->res.content_length = r->req->res.status == 204 || r->req->res.status == 304 ? SIZE_MAX : n;
	r->body.one = (struct span){.left = n};
	r->body.spans = &r->body.one;
	r->body.n = n > 0 ? 1 : 0;
	r->body.view = bytes;
	if (!intake_reply(r))
		body_start(r);
}

static void refuse_and_close(struct serve_request *r, int status, unsigned counter)
{
	counters_add(r->lane->serve->counters, counter, 1);
	r->req->http1_is_persistent = 0;
	request_refuse(r, status);
}

void request_begin_reply(struct serve_request *r, int status, const char *type, const struct serve_header *extra, size_t n_extra)
{
	h2o_mem_pool_t *pool = &r->req->pool;

	MUST_MAGIC(r, REQUEST_MAGIC);
	MUST(!r->replied && status >= 200 && status <= 599);
	request_set_status(r, status);
	if (type != NULL)
		request_add(r, H2O_TOKEN_CONTENT_TYPE, h2o_strdup(pool, type, strlen(type)).base);
	for (size_t i = 0; i < n_extra; i++) {
		h2o_iovec_t name = h2o_strdup(pool, extra[i].name, strlen(extra[i].name));
		h2o_iovec_t value = h2o_strdup(pool, extra[i].value, strlen(extra[i].value));

		h2o_add_header_by_str(pool, &r->req->res.headers, name.base, name.len, 1, NULL, value.base, value.len);
	}
	request_add_cors(r);
}

void serve_reply(struct serve_request *r, int status, const char *type, struct blob *body, const struct serve_header *extra,
                 size_t n_extra)
{
	int refusal = body != NULL && !blob_is_shared(body) ? held_take(r, body->size) : 0;

	r->blob = body;
	if (refusal != 0) {
		blob_unref(&r->blob);
		request_refuse(r, refusal);
		return;
	}
	request_begin_reply(r, status, type, extra, n_extra);
	request_send_memory(r, body != NULL ? body->bytes : NULL, body != NULL ? body->size : 0);
}

/* --- what handlers ask ------------------------------------------------------------- */

static bool is_named(const h2o_header_t *h, const h2o_iovec_t *name)
{
	return h->name == name || (h->name->len == name->len && memcmp(h->name->base, name->base, name->len) == 0);
}

const char *request_field(const struct serve_request *r, const h2o_token_t *token, size_t *ret_n)
{
	ssize_t i = h2o_find_header(&r->req->headers, token, -1);

	if (i < 0)
		return NULL;
	*ret_n = r->req->headers.entries[i].value.len;
	return r->req->headers.entries[i].value.base;
}

h2o_iovec_t request_list(const struct serve_request *r, const h2o_iovec_t *name)
{
	static const char comma[] = ", ";
	const h2o_headers_t *all = &r->req->headers;
	h2o_iovec_t list = {NULL, 0};
	size_t n = 0, lines = 0;
	char *p = NULL;

	for (size_t i = 0; i < all->size; i++)
		if (is_named(&all->entries[i], name)) {
			list = all->entries[i].value;
			n += list.len + sizeof comma - 1;
			lines++;
		}
	if (lines < 2)
		return list;
	list.base = p = h2o_mem_alloc_pool(&r->req->pool, n); /* once: each time a line more would be the square of them */
	for (size_t i = 0; i < all->size; i++)
		if (is_named(&all->entries[i], name)) {
			if (p > list.base)
				p = mempcpy(p, comma, sizeof comma - 1);
			p = mempcpy(p, all->entries[i].value.base, all->entries[i].value.len);
		}
	list.len = (size_t)(p - list.base);
	return list;
}

static const char *terminated(const struct serve_request *r, h2o_iovec_t v)
{
	return h2o_strdup(&r->req->pool, v.base, v.len).base;
}

const char *serve_method(const struct serve_request *r)
{
	return terminated(r, r->req->method);
}

const char *serve_path(const struct serve_request *r, size_t *ret_n)
{
	if (ret_n != NULL)
		*ret_n = r->path_n;
	return r->path;
}

const char *serve_query(const struct serve_request *r, size_t *ret_n)
{
	if (ret_n != NULL)
		*ret_n = r->target.query_n;
	return r->target.query;
}

const char *serve_param(struct serve_request *r, const char *name)
{
	size_t n;
	const char *raw = path_param(r->target.query, r->target.query_n, name, &n);
	char *out;

	if (raw == NULL)
		return NULL;
	out = h2o_mem_alloc_pool(&r->req->pool, n + 1);
	return path_decode_param(raw, n, out, &n) == 0 ? out : NULL;
}

const char *serve_field(const struct serve_request *r, const char *lower_case_name, size_t *ret_n)
{
	ssize_t i = h2o_find_header_by_str(&r->req->headers, lower_case_name, strlen(lower_case_name), -1);
	const h2o_token_t *token;

	if (i < 0 && (token = h2o_lookup_token(lower_case_name, strlen(lower_case_name))) != NULL)
		i = h2o_find_header(&r->req->headers, token, -1);
	if (i < 0)
		return NULL;
	if (ret_n != NULL)
		*ret_n = r->req->headers.entries[i].value.len;
	return terminated(r, r->req->headers.entries[i].value);
}

const char *serve_host(const struct serve_request *r, size_t *ret_n)
{
	if (ret_n != NULL)
		*ret_n = r->req->authority.len;
	return terminated(r, r->req->authority);
}

const void *serve_body(const struct serve_request *r, size_t *ret_n)
{
	*ret_n = r->req->entity.base != NULL ? r->req->entity.len : 0;
	return r->req->entity.base;
}

const char *serve_peer(const struct serve_request *r)
{
	return r->conn->peer;
}

/* Does a proxy say that it asks for somebody? */
static bool is_for_another(const struct serve_request *r)
{
	static const char *const fields[] = {"forwarded", "x-forwarded-for", "x-real-ip", "via"};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (serve_field(r, fields[i], NULL) != NULL)
			return true;
	return false;
}

bool serve_peer_is_loopback(const struct serve_request *r)
{
	return r->conn->loopback && !is_for_another(r);
}

bool serve_is_tls(const struct serve_request *r)
{
	return r->conn->sock->ssl != NULL;
}

dur_us serve_round_trip(const struct serve_request *r)
{
	return trip_of(h2o_socket_get_fd(r->conn->sock));
}

/* --- the way in -------------------------------------------------------------------- */

/* Are the bytes of a host and port all such as a URI allows there (RFC 3986 3.2.2)? */
static bool is_authority(h2o_iovec_t a)
{
	static const bool bad[256] = {[0 ... ' '] = true, ['"'] = true, ['#'] = true, [','] = true, ['/'] = true, ['<'] = true, ['>'] = true, ['?'] = true, ['@'] = true,
	                              ['\\'] = true, ['^'] = true, ['`'] = true, ['{' ... '}'] = true, [0x7f ... 0xff] = true};

	for (size_t i = 0; i < a.len; i++)
		if (bad[(uint8_t)a.base[i]])
			return false;
	return true;
}

static bool line_is(const char *line, const char *end, const char *name, size_t n)
{
	return (size_t)(end - line) >= n && memcmp(line, name, n) == 0;
}

/* A request that two readers may understand differently: its length (RFC 9112 6.3,
 * 11.2), its host (RFC 9112 3.2), or where its lines end (a lone LF, RFC 9112 2.2).
 * h2o takes these fields out of its list, but the head stands, names in lower case,
 * at the start of its input. */
static bool head_is_doubtful(struct serve_request *r)
{
	const h2o_req_t *req = r->req;
	const h2o_socket_t *sock = r->conn->sock;
	const char *line = sock->input->bytes, *end = line + sock->input->size, *stop;
	unsigned hosts = 0, lengths = 0, codings = 0;

	while (end - line > 2 && line[0] == '\r' && line[1] == '\n')
		line += 2; /* RFC 9112 2.2: empty lines before the request are no part of it */
	for (;; line = stop + 1) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (stop == NULL || stop == line || stop[-1] != '\r')
			return true;
		if (stop == line + 1)
			break;
		hosts += *line == 'h' && line_is(line, stop, "host:", 5);
		lengths += *line == 'c' && line_is(line, stop, "content-length:", 15);
		codings += *line == 't' && line_is(line, stop, "transfer-encoding:", 18);
	}
	if (hosts > 1)
		return true;
	if (req->entity.base == NULL) {
		r->asked_alone = req->version == 0x101 && stop + 1 == end;
		return false;
	}
	return lengths + codings != 1 || (codings == 1 && req->version < 0x101);
}

/* Of the four fields of CTA-5004 the two that hold what is read here. */
static bool is_cmcd(const h2o_iovec_t *name)
{
	return (name->len == 11 && memcmp(name->base, "cmcd-status", 11) == 0) || (name->len == 12 && memcmp(name->base, "cmcd-session", 12) == 0);
}

/* What most requests do not have need not be looked for again.  A field too many is none missed. */
static void note_field(struct serve_request *r, const h2o_iovec_t *name)
{
	const char *s = name->base;

	r->is_conditional |= (s[0] == 'i' && name->len >= 8) || (s[0] == 'r' && name->len == 5); /* If-Range, If-*-*, Range */
	r->has_cmcd |= s[0] == 'c' && is_cmcd(name);
}

/* traceparent, X-Request-Id */
static bool may_trace(const h2o_iovec_t *name)
{
	return (name->base[0] == 't' && name->len == 11) || (name->base[0] == 'x' && name->len == 12);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Fields of one connection that h2o lets pass on HTTP/2 (RFC 9113 8.2.2), and blanks around a value (8.2.1). */
static bool is_malformed(const h2o_header_t *h)
{
	return (h->value.len > 0 && (is_blank(h->value.base[0]) || is_blank(h->value.base[h->value.len - 1]))) || (h->name->len == 10 && memcmp(h->name->base, "keep-alive", 10) == 0) ||
	       (h->name->len == 16 && memcmp(h->name->base, "proxy-connection", 16) == 0);
}

/* RFC 9110 9.1, 5.6.2. */
static bool is_token(h2o_iovec_t s)
{
	static const bool good[256] = {['!'] = true, ['#' ... '\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['0' ... '9'] = true,
	                               ['A' ... 'Z'] = true, ['^' ... 'z'] = true, ['|'] = true, ['~'] = true};

	for (size_t i = 0; i < s.len; i++)
		if (!good[(uint8_t)s.base[i]])
			return false;
	return s.len > 0;
}

/* A Host there must be (RFC 9112 3.2).  An empty one leaves a URI of http without an authority, which is to be refused (RFC 9112 3.3,
 * RFC 9110 4.2.1), unless the target brings its own (RFC 9112 3.2.2). */
static bool lacks_host(const h2o_req_t *req)
{
	const char *target = req->input.path.base;

	return req->version == 0x101 && (req->authority.base == req->hostconf->authority.hostport.base ||
	                                 (req->authority.len == 0 && (*target == '/' || *target == '*')));
}

/* 0, or the status to refuse with. */
static int check_head(struct serve_request *r)
{
	h2o_req_t *req = r->req;
	bool traced = false;
	size_t size = 0;

	for (size_t i = 0; i < req->headers.size; i++) {
		const h2o_header_t *h = &req->headers.entries[i];

		if (h->name->len == 0)
			return 400; /* obs-fold (RFC 9112 5.2) */
		if (req->version >= 0x200 && is_malformed(h))
			return 400;
		if (h->name == &H2O_TOKEN_CONNECTION->buf && h2o_contains_token(h->value.base, h->value.len, H2O_STRLIT("close"), ','))
			req->http1_is_persistent = 0; /* RFC 9112 9.3: also beside a keep-alive, which is all that h2o looks for */
		note_field(r, h->name);
		traced |= may_trace(h->name);
		size += h->name->len + h->value.len + 4;
	}
	r->untraced = !traced;
	if (size > MAX_FIELDS_SIZE || req->headers.size > MAX_FIELDS)
		return 431;
	if (lacks_host(req) || (req->version >= 0x200 && req->authority.len == 0)) /* RFC 9113 8.3.1 */
		return 400;
	if (!is_authority(req->authority) || !is_token(req->method))
		return 400;
	return req->version < 0x200 && head_is_doubtful(r) ? 400 : 0;
}

static int take_target(struct serve_request *r)
{
	int error = path_split(r->req->input.path.base, r->req->input.path.len, &r->target);

	if (error == 0 && r->target.authority != NULL && r->req->version >= 0x200)
		return 400; /* RFC 9113 8.3.1: :path is a path */
	if (error == 0 && r->target.authority != NULL) { /* RFC 9112 3.2.2: whatever the Host is */
		r->req->authority = h2o_iovec_init(r->target.authority, r->target.authority_n);
		if (!is_authority(r->req->authority))
			return 400;
	}
	if (error == 0) {
		r->path = h2o_mem_alloc_pool(&r->req->pool, r->target.path_n + 1);
		error = path_decode(r->target.path, r->target.path_n, r->path, &r->path_n);
	}
	return error == 0 ? guard_take(r) : error == ERR_LIMIT ? 414 : 400;
}

static bool is_method(const struct serve_request *r, const char *name, size_t n)
{
	return r->req->method.len == n && memcmp(r->req->method.base, name, n) == 0;
}

static void answer_options(struct serve_request *r)
{
	size_t n;

	request_set_status(r, 204);
	request_add(r, H2O_TOKEN_ALLOW, "GET, HEAD, OPTIONS");
	if (r->lane->serve->settings.allow_origin != NULL &&
	    serve_field(r, "access-control-request-method", &n) != NULL) {
		const char *asked = serve_field(r, "access-control-request-headers", &n);

		request_add_name(r, "access-control-allow-methods", "GET, HEAD, OPTIONS");
		/* we have no secrets behind fields: what is asked for may be sent (CMCD, Range, ...) */
		request_add_name(r, "access-control-allow-headers", asked != NULL && n > 0 ? asked : "Range");
		request_add_name(r, "access-control-max-age", "86400");
		/* pages of the wide world may play from an edge that stands in the viewer's own network */
		if (serve_field(r, "access-control-request-private-network", &n) != NULL)
			request_add_name(r, "access-control-allow-private-network", "true");
	}
	request_add_cors(r);
	request_send_memory(r, NULL, 0);
}

/* Those that any server knows, or may (RFC 9110 9.1, RFC 5789); not CONNECT, which asks for what there is none of here. */
static bool is_known_method(const struct serve_request *r)
{
	static const char *const known[] = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (is_method(r, known[i], strlen(known[i])))
			return true;
	return false;
}

static const struct route *find_route(const struct serve *s, const char *path, size_t n)
{
	for (size_t i = 0; i < s->n_routes; i++)
		if (n >= s->routes[i].n && memcmp(path, s->routes[i].prefix, s->routes[i].n) == 0)
			return &s->routes[i];
	return NULL;
}

static void dispatch(struct serve_request *r)
{
	const struct route *route = r->route = find_route(r->lane->serve, r->path, r->path_n);
	bool reading = r->is_head || is_method(r, "GET", 3), simple = route == NULL || route->find != NULL || route->read_only;
	size_t n;

	if (is_method(r, "OPTIONS", 7) && (simple || serve_field(r, "access-control-request-method", &n) != NULL)) {
		answer_options(r);
	} else if (route == NULL || (r->prefix_n > 0 && route->find == NULL)) {
		request_refuse(r, 404);
	} else if (simple && !reading) {
		request_add(r, H2O_TOKEN_ALLOW, "GET, HEAD, OPTIONS");
		request_refuse(r, 405);
	} else if (route->find != NULL) {
		if (guard_lets_pass(r))
			object_answer(r);
	} else {
		route->handle(route->ctx, r);
		MUST(r->replied || r->later != NULL || r->beside != NULL || intake_is_taking(r)); /* or it asked for another turn, or for the body */
	}
}

struct serve_request *request_new(h2o_req_t *req)
{
	struct serve_request *r = h2o_mem_alloc_pool(&req->pool, sizeof *r);
	struct conn *c = req->conn->callbacks->get_socket(req->conn)->on_close.data;

	MUST_MAGIC(c, CONN_MAGIC);
	memset(r, 0, sizeof *r);
	r->magic = REQUEST_MAGIC;
	r->req = req;
	r->conn = c;
	r->lane = c->lane;
	r->started = clock_mono();
	r->id = r->lane->next_id++;
	r->is_head = is_method(r, "HEAD", 4);
	r->stall.cb = body_on_stall;
	r->seen_queued = -1;
	h2o_vector_reserve(&req->pool, &req->res.headers, 16); /* more than our replies have */
	h2o_timeout_link(r->lane->loop, &r->lane->stall, &r->stall);
	req->filereq = &r->anchor;
	if (req->version >= 0x200 && (c->h2 == NULL || req->entity.base != NULL)) {
		c->h2 = req->conn;
		c->taken = r->started;
	}
	c->running++;
	c->heads++;
	c->sends |= req->entity.base != NULL;
	c->asked = true;
	c->rests = false;
	return r;
}

void request_run(struct serve_request *r, int status)
{
	h2o_req_t *req = r->req;

	if (r->conn->refuse != 0) {
		req->http1_is_persistent = 0;
		request_refuse(r, r->conn->refuse);
	} else if (status != 0 || (status = check_head(r)) != 0) {
		refuse_and_close(r, status, C_REFUSED_FRAMING);
	} else if (!is_known_method(r)) {
		refuse_and_close(r, 501, C_REFUSED_TARGET); /* RFC 9110 15.6.2 */
	} else if (is_method(r, "OPTIONS", 7) && req->input.path.len == 1 && req->input.path.base[0] == '*') {
		answer_options(r);
	} else if ((status = take_target(r)) != 0) {
		refuse_and_close(r, status, C_REFUSED_TARGET);
	} else {
		dispatch(r);
	}
}

int request_start(h2o_handler_t *self, h2o_req_t *req)
{
	struct serve_request *r = request_of(req);
	struct parse_body body;
	int status;

	if (r != NULL) { /* HTTP/2: its body has come to its end */
		intake_finish_2(r);
		return 0;
	}
	r = request_new(req);
	status = req->version < 0x200 ? parse_take_refusal() : 0;
	if (req->version < 0x200 && parse_take_body(&body))
		intake_begin_1(r, &body);
	request_run(r, status);
	return 0;
}

/* --- the way out ------------------------------------------------------------------- */

static unsigned counter_of(int status)
{
	if (status == 206)
		return C_REPLIES_206;
	return status < 300 ? C_REPLIES_2XX : status < 400 ? C_REPLIES_3XX : status < 500 ? C_REPLIES_4XX : C_REPLIES_5XX;
}

/* The viewer's own words about its playback, by query or by fields (CTA-5004). */
static void read_cmcd(struct serve_request *r, struct cmcd *cmcd)
{
	struct counters *counters = r->lane->serve->counters;
	size_t n;
	const char *raw = path_param(r->target.query, r->target.query_n, "CMCD", &n);
	bool any = false;

	if (raw != NULL) {
		char *text = h2o_mem_alloc_pool(&r->req->pool, n + 1);

		any = path_decode_param(raw, n, text, &n) == 0;
		if (any)
			cmcd_read(text, n, cmcd);
	}
	for (size_t i = 0; r->has_cmcd && i < r->req->headers.size; i++) {
		const h2o_header_t *h = &r->req->headers.entries[i];

		if (!is_cmcd(h->name))
			continue;
		any = true;
		cmcd_read(h->value.base, h->value.len, cmcd);
	}
	if (!any)
		return;
	counters_add(counters, C_CMCD, 1);
	counters_add(counters, C_CMCD_STARVED, cmcd->starved);
}

/* h2o is about to free the request: also the ones it answered itself, which have no serve_request. */
/* Of a reply that was cut: the bytes that the kernel was given and its viewer has not.  0 where replies share a connection (HTTP/2),
 * and where none of it can be told. */
static size_t not_arrived(const struct serve_request *r)
{
	h2o_socket_t *sock = r->conn->sock;
	int queued = 0, fd = h2o_socket_get_fd(sock);

	if (!(r->stopped || r->cut) || r->req->version >= 0x200)
		return 0;
	if (sock->ssl != NULL) /* in records, which are a little larger */
		return ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0 ? (size_t)queued : 0;
	return body_under_way(r);
}

/* Of the body, at least: what h2o still had in its hands when the viewer left has not arrived, nor has what the kernel had of a
 * connection of many replies. */
static size_t surely_sent(const struct serve_request *r)
{
	size_t sent = r->req->bytes_sent, lost = 0;
	int queued = 0, fd = h2o_socket_get_fd(r->conn->sock);
	bool left = r->stopped || r->cut;

	if (r->req->version >= 0x200)
		lost = h2_unsent(r->req);
	else if (!r->body.by_sendfile && sent - r->told_sent > SMALL_BODY && (left || !trip_is_open(fd)))
		lost = BODY_SLICE;
	if (r->req->version >= 0x200 && (left || lost > 0) && ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0)
		lost += (size_t)queued;
	return sent > lost ? sent - lost : 0;
}

void request_end(h2o_logger_t *self, h2o_req_t *req)
{
	struct serve_request *r = request_of(req);
	struct conn *c = req->conn->callbacks->get_socket(req->conn)->on_close.data;
	struct counters *counters = c->lane->serve->counters;
	mono_us now = clock_mono();
	struct cmcd cmcd = {.session = ""};

	if (r == NULL && req->res.status < 400) { /* given up before it ever ran: a reset on HTTP/2 */
		counters_add(counters, C_CUT_LEFT, 1);
		conn_given_up(c);
		return;
	}
	if (r != NULL && !r->replied) { /* while it waited for its first bytes */
		r->stopped = true;
		request_set_status(r, 499);
	}
	if (r != NULL) {
		size_t lost = not_arrived(r);

		req->bytes_sent -= lost < req->bytes_sent ? lost : req->bytes_sent;
		if (r->replied)
			body_tell_sent(r, surely_sent(r));
	}
	counters_add(counters, counter_of(req->res.status), 1);
	counters_add(counters, C_BYTES, req->bytes_sent);
	if (r != NULL) {
		if (r->first_byte > 0)
			counters_observe(counters, C_FIRST_BYTE, r->first_byte - r->started);
		counters_observe(counters, C_TOTAL, now - r->started);
		read_cmcd(r, &cmcd);
	}
	access_write(c->lane, req, r, cmcd.session, now);
	if (r == NULL)
		return;
	MUST_MAGIC(r, REQUEST_MAGIC);
	c->since = now;
	if (r->stopped) {
		counters_add(counters, C_CUT_LEFT, 1);
		conn_given_up(c);
	}
	intake_over(r);
	body_release(r);
	stream_release(r);
	blob_unref(&r->blob);
	held_release(r);
	serve_object_unref(&r->object);
	c->running--;
	if (c->excessive == r)
		c->excessive = NULL;
	r->magic = 0;
	req->filereq = NULL;
}
