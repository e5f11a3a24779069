/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Heads that libh2o cannot read.  By itself it answers all of them with a fixed text, 400 without a Date, below
 * its handlers, filters and loggers.  Its call of the parser is bound when the program starts, and finds the function
 * below, which asks libh2o's own and makes of a failure an empty request with a status in store: so it is refused
 * as all others are, with its fields, its line in the log and its number among the refused.
 *
 * And bodies that are taken as they come (serve/intake.c): their length is kept here, and libh2o told of none.
 */
#include <dlfcn.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#include "base/must.h"
#include "serve/chunks.h"
#include "serve/inner.h"

#define MAX_EMPTY ((size_t)16) /* lines in front of a request line */
#define MAX_HEAD ((size_t)48 << 10) /* bytes without an end; the limits of what is in a head are smaller */

/* picohttpparser.h, which libh2o does not install. */
struct phr_header {
	const char *name;
	size_t name_n;
	const char *value;
	size_t value_n;
};
typedef int parse_f(const char *bytes, size_t n, const char **method, size_t *method_n, const char **path, size_t *path_n, int *minor,
                    struct phr_header *fields, size_t *n_fields, size_t seen);
parse_f phr_parse_request;

ssize_t phr_decode_chunked(struct chunks *, char *bytes, size_t *n);

static parse_f *theirs;
static _Thread_local int refused;
static _Thread_local const struct serve *serving; /* whose bodies are taken as they come, or NULL */
static _Thread_local struct parse_body body;

void parse_init(void)
{
	theirs = (parse_f *)dlsym(RTLD_NEXT, "phr_parse_request");
	MUST(theirs != NULL);
}

int parse_take_refusal(void)
{
	int status = refused;

	refused = 0;
	return status;
}

/* RFC 9112 2.2: they are no part of the request.  libh2o's parser passes over one. */
static size_t empty_lines(const char *bytes, size_t n)
{
	size_t at = 0;

	while (at < 2 * MAX_EMPTY && n - at >= 2 && bytes[at] == '\r' && bytes[at + 1] == '\n')
		at += 2;
	return at;
}

/* Where the parser failed although method and target are there: for another version of HTTP (RFC 9110 15.6.6)?  0: more
 * of it is to come. */
static int judge_version(const char *version, size_t n)
{
	static const char form[] = "HTTP/9.9\r\n";

	for (size_t i = 0; i < sizeof form - 1; i++) {
		if (i == n)
			return 0;
		if (form[i] == '9' ? version[i] < '0' || version[i] > '9' : version[i] != form[i])
			return 400;
	}
	return version[5] == '1' ? 400 : 505;
}

/* 0: it is well, or not all here yet. */
static int judge(int end, const char *bytes, size_t n, bool no_room)
{
	if (end == -1)
		return no_room ? 431 : 400;
	if (end == -2 && n >= MAX_HEAD)
		return memchr(bytes, '\n', MAX_HEAD) == NULL ? 414 : 431;
	return 0;
}

/* RFC 9110 10.1.1: of HTTP/1.0 it is not to be taken notice of. */
static void drop_expectations(struct phr_header *fields, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++)
		if (fields[i].name_n != 6 || strncasecmp(fields[i].name, "expect", 6) != 0)
			fields[kept++] = fields[i];
	*n = kept;
}

/* --- bodies that are taken as they come --- */

void parse_begin(const struct serve *s)
{
	serving = s->takes_bodies || s->settings.trusts != NULL ? s : NULL;
}

bool parse_is_taken(const struct serve *s, h2o_iovec_t method, h2o_iovec_t path)
{
	if (!(method.len == 5 && memcmp(method.base, "PATCH", 5) == 0) && !(method.len == 4 && memcmp(method.base, "POST", 4) == 0))
		return false;
	for (size_t i = 0; i < s->n_routes; i++)
		if (path.len >= s->routes[i].n && memcmp(path.base, s->routes[i].prefix, s->routes[i].n) == 0)
			return s->routes[i].takes_bodies;
	return false;
}

bool parse_take_body(struct parse_body *ret)
{
	bool is = body.is;

	*ret = body;
	body.is = false;
	return is;
}

/* Of the bodies that libh2o collects.  Its own takes a lone LF for a line's end, a size that goes on in any other character ("0x3": 0), and
 * anything at all for a trailer. */
ssize_t phr_decode_chunked(struct chunks *k, char *bytes, size_t *n)
{
	return chunks_decode(k, bytes, n);
}

static bool is_field(const struct phr_header *h, const char *name, size_t n)
{
	return h->name_n == n && strncasecmp(h->name, name, n) == 0;
}

static bool is_value(const struct phr_header *h, const char *value, size_t n)
{
	return h->value_n == n && strncasecmp(h->value, value, n) == 0;
}

/* Has it one body, whose length is told in one way?  Everything else is libh2o's to refuse.  `whole`: one with a key of idempotency is to be
 * known as a whole before it is looked at. */
static struct phr_header *find_length(struct phr_header *fields, size_t n, bool whole, struct phr_header **ret_expect)
{
	struct phr_header *length = NULL;

	*ret_expect = NULL;
	for (size_t i = 0; i < n; i++) {
		struct phr_header *h = &fields[i];
		bool codes = is_field(h, "transfer-encoding", 17);

		if (whole && is_field(h, "idempotency-key", 15))
			return NULL;
		if (is_field(h, "expect", 6) && (*ret_expect != NULL || !is_value(h, "100-continue", 12)))
			return NULL;
		if (is_field(h, "expect", 6))
			*ret_expect = h;
		if (!codes && !is_field(h, "content-length", 14))
			continue;
		if (length != NULL || (codes && !is_value(h, "chunked", 7)))
			return NULL;
		length = h;
	}
	return length;
}

/* Takes the body out of the head, in which names become small as libh2o would make them. */
static void hide_body(const char *head, size_t head_n, struct phr_header *fields, size_t *n, bool trusted)
{
	static char name[] = "content-length"; /* libh2o writes into it what is there */
	struct phr_header *expect, *length = find_length(fields, *n, trusted, &expect);
	uint64_t size = 0;
	bool chunked = length != NULL && length->name_n == 17;

	if (length == NULL || (!chunked && (str_parse_u64(length->value, length->value_n, &size) != 0 || size > INT64_MAX)))
		return;
	body = (struct parse_body){.is = true, .chunked = chunked, .length = size, .head_n = head_n, .expects = expect != NULL};
	for (size_t i = 0; i < length->name_n; i++) /* what reads the bytes again looks for it (head_is_doubtful) */
		((char *)(uintptr_t)length->name)[i] |= 0x20;
	*length = (struct phr_header){name, sizeof name - 1, "0", 1};
	if (expect != NULL)
		drop_expectations(fields, n);
}

bool parse_is_trusted(const struct serve *s, const char *authorization, size_t n)
{
	return s->settings.trusts == NULL || s->settings.trusts(s->settings.trusts_ctx, authorization, n);
}

static bool is_trusted(const struct phr_header *fields, size_t n)
{
	const struct phr_header *found = NULL;

	for (size_t i = 0; i < n && found == NULL; i++)
		found = is_field(&fields[i], "authorization", 13) ? &fields[i] : NULL;
	return parse_is_trusted(serving, found != NULL ? found->value : NULL, found != NULL ? found->value_n : 0);
}

static void look_for_body(const char *head, size_t head_n, h2o_iovec_t method, h2o_iovec_t path, struct phr_header *fields, size_t *n)
{
	struct phr_header *expect;
	bool trusted;

	if (find_length(fields, *n, false, &expect) == NULL)
		return;
	trusted = is_trusted(fields, *n);
	if (!trusted || parse_is_taken(serving, method, path))
		hide_body(head, head_n, fields, n, trusted);
}

int phr_parse_request(const char *bytes, size_t n, const char **method, size_t *method_n, const char **path, size_t *path_n, int *minor,
                      struct phr_header *fields, size_t *n_fields, size_t seen)
{
	size_t room = *n_fields, empty = empty_lines(bytes, n);
	const char *version;
	int end;

	*method = *path = NULL;
	*method_n = *path_n = 0;
	end = theirs(bytes + empty, n - empty, method, method_n, path, path_n, minor, fields, n_fields, seen > empty ? seen - empty : 0);
	if (end > 0)
		end += (int)empty;
	refused = judge(end, bytes, n, *n_fields == room);
	if (refused == 400 && *path != NULL && *path_n > 0 && bytes + n > (version = *path + *path_n + 1)) {
		refused = judge_version(version, (size_t)(bytes + n - version));
		end = refused == 0 ? -2 : end;
	}
	if (refused == 0) {
		if (end > 0 && *minor == 0)
			drop_expectations(fields, n_fields);
		body.is = false;
		if (end > 0 && serving != NULL)
			look_for_body(bytes, (size_t)end, h2o_iovec_init(*method, *method_n), h2o_iovec_init(*path, *path_n), fields, n_fields);
		return end;
	}
	if (*method == NULL || *path == NULL || *path_n == 0 || **path != '/') { /* the line itself is what is wrong */
		*method = "-";
		*path = "/";
		*method_n = *path_n = 1;
	}
	*minor = 1;
	*n_fields = 0;
	return (int)n;
}
