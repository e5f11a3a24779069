/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Refusals: short texts or problem+json (RFC 9457), never to be stored.  Also libh2o's own: what it refuses between
 * the head of a request and its handler (a body that is too large, an expectation it does not know) it answers by a call
 * that is bound when the program starts, and finds the function below.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <string.h>

#include "base/must.h"
#include "serve/inner.h"

static __typeof__(h2o_send_error_generic) *theirs;

void refuse_init(void)
{
	theirs = (__typeof__(h2o_send_error_generic) *)dlsym(RTLD_NEXT, "h2o_send_error_generic");
	MUST(theirs != NULL);
}

static const char *detail_of(struct serve_request *r, int status)
{
	switch (status) {
	case 400: return "the request cannot be read: its first line, a field, or where it ends";
	case 404: return "there is nothing at this path";
	case 405: return "this method is not for this path; Allow has those that are";
	case 413: return request_printf(r, "the body is larger than the %" PRIu64 " bytes that are taken", r->lane->serve->settings.max_body);
	case 414: return "the path and query are too long";
	case 417: return "of Expect only 100-continue is known";
	case 501: return "this method is known for no path at all";
	case 431: return "the fields are too many or too long";
	default: return status_text(status);
	}
}

static void refuse(struct serve_request *r, int status, const char *type, const char *text)
{
	request_set_status(r, status);
	request_add(r, H2O_TOKEN_CONTENT_TYPE, type);
	request_add(r, H2O_TOKEN_CACHE_CONTROL, "no-store"); /* a failure must not outlive its cause */
	if (status == 429 || status == 502 || status == 503 || status == 504) /* all pass; not all at the same time */
		request_add(r, H2O_TOKEN_RETRY_AFTER, request_printf(r, "%u", 1 + (unsigned)(r->id % 4)));
	request_add_cors(r);
	request_send_memory(r, text, strlen(text));
}

void request_problem(struct serve_request *r, int status, const char *detail)
{
	refuse(r, status, "application/problem+json",
	       request_printf(r, "{\"type\": \"about:blank\", \"title\": \"%s\", \"status\": %d, \"detail\": \"%s\"}\n", status_text(status), status, detail));
}

void request_refuse(struct serve_request *r, int status)
{
	if (r->lane->serve->settings.problems)
		request_problem(r, status, detail_of(r, status));
	else
		refuse(r, status, "text/plain; charset=utf-8", request_printf(r, "%d %s\n", status, status_text(status)));
}

/* What libh2o does with a request that is whole, for the log. */
static void find_query(h2o_req_t *req)
{
	const char *at = memchr(req->input.path.base, '?', req->input.path.len);

	req->query_at = at != NULL ? (size_t)(at - req->input.path.base) : SIZE_MAX;
}

void h2o_send_error_generic(h2o_req_t *req, int status, const char *reason, const char *body, int flags)
{
	struct serve_request *r = request_of(req);

	if (r != NULL) { /* it is ours already: nothing that libh2o refuses by itself */
		theirs(req, status, reason, body, flags);
		return;
	}
	if (req->pathconf == NULL) /* its configuration, and so its loggers: no handler was looked for yet */
		h2o_req_bind_conf(req, req->conn->hosts[0], &req->conn->hosts[0]->fallback_path);
	if (req->input.path.base != NULL)
		find_query(req);
	if ((flags & H2O_SEND_ERROR_HTTP1_CLOSE_CONNECTION) != 0)
		req->http1_is_persistent = 0;
	request_refuse(request_new(req), status);
}
