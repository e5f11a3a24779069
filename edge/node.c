/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Wiring.  What must hold: viewers are answered before the origin is asked for
 * anything, and the parts end before those they call.
 */
#include <config.h>

#include "edge/node.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/notify.h"
#include "base/rcu.h"
#include "base/str.h"
#include "edge/contact.h"
#include "edge/counts.h"
#include "edge/demand.h"
#include "edge/fill.h"
#include "edge/prepare.h"
#include "edge/scrub.h"
#include "edge/space.h"
#include "edge/swarm.h"
#include "edge/viewers.h"

#define WHERE "edge"
#define VIEWERS_MAX_BODY 65536 /* they have nothing to send */
#define REFRESH (200 * DUR_MS) /* the fill looks at everything at most so often, unless something came */

struct manager_job;

struct node {
	const struct settings *settings;
	char *public_url;
	struct counters *counters;
	struct store *store;
	struct engine *engine;
	struct upstream *upstream;
	struct fetch *fetch_pull, *fetch_fill, *fetch_control;
	struct flights *flights;
	struct admit *admit;
	struct space space;
	struct passing *passing;
	struct fill *fill;
	struct swarm *swarm;
	struct prepare *prepare;
	struct viewers *viewers;
	struct serve *serve, *control;
	struct contact *contact;
	struct demand *demand; /* the contact thread's */
	struct scrub *scrub;

	/* the engine's */
	struct plan *plan;
	bool view_due;
	mono_us fill_due, prepare_due;
	size_t n_whole;
	int kept; /* atomic: something has come to the disk for good */

	/* the main thread's */
	struct manager_job *manager;
	char said[160];
};

/* --- the engine's side ------------------------------------------------------------------ */

struct plan_job {
	struct job job;
	struct node *node;
	struct plan *plan;
};

static void mark_files(struct package *p, const struct plan_title *t)
{
	bool hold = t != NULL && t->hold;

	for (size_t i = 0; i < p->n_copies; i++)
		__atomic_store_n(&p->keep[i], hold && (i >= p->digest->n_files || plan_title_wants(t, p->digest->files[i].name)),
		                 __ATOMIC_RELAXED);
	__atomic_store_n(&p->listed, t != NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&p->hold, hold, __ATOMIC_RELAXED);
}

static void mark_packages(struct node *n)
{
	size_t count;
	struct package **packages = store_packages(n->store, &count);

	for (size_t i = 0; i < count; i++)
		mark_files(packages[i], plan_find(n->plan, packages[i]->title, packages[i]->revision));
}

/* Plan or packages have changed. */
static void look_anew(struct node *n)
{
	mark_packages(n);
	admit_take_stock(n->admit, n->store, clock_mono());
	fill_set_plan(n->fill, n->plan);
	n->view_due = true;
	n->fill_due = n->prepare_due = 0;
}

static void set_plan(struct node *n, struct plan *plan)
{
	plan_unref(&n->plan);
	n->plan = plan;
	upstream_set_plan(n->upstream, plan);
	prepare_set_plan(n->prepare, plan);
	look_anew(n);
}

static void run_plan(struct job *job)
{
	struct plan_job *j = (struct plan_job *)job;

	set_plan(j->node, j->plan);
	free(j);
}

static void on_plan(void *ctx, struct plan *plan)
{
	struct node *n = ctx;
	struct plan_job *j = mem_new(sizeof *j);

	*j = (struct plan_job){{.run = run_plan}, n, plan};
	engine_post(n->engine, &j->job);
}

static void on_prepared(void *ctx)
{
	look_anew(ctx);
}

static void on_forget(void *ctx, struct package *p)
{
	struct node *n = ctx;

	fill_forget(n->fill, p);
	admit_forget(n->admit, p);
	swarm_forget(n->swarm, p);
	n->view_due = true;
}

static bool on_keep(void *ctx, struct copy *c, uint64_t bytes, bool fill)
{
	struct node *n = ctx;

	return !disk_reads_only(store_disk(n->store)) ? space_keeps(&n->space, c, bytes) || fill : fill;
}

static void on_displaced(void *ctx, struct copy *c)
{
	struct node *n = ctx;

	space_displace(&n->space, c);
}

static void on_landed(void *ctx, struct copy *c, size_t piece, bool fill, int error)
{
	struct node *n = ctx;

	fill_landed(n->fill, c, fill, error, clock_mono());
	n->fill_due = 0;
}

static void on_parts(void *ctx)
{
	struct node *n = ctx;

	n->fill_due = 0;
}

static void on_kept(void *ctx)
{
	struct node *n = ctx;

	__atomic_store_n(&n->kept, 1, __ATOMIC_RELEASE);
	engine_kick(n->engine);
}

/* A title that is complete is worth a heartbeat at once. */
static void tell_whole(struct node *n)
{
	size_t count, whole = 0;
	struct package **packages = store_packages(n->store, &count);

	if (!__atomic_exchange_n(&n->kept, 0, __ATOMIC_ACQ_REL))
		return;
	for (size_t i = 0; i < count; i++)
		whole += package_is_whole(packages[i]) || package_is_filled(packages[i]);
	if (whole > n->n_whole)
		contact_kick(n->contact);
	n->n_whole = whole;
}

static void publish(struct node *n)
{
	if (!n->view_due || n->plan == NULL)
		return;
	n->view_due = false;
	viewers_publish(n->viewers, view_new(n->plan, n->store));
}

static mono_us idle(void *ctx, mono_us now)
{
	struct node *n = ctx;
	mono_us wake = now + DUR_S, swarm_due, passing_due;

	flights_step(n->flights);
	passing_due = passing_step(n->passing, now);
	space_step(&n->space);
	tell_whole(n);
	if (store_probe(n->store, now, &wake))
		n->fill_due = n->prepare_due = 0;
	if (n->plan == NULL)
		return wake;
	if (n->prepare_due <= now)
		n->prepare_due = prepare_step(n->prepare, now);
	if (n->fill_due <= now) {
		n->fill_due = INT64_MAX; /* a piece that lands at once sets it to 0 again */
		mono_us due = fill_step(n->fill, now, clock_wall());

		if (due < n->fill_due)
			n->fill_due = due;
		if (n->fill_due <= now)
			n->fill_due = now + REFRESH;
	}
	swarm_due = swarm_step(n->swarm, now);
	publish(n);
	if (!disk_reads_only(store_disk(n->store)))
		wake = INT64_MAX;
	if (swarm_due < wake)
		wake = swarm_due;
	if (passing_due < wake)
		wake = passing_due;
	if (n->prepare_due < wake)
		wake = n->prepare_due;
	return n->fill_due < wake ? n->fill_due : wake;
}

struct manager_job {
	struct job job;
	bool posted; /* atomic */
};

static void run_manager(struct job *job)
{
	struct manager_job *j = (struct manager_job *)job;

	if (notify_watchdog() > 0)
		notify_manager("WATCHDOG=1");
	__atomic_store_n(&j->posted, false, __ATOMIC_RELEASE);
}

struct bad_job {
	struct job job;
	struct node *node;
	struct copy *copy;
	size_t piece;
};

/* A small file starts anew: the server may keep its bytes in memory as long as the object lives. */
static int forget_bad(struct store *s, struct copy *c, size_t piece)
{
	if (__atomic_load_n(&c->gone, __ATOMIC_ACQUIRE))
		return 0;
	if (c->index >= c->package->digest->n_files) {
		store_drop_small(s, c);
		return 0;
	}
	return c->n_pieces == 1 ? store_reset_copy(s, c) : store_forget_piece(s, c, piece);
}

static void run_bad(struct job *job)
{
	struct bad_job *j = (struct bad_job *)job;

	if (forget_bad(j->node->store, j->copy, j->piece) != 0)
		log_error(WHERE, "cannot take a bad piece out of the journal");
	j->node->fill_due = j->node->prepare_due = 0;
	copy_unref(&j->copy);
	free(j);
}

static void on_bad(void *ctx, struct copy *c, size_t piece)
{
	struct node *n = ctx;
	struct bad_job *j = mem_new(sizeof *j);

	*j = (struct bad_job){{.run = run_bad}, n, copy_ref(c), piece};
	engine_post(n->engine, &j->job);
}

/* --- other threads ---------------------------------------------------------------------- */

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

static const char *health(void *ctx)
{
	struct node *n = ctx;
	const char *trouble = store_trouble(n->store);

	if (trouble != NULL)
		return trouble;
	return contact_has_plan(n->contact) ? NULL : "no plan from the origin yet";
}

/* It has something to serve by; trouble with the disk does not end that. */
static bool is_ready(void *ctx)
{
	struct node *n = ctx;

	return contact_has_plan(n->contact);
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

static void add_parts(struct contact_status *s, const struct package *p, size_t *cap)
{
	for (size_t i = 0; i < p->digest->n_files; i++) {
		if (!package_keeps(p, i))
			continue;
		MEM_GROW(s->parts, *cap, s->n_parts);
		s->parts[s->n_parts++] = mem_printf("%s/%s/%s", p->title, p->revision, p->digest->files[i].name);
	}
}

/* On its way: some of what the plan wants of it is here. */
static void add_filling(struct contact_status *s, const struct package *p, size_t *cap)
{
	struct contact_filling f = {0};
	bool wanted = false;

	for (size_t i = 0; i < p->digest->n_files && !wanted; i++)
		wanted = package_keeps(p, i);
	rcu_read_begin();
	f.bytes = package_held(p);
	rcu_read_end();
	if (!wanted || f.bytes == 0)
		return;
	f.title = mem_dup(p->title);
	snprintf(f.revision, sizeof f.revision, "%s", p->revision);
	MEM_GROW(s->filling, *cap, s->n_filling);
	s->filling[s->n_filling++] = f;
}

static void on_status(void *ctx, struct contact_status *s)
{
	struct node *n = ctx;
	size_t count, cap = 0, filling_cap = 0;
	struct package **packages = viewers_packages(n->viewers, &count);
	double load[1] = {0};

	s->holds = mem_new_array(count + 1, sizeof *s->holds);
	for (size_t i = 0; i < count; i++) {
		bool whole, filled;

		rcu_read_begin();
		whole = package_is_whole(packages[i]);
		filled = package_is_filled(packages[i]);
		rcu_read_end();
		if (whole)
			s->holds[s->n_holds++] = mem_printf("%s/%s", packages[i]->title, packages[i]->revision);
		else if (filled)
			add_parts(s, packages[i], &cap);
		else
			add_filling(s, packages[i], &filling_cap);
		package_unref(&packages[i]);
	}
	free(packages);
	s->capacity = store_capacity(n->store);
	s->free_bytes = store_available(n->store);
	s->trouble = store_trouble(n->store);
	if (s->trouble == NULL)
		s->trouble = contact_clock_trouble(n->contact);
	s->store_errors = disk_failures(store_disk(n->store)) + (uint64_t)counters_read(n->counters, COUNT_SCRUB_BAD);
	s->liars = upstream_liars(n->upstream, &s->n_liars);
	if (getloadavg(load, 1) == 1)
		s->load = load[0] / (double)sysconf(_SC_NPROCESSORS_ONLN);
}

static void on_told(void *ctx, const struct contact_status *s)
{
	struct node *n = ctx;

	upstream_liars_told(n->upstream, s->n_liars);
}

static void collect(struct node *n, bool at_once)
{
	size_t count;
	struct package **packages = viewers_packages(n->viewers, &count);

	demand_collect(n->demand, packages, count, clock_wall(), at_once);
	for (size_t i = 0; i < count; i++)
		package_unref(&packages[i]);
	free(packages);
}

static void on_collect(void *ctx)
{
	collect(ctx, false);
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
		.kept = on_kept,
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

	return r == 0 ? 0 : fault_set(f, r, "cannot start the HTTP client: %s", err_text(r));
}

static void make_parts(struct node *n)
{
	struct flights_settings flights = {
		.engine = n->engine, .store = n->store, .upstream = n->upstream, .counters = n->counters,
		.pull = n->fetch_pull, .fill = n->fetch_fill, .keep = on_keep, .landed = on_landed, .ctx = n,
	};
	struct prepare_settings prepare;
	struct swarm_settings swarm = {n->settings->name, n->engine, n->upstream, n->fetch_pull, on_parts, n};
	struct fill_settings fill;
	struct viewers_settings viewers = {n->settings->name, n->store, NULL, n->counters, health, is_ready, n};

	flights.passing = n->passing = passing_new();
	n->flights = flights_new(&flights);
	n->admit = admit_new(on_displaced, n);
	n->space = (struct space){n->store, n->flights, n->admit, n->counters, n->settings->pull_share, on_forget, n, false};
	prepare = (struct prepare_settings){n->engine, n->store, n->flights, n->upstream, n->counters, n->fetch_pull,
	                                    on_prepared, n};
	n->prepare = prepare_new(&prepare);
	n->swarm = swarm_new(&swarm);
	fill = (struct fill_settings){n->store, n->flights, &n->space, n->swarm, n->counters, n->settings->window,
	                              n->settings->rates, (unsigned)n->settings->parallel};
	n->fill = fill_new(&fill, clock_mono());
	viewers.flights = n->flights;
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
		return fault_set(f, ERR_USAGE, "listen \"%s\" does not say how others reach this edge: set public_url",
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
		.status = on_status,
		.told = on_told,
		.plan = on_plan,
		.collect = on_collect,
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
	publish(n);
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
	struct scrub_settings scrub = {settings->scrub_rate, settings->scrub_every, NULL, on_packages, on_bad, n};
	int r;

	n->settings = settings;
	n->manager = mem_new(sizeof *n->manager);
	n->manager->job.run = run_manager;
	n->counters = counts_new();
	n->engine = engine_new();
	n->upstream = upstream_new();
	r = start_all(n, &ports, f);
	if (r != 0) {
		node_stop(&n);
		return r;
	}
	scrub.counters = n->counters;
	engine_start(n->engine, idle, n);
	contact_start(n->contact);
	n->scrub = scrub_new(&scrub);
	*ret_node = n;
	*ret_ports = ports;
	return 0;
}

static size_t count_whole(struct node *n)
{
	size_t count, whole = 0;
	struct package **packages = viewers_packages(n->viewers, &count);

	for (size_t i = 0; i < count; i++) {
		rcu_read_begin();
		whole += package_is_whole(packages[i]);
		rcu_read_end();
		package_unref(&packages[i]);
	}
	free(packages);
	return whole;
}

static void describe(struct node *n, char *status, size_t size)
{
	const char *trouble = health(n);
	char room[STR_BYTES_SIZE];

	str_format_bytes(store_available(n->store), room);
	snprintf(status, size, "%s%s%zu titles whole, %s free", trouble != NULL ? trouble : "", trouble != NULL ? "; " : "", count_whole(n), room);
}

void node_tell_manager(struct node *n)
{
	char status[sizeof n->said];

	if (getenv("NOTIFY_SOCKET") == NULL)
		return;
	if (!__atomic_load_n(&n->manager->posted, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&n->manager->posted, true, __ATOMIC_RELAXED);
		engine_post(n->engine, &n->manager->job);
	}
	describe(n, status, sizeof status);
	if (strcmp(status, n->said) == 0)
		return;
	notify_manager("STATUS=%s", status);
	memcpy(n->said, status, sizeof status);
}

struct rates_job {
	struct job job;
	struct node *node;
	struct rates rates;
};

static void run_rates(struct job *job)
{
	struct rates_job *j = (struct rates_job *)job;

	fill_set_rates(j->node->fill, &j->rates);
	j->node->fill_due = 0;
	free(j);
}

void node_set_rates(struct node *n)
{
	struct rates_job *j = mem_new(sizeof *j);

	*j = (struct rates_job){{.run = run_rates}, n, n->settings->rates};
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
		collect(n, true); /* the next process sends it */
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
	free(n->public_url);
	free(n->manager);
	free(n);
}
