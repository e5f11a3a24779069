/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Replies.  Nothing of the control plane may be kept by a cache without asking.
 */
#include "origin/reply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "origin/form.h"
#include "origin/json_text.h"

#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json"
#define ETAG_SIZE 33

/* What is kept of replies; the control thread's alone. */
static __thread struct reply_kept *kept;
/* Where an answer is told instead of sent. */
static __thread struct reply_peek *peeked;

static bool is_read(const struct serve_request *req)
{
	return strcmp(serve_method(req), "GET") == 0 || strcmp(serve_method(req), "HEAD") == 0;
}

static void send_blob(struct serve_request *req, struct blob *body, const char *etag, dur_us age)
{
	char quoted[SHA256_HEX_SIZE + 2], seconds[24];
	struct serve_header fields[] = {{"etag", quoted}, {"cache-control", "no-cache"}, {"age", seconds}};
	size_t n = age >= 0 ? 3 : 2;
	enum condition condition;

	if (peeked != NULL) {
		peeked->status = 200;
		snprintf(peeked->etag, sizeof peeked->etag, "%s", etag);
		blob_unref(&body);
		return;
	}
	snprintf(quoted, sizeof quoted, "\"%s\"", etag);
	snprintf(seconds, sizeof seconds, "%lld", (long long)(age / DUR_S));
	condition = is_read(req) ? serve_judge(req, quoted) : CONDITION_PASSED;
	if (condition == CONDITION_PASSED) {
		serve_reply(req, 200, JSON_TYPE, body, fields, n);
		return;
	}
	blob_unref(&body);
	if (condition == CONDITION_NOT_MODIFIED)
		serve_reply(req, 304, NULL, NULL, fields, n);
	else
		reply_not_as_seen(req, etag);
}

void reply_json_blob(struct serve_request *req, struct blob *body, const char *etag)
{
	send_blob(req, body, etag, -1);
}

/* Compact JSON with a newline, as a blob; NULL without memory. */
static struct blob *dump(const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(9)), *line;
	struct blob *b;

	if (text == NULL)
		return NULL;
	line = mem_printf("%s\n", text);
	b = blob_copy(line, strlen(line));
	free(line);
	free(text);
	return b;
}

void reply_note(int status, const char *location, const char *body)
{
	if (kept == NULL)
		return;
	kept->status = status;
	kept->location = location != NULL ? mem_dup(location) : NULL;
	kept->body = body != NULL ? mem_dup(body) : NULL;
}

static void send_json(struct serve_request *req, int status, const char *type, json_t *body, const char *name,
                      const char *value)
{
	struct serve_header fields[] = {{"cache-control", "no-store"}, {name, value}};
	struct blob *b;

	if (peeked != NULL) {
		peeked->status = status;
		json_decref(body);
		return;
	}
	b = dump(body);
	json_decref(body);
	if (kept != NULL && b != NULL) {
		char *text = mem_dup_n((const char *)b->bytes, b->size);

		reply_note(status, name != NULL && strcmp(name, "location") == 0 ? value : NULL, text);
		explicit_bzero(text, strlen(text)); /* a secret may be in it */
		free(text);
	}
	serve_reply(req, b != NULL ? status : 500, type, b, fields, name != NULL ? 2 : 1);
}

void reply_keep(struct reply_kept *k)
{
	kept = k;
}

void reply_peek(struct reply_peek *p)
{
	peeked = p;
}

void reply_again(struct serve_request *req, const struct reply_kept *k)
{
	struct serve_header fields[4] = {{"cache-control", "no-store"}, {"idempotency-replayed", "true"}};
	size_t n = 2, version_n;
	const char *version = serve_field(req, "tus-resumable", &version_n);

	if (k->location != NULL)
		fields[n++] = (struct serve_header){"location", k->location};
	if (version != NULL) /* the clients of that look for it */
		fields[n++] = (struct serve_header){"tus-resumable", version};

	serve_reply(req, k->status, k->status < 400 ? JSON_TYPE : PROBLEM_TYPE,
	            k->body != NULL ? blob_copy(k->body, strlen(k->body)) : NULL, fields, n);
}

/* "%.32s" of its SHA-256 */
static void etag_of(const void *bytes, size_t n, char ret_etag[static ETAG_SIZE])
{
	char hex[SHA256_HEX_SIZE];
	struct sha256 hash;

	sha256_of(bytes, n, &hash);
	sha256_to_hex(&hash, hex);
	snprintf(ret_etag, ETAG_SIZE, "%.32s", hex);
}

void reply_json_aged(struct serve_request *req, struct blob *body, dur_us age)
{
	char etag[ETAG_SIZE];

	etag_of(body->bytes, body->size, etag);
	send_blob(req, body, etag, age);
}

void reply_not_as_seen(struct serve_request *req, const char *etag)
{
	if (etag[0] != '\0')
		reply_problem(req, 412, "it was changed meanwhile: read it again (its ETag is \"%s\" now)", etag);
	else
		reply_problem(req, 412, "this resource has no ETag that could be compared: leave the condition out");
}

bool reply_has_condition(const struct serve_request *req)
{
	size_t n;

	return serve_field(req, "if-match", &n) != NULL || serve_field(req, "if-none-match", &n) != NULL;
}

bool reply_if_match(struct serve_request *req, const char *etag)
{
	char quoted[SHA256_HEX_SIZE + 2];

	snprintf(quoted, sizeof quoted, "\"%s\"", etag);
	if (serve_judge(req, etag[0] != '\0' ? quoted : NULL) == CONDITION_PASSED)
		return true;
	reply_not_as_seen(req, etag);
	return false;
}

void reply_json(struct serve_request *req, int status, json_t *body)
{
	char etag[ETAG_SIZE];
	struct blob *b;

	if (status != 200 || (peeked == NULL && strcmp(serve_method(req), "POST") == 0)) {
		send_json(req, status, JSON_TYPE, body, NULL, NULL);
		return;
	}
	b = dump(body);
	json_decref(body);
	if (b == NULL) {
		reply_problem(req, 500, "no memory for the answer");
		return;
	}
	etag_of(b->bytes, b->size, etag);
	reply_json_blob(req, b, etag);
}

/* The text as a blob with its newline; NULL: it has been answered. */
static struct blob *take_text(struct serve_request *req, struct json_text *t)
{
	buf_putc(&t->out, '\n');
	if (buf_error(&t->out) == 0)
		return blob_take_buf(&t->out);
	buf_fini(&t->out);
	reply_problem(req, 500, "no memory for the answer");
	return NULL;
}

void reply_json_text(struct serve_request *req, struct json_text *t)
{
	struct blob *b = take_text(req, t);
	char etag[ETAG_SIZE];

	if (b == NULL)
		return;
	etag_of(b->bytes, b->size, etag);
	reply_json_blob(req, b, etag);
}

void reply_json_alive(struct serve_request *req, struct json_text *t, const char *what)
{
	struct blob *b = take_text(req, t);
	char etag[ETAG_SIZE], quoted[ETAG_SIZE + 2];
	struct serve_header fields[] = {{"etag", quoted}, {"cache-control", "no-store"}};

	if (b == NULL)
		return;
	etag_of(what, strlen(what), etag);
	if (peeked != NULL) {
		peeked->status = 200;
		snprintf(peeked->etag, sizeof peeked->etag, "%s", etag);
		blob_unref(&b);
		return;
	}
	snprintf(quoted, sizeof quoted, "\"%s\"", etag);
	serve_reply(req, 200, JSON_TYPE, b, fields, 2);
}

void reply_created(struct serve_request *req, json_t *body, const char *location)
{
	send_json(req, 201, JSON_TYPE, body, location != NULL ? "location" : NULL, location);
}

void reply_text(struct serve_request *req, int status, const char *text)
{
	struct serve_header field = {"cache-control", "no-store"};

	serve_reply(req, status, "text/plain; charset=utf-8", blob_copy(text, strlen(text)), &field, 1);
}

void reply_empty(struct serve_request *req, int status)
{
	struct serve_header field = {"cache-control", "no-store"};

	if (kept != NULL)
		kept->status = status;
	serve_reply(req, status, NULL, NULL, &field, 1);
}

/* --- problems --- */

static const char *title_of(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{400, "Bad request"},      {401, "Unauthorized"},           {403, "Forbidden"},
		{404, "Not found"},        {405, "Method not allowed"},     {409, "Conflict"},
		{410, "Gone"},             {412, "Precondition failed"},    {422, "Unprocessable content"},
		{460, "Checksum mismatch"}, {507, "Insufficient storage"},
		{413, "Content too large"}, {415, "Unsupported media type"}, {421, "Misdirected request"},
		{429, "Too many requests"}, {500, "Internal error"},        {503, "Service unavailable"},
	};

	for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Error";
}

static json_t *problem(int status, const char *detail, const char *field)
{
	json_t *p = json_pack("{s:s, s:s, s:i}", "type", "about:blank", "title", title_of(status), "status", status);
	json_t *text = json_string(detail); /* NULL when it is not UTF-8 */

	json_object_set_new(p, "detail", text != NULL ? text : json_string("(not printable)"));
	if (field != NULL && field[0] != '\0')
		json_object_set_new(p, "field", json_string(field));
	return p;
}

void reply_problem(struct serve_request *req, int status, const char *fmt, ...)
{
	char detail[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	send_json(req, status, PROBLEM_TYPE, problem(status, detail, NULL), status == 503 || status == 429 ? "retry-after" : NULL, "5");
}

void reply_too_often(struct serve_request *req, dur_us wait, const char *detail)
{
	char seconds[24];

	snprintf(seconds, sizeof seconds, "%lld", (long long)((wait + DUR_S - 1) / DUR_S));
	send_json(req, 429, PROBLEM_TYPE, problem(429, detail, NULL), "retry-after", seconds);
}

void reply_form_error(struct serve_request *req, const struct form_error *e)
{
	send_json(req, 400, PROBLEM_TYPE, problem(400, e->text, e->field), NULL, NULL);
}

void reply_fault(struct serve_request *req, const struct fault *f)
{
	int status;

	switch (f->code) {
	case ERR_NOT_FOUND:
		status = 404;
		break;
	case ERR_EXISTS:
	case ERR_LIMIT:
		status = 409;
		break;
	case ERR_BUSY:
	case ERR_DATABASE:
	case -ENOSPC: /* the library can be read, not written */
	case -EDQUOT:
	case -EROFS:
		status = 503;
		break;
	default:
		status = err_class_of(f->code) == ERR_CLASS_INPUT ? 400 : 500;
		break;
	}
	reply_problem(req, status, "%s", fault_text(f));
}

void reply_not_allowed(struct serve_request *req, const char *allow)
{
	send_json(req, 405, PROBLEM_TYPE, problem(405, "this resource answers other methods", NULL), "allow", allow);
}

void reply_unauthorized(struct serve_request *req, const char *detail)
{
	send_json(req, 401, PROBLEM_TYPE, problem(401, detail, NULL), "www-authenticate", "Bearer realm=\"ribera\"");
}
