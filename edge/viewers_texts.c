/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small answers made when they are asked for: to other edges, and to operators.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/rcu.h"
#include "edge/counts.h"
#include "edge/store.h"
#include "edge/swarm.h"
#include "edge/viewers_inner.h"

#define PLAIN "text/plain; charset=utf-8"
#define METRICS_MAX ((size_t)64 << 20)

/* --- other edges ------------------------------------------------------------------------ */

/* "/pieces/TITLE/REVISION" */
static struct package *find_package(struct viewers *v, const char *path, size_t n)
{
	const char *title = path + strlen("/pieces/"), *slash;
	const struct view_revision *r = NULL;
	struct package *p = NULL;
	struct view_title *t;
	struct view *view;

	if (n <= strlen("/pieces/") || (slash = memchr(title, '/', (size_t)(path + n - title))) == NULL ||
	    (size_t)(path + n - slash - 1) != PACKAGE_REVISION_SIZE - 1)
		return NULL;
	rcu_read_begin();
	view = RCU_LOAD(&v->view);
	t = view != NULL ? view_find(view, title, (size_t)(slash - title)) : NULL;
	if (t != NULL)
		r = view_find_revision(t, slash + 1);
	if (r != NULL && r->hold && r->package != NULL)
		p = package_ref(r->package);
	rcu_read_end();
	return p;
}

/* Which pieces of a title of the plan are here (edge/swarm.h). */
static void on_pieces(void *ctx, struct serve_request *req)
{
	static const struct serve_header no_store[] = {{"cache-control", "no-store"}};
	struct package *p;
	struct buf bits;
	const char *path;
	size_t n;

	path = serve_path(req, &n);
	p = find_package(ctx, path, n);
	if (p == NULL) {
		serve_reply(req, 404, PLAIN, NULL, no_store, 1);
		return;
	}
	buf_init(&bits, 1 << 20);
	rcu_read_begin();
	swarm_describe(p, &bits);
	rcu_read_end();
	serve_reply(req, 200, "application/octet-stream", blob_take_buf(&bits), no_store, 1);
	buf_fini(&bits);
	package_unref(&p);
}

/* --- operators ------------------------------------------------------------------------- */

static bool is_path(const char *path, size_t n, const char *name)
{
	return strlen(name) == n && memcmp(path, name, n) == 0;
}

static void reply_text(struct serve_request *req, int status, const char *type, struct buf *text)
{
	static const struct serve_header no_store[] = {{"cache-control", "no-store"}};

	if (buf_error(text) != 0) {
		buf_clear(text);
		status = 500;
	}
	serve_reply(req, status, type, blob_take_buf(text), no_store, 1);
	buf_fini(text);
}

/* /healthz: all is well, or what is not.  /healthz/live: the process answers.  /healthz/ready: it can serve viewers,
 * be it from a disk that takes nothing in. */
static void on_health(void *ctx, struct serve_request *req)
{
	struct viewers *v = ctx;
	const char *why = v->s.health(v->s.ctx), *path;
	struct buf text;
	size_t n;

	path = serve_path(req, &n);
	if (is_path(path, n, "/healthz/live") || (is_path(path, n, "/healthz/ready") && v->s.ready(v->s.ctx)))
		why = NULL;

	buf_init(&text, 1024);
	buf_printf(&text, "%s\n", why != NULL ? why : "ok");
	reply_text(req, why != NULL ? 503 : 200, PLAIN, &text);
}

static void write_titles(struct package **packages, size_t n, struct buf *out)
{
	buf_puts(out, "# HELP ribera_edge_title_bytes Bytes of the title's files.\n"
	              "# TYPE ribera_edge_title_bytes gauge\n");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "ribera_edge_title_bytes{title=\"%s\",revision=\"%s\"} %llu\n", packages[i]->title,
		           packages[i]->revision, (unsigned long long)packages[i]->digest->size);
	buf_puts(out, "# HELP ribera_edge_title_held_bytes Bytes of it that are here and verified.\n"
	              "# TYPE ribera_edge_title_held_bytes gauge\n");
	for (size_t i = 0; i < n; i++) {
		uint64_t held;

		rcu_read_begin();
		held = package_held(packages[i]);
		rcu_read_end();
		buf_printf(out, "ribera_edge_title_held_bytes{title=\"%s\",revision=\"%s\"} %llu\n", packages[i]->title,
		           packages[i]->revision, (unsigned long long)held);
	}
}

static void write_demand_of(struct package *p, size_t offset, const char *name, struct buf *out)
{
	for (size_t i = 0; i < p->digest->n_files; i++) {
		const struct copy *c;
		uint64_t value = 0;

		rcu_read_begin();
		c = RCU_LOAD(&p->copies[i]);
		if (c != NULL)
			value = __atomic_load_n((const uint64_t *)((const char *)c + offset), __ATOMIC_RELAXED);
		rcu_read_end();
		if (value > 0)
			buf_printf(out, "%s{title=\"%s\",revision=\"%s\",file=\"%s\"} %llu\n", name, p->title, p->revision,
			           p->digest->files[i].name, (unsigned long long)value);
	}
}

static void write_demand(struct package **packages, size_t n, struct buf *out)
{
	buf_puts(out, "# HELP ribera_edge_demand_requests_total Requests by file that were answered with bytes of it.\n"
	              "# TYPE ribera_edge_demand_requests_total counter\n");
	for (size_t i = 0; i < n; i++)
		write_demand_of(packages[i], offsetof(struct copy, requests), "ribera_edge_demand_requests_total", out);
	buf_puts(out, "# HELP ribera_edge_demand_bytes_total Bytes sent to viewers by file.\n"
	              "# TYPE ribera_edge_demand_bytes_total counter\n");
	for (size_t i = 0; i < n; i++)
		write_demand_of(packages[i], offsetof(struct copy, bytes), "ribera_edge_demand_bytes_total", out);
}

static void write_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %llu\n", name, help, name, name, (unsigned long long)value);
}

static void write_store(struct viewers *v, struct buf *out)
{
	write_gauge(out, "ribera_edge_store_used_bytes", "Bytes the store takes.", store_used(v->s.store));
	write_gauge(out, "ribera_edge_store_available_bytes", "Bytes it may still take.",
	            store_available(v->s.store));
	write_gauge(out, "ribera_edge_store_capacity_bytes", "Bytes it may take in all.", store_capacity(v->s.store));
	write_gauge(out, "ribera_edge_journal_lag_pieces", "Pieces verified and not yet journalled.",
	            store_journal_lag(v->s.store));
	write_gauge(out, "ribera_edge_read_only", "1 while the disk takes no writes.",
	            disk_reads_only(store_disk(v->s.store)));
	write_gauge(out, "ribera_edge_healthy", "1 when /healthz says ok.", v->s.health(v->s.ctx) == NULL);
}

static void reply_metrics(struct viewers *v, struct serve_request *req)
{
	struct package **packages;
	struct buf text;
	size_t n;

	buf_init(&text, METRICS_MAX);
	counters_write(v->s.counters, &text);
	serve_write_metrics(v->serve, &text);
	process_write_metrics("ribera-edge", PACKAGE_VERSION, &text);
	write_store(v, &text);
	packages = viewers_packages(v, &n);
	write_titles(packages, n, &text);
	write_demand(packages, n, &text);
	for (size_t i = 0; i < n; i++)
		package_unref(&packages[i]);
	free(packages);
	serve_reply_metrics(req, &text);
}

static void on_metrics(void *ctx, struct serve_request *req)
{
	if (serve_peer_is_loopback(req))
		reply_metrics(ctx, req);
	else
		serve_reply(req, 404, PLAIN, NULL, NULL, 0);
}

static void on_control_metrics(void *ctx, struct serve_request *req)
{
	reply_metrics(ctx, req);
}

void viewers_add_texts(struct viewers *v, struct serve *s)
{
	serve_route_read(s, "/pieces/", on_pieces, v);
	serve_route_read(s, "/healthz", on_health, v);
	serve_route_read(s, "/metrics", on_metrics, v);
}

void viewers_add_control_routes(struct viewers *v, struct serve *control, struct serve *viewers)
{
	v->serve = viewers;
	serve_route_read(control, "/healthz", on_health, v);
	serve_route_read(control, "/metrics", on_control_metrics, v);
}
