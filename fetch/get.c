/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fetch_get: one transfer, waited for, its body in memory.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "fetch/fetch.h"

struct get {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
	struct buf body;
	struct fetch_result result;
	char *etag;
};

static int on_data(void *ctx, const void *bytes, size_t n)
{
	struct get *g = ctx;

	return buf_append(&g->body, bytes, n);
}

static void on_done(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct get *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->result = *result;
	g->etag = mem_dup(response->etag);
	g->done = true;
	pthread_cond_signal(&g->ended);
	pthread_mutex_unlock(&g->lock);
}

static int verdict(const struct get *g, const struct fetch_request *req, struct fault *f)
{
	if (g->result.error != 0)
		return fault_set(f, g->result.error, "%s: %s%s%s", req->url, words_error(g->result.error),
		                 g->result.text[0] != '\0' ? ": " : "", g->result.text);
	if (g->result.status >= 400)
		return fault_set(f, ERR_HTTP, _("%s: HTTP status %d"), req->url, g->result.status);
	return 0;
}

int fetch_get(struct fetch *fetch, const struct fetch_request *req, struct blob **ret_blob,
              struct fetch_result *ret_result, char **ret_etag, struct fault *f)
{
	struct get g = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
	int r;

	MUST(req->max_bytes > 0);
	buf_init(&g.body, req->max_bytes);
	fetch_start(fetch, req, NULL, on_data, on_done, &g);
	pthread_mutex_lock(&g.lock);
	while (!g.done)
		pthread_cond_wait(&g.ended, &g.lock);
	pthread_mutex_unlock(&g.lock);
	r = verdict(&g, req, f);
	if (ret_result != NULL)
		*ret_result = g.result;
	if (ret_blob != NULL && g.result.error == 0)
		*ret_blob = blob_take_buf(&g.body);
	if (ret_etag != NULL && g.result.error == 0)
		*ret_etag = g.etag;
	else
		free(g.etag);
	buf_fini(&g.body);
	pthread_cond_destroy(&g.ended);
	pthread_mutex_destroy(&g.lock);
	return r;
}
