/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who may call what.  Without any token only this machine is answered, and only
 * when Host names it: a page in a browser here that had a name rebound to
 * 127.0.0.1 would send its own Host.  With tokens, a bearer token decides.
 */
#include "origin/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "origin/catalogue.h"
#include "origin/doubt.h"
#include "origin/events.h"
#include "origin/failures.h"
#include "origin/form.h"
#include "origin/library.h"
#include "origin/metadata.h"
#include "origin/origin.h"
#include "origin/page.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "origin/tokens.h"
#include "origin/viewers.h"
#include "serve/serve.h"

#define METRICS_MAX ((size_t)1 << 20)
#define HEALTH_SIZE 900

static void listen_to_events(struct api_call *c)
{
	events_answer(c->origin->events, c->req, false);
}

#define ANY_TYPE (1u << 31) /* among the roles: a POST whose body is not JSON */

static const struct route {
	const char *method, *path; /* "*" stands for one name */
	unsigned roles;
	void (*answer)(struct api_call *);
	void (*now)(struct api_call *); /* the GET whose ETag If-Match names (RFC 9110 13.1.1), or NULL */
} routes[] = {
	{"GET", "/api/v1/titles", ROLE_ANY, api_list_titles, NULL},
	{"GET", "/api/v1/titles/*", ROLE_ANY, api_get_title, NULL},
	{"GET", "/api/v1/tags", ROLE_ANY, api_list_tags, NULL},
	{"DELETE", "/api/v1/titles/*", ROLE_ADMIN | ROLE_PUBLISHER, api_withdraw_title, api_get_title},
	{"POST", "/api/v1/titles/*/restore", ROLE_ADMIN | ROLE_PUBLISHER, api_restore_title, NULL},
	{"GET", "/api/v1/titles/*/metadata", ROLE_ANY, api_get_metadata, NULL},
	{"PUT", "/api/v1/titles/*/metadata", ROLE_ADMIN | ROLE_PUBLISHER, api_put_metadata, api_get_metadata},
	{"PATCH", "/api/v1/titles/*/metadata", ROLE_ADMIN | ROLE_PUBLISHER, api_patch_metadata, api_get_metadata},
	{"GET", "/api/v1/titles/*/current", ROLE_ANY, api_get_current, NULL},
	{"PUT", "/api/v1/titles/*/current", ROLE_ADMIN | ROLE_PUBLISHER, api_choose_revision, api_get_current},
	{"DELETE", "/api/v1/titles/*/current", ROLE_ADMIN | ROLE_PUBLISHER, api_choose_newest, api_get_current},
	{"GET", "/api/v1/titles/*/revisions/*", ROLE_ANY, api_get_revision, NULL},
	{"DELETE", "/api/v1/titles/*/revisions/*", ROLE_ADMIN | ROLE_PUBLISHER, api_withdraw_revision, api_get_revision},
	{"GET", "/api/v1/withdrawn", ROLE_ADMIN | ROLE_PUBLISHER, api_list_withdrawn, NULL},
	{"GET", "/api/v1/audit", ROLE_ADMIN, api_read_log, NULL},
	{"GET", "/api/v1/backup", ROLE_ADMIN, api_backup, NULL},
	{"PUT", "/api/v1/titles/*/policy", ROLE_ADMIN, api_set_policy, api_get_metadata},
	{"GET", "/api/v1/edges", ROLE_ADMIN | ROLE_PUBLISHER | ROLE_VIEWER_STATS, api_list_edges, NULL},
	{"POST", "/api/v1/edges", ROLE_ADMIN | ROLE_EDGE, api_register_edge, NULL},
	{"GET", "/api/v1/edges/*", ROLE_ANY, api_get_edge, NULL},
	{"DELETE", "/api/v1/edges/*", ROLE_ADMIN, api_remove_edge, api_get_edge},
	{"PUT", "/api/v1/edges/*/drain", ROLE_ADMIN, api_drain_edge, api_get_edge},
	{"DELETE", "/api/v1/edges/*/drain", ROLE_ADMIN, api_undrain_edge, api_get_edge},
	{"POST", "/api/v1/edges/*/heartbeat", ROLE_ADMIN | ROLE_EDGE, api_heartbeat, NULL},
	{"GET", "/api/v1/edges/*/plan", ROLE_ADMIN | ROLE_EDGE, api_plan, NULL},
	{"GET", "/api/v1/edges/*/plans", ROLE_ADMIN | ROLE_PUBLISHER, api_list_plans, NULL},
	{"PUT", "/api/v1/edges/*/place", ROLE_ADMIN, api_set_place, api_list_rules},
	{"GET", "/api/v1/holdings", ROLE_ADMIN | ROLE_PUBLISHER | ROLE_VIEWER_STATS, api_list_holdings, NULL},
	{"GET", "/api/v1/fills", ROLE_ADMIN | ROLE_PUBLISHER | ROLE_VIEWER_STATS, api_list_fills, NULL},
	{"GET", "/api/v1/steering", ROLE_ADMIN | ROLE_PUBLISHER | ROLE_VIEWER_STATS, api_explain_steering, NULL},
	{"GET", "/api/v1/placement", ROLE_ADMIN | ROLE_PUBLISHER, api_list_rules, NULL},
	{"PUT", "/api/v1/placement", ROLE_ADMIN, api_set_everywhere, api_list_rules},
	{"POST", "/api/v1/edges/*/demand", ROLE_ADMIN | ROLE_EDGE, api_put_demand, NULL},
	{"GET", "/api/v1/demand", ROLE_ADMIN | ROLE_PUBLISHER | ROLE_VIEWER_STATS, api_get_demand, NULL},
	{"OPTIONS", "/api/v1/uploads", ROLE_ADMIN | ROLE_PUBLISHER, api_tus_options, NULL},
	{"GET", "/api/v1/uploads", ROLE_ADMIN | ROLE_PUBLISHER, api_list_uploads, NULL},
	{"POST", "/api/v1/uploads", ROLE_ADMIN | ROLE_PUBLISHER | ANY_TYPE, api_create_upload, NULL},
	{"GET", "/api/v1/uploads/*", ROLE_ADMIN | ROLE_PUBLISHER, api_get_upload, NULL},
	{"PATCH", "/api/v1/uploads/*", ROLE_ADMIN | ROLE_PUBLISHER, api_write_upload, NULL},
	{"DELETE", "/api/v1/uploads/*", ROLE_ADMIN | ROLE_PUBLISHER, api_end_upload, NULL},
	{"OPTIONS", "/api/v1/masters", ROLE_ADMIN | ROLE_PUBLISHER, api_tus_options, NULL},
	{"GET", "/api/v1/masters", ROLE_ADMIN | ROLE_PUBLISHER, api_list_masters, NULL},
	{"POST", "/api/v1/masters", ROLE_ADMIN | ROLE_PUBLISHER | ANY_TYPE, api_create_master, NULL},
	{"GET", "/api/v1/masters/*", ROLE_ADMIN | ROLE_PUBLISHER, api_get_master, NULL},
	{"DELETE", "/api/v1/masters/*", ROLE_ADMIN | ROLE_PUBLISHER, api_remove_master, api_get_master},
	{"POST", "/api/v1/masters/*/retry", ROLE_ADMIN | ROLE_PUBLISHER | ANY_TYPE, api_retry_master, NULL},
	{"GET", "/api/v1/events", ROLE_ANY, listen_to_events, NULL},
	{"GET", "/api/v1/tokens", ROLE_ADMIN, api_list_tokens, NULL},
	{"POST", "/api/v1/tokens", ROLE_ADMIN, api_make_token, NULL},
	{"DELETE", "/api/v1/tokens/*", ROLE_ADMIN, api_revoke_token, NULL},
};
#define N_ROUTES (sizeof routes / sizeof routes[0])

/* What may stand behind "?" of a GET; of all else nothing may. */
static const struct {
	const char *path, *names;
} parameters[] = {
	{"/api/v1/titles", "limit after q tag order"}, {"/api/v1/tags", "limit"}, {"/api/v1/withdrawn", "limit after"},
	{"/api/v1/audit", "limit before subject"}, {"/api/v1/edges", "limit after"}, {"/api/v1/edges/*/plan", "why shelf"},
	{"/api/v1/edges/*/plans", "from to"}, {"/api/v1/holdings", "limit after edge title"}, {"/api/v1/fills", "limit after edge title"},
	{"/api/v1/steering", "ip title revision current"}, {"/api/v1/placement", "limit after"}, {"/api/v1/demand", "hours by edge title"},
	{"/api/v1/uploads", "limit after"}, {"/api/v1/masters", "limit after sha256"}, {"/api/v1/events", "last-event-id types"},
	{"/api/v1/tokens", "limit after"},
};

static const char *parameters_of(const struct route *route)
{
	for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
		if (strcmp(route->method, "GET") == 0 && strcmp(route->path, parameters[i].path) == 0)
			return parameters[i].names;
	return NULL;
}

/* --- access --- */

/* "localhost", "127.0.0.1:8081", "[::1]:8081" */
static bool is_own_host(const char *host, size_t n)
{
	char *text = mem_dup_n(host, n), *colon = strrchr(text, ':');
	bool own;

	if (colon != NULL && strspn(colon + 1, "0123456789") == strlen(colon + 1) && strcmp(text, "::1") != 0)
		*colon = '\0';
	own = strcasecmp(text, "localhost") == 0 || strcmp(text, "[::1]") == 0 ||
	      (str_starts(text, "127.") && strspn(text, "0123456789.") == strlen(text));
	free(text);
	return own;
}

/* The page came from here: another port of this machine may be anybody's. */
static bool is_own_origin(const char *origin, const char *host)
{
	return (str_starts(origin, "http://") && strcasecmp(origin + 7, host) == 0) ||
	       (str_starts(origin, "https://") && strcasecmp(origin + 8, host) == 0);
}

static enum token_role loopback_role(const struct origin *o, struct serve_request *req)
{
	size_t host_n;
	const char *host = serve_host(req, &host_n), *origin = serve_field(req, "origin", NULL);

	if (!tokens_known(o->tokens)) {
		reply_problem(req, 503, "the catalogue cannot be read, so it is not known who may come in; use a token of the token file");
		return 0;
	}
	if (tokens_any(o->tokens)) {
		reply_unauthorized(req, "a bearer token is needed");
		return 0;
	}
	if (!serve_peer_is_loopback(req)) {
		reply_problem(req, 403, "without tokens only this machine is answered; make an admin token");
		return 0;
	}
	if (host == NULL || !is_own_host(host, host_n)) {
		reply_problem(req, 421, "the Host is not this machine's");
		return 0;
	}
	if (origin != NULL && !is_own_origin(origin, host)) {
		reply_problem(req, 403, "a page of another origin may not call this");
		return 0;
	}
	return ROLE_ADMIN;
}

/* Of "Bearer TOKEN" the token. */
static bool read_bearer(const char **field, size_t *n)
{
	if (*n < 8 || strncasecmp(*field, "Bearer ", 7) != 0)
		return false;
	for (*field += 7, *n -= 7; *n > 0 && **field == ' '; ++*field, --*n)
		;
	return true;
}

/* The caller's role; 0: it has been answered. */
static enum token_role authenticate(struct api_call *c)
{
	size_t n;
	const char *field = serve_field(c->req, "authorization", &n);
	mono_us now = clock_mono();
	dur_us wait = failures_wait(c->origin->failures, serve_peer(c->req), now);
	bool borne = field != NULL && read_bearer(&field, &n), chosen = true;
	enum token_role role = borne ? tokens_check(c->origin->tokens, field, n, clock_wall(), c->who, c->edge, &chosen) : 0;

	if (role == 0)
		snprintf(c->who, sizeof c->who, "loopback");
	/* who guesses must not keep out those behind the same address whose tokens cannot be guessed */
	if (wait > 0 && (role == 0 || chosen)) {
		reply_too_often(c->req, wait, "too many wrong tokens came from this address; try again later");
		return 0;
	}
	if (field == NULL)
		return loopback_role(c->origin, c->req);
	if (!borne) {
		reply_unauthorized(c->req, "expected Authorization: Bearer TOKEN");
	} else if (role == 0) {
		failures_add(c->origin->failures, serve_peer(c->req), now);
		reply_unauthorized(c->req, "the token is unknown, expired or revoked");
	}
	return role;
}

bool api_trusts(void *ctx, const char *authorization, size_t n)
{
	struct origin *o = ctx;
	char who[sizeof((struct api_call *)0)->who], edge[sizeof((struct api_call *)0)->edge];
	bool chosen;

	if (authorization == NULL)
		return !tokens_any(o->tokens);
	return read_bearer(&authorization, &n) && tokens_check(o->tokens, authorization, n, clock_wall(), who, edge, &chosen) != 0;
}

/* --- routing --- */

#define MAX_STARS 2

/* Does the path match?  names[] get what stands for each "*"; the caller frees them in both cases. */
static bool matches(const char *pattern, const char *path, char *names[static MAX_STARS])
{
	size_t n_names = 0, n;

	while (*pattern != '\0') {
		if (*pattern != '*') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		n = strcspn(path, "/");
		if (!str_is_name(path, n))
			return false;
		names[n_names++] = mem_dup_n(path, n);
		path += n;
		pattern++;
	}
	return *path == '\0';
}

static void free_names(char *names[static MAX_STARS])
{
	for (size_t i = 0; i < MAX_STARS; i++) {
		free(names[i]);
		names[i] = NULL;
	}
}

static const char *method_of(const struct serve_request *req)
{
	const char *method = serve_method(req);

	return strcmp(method, "HEAD") == 0 ? "GET" : method;
}

/* A form post from a web page cannot have this type without a preflight. */
static bool has_json_type(const struct serve_request *req)
{
	static const char type[] = "application/json";
	size_t n;
	const char *field = serve_field(req, "content-type", &n);

	return field != NULL && n >= sizeof type - 1 && strncasecmp(field, type, sizeof type - 1) == 0 &&
	       (n == sizeof type - 1 || field[sizeof type - 1] == ';' || field[sizeof type - 1] == ' ');
}

/* A token for one edge is for what lies below that edge's name. */
static bool is_own_edge(const struct api_call *c)
{
	static const char edges[] = "/api/v1/edges/";

	return c->edge[0] == '\0' || c->name == NULL || !str_starts(serve_path(c->req, NULL), edges) || strcmp(c->name, c->edge) == 0;
}

/* Of a PUT, PATCH or DELETE with a condition: is what it would change still what the caller saw?  This thread alone
 * changes it.  False: it has been answered. */
static bool is_as_seen(struct api_call *c, const struct route *route)
{
	struct reply_peek now = {.status = 404};

	if (strcmp(route->method, "GET") == 0 || strcmp(route->method, "POST") == 0 || !reply_has_condition(c->req))
		return true;
	if (route->now != NULL) {
		reply_peek(&now);
		route->now(c);
		reply_peek(NULL);
		if (now.status != 200)
			return true; /* which the answer says better */
	}
	return reply_if_match(c->req, now.etag);
}

static void call(struct api_call *c, const struct route *route)
{
	enum token_role role = authenticate(c);
	size_t n;
	const char *query = serve_query(c->req, &n);
	struct form_error e;
	bool posts = strcmp(route->method, "POST") == 0;

	if (role == 0)
		return;
	if ((role & route->roles) == 0)
		reply_problem(c->req, 403, "the role %s may not do this", token_role_name(role));
	else if (!is_own_edge(c))
		reply_problem(c->req, 403, "the token is for the edge \"%s\"", c->edge);
	else if (form_check_query(query, n, &e) != 0 || form_check_names(query, n, parameters_of(route), &e) != 0)
		reply_form_error(c->req, &e);
	else if (posts && (route->roles & ANY_TYPE) == 0 && !has_json_type(c->req))
		reply_problem(c->req, 415, "expected Content-Type: application/json");
	else if (posts)
		api_call_once(c, route->answer);
	else if (is_as_seen(c, route))
		route->answer(c);
}

static void answer_api(void *ctx, struct serve_request *req)
{
	struct api_call c = {.origin = ctx, .req = req};
	const char *path = serve_path(req, NULL), *method = method_of(req);
	char allow[64] = "", *names[MAX_STARS] = {NULL};

	for (size_t i = 0; i < N_ROUTES; i++) {
		size_t n = strlen(allow);
		bool found = matches(routes[i].path, path, names);

		if (found && strcmp(routes[i].method, method) == 0) {
			c.name = names[0];
			c.second = names[1];
			call(&c, &routes[i]);
			free_names(names);
			return;
		}
		free_names(names);
		if (found)
			snprintf(allow + n, sizeof allow - n, "%s%s%s", n > 0 ? ", " : "", routes[i].method,
			         strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
	}
	if (allow[0] != '\0')
		reply_not_allowed(req, allow);
	else
		reply_problem(req, 404, "there is nothing at this path");
}

/* --- health --- */

static void add_problem(char text[static HEALTH_SIZE], const char *before, const char *problem)
{
	size_t n = strlen(text);

	if (problem[0] != '\0')
		snprintf(text + n, HEALTH_SIZE - n, "%s%s%s", n > 0 ? "; " : "", before, problem);
}

static void answer_health(void *ctx, struct serve_request *req)
{
	struct origin *o = ctx;
	struct library_state state;
	char catalogue[256], clock[DOUBT_SIZE], text[HEALTH_SIZE] = "";

	library_state(o->library, &state);
	catalogue_problem(o->catalogue, catalogue, sizeof catalogue);
	doubt_text(o->doubt, clock);
	if (catalogue[0] == '\0' && !tokens_known(o->tokens))
		snprintf(catalogue, sizeof catalogue, "the catalogue is being read");
	add_problem(text, "", state.problem);
	add_problem(text, "read-only: ", catalogue);
	add_problem(text, "", clock);
	if (text[0] == '\0') {
		reply_text(req, 200, "ok\n");
		return;
	}
	snprintf(text + strlen(text), sizeof text - strlen(text), "\n");
	reply_text(req, 503, text);
}

static void answer_metrics(void *ctx, struct serve_request *req)
{
	struct api_call c = {.origin = ctx, .req = req};
	struct buf b;

	if (!serve_peer_is_loopback(req) && authenticate(&c) == 0)
		return;
	buf_init(&b, METRICS_MAX);
	viewers_write_metrics(ctx, &b);
	serve_reply_metrics(req, &b);
}

/* The operators' page holds nothing of the catalogue, so it needs no token; what it asks the API does. */
static void answer_else(void *ctx, struct serve_request *req)
{
	const struct origin *o = ctx;
	const char *path = serve_path(req, NULL);

	if (strcmp(path, "/") == 0 || strcmp(path, "/status") == 0 || str_starts(path, "/www/"))
		page_answer(o->page, PAGE_STATUS, req);
	else
		reply_problem(req, 404, "there is nothing at this path; the API is under /api/v1/");
}

void api_route(struct origin *o)
{
	serve_route(o->control, "/api/v1/", answer_api, o);
	serve_route_bodies(o->control, "/api/v1/uploads", answer_api, o);
	serve_route_bodies(o->control, "/api/v1/masters", answer_api, o);
	serve_route_read(o->control, "/healthz", answer_health, o);
	serve_route_read(o->control, "/metrics", answer_metrics, o);
	serve_route(o->control, "", answer_else, o);
}
