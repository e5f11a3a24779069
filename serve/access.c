/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The access log: one JSON object a line, written into a buffer per lane that goes
 * to the file when it is nearly full or at the lane's next tick.  Lines of
 * several lanes never mix: each write(2) holds whole lines.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "serve/inner.h"

#define BUFFER (64 << 10)
#define MAX_LINE 4096
#define MAX_TEXT 512 /* of one value that the viewer chose */

struct access_log {
	pthread_mutex_t lock; /* guards fd; taken by flushes, not by lines */
	int fd;
	char *path; /* NULL: standard output */
};

int access_open(const char *path, struct access_log **ret, struct fault *f)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	struct access_log *l;

	if (fd < 0)
		return fault_set(f, -errno, _("cannot open the access log \"%s\": %s"), path, words_error(-errno));
	l = mem_new(sizeof *l);
	pthread_mutex_init(&l->lock, NULL);
	l->fd = fd;
	l->path = standard ? NULL : mem_dup(path);
	*ret = l;
	return 0;
}

void access_close(struct access_log **pl)
{
	struct access_log *l = *pl;

	*pl = NULL;
	if (l == NULL)
		return;
	if (l->path != NULL)
		close(l->fd);
	pthread_mutex_destroy(&l->lock);
	free(l->path);
	free(l);
}

void access_reopen(struct access_log *l)
{
	int fd;

	if (l->path == NULL)
		return;
	fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0) {
		log_warn("serve/access", "cannot reopen the access log, writing on to the old one: %s path=\"%s\"", err_text(-errno), l->path);
		return;
	}
	pthread_mutex_lock(&l->lock);
	close(l->fd);
	l->fd = fd;
	pthread_mutex_unlock(&l->lock);
}

void access_flush(struct lane *lane)
{
	struct access_log *log = lane->serve->log;
	struct access_buffer *b = &lane->access;
	int error;

	if (log == NULL || b->n == 0)
		return;
	pthread_mutex_lock(&log->lock);
	error = file_write_all(log->fd, b->bytes, b->n);
	pthread_mutex_unlock(&log->lock);
	if (error != 0) /* a full disk must not stop the service */
		counters_add(lane->serve->counters, C_LOG_DROPPED, 1);
	b->n = 0;
}

/* --- a line ------------------------------------------------------------------------ */

struct line {
	char *p;
};

static void put(struct line *l, const char *s, size_t n)
{
	memcpy(l->p, s, n);
	l->p += n;
}
#define PUT(l, s) put(l, s, sizeof s - 1)

static void put_number(struct line *l, uint64_t v)
{
	char digits[20];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	while (n > 0)
		*l->p++ = digits[--n];
}

static void put_ms(struct line *l, dur_us d) /* milliseconds with three places */
{
	unsigned us = (unsigned)(d > 0 ? d % 1000000 : 0);

	if (d < 1000)
		*l->p++ = '0';
	else
		put_number(l, (uint64_t)d / 1000);
	*l->p++ = '.';
	*l->p++ = (char)('0' + us / 100 % 10);
	*l->p++ = (char)('0' + us / 10 % 10);
	*l->p++ = (char)('0' + us % 10);
}

static void put_hex(struct line *l, uint8_t v)
{
	*l->p++ = "0123456789abcdef"[v >> 4];
	*l->p++ = "0123456789abcdef"[v & 15];
}

/* Bytes that stand for themselves in a JSON string of ours: printable ASCII but '"' and '\\'. */
static const bool is_plain[256] = {[0x20 ... 0x21] = true, [0x23 ... 0x5b] = true, [0x5d ... 0x7e] = true};

/* A bit of every byte that is zero, and perhaps of bytes above one that is. */
static uint64_t zeros(uint64_t v)
{
	return (v - 0x0101010101010101) & ~v & 0x8080808080808080;
}

/* All eight at once. */
static bool are_plain(const char *s)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t v;

	memcpy(&v, s, 8);
	return (((v + ones) | v | (v - 0x20 * ones)) & 0x80 * ones) == 0 && (zeros(v ^ '"' * ones) | zeros(v ^ '\\' * ones)) == 0;
}

/* Text of the viewer's: bytes that are not printable ASCII as \u00XX. */
static void put_text(struct line *l, const char *s, size_t n)
{
	const char *end = s + (n < MAX_TEXT ? n : MAX_TEXT);

	while (s < end) {
		const char *from = s;

		while (end - s >= 8 && are_plain(s))
			s += 8;
		while (s < end && is_plain[(uint8_t)*s])
			s++;
		put(l, from, (size_t)(s - from));
		if (s < end) {
			PUT(l, "\\u00");
			put_hex(l, (uint8_t)*s++);
		}
	}
}

static void put_field(struct line *l, const char *name, const h2o_req_t *req, const h2o_token_t *token)
{
	ssize_t i = h2o_find_header(&req->headers, token, -1);

	if (i < 0)
		return;
	put(l, name, strlen(name));
	put_text(l, req->headers.entries[i].value.base, req->headers.entries[i].value.len);
	*l->p++ = '"';
}

static void put_time(struct line *l, struct lane *lane)
{
	struct timeval now = *h2o_get_timestamp(&lane->ctx, NULL, NULL);
	struct access_buffer *b = &lane->access;

	if (b->second != now.tv_sec) { /* year to second change once a second */
		clock_to_rfc3339((wall_us)now.tv_sec * DUR_S, b->time);
		b->second = now.tv_sec;
	}
	put(l, b->time, 20);
	*l->p++ = (char)('0' + now.tv_usec / 100000 % 10);
	*l->p++ = (char)('0' + now.tv_usec / 10000 % 10);
	*l->p++ = (char)('0' + now.tv_usec / 1000 % 10);
	*l->p++ = 'Z';
}

/* One trace finds a request in the logs of all the programs it went through; "parent" is the "id" of the line before. */
static void put_trace(struct line *l, struct serve_request *r)
{
	const struct request_trace *t = trace_of(r);

	PUT(l, "\",\"trace\":\"");
	put(l, t->trace, 32);
	if (t->parent != NULL) {
		PUT(l, "\",\"parent\":\"");
		put(l, t->parent, 16);
	}
	if (t->request_id != t->trace) { /* the client's own */
		PUT(l, "\",\"request\":\"");
		put(l, t->request_id, strlen(t->request_id));
	}
}

static void put_times(struct line *l, const struct serve_request *r, const char *session, mono_us now)
{
	PUT(l, ",\"first_ms\":");
	put_ms(l, r->first_byte > 0 ? r->first_byte - r->started : 0);
	PUT(l, ",\"total_ms\":");
	put_ms(l, now - r->started);
	if (r->stopped)
		PUT(l, ",\"left\":true");
	if (r->cache != NULL) {
		PUT(l, ",\"cache\":\"");
		put_text(l, r->cache, strlen(r->cache));
		*l->p++ = '"';
	}
	if (r->prefix_n > 3) { /* which key opened it */
		const char *id = r->prefix + 3, *dot = memchr(id, '.', r->prefix_n - 3);

		PUT(l, ",\"key\":\"");
		put_text(l, id, dot != NULL && dot - id <= SIGN_MAX_ID ? (size_t)(dot - id) : 0);
		*l->p++ = '"';
	}
	if (session[0] != '\0') {
		PUT(l, ",\"session\":\"");
		put_text(l, session, strlen(session));
		*l->p++ = '"';
	}
}

/* Where the path begins: behind the authority of an absolute-form. */
static size_t path_at(const char *target, size_t n)
{
	struct path_target t;
	size_t at;

	if (n == 0 || target[0] == '/' || path_split(target, n, &t) != 0)
		return 0;
	at = (size_t)(t.authority - target) + t.authority_n;
	return at < n ? at : 0;
}

/* Without the query, and without the token of a signed URL: a log must not hand out what opens doors. */
static void put_path(struct line *l, const h2o_req_t *req, const struct serve_request *r)
{
	size_t n = req->query_at < req->input.path.len ? req->query_at : req->input.path.len, from = 0;
	const char *path = req->input.path.base, *slash;
	size_t at = path_at(path, n);

	if (r != NULL && r->prefix_n > 0) {
		from = (size_t)(r->target.path - path) + r->prefix_n;
	} else if (n - at > 3 && memcmp(path + at, "/s/", 3) == 0) { /* refused before anybody looked at its token */
		slash = memchr(path + at + 3, '/', n - at - 3);
		from = slash != NULL ? (size_t)(slash - path) : n;
	}
	if (from <= n)
		put_text(l, req->input.path.base + from, n - from);
}

void access_write(struct lane *lane, h2o_req_t *req, struct serve_request *r, const char *session, mono_us now)
{
	struct access_buffer *b = &lane->access;
	struct conn *c = req->conn->callbacks->get_socket(req->conn)->on_close.data;
	struct line l;

	if (lane->serve->log == NULL)
		return;
	if (b->bytes == NULL)
		b->bytes = mem_new(BUFFER);
	if (b->n + 6 * 4 * MAX_TEXT + MAX_LINE > BUFFER)
		access_flush(lane);
	l.p = b->bytes + b->n;
	PUT(&l, "{\"time\":\"");
	put_time(&l, lane);
	PUT(&l, "\",\"id\":\"");
	put_digits(l.p, r != NULL ? r->id : 0);
	l.p += 16;
	if (r != NULL)
		put_trace(&l, r);
	PUT(&l, "\",\"client\":\"");
	put(&l, c->peer, strlen(c->peer));
	PUT(&l, "\",\"method\":\"");
	put_text(&l, req->input.method.base, req->input.method.len < 32 ? req->input.method.len : 32);
	PUT(&l, "\",\"path\":\"");
	put_path(&l, req, r);
	*l.p++ = '"';
	put_field(&l, ",\"range\":\"", req, H2O_TOKEN_RANGE);
	PUT(&l, ",\"status\":");
	put_number(&l, (uint64_t)req->res.status);
	PUT(&l, ",\"bytes\":");
	put_number(&l, req->bytes_sent);
	if (r != NULL)
		put_times(&l, r, session, now);
	PUT(&l, "}\n");
	b->n = (size_t)(l.p - b->bytes);
}
