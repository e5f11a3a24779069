/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tokens' part of the control API.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "origin/api.h"
#include "origin/form.h"
#include "origin/origin.h"
#include "origin/paging.h"
#include "origin/reply.h"
#include "origin/tokens.h"
#include "serve/serve.h"

#define NOTE_MAX 200
#define LIFE_MAX_S UINT64_C(3155760000) /* a century */

struct wish {
	const char *role, *edge, *note;
	uint64_t expires_seconds;
};

static const struct form_row wish_rows[] = {
	{"role", FORM_TEXT, true, offsetof(struct wish, role), 0, 32},
	{"edge", FORM_NAME, false, offsetof(struct wish, edge), 0, 0},
	{"note", FORM_TEXT, false, offsetof(struct wish, note), 0, NOTE_MAX},
	{"expires_seconds", FORM_SIZE, false, offsetof(struct wish, expires_seconds), 1, 0},
};

void api_list_tokens(struct api_call *c)
{
	paging_answer(c->req, "tokens", tokens_list(c->origin->tokens), &(struct paging_keys){{"id"}}, NULL);
}

static void make(struct api_call *c, const struct wish *w, enum token_role role)
{
	struct fault f = {0};
	int64_t id;
	char *secret;

	if (tokens_make(c->origin->tokens, role, w->edge, w->note, (dur_us)w->expires_seconds * DUR_S, clock_wall(), c->who, &id,
	                &secret, &f) != 0) {
		reply_fault(c->req, &f);
		return;
	}
	log_info("origin/api", "token made id=%lld role=%s by=\"%s\"", (long long)id, w->role, c->who);
	reply_created(c->req, json_pack("{s:I, s:s, s:s?, s:s}", "id", (json_int_t)id, "role", w->role, "edge", w->edge, "token",
	                                secret), NULL);
	explicit_bzero(secret, strlen(secret));
	free(secret);
}

void api_make_token(struct api_call *c)
{
	struct wish w = {.note = ""};
	enum token_role role;
	struct form_error e;
	json_t *root;
	size_t n;
	const void *body = serve_body(c->req, &n);

	if (form_read(body, n, wish_rows, sizeof wish_rows / sizeof wish_rows[0], &w, &root, &e) != 0) {
		reply_form_error(c->req, &e);
		return;
	}
	if (token_role_from_name(w.role, &role) != 0) {
		form_fail(&e, "role", "expected admin, publisher, edge or viewer-stats");
		reply_form_error(c->req, &e);
	} else if (w.edge != NULL && role != ROLE_EDGE) {
		form_fail(&e, "edge", "only a token of the role edge is for one edge");
		reply_form_error(c->req, &e);
	} else if (w.expires_seconds > LIFE_MAX_S) {
		form_fail(&e, "expires_seconds", "expected at most %llu", (unsigned long long)LIFE_MAX_S);
		reply_form_error(c->req, &e);
	} else {
		make(c, &w, role);
	}
	json_decref(root);
}

void api_revoke_token(struct api_call *c)
{
	struct fault f = {0};
	int64_t id = 0;

	if (str_parse_i64(c->name, strlen(c->name), &id) != 0)
		reply_problem(c->req, 404, "there is no token \"%s\"", c->name);
	else if (tokens_revoke(c->origin->tokens, id, clock_wall(), c->who, &f) != 0)
		reply_fault(c->req, &f);
	else
		reply_empty(c->req, 204);
}
