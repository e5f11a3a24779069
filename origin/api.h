/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The control API (doc/openapi.yaml): routes as a table, access rules, and the
 * answers.  Runs on the control listener's one thread, where waiting for the
 * catalogue is allowed.
 */
#ifndef RIBERA_ORIGIN_API_H
#define RIBERA_ORIGIN_API_H

#include "base/clock.h"
#include "origin/tokens.h"
#include "serve/serve.h"

struct origin;
struct serve_request;

#define API_MAX_BODY ((size_t)16 << 20)

void api_route(struct origin *); /* before serve_start */
/* serve_settings.trusts of the control listener; the context is the origin. */
bool api_trusts(void *origin, const char *authorization, size_t n);

/* Of bodies: more than that is read in a turn of the loop of its own. */
#define API_LARGE ((size_t)64 << 10)

/* What a route's answer gets. */
struct api_call {
	struct origin *origin;
	struct serve_request *req;
	const char *name; /* the first {...} of the path, a str_is_name; NULL: none */
	const char *second; /* the second {...} */
	char edge[TOKEN_EDGE_SIZE]; /* the one the token is for; "": any */
	char who[32];     /* for the audit: "token 3", "loopback" */
};

/* api_titles.c */
void api_list_titles(struct api_call *);
void api_list_tags(struct api_call *);
void api_get_title(struct api_call *);
void api_get_revision(struct api_call *);
void api_list_withdrawn(struct api_call *);
void api_withdraw_title(struct api_call *);
void api_withdraw_revision(struct api_call *);
void api_restore_title(struct api_call *);
void api_get_current(struct api_call *);
void api_choose_revision(struct api_call *);
void api_choose_newest(struct api_call *);
void api_read_log(struct api_call *);
/* api_backup.c */
void api_backup(struct api_call *);
void api_backup_stop(void); /* gives up a copy that is being made; once the listeners have ended */
/* api_once.c: calls the answer; with Idempotency-Key at most once */
void api_call_once(struct api_call *, void (*answer)(struct api_call *));
/* api_edges.c */
void api_list_edges(struct api_call *);
void api_register_edge(struct api_call *);
void api_get_edge(struct api_call *);
void api_remove_edge(struct api_call *);
void api_drain_edge(struct api_call *);
void api_undrain_edge(struct api_call *);
void api_heartbeat(struct api_call *);
/* Of an edge's POST: the answer now, or in a later turn when the body is large.  It has origin, request and name alone. */
void api_in_turn(struct api_call *, void (*answer)(struct api_call *), serve_handler_f in_turn);
void api_of_edge(void *origin, struct serve_request *, void (*answer)(struct api_call *)); /* what `in_turn` calls */
void api_plan(struct api_call *);
/* api_holdings.c */
void api_list_holdings(struct api_call *);
void api_list_fills(struct api_call *);
/* api_demand.c */
void api_put_demand(struct api_call *);
void api_get_demand(struct api_call *);
void api_set_policy(struct api_call *);
/* api_steering.c */
void api_explain_steering(struct api_call *);
/* api_plans.c */
void api_list_plans(struct api_call *);
void api_set_place(struct api_call *);
void api_set_everywhere(struct api_call *);
void api_list_rules(struct api_call *);
/* api_uploads.c */
void api_tus_options(struct api_call *);
void api_create_upload(struct api_call *);
void api_create_master(struct api_call *);
void api_list_uploads(struct api_call *);
void api_get_upload(struct api_call *);
void api_write_upload(struct api_call *);
void api_end_upload(struct api_call *);
/* api_masters.c */
void api_list_masters(struct api_call *);
void api_get_master(struct api_call *);
void api_remove_master(struct api_call *);
void api_retry_master(struct api_call *);
/* api_tokens.c */
void api_list_tokens(struct api_call *);
void api_make_token(struct api_call *);
void api_revoke_token(struct api_call *);

#endif
