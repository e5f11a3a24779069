/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Idempotency-Key: a POST that is sent again, because its answer was lost, is done
 * once and answered alike.  That it was done stands in the transaction of what it
 * did; secrets in answers are not kept.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/form.h"
#include "origin/origin.h"
#include "origin/reply.h"
#include "serve/serve.h"

#define KEY_MAX 200
#define KEPT (24 * DUR_HOUR)

static void hash_request(struct api_call *c, const char *key, size_t n, struct catalogue_once *once)
{
	char *whole = mem_printf("%s\n%s\n%.*s", c->who, serve_path(c->req, NULL), (int)n, key);
	size_t body_n, length_n = 0, meta_n = 0;
	const void *body = serve_body(c->req, &body_n);
	/* of tus, which says in fields what is to be made */
	const char *length = serve_field(c->req, "upload-length", &length_n), *meta = serve_field(c->req, "upload-metadata", &meta_n);
	char hex[SHA256_HEX_SIZE], *request;
	struct sha256 hash;

	sha256_of(whole, strlen(whole), &once->key);
	sha256_of(body_n > 0 ? body : "", body_n, &hash);
	sha256_to_hex(&hash, hex);
	request = mem_printf("%s\n%.*s\n%.*s", hex, (int)length_n, length != NULL ? length : "", (int)meta_n, meta != NULL ? meta : "");
	sha256_of(request, strlen(request), &once->request);
	once->at = clock_wall();
	free(request);
	free(whole);
}

static void done_fini(struct catalogue_done *d)
{
	free(d->location);
	free(d->body);
}

static void answer_again(struct api_call *c, const struct catalogue_once *once, const struct catalogue_done *d)
{
	if (!sha256_equal(&d->request, &once->request))
		reply_problem(c->req, 422, "this Idempotency-Key was used for another request");
	else if (d->status == 0)
		reply_problem(c->req, 409, "this request was done, but its answer is lost: look what is there");
	else
		reply_again(c->req, &(struct reply_kept){d->status, d->location, d->body});
}

/* Without the secret that was shown once. */
static char *without_secret(const char *body)
{
	json_t *o = body != NULL ? json_loads(body, 0, NULL) : NULL;
	char *text = NULL, *line;

	if (!json_is_object(o) || json_object_get(o, "token") == NULL) {
		json_decref(o);
		return body != NULL ? mem_dup(body) : NULL;
	}
	json_object_set_new(o, "token", json_null());
	text = json_dumps(o, JSON_COMPACT);
	line = text != NULL ? mem_printf("%s\n", text) : NULL;
	free(text);
	json_decref(o);
	return line;
}

static void do_once(struct api_call *c, const struct catalogue_once *once, void (*answer)(struct api_call *))
{
	struct catalogue *catalogue = c->origin->catalogue;
	struct reply_kept kept = {0};
	struct fault f = {0};
	char *body;

	catalogue_begin_once(catalogue, once);
	reply_keep(&kept);
	answer(c);
	reply_keep(NULL);
	body = without_secret(kept.body);
	/* what failed may be tried again with the same key */
	if (kept.status >= 200 && kept.status < 300 &&
	    catalogue_end_once(catalogue, kept.status, kept.location, body, once->at - KEPT, &f) != 0)
		log_verbose("origin/api", "an answer is not kept: %s", fault_text(&f));
	catalogue_begin_once(catalogue, NULL);
	if (kept.body != NULL)
		explicit_bzero(kept.body, strlen(kept.body));
	free(body);
	free(kept.body);
	free(kept.location);
}

void api_call_once(struct api_call *c, void (*answer)(struct api_call *))
{
	struct catalogue_once once;
	struct catalogue_done done;
	struct form_error e;
	struct fault f = {0};
	size_t n;
	const char *key = serve_field(c->req, "idempotency-key", &n);
	int r;

	if (key == NULL) {
		answer(c);
		return;
	}
	if (n == 0 || n > KEY_MAX) {
		form_fail(&e, "Idempotency-Key", "expected 1 to %d characters", KEY_MAX);
		reply_form_error(c->req, &e);
		return;
	}
	hash_request(c, key, n, &once);
	r = catalogue_find_once(c->origin->catalogue, &once.key, &done, &f);
	if (r == 0) {
		answer_again(c, &once, &done);
		done_fini(&done);
	} else if (r == ERR_NOT_FOUND) {
		do_once(c, &once, answer);
	} else {
		reply_fault(c->req, &f);
	}
}
