/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The bodies of HTTP/2 for serve/intake.c: two calls within libh2o, bound when the program starts, that stand
 * behind each other whenever a DATA frame has come: the frame is read, and room is made in its stream's buffer.
 *
 * Invariant: a buffer is taken for a stream's only when its address is that of a stream that libh2o lists.
 */
#include <dlfcn.h>

#include "base/must.h"
#include "serve/inner.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <h2o/http2_internal.h>
#pragma GCC diagnostic pop

static __typeof__(h2o_http2_decode_data_payload) *their_decode;
static __typeof__(h2o_buffer_reserve) *their_reserve;

static _Thread_local struct {
	struct lane *lane; /* NULL: nothing here takes bodies as they come */
	bool pending, ends; /* a frame was read; it is its stream's last */
} here;

void frames_init(void)
{
	their_decode = (__typeof__(their_decode))dlsym(RTLD_NEXT, "h2o_http2_decode_data_payload");
	their_reserve = (__typeof__(their_reserve))dlsym(RTLD_NEXT, "h2o_buffer_reserve");
	MUST(their_decode != NULL && their_reserve != NULL);
}

void frames_begin(struct lane *l)
{
	h2o_linklist_init_anchor(&l->intakes);
	h2o_linklist_init_anchor(&l->leftovers);
	if (l->serve->takes_bodies || l->serve->settings.trusts != NULL)
		here.lane = l;
}

int h2o_http2_decode_data_payload(h2o_http2_data_payload_t *payload, const h2o_http2_frame_t *frame, const char **why)
{
	int error = their_decode(payload, frame, why);

	here.pending = here.lane != NULL && error == 0;
	here.ends = (frame->flags & H2O_HTTP2_FRAME_FLAG_END_STREAM) != 0;
	return error;
}

static int is_it(h2o_req_t *req, void *wanted)
{
	return req == wanted;
}

/* The stream whose buffer this is, or NULL. */
static h2o_http2_stream_t *stream_of(struct lane *l, h2o_buffer_t **b)
{
	h2o_http2_stream_t *s = (void *)((char *)b - offsetof(h2o_http2_stream_t, _req_body));

	for (h2o_linklist_t *n = l->intakes.next; n != &l->intakes; n = n->next)
		if (H2O_STRUCT_FROM_MEMBER(struct serve_request, intake_link, n)->req == &s->req)
			return s;
	return l->serve->h2o.http2.callbacks.foreach_request(&l->ctx, is_it, &s->req) ? s : NULL;
}

/* What h2o_process_request will find out again. */
static void prepare(h2o_req_t *req)
{
	req->method = req->input.method;
	req->authority = req->input.authority;
	h2o_req_bind_conf(req, req->conn->hosts[0], &req->conn->hosts[0]->fallback_path);
}

/* Its reply is ready, and need not wait for the body's end. */
static bool is_answered(h2o_http2_stream_t *stream, const struct serve_request *r)
{
	bool is = r->held && !here.ends;

	if (is)
		h2_let_go(stream->stream_id);
	return is;
}

static bool is_trusted(const h2o_req_t *req)
{
	ssize_t i = h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, -1);

	return i < 0 ? parse_is_trusted(here.lane->serve, NULL, 0)
	             : parse_is_trusted(here.lane->serve, req->headers.entries[i].value.base, req->headers.entries[i].value.len);
}

static bool is_collected(const h2o_req_t *req)
{
	return !parse_is_taken(here.lane->serve, req->input.method, req->input.path) ||
	       h2o_find_header_by_str(&req->headers, "idempotency-key", 15, -1) >= 0;
}

/* A frame of `stream` is about to be appended to its buffer.  False: no more of it is to come, for it is answered, or is to be
 * reset (h2.c). */
static bool on_frame(h2o_http2_stream_t *stream, h2o_buffer_t **b)
{
	struct serve_request *r = request_of(&stream->req);
	h2o_req_t *req = &stream->req;
	bool well;

	if (r == NULL) {
		if (here.ends || (is_trusted(req) && is_collected(req)))
			return true;
		prepare(req);
		r = request_new(req);
		intake_begin_2(r, stream->_expected_content_length);
		stream->_expected_content_length = SIZE_MAX; /* the buffer will not have it all */
		request_run(r, 0);
		return !is_answered(stream, r);
	}
	if (r->intake == NULL)
		return true;
	well = intake_take_2(r, (*b)->bytes, (*b)->size);
	h2o_buffer_consume(b, (*b)->size);
	return well && !is_answered(stream, r);
}

h2o_iovec_t h2o_buffer_reserve(h2o_buffer_t **b, size_t n)
{
	h2o_http2_stream_t *stream;

	if (here.pending) {
		here.pending = false;
		stream = stream_of(here.lane, b);
		if (stream != NULL && !on_frame(stream, b))
			return (h2o_iovec_t){NULL, 0}; /* which resets it */
	}
	return their_reserve(b, n);
}
