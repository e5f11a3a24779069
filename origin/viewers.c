/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What viewers get.  These functions run on the viewers' loops.
 */
#include <config.h>

#include "origin/viewers.h"

#include <stdio.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/str.h"
#include "dash/package.h"
#include "origin/catalogue.h"
#include "origin/events.h"
#include "origin/library.h"
#include "origin/manifest.h"
#include "origin/origin.h"
#include "origin/page.h"
#include "origin/planner.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "origin/steer.h"
#include "origin/titles.h"
#include "serve/serve.h"

#define TITLES "/api/v1/titles"
#define TAGS "/api/v1/tags"
#define EVENTS_PATH "/api/v1/events"
#define METRICS_MAX ((size_t)1 << 20)

/* --- /v/ --- */

static bool is_file(const struct package_path *p, const char *name)
{
	return p->file_n == strlen(name) && memcmp(p->file, name, p->file_n) == 0;
}

static char *playlist_url(const struct revision *r, struct serve_request *req)
{
	size_t n;
	const char *prefix = serve_prefix(req, &n);

	return mem_printf("%.*s/v/%s/" PACKAGE_PLAYLIST, (int)n, prefix, r->key);
}

/* A playlist that cannot be taken apart is still good as it is. */
static void find_localised(struct origin *o, struct revision *r, const char *file, struct serve_request *req,
                           struct serve_found *found)
{
	struct fault f = {0};
	size_t n;
	const char *prefix = serve_prefix(req, &n);
	int e = manifest_get(o->manifests, r, file, serve_peer(req), prefix, n, &found->object, &f);

	if (e == 0)
		return;
	found->status = e == ERR_NOT_FOUND ? 404 : 500;
	if (e == ERR_NOT_FOUND)
		return;
	log_error("origin/manifest", "%s title=%s", fault_text(&f), r->title);
	if (strcmp(file, PACKAGE_PLAYLIST) == 0) {
		found->status = 302;
		found->location = playlist_url(r, req);
	}
}

static void find_short(struct origin *o, const struct package_path *p, struct serve_request *req,
                       struct serve_found *found)
{
	struct revision *r = library_current(o->library, p->title, p->title_n);

	found->status = 404;
	if (r != NULL && is_file(p, PACKAGE_MANIFEST))
		find_localised(o, r, PACKAGE_MANIFEST, req, found);
	else if (r != NULL && is_file(p, PACKAGE_PLAYLIST))
		find_localised(o, r, PACKAGE_PLAYLIST, req, found);
	revision_unref(&r);
}

static void find_object(void *ctx, const char *path, size_t n, struct serve_request *req, struct serve_found *found)
{
	struct origin *o = ctx;
	struct package_path p;
	int e;

	if (package_path_parse(path, n, &p) != 0) {
		found->status = 404;
	} else if (p.revision_n == 0) {
		find_short(o, &p, req, found);
	} else {
		e = library_find(o->library, &p, &found->object);
		found->status = e == 0 ? 200 : 404;
	}
}

/* --- the rest --- */

static void answer_list(void *ctx, struct serve_request *req)
{
	titles_answer_list(req, ctx);
}

static void answer_title(void *ctx, struct serve_request *req)
{
	titles_answer_one(req, ctx, serve_path(req, NULL) + strlen(TITLES "/"));
}

/* A title's report, a list of a thousand, a search take milliseconds: anybody may ask for them, and nobody else shall wait. */
static void answer_titles(void *ctx, struct serve_request *req)
{
	const char *path = serve_path(req, NULL), *title = path + strlen(TITLES);
	size_t asked;

	(void)serve_query(req, &asked);
	if (*title == '\0' && asked == 0)
		titles_answer_list(req, ctx);
	else if (*title == '\0')
		serve_later(req, answer_list, ctx);
	else if (*title == '/' && str_is_name(title + 1, strlen(title + 1)))
		serve_later(req, answer_title, ctx);
	else
		reply_problem(req, 404, "there is nothing at this path");
}

static void count_tags(void *ctx, struct serve_request *req)
{
	titles_answer_tags(req, ctx);
}

static void answer_tags(void *ctx, struct serve_request *req)
{
	if (strcmp(serve_path(req, NULL), TAGS) != 0)
		reply_problem(req, 404, "there is nothing at this path");
	else
		serve_later(req, count_tags, ctx);
}

static void answer_steer(void *ctx, struct serve_request *req)
{
	struct origin *o = ctx;

	if (strcmp(serve_path(req, NULL), "/steer") != 0)
		reply_problem(req, 404, "there is nothing at this path");
	else
		steering_answer(o->steering, o->library, req);
}

static void answer_events(void *ctx, struct serve_request *req)
{
	struct origin *o = ctx;

	if (strcmp(serve_path(req, NULL), EVENTS_PATH) != 0)
		reply_problem(req, 404, "there is nothing at this path");
	else
		events_answer(o->events, req, true);
}

static void answer_health(void *ctx, struct serve_request *req)
{
	struct origin *o = ctx;
	struct library_state state;

	library_state(o->library, &state);
	if (state.problem[0] == '\0')
		reply_text(req, 200, "ok\n");
	else
		reply_text(req, 503, "the library cannot be read\n"); /* the log and the control listener say more */
}

static void answer_metrics(void *ctx, struct serve_request *req)
{
	struct buf b;

	if (!serve_peer_is_loopback(req)) {
		reply_text(req, 403, "metrics are for this machine, or on the control listener\n");
		return;
	}
	buf_init(&b, METRICS_MAX);
	viewers_write_metrics(ctx, &b);
	serve_reply_metrics(req, &b);
}

static void answer_page(void *ctx, struct serve_request *req)
{
	struct origin *o = ctx;

	page_answer(o->page, PAGE_VIEWERS, req);
}

void viewers_route(struct origin *o)
{
	serve_route_objects(o->viewers, "/v/", find_object, o);
	serve_route_read(o->viewers, TITLES, answer_titles, o);
	serve_route_read(o->viewers, TAGS, answer_tags, o);
	serve_route_read(o->viewers, EVENTS_PATH, answer_events, o);
	serve_route_read(o->viewers, "/steer", answer_steer, o);
	serve_route_read(o->viewers, "/healthz", answer_health, o);
	serve_route_read(o->viewers, "/metrics", answer_metrics, o);
	serve_route_read(o->viewers, "", answer_page, o);
}

/* --- metrics --- */

static void gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	buf_printf(out, "# HELP ribera_origin_%s %s\n# TYPE ribera_origin_%s gauge\nribera_origin_%s %llu\n", name, help, name,
	           name, (unsigned long long)value);
}

void viewers_write_metrics(const struct origin *o, struct buf *out)
{
	struct library_state state;
	char problem[256];
	size_t edges, up;

	library_state(o->library, &state);
	registry_counts(o->registry, &edges, &up);
	catalogue_problem(o->catalogue, problem, sizeof problem);
	gauge(out, "titles", "Titles in the library.", state.n_titles);
	gauge(out, "revisions", "Revisions in the library.", state.n_revisions);
	gauge(out, "library_bytes", "Bytes of all packages.", state.bytes);
	gauge(out, "packages_refused", "Packages that are damaged and not served.", state.n_refused);
	gauge(out, "open_files", "Library files open.", state.n_open_files);
	gauge(out, "edges", "Edges registered.", edges);
	gauge(out, "edges_up", "Edges that are up.", up);
	gauge(out, "library_readable", "1 when the library's folder can be read.", state.problem[0] == '\0');
	gauge(out, "catalogue_usable", "1 when the catalogue can be written.", problem[0] == '\0');
	events_write_metrics(o->events, out);
	planner_write_metrics(o->planner, out);
	catalogue_write_metrics(o->catalogue, out);
	serve_write_metrics(o->viewers, out);
	serve_write_metrics_as(o->control, "ribera_control", out);
	process_write_metrics("ribera-origin", PACKAGE_VERSION, out);
}
