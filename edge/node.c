/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Wiring.  What must hold: viewers are answered before the origin is asked for
 * anything, and the parts end before those they call.
 */
#include <config.h>

#include "edge/node_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/words.h"
#include "edge/counts.h"

#define WHERE "edge"
#define VIEWERS_MAX_BODY 65536 /* they have nothing to send */
#define VIEWERS_MAX_HELD ((uint64_t)32 << 20) /* of manifests that are theirs alone */

/* --- what viewers ask of copies --------------------------------------------------------- */

static int64_t on_ready(struct serve_object *o, uint64_t offset, uint64_t length)
{
	struct node *n = o->ctx;

	return flights_ready(n->flights, copy_of_object(o), offset, length);
}

static void on_want(struct serve_object *o, uint64_t offset, uint64_t length, struct serve_waiter *w)
{
	struct node *n = o->ctx;

	flights_want(n->flights, copy_of_object(o), offset, length, w);
}

static int on_source(struct serve_object *o, uint64_t offset, uint64_t *length)
{
	return copy_source(copy_of_object(o), offset, length);
}

static struct package **on_packages(void *ctx, size_t *ret_n)
{
	struct node *n = ctx;

	return viewers_packages(n->viewers, ret_n);
}

/* --- starting --------------------------------------------------------------------------- */

static int make_store(struct node *n, struct fault *f)
{
	struct store_settings s = {
		.folder = n->settings->store,
		.capacity = n->settings->capacity,
		.reserve = n->settings->reserve,
		.ready = on_ready,
		.want = on_want,
		.source = on_source,
		.sent = viewers_sent,
		.kept = node_engine_kept,
		.ctx = n,
	};

	return store_open(&s, &n->store, f);
}

static int make_fetch(struct node *n, unsigned max_per_host, bool background, struct fetch **ret_fetch, struct fault *f)
{
	struct fetch_settings s = {
		.user_agent = "ribera-edge/" PACKAGE_VERSION,
		.max_per_host = max_per_host,
		.http2 = true,
		.background = background,
		.ca_file = n->settings->ca_file,
	};
	int r = fetch_new(&s, ret_fetch);

	return r == 0 ? 0 : fault_set(f, r, _("cannot start the HTTP client: %s"), words_error(r));
}

static void make_parts(struct node *n)
{
	struct flights_settings flights = {
		.engine = n->engine, .store = n->store, .upstream = n->upstream, .counters = n->counters,
		.pull = n->fetch_pull, .fill = n->fetch_fill, .keep = node_engine_keep, .landed = node_engine_landed, .ctx = n,
	};
	struct prepare_settings prepare;
	struct swarm_settings swarm = {n->settings->name, n->engine, n->upstream, n->fetch_pull, node_engine_parts, n};
	struct fill_settings fill;
	char *plays = store_path(n->store, "plays");
	struct viewers_settings viewers = {n->settings->name, n->store, NULL, n->counters, node_status_trouble, node_status_ready, node_status_send_away, n, NULL};

	flights.passing = n->passing = passing_new();
	n->flights = flights_new(&flights);
	n->admit = admit_new(plays, n->wall, node_engine_displaced, n);
	free(plays);
	n->space = (struct space){n->store, n->flights, n->admit, n->counters, n->settings->pull_share, node_engine_forget, n, false};
	prepare = (struct prepare_settings){n->engine, n->store, n->flights, n->upstream, n->counters, n->fetch_pull,
	                                    node_engine_prepared, n};
	n->prepare = prepare_new(&prepare);
	n->swarm = swarm_new(&swarm);
	fill = (struct fill_settings){n->store, n->flights, &n->space, n->swarm, n->counters, n->settings->window,
	                              n->settings->rates, (unsigned)n->settings->parallel};
	n->fill = fill_new(&fill, clock_mono());
	viewers.flights = n->flights;
	n->nearby = viewers.nearby = n->settings->round_trips ? nearby_new() : NULL;
	n->viewers = viewers_new(&viewers);
}

static int make_server(struct node *n, const char *listen, unsigned threads, bool tls, struct serve **ret_serve,
                       uint16_t *ret_port, struct fault *f)
{
	struct serve_settings s = {
		.name = "ribera-edge",
		.threads = threads,
		.max_connections = n->settings->max_connections,
		.max_per_client = n->settings->max_per_client,
		.min_rate = n->settings->min_rate,
		.max_lag = n->settings->max_lag,
		.max_body = VIEWERS_MAX_BODY,
		.max_held = VIEWERS_MAX_HELD,
		.access_log = tls || threads > 0 ? n->settings->access_log : NULL,
		.tls_cert = tls ? n->settings->tls_cert : NULL,
		.tls_key = tls ? n->settings->tls_key : NULL,
		.tls_dev = tls && n->settings->dev_cert,
		.tls_dev_address = listen,
		.url_keys = n->settings->url_keys,
		.allow_origin = n->settings->allow_origin,
	};
	int r = serve_new(&s, ret_serve, f);

	return r == 0 ? serve_listen(*ret_serve, listen, tls, ret_port, f) : r;
}

/* "http://127.0.0.1:8090" from the listener, when that says where it is. */
static int find_url(struct node *n, uint16_t port, struct fault *f)
{
	const struct settings *s = n->settings;
	const char *colon = strrchr(s->listen, ':');
	size_t host = colon != NULL ? (size_t)(colon - s->listen) : 0;
	size_t len;

	if (s->public_url != NULL) {
		len = strlen(s->public_url);
		while (len > 0 && s->public_url[len - 1] == '/')
			len--;
		n->public_url = mem_dup_n(s->public_url, len);
		return 0;
	}
	if (host == 0 || s->listen[0] == '*' || strncmp(s->listen, "0.0.0.0:", 8) == 0 ||
	    strncmp(s->listen, "[::]:", 5) == 0)
		return fault_set(f, ERR_USAGE, _("listen \"%s\" does not say how others reach this edge: set public_url"),
		                 s->listen);
	n->public_url = mem_printf("%s://%.*s:%u", settings_has_tls(s) ? "https" : "http", (int)host, s->listen, port);
	return 0;
}

static int make_servers(struct node *n, struct node_ports *ports, struct fault *f)
{
	const struct settings *s = n->settings;
	int r = make_server(n, s->listen, (unsigned)s->threads, settings_has_tls(s), &n->serve, &ports->viewers, f);

	if (r == 0)
		r = find_url(n, ports->viewers, f);
	if (r != 0)
		return r;
	viewers_set_url(n->viewers, n->public_url);
	viewers_add_routes(n->viewers, n->serve);
	upstream_set_signer(n->upstream, n->serve);
	if (s->control == NULL)
		return 0;
	r = make_server(n, s->control, 1, false, &n->control, &ports->control, f);
	if (r == 0)
		viewers_add_control_routes(n->viewers, n->control, n->serve);
	return r;
}

static void make_contact(struct node *n)
{
	char *plan_path = store_path(n->store, "plan.json"), *folder = store_path(n->store, "demand");
	struct contact_settings s = {
		.origin = n->settings->origin,
		.token = n->settings->token,
		.name = n->settings->name,
		.public_url = n->public_url,
		.plan_path = plan_path,
		.interval = n->settings->heartbeat,
		.fetch = n->fetch_control,
		.counters = n->counters,
		.wall = n->wall,
		.status = node_status_report,
		.told = node_status_told,
		.plan = node_engine_plan,
		.collect = node_status_collect_due,
		.ctx = n,
	};

	s.demand = n->demand = demand_new(folder, n->settings->demand, n->counters);
	free(folder);
	n->contact = contact_new(&s);
	free(plan_path);
}

/* What the kept plan says is shown before the first viewer can ask. */
static void take_kept_plan(struct node *n)
{
	engine_drain(n->engine);
	node_engine_publish(n);
}

static int start_all(struct node *n, struct node_ports *ports, struct fault *f)
{
	int r = make_store(n, f);

	if (r == 0)
		r = make_fetch(n, 16, false, &n->fetch_pull, f);
	if (r == 0)
		r = make_fetch(n, (unsigned)n->settings->parallel, true, &n->fetch_fill, f);
	if (r == 0)
		r = make_fetch(n, 1, false, &n->fetch_control, f);
	if (r != 0)
		return r;
	make_parts(n);
	r = make_servers(n, ports, f);
	if (r != 0)
		return r;
	make_contact(n);
	take_kept_plan(n);
	node_engine_recall(n); /* by the engine, before what the first viewer wants */
	serve_drop_inherited();
	r = serve_start(n->serve, f);
	if (r == 0 && n->control != NULL)
		r = serve_start(n->control, f);
	return r;
}

int node_start(const struct settings *settings, struct node **ret_node, struct node_ports *ret_ports, struct fault *f)
{
	struct node *n = mem_new(sizeof *n);
	struct node_ports ports = {0};
	struct scrub_settings scrub = {settings->scrub_rate, settings->scrub_every, NULL, on_packages, node_engine_bad, n};
	int r;

	n->settings = settings;
	n->well_since = clock_mono();
	n->manager.job.run = node_status_feed_watchdog;
	n->counters = counts_new();
	n->wall = wall_new();
	n->engine = engine_new();
	n->upstream = upstream_new(n->wall);
	r = start_all(n, &ports, f);
	if (r != 0) {
		node_stop(&n);
		return r;
	}
	scrub.counters = n->counters;
	engine_start(n->engine, node_engine_idle, n);
	contact_start(n->contact);
	n->scrub = scrub_new(&scrub);
	*ret_node = n;
	*ret_ports = ports;
	return 0;
}

struct hours_job {
	struct job job;
	struct node *node;
	struct window window;
	struct rates rates;
	struct zone *old;
};

static void run_hours(struct job *job)
{
	struct hours_job *j = (struct hours_job *)job;

	fill_set_hours(j->node->fill, &j->window, &j->rates);
	j->node->fill_due = 0;
	zone_free(&j->old);
	free(j);
}

void node_set_hours(struct node *n, struct zone *old)
{
	struct hours_job *j = mem_new(sizeof *j);

	*j = (struct hours_job){{.run = run_hours}, n, n->settings->window, n->settings->rates, old};
	engine_post(n->engine, &j->job);
}

void node_set_limits(struct node *n)
{
	const struct serve_settings limits = {
		.max_connections = n->settings->max_connections,
		.max_per_client = n->settings->max_per_client,
		.min_rate = n->settings->min_rate,
		.max_lag = n->settings->max_lag,
	};

	serve_set_limits(n->serve, &limits);
	if (n->control != NULL)
		serve_set_limits(n->control, &limits);
}

void node_keep_listeners(const struct node *n)
{
	serve_keep_listeners(n->serve);
	if (n->control != NULL)
		serve_keep_listeners(n->control);
}

void node_refresh(struct node *n, bool always)
{
	struct fault f = {0};

	if (serve_refresh(n->serve, always, &f) < 0)
		log_error(WHERE, "%s", fault_text(&f)); /* the old certificate stays in force */
}

void node_reopen_log(struct node *n)
{
	serve_reopen_log(n->serve);
}

/* Who calls goes before who is called; nobody waits for a viewer's byte that will not come. */
void node_stop(struct node **pn)
{
	struct node *n = *pn;

	*pn = NULL;
	serve_stop(n->control, DUR_S);
	serve_stop(n->serve, n->settings->grace); /* first: what viewers still wait for keeps coming */
	contact_stop(n->contact); /* freed later: the engine and /healthz still look at it */
	scrub_free(&n->scrub);
	if (n->demand != NULL)
		node_status_collect(n, true); /* the next process sends it */
	if (n->flights != NULL)
		flights_stop(n->flights);
	engine_stop(n->engine);
	if (n->prepare != NULL)
		prepare_stop(n->prepare);
	if (n->swarm != NULL)
		swarm_stop(n->swarm);
	fetch_free(&n->fetch_pull);
	fetch_free(&n->fetch_fill);
	fetch_free(&n->fetch_control);
	engine_drain(n->engine);
	serve_free(&n->serve, 0);
	serve_free(&n->control, 0);
	contact_free(&n->contact);
	demand_free(&n->demand);
	viewers_free(&n->viewers);
	nearby_free(&n->nearby);
	prepare_free(&n->prepare);
	fill_free(&n->fill);
	swarm_free(&n->swarm);
	flights_free(&n->flights);
	passing_free(&n->passing);
	admit_free(&n->admit);
	store_close(&n->store);
	upstream_free(&n->upstream);
	plan_unref(&n->plan);
	engine_free(&n->engine);
	counters_free(&n->counters);
	wall_free(&n->wall);
	free(n->public_url);
	free(n);
}
