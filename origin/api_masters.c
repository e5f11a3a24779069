/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Uploaded masters through the control API; they come as uploads (api_uploads.c).
 */
#include <string.h>

#include "base/clock.h"
#include "base/sha256.h"
#include "origin/api.h"
#include "origin/catalogue.h"
#include "origin/form.h"
#include "origin/masters.h"
#include "origin/origin.h"
#include "origin/paging.h"
#include "origin/reply.h"
#include "serve/serve.h"

void api_list_masters(struct api_call *c)
{
	const char *wanted = serve_param(c->req, "sha256");
	struct sha256 sum;
	struct form_error e;

	if (wanted != NULL && sha256_from_hex(wanted, strlen(wanted), &sum) != 0) {
		form_fail(&e, "sha256", "expected 64 hex digits");
		reply_form_error(c->req, &e);
		return;
	}
	paging_answer(c->req, "masters", masters_list(c->origin->masters, wanted != NULL ? &sum : NULL), &(struct paging_keys){{"queued", "id"}}, NULL);
}

void api_get_master(struct api_call *c)
{
	json_t *o = masters_get(c->origin->masters, c->name);

	if (o == NULL)
		reply_problem(c->req, 404, "there is no master \"%.128s\"", c->name);
	else
		reply_json(c->req, 200, o);
}

typedef int (*change_f)(struct masters *, const char *id, struct fault *);

static void change(struct api_call *c, change_f f, const char *what)
{
	struct catalogue_entry entry = {.at = clock_wall(), .who = c->who, .what = what, .subject = c->name};
	struct fault fault = {0};

	if (catalogue_add_entry(c->origin->catalogue, &entry, &fault) != 0 || f(c->origin->masters, c->name, &fault) != 0)
		reply_fault(c->req, &fault);
	else
		reply_empty(c->req, 204);
}

void api_remove_master(struct api_call *c)
{
	change(c, masters_remove, "master removed");
}

void api_retry_master(struct api_call *c)
{
	change(c, masters_retry, "master queued again");
}
