/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is done inside of libh2o's HTTP/2.
 *
 * Bodies that are larger than what is taken: by itself libh2o resets such a stream, so its viewer never learns why.
 * Its calls of its own functions are bound when the program starts, and find the two below: instead of the reset
 * the request is answered with 413 as every other is, what comes of the body meanwhile is dropped, and when it still
 * comes long after the answer the stream is reset with NO_ERROR (RFC 9113 8.1).  Not at once: clients (curl 7.88) that meet
 * the answer and the reset in one read take it for a failure to send, and never show the answer.
 *
 * A reply that is ready before the body's end (intake.c) goes out the same way, with the next frame at the latest.
 *
 * Replies whose viewer makes no room for them (RFC 9113 5.2): nothing of them is in the kernel, and libh2o has no limit for them.
 *
 * What a connection that rests need not hold: libh2o keeps it until the end.
 *
 * Frames of a type that nobody knows: libh2o tells standard error of each, so anybody could fill a log with them, or stop a server
 * whose standard error is a pipe that nobody reads.
 *
 * Heads whose fields are in a table already and cost a byte each: libh2o counts bytes, of which it takes 400 KB, and makes a hundred
 * times as many of them.
 */
#include <dlfcn.h>

#include "base/counter.h"
#include "base/must.h"
#include "serve/inner.h"

#include <h2o/http2.h>
#include <h2o/http2_internal.h>

#define MAX_BLOCK ((size_t)64 << 10) /* of a head; what is taken of one is half as much (request.c) */
#define MAX_COUNT 256                /* fields in it; more than 100 get their refusal */
#define NO_ERROR 0 /* RFC 9113 7 */
#define CANCEL 8
#define PATIENCE 256 /* frames behind the answer, 4 MiB as most cut them: more than a client has under way that heeds it */

static __typeof__(h2o_http2__encode_rst_stream_frame) *their_rst;
static __typeof__(h2o_http2_stream_reset) *their_reset;
static __typeof__(h2o_hpack_parse_headers) *their_parse;
static __typeof__(h2o_http2_decode_frame) *their_frame;
static __typeof__(h2o_http2_accept) *their_accept;
static _Thread_local uint32_t refused; /* the stream that libh2o said it refuses, and resets with its next call; 0: none */
static _Thread_local uint32_t let_go;  /* whose reply is ready, and that it resets next; 0: none */
static _Thread_local uint32_t spared;  /* the one that is being answered, and that it resets for what still comes */

void h2_init(void)
{
	their_rst = (__typeof__(their_rst))dlsym(RTLD_NEXT, "h2o_http2__encode_rst_stream_frame");
	their_reset = (__typeof__(their_reset))dlsym(RTLD_NEXT, "h2o_http2_stream_reset");
	their_parse = (__typeof__(their_parse))dlsym(RTLD_NEXT, "h2o_hpack_parse_headers");
	their_frame = (__typeof__(their_frame))dlsym(RTLD_NEXT, "h2o_http2_decode_frame");
	their_accept = (__typeof__(their_accept))dlsym(RTLD_NEXT, "h2o_http2_accept");
	MUST(their_rst != NULL && their_reset != NULL && their_parse != NULL && their_frame != NULL && their_accept != NULL);
}

/* Also libh2o's own call, of a connection whose ALPN says so. */
void h2o_http2_accept(h2o_accept_ctx_t *ctx, h2o_socket_t *sock, struct timeval at)
{
	struct conn *c = sock->on_close.data;

	MUST_MAGIC(c, CONN_MAGIC);
	c->frames = true;
	their_accept(ctx, sock, at);
}

void h2_let_go(uint32_t stream_id)
{
	let_go = stream_id;
}

/* What libh2o does with a request that is whole, and then ours. */
static void answer(h2o_http2_conn_t *conn, h2o_http2_stream_t *stream)
{
	struct conn *c = conn->sock->on_close.data;
	struct serve_request *r = request_of(&stream->req);

	h2o_http2_stream_set_state(conn, stream, H2O_HTTP2_STREAM_STATE_REQ_PENDING);
	h2o_http2_stream_set_state(conn, stream, H2O_HTTP2_STREAM_STATE_SEND_HEADERS);
	if (conn->pull_stream_ids.max_processed < stream->stream_id)
		conn->pull_stream_ids.max_processed = stream->stream_id;
	c->excess = stream->stream_id;
	c->excess_frames = 0;
	c->sends = true;
	c->excessive = r;
	if (r != NULL && r->held) {
		intake_let_go(r);
		return;
	}
	h2o_send_error_generic(&stream->req, 413, NULL, NULL, 0);
	c->excessive = request_of(&stream->req);
}

void h2o_http2__encode_rst_stream_frame(h2o_buffer_t **buf, uint32_t stream_id, int error)
{
	h2o_http2_conn_t *conn = H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, _write.buf, buf);
	struct conn *c = conn->sock->on_close.data;

	MUST_MAGIC(c, CONN_MAGIC);
	refused = spared = 0;
	if (error == -H2O_HTTP2_ERROR_REFUSED_STREAM || (error == -H2O_HTTP2_ERROR_STREAM_CLOSED && stream_id == let_go)) {
		refused = stream_id; /* its state tells why: below */
	} else if (error != -H2O_HTTP2_ERROR_STREAM_CLOSED || stream_id != c->excess) {
		their_rst(buf, stream_id, error);
	} else if (c->excessive != NULL) {
		c->sends = true;
		spared = stream_id;
	} else if (c->excess_frames <= PATIENCE) {
		c->sends = true;
		if (c->excess_frames++ == PATIENCE) /* afterwards it may still have been under way (RFC 9113 5.1) */
			their_rst(buf, stream_id, NO_ERROR);
	}
}

void h2o_http2_stream_reset(h2o_http2_conn_t *conn, h2o_http2_stream_t *stream)
{
	bool is_refused = stream->stream_id == refused, is_spared = stream->stream_id == spared;

	refused = spared = let_go = 0;
	if (is_refused && stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY) {
		answer(conn, stream);
		return;
	}
	if (is_refused)
		their_rst(&conn->_write.buf, stream->stream_id, -H2O_HTTP2_ERROR_REFUSED_STREAM);
	if (!is_spared)
		their_reset(conn, stream);
}

bool h2_is_receiving(const h2o_conn_t *any)
{
	const h2o_http2_conn_t *conn = (const h2o_http2_conn_t *)any;

	return conn->num_streams.pull.open > conn->num_streams.pull.half_closed || conn->_headers_unparsed != NULL;
}

bool h2_awaits_body(const h2o_socket_t *sock)
{
	const h2o_http2_conn_t *conn = sock->data;

	return conn->num_streams.pull.open > conn->num_streams.pull.half_closed;
}

static h2o_http2_stream_t *stream_of(h2o_req_t *req)
{
	return H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);
}

bool h2_is_shut(h2o_req_t *req)
{
	const h2o_http2_conn_t *conn = (const h2o_http2_conn_t *)req->conn;

	return stream_of(req)->output_window._avail <= 0 || conn->_write.window._avail <= 0;
}

size_t h2_unsent(h2o_req_t *req)
{
	const h2o_http2_stream_t *stream = stream_of(req);
	size_t n = 0;

	for (size_t i = 0; i < stream->_data.size; i++)
		n += stream->_data.entries[i].len;
	return n;
}

void h2_cut(h2o_req_t *req)
{
	h2o_http2_conn_t *conn = (h2o_http2_conn_t *)req->conn;
	h2o_http2_stream_t *stream = stream_of(req);

	their_rst(&conn->_write.buf, stream->stream_id, CANCEL);
	h2o_http2_conn_request_write(conn);
	their_reset(conn, stream);
}

/* What the encoder has forgotten the decoder may still hold, and never needs: what comes in later stands in front of it in both
 * tables, and the decoder drops from the far end (RFC 7541 2.3.3, 4.4).  The decoder's table is the peer's to fill, and stays. */
static void forget_fields(h2o_hpack_header_table_t *t)
{
	h2o_hpack_dispose_header_table(t);
	t->entries = NULL;
	t->num_entries = t->entry_capacity = t->entry_start_index = t->hpack_size = 0;
}

void h2_rest(h2o_conn_t *any)
{
	h2o_http2_conn_t *conn = (h2o_http2_conn_t *)any;

	forget_fields(&conn->_output_header_table);
	if (h2o_linklist_is_empty(&conn->scheduler._all_refs))
		h2o_http2_scheduler_dispose(&conn->scheduler); /* made anew with the next stream */
}

/* --- frames of no known type --------------------------------------------------------- */

/* They are to be passed over (RFC 9113 5.5), and are where no frame of another kind may stand an error (6.10): as is the answer to a PING. */
ssize_t h2o_http2_decode_frame(h2o_http2_frame_t *frame, const uint8_t *bytes, size_t n, const h2o_http2_settings_t *settings, const char **why)
{
	static const uint8_t nothing[8];
	ssize_t taken = their_frame(frame, bytes, n, settings, why);

	if (taken > 0 && frame->type > H2O_HTTP2_FRAME_TYPE_CONTINUATION)
		*frame = (h2o_http2_frame_t){.length = sizeof nothing, .type = H2O_HTTP2_FRAME_TYPE_PING, .flags = H2O_HTTP2_FRAME_FLAG_ACK, .payload = nothing};
	return taken;
}

/* --- heads that grow as they are read ---------------------------------------------- */

/* Behind the number that begins in the last `bits` of *p (RFC 7541 5.1), or `end`. */
static const uint8_t *read_number(const uint8_t *p, const uint8_t *end, unsigned bits, size_t *ret)
{
	uint8_t mask = (uint8_t)((1u << bits) - 1);

	*ret = *p & mask;
	if (*ret < mask)
		return p + 1;
	for (unsigned shift = 0; ++p < end && shift < 28; shift += 7) {
		*ret += (size_t)(*p & 0x7f) << shift;
		if ((*p & 0x80) == 0)
			return p + 1;
	}
	return end;
}

static const uint8_t *skip_string(const uint8_t *p, const uint8_t *end)
{
	size_t n;

	if (p == end)
		return end;
	p = read_number(p, end, 7, &n);
	return n < (size_t)(end - p) ? p + n : end;
}

/* The fields of a block, and changes of the table's size (RFC 7541 6); of one that is broken those before that. */
static size_t count_fields(const uint8_t *p, const uint8_t *end)
{
	size_t n = 0, index;

	for (; p < end; n++) {
		bool indexed = (*p & 0x80) != 0, literal = !indexed && (*p & 0xe0) != 0x20;

		p = read_number(p, end, indexed ? 7 : (*p & 0x40) != 0 ? 6 : literal ? 4 : 5, &index);
		if (literal && index == 0)
			p = skip_string(p, end);
		if (literal)
			p = skip_string(p, end);
	}
	return n;
}

int h2o_hpack_parse_headers(h2o_req_t *req, h2o_hpack_header_table_t *table, const uint8_t *block, size_t n, int *pseudo, size_t *length,
                            h2o_cache_digests_t **digests, const char **why)
{
	struct conn *c = req->conn->callbacks->get_socket(req->conn)->on_close.data;

	if (n <= MAX_BLOCK && count_fields(block, block + n) <= MAX_COUNT)
		return their_parse(req, table, block, n, pseudo, length, digests, why);
	counters_add(c->lane->serve->counters, C_CONNECTIONS_FLOOD, 1);
	*why = "a head of too many fields";
	return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
}
