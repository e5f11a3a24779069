/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Request ids and W3C Trace Context: a client's valid traceparent is kept, any
 * other is as if there was none, and the request begins a trace of its own.
 * Looked at once a request, without an allocation beyond its pool.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "serve/inner.h"

struct found {
	struct request_trace trace;
	struct traceparent given;
	char own[33];
	char request_id[65];
};

/* The only field of this name: with two nobody knows which is meant. */
static bool only_field(const struct serve_request *r, const char *name, size_t n, h2o_iovec_t *ret)
{
	ssize_t i = r->untraced ? -1 : h2o_find_header_by_str(&r->req->headers, name, n, -1);

	if (i < 0 || h2o_find_header_by_str(&r->req->headers, name, n, i) >= 0)
		return false;
	*ret = r->req->headers.entries[i].value;
	return true;
}

static void take_traceparent(const struct serve_request *r, struct found *f)
{
	h2o_iovec_t v;

	if (only_field(r, H2O_STRLIT("traceparent"), &v) && traceparent_parse(v.base, v.len, &f->given) == 0) {
		f->trace.trace = f->given.trace;
		f->trace.parent = f->given.span;
		f->trace.flags = f->given.flags;
		return;
	}
	memcpy(f->own, r->lane->traces, 16);
	put_digits(f->own + 16, r->id);
	f->own[32] = '\0';
	f->trace.trace = f->own;
}

const struct request_trace *trace_of(struct serve_request *r)
{
	struct found *f;
	h2o_iovec_t v;

	if (r->trace != NULL)
		return r->trace;
	f = h2o_mem_alloc_pool(&r->req->pool, sizeof *f);
	f->trace = (struct request_trace){0};
	take_traceparent(r, f);
	f->trace.request_id = f->trace.trace;
	if (only_field(r, H2O_STRLIT("x-request-id"), &v) && request_id_is_good(v.base, v.len)) {
		memcpy(f->request_id, v.base, v.len);
		f->request_id[v.len] = '\0';
		f->trace.request_id = f->request_id;
	}
	return r->trace = &f->trace;
}

void trace_answer(struct serve_request *r)
{
	static const h2o_iovec_t field = REQUEST_NAME("x-request-id");
	const char *id = trace_of(r)->request_id;

	request_add_field(r, &field, id, strlen(id));
}

/* Several lines count as one list (3.3.1.1); without a valid traceparent there is none (3.3). */
static char *state_field(struct serve_request *r)
{
	static const h2o_iovec_t name = REQUEST_NAME("tracestate");
	h2o_iovec_t v;

	if (trace_of(r)->parent == NULL || (v = request_list(r, &name)).base == NULL)
		return NULL;
	return tracestate_is_good(v.base, v.len) ? mem_printf("tracestate: %.*s", (int)v.len, v.base) : NULL;
}

void serve_trace(struct serve_request *r, struct serve_trace *ret)
{
	const struct request_trace *t = trace_of(r);

	memcpy(ret->parent.trace, t->trace, sizeof ret->parent.trace);
	put_digits(ret->parent.span, r->id);
	ret->parent.span[16] = '\0';
	ret->parent.flags = (uint8_t)t->flags;
	ret->fields[0] = state_field(r);
	ret->fields[1] = t->request_id != t->trace ? mem_printf("x-request-id: %s", t->request_id) : NULL;
}

void serve_trace_fini(struct serve_trace *t)
{
	for (size_t i = 0; i < SERVE_TRACE_FIELDS; i++)
		free(t->fields[i]);
	*t = (struct serve_trace){0};
}
