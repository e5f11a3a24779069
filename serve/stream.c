/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Replies without an end: pieces are asked for when the viewer has room and the
 * source has news, so a slow viewer holds one piece and keeps nobody waiting.
 *
 * Invariant: a source is asked by the request's own lane only, one piece at a time.
 */
#include <sys/socket.h>

#include "base/blob.h"
#include "base/must.h"
#include "serve/inner.h"

#define KERNEL_ROOM (64 << 10) /* what the kernel may queue for a viewer who does not read */

void stream_run(struct serve_request *r)
{
	h2o_iovec_t piece;
	int n;

	blob_unref(&r->blob); /* it has been sent */
	held_release(r);
	body_make_waiter(r);
	n = r->stream->next(r->stream_ctx, r->waiter, &r->blob);
	if (n == 0) {
		body_begin_wait(r);
	} else if (n < 0) {
		h2o_send(r->req, NULL, 0, n == SERVE_STREAM_CUT ? H2O_SEND_STATE_ERROR : H2O_SEND_STATE_FINAL);
	} else if (!blob_is_shared(r->blob) && held_take(r, r->blob->size) != 0) {
		h2o_send(r->req, NULL, 0, H2O_SEND_STATE_FINAL); /* others of this client wait to be read: it may come again */
	} else {
		MUST(r->blob != NULL && r->blob->size > 0);
		piece = h2o_iovec_init(r->blob->bytes, r->blob->size);
		h2o_send(r->req, &piece, 1, H2O_SEND_STATE_IN_PROGRESS);
	}
}

void stream_release(struct serve_request *r)
{
	if (r->stream != NULL)
		r->stream->free(r->stream_ctx);
	r->stream = NULL;
}

void serve_reply_stream(struct serve_request *r, const char *type, const struct serve_header *extra, size_t n_extra,
                        const struct serve_stream_ops *ops, void *ctx)
{
	int room = KERNEL_ROOM;

	if (r->is_head) {
		ops->free(ctx);
		serve_reply(r, 200, type, NULL, extra, n_extra);
		return;
	}
	request_begin_reply(r, 200, type, extra, n_extra);
	r->replied = true;
	r->req->res.content_length = SIZE_MAX;
	r->stream = ops;
	r->stream_ctx = ctx;
	if (r->req->version < 0x200) /* a connection of HTTP/2 has other replies too */
		(void)setsockopt(h2o_socket_get_fd(r->conn->sock), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	body_start(r);
}
