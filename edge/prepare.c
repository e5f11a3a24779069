/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One record a title of the plan; a step starts as many grabs as may run at
 * once, in the plan's order.  A failed grab is tried again, elsewhere if there
 * is elsewhere, after a pause that doubles.
 */
#include "edge/prepare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/counts.h"

#define WHERE "edge/prepare"
#define AT_ONCE 4
#define PAUSE_MAX (30 * DUR_S)
#define LOOK_AGAIN (2 * DUR_S)
/* Leaves of titles that are only pulled are fetched as well while they are small (2 GB of media);
 * above, their pieces are shown whole. */
#define EAGER_LEAVES ((uint64_t)4 << 20)

struct record {
	bool busy;
	struct upstream_tries tries; /* since the last pause */
	unsigned failures;           /* rounds through all places */
	mono_us paused_until;
};

struct prepare {
	struct prepare_settings s;
	struct plan *plan;
	struct record *records; /* one for each of the plan's titles */
	unsigned active, generation; /* generation: of the plan, for grabs that outlive it */
	bool stopped;
};

struct grab {
	struct job job;
	struct prepare *all;
	struct plan *plan;  /* one reference */
	size_t index;
	unsigned generation;
	bool leaves;
	struct upstream_place *place;
	struct buf body;
	struct fetch_result result;
};

struct prepare *prepare_new(const struct prepare_settings *settings)
{
	struct prepare *p = mem_new(sizeof *p);

	p->s = *settings;
	return p;
}

void prepare_free(struct prepare **pp)
{
	if (*pp == NULL)
		return;
	plan_unref(&(*pp)->plan);
	free((*pp)->records);
	free(*pp);
	*pp = NULL;
}

void prepare_set_plan(struct prepare *p, struct plan *plan)
{
	plan_ref(plan);
	plan_unref(&p->plan);
	p->plan = plan;
	free(p->records);
	p->records = mem_new_array(plan->n_titles + 1, sizeof *p->records);
	p->generation++;
}

void prepare_stop(struct prepare *p)
{
	p->stopped = true;
}

/* --- one grab -------------------------------------------------------------------------- */

static int on_header(void *ctx, const struct fetch_response *r)
{
	return r->status == 200 ? 0 : ERR_HTTP;
}

static int on_data(void *ctx, const void *bytes, size_t n)
{
	struct grab *g = ctx;

	return buf_append(&g->body, bytes, n);
}

static void on_done(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct grab *g = ctx;

	g->result = *result;
	engine_post(g->all->s.engine, &g->job);
}

static int take_in(struct grab *g, struct fault *f)
{
	const struct plan_title *t = &g->plan->titles[g->index];
	struct store *store = g->all->s.store;
	struct package *p = store_find(store, t->title, t->revision);

	if (g->result.error != 0)
		return fault_set(f, g->result.error, "%s", g->result.text);
	if (g->leaves)
		return p != NULL ? store_add_leaves(store, p, g->body.bytes, g->body.size) : 0;
	if (p != NULL)
		return p->copies[PACKAGE_TORRENT_AT(p)] == NULL ? store_add_torrent(store, p, g->body.bytes, g->body.size) : 0;
	return store_add_package(store, t->title, t->revision, &t->digest, g->body.bytes, g->body.size, &p, f);
}

static void failed(struct grab *g, int r, const struct fault *f)
{
	const struct plan_title *t = &g->plan->titles[g->index];
	mono_us now = clock_mono();

	if (r == ERR_CANCELLED)
		return;
	log_warn(WHERE, "cannot get %s: %s: %s source=%s title=%s revision=%s",
	         g->leaves ? PACKAGE_LEAVES : PACKAGE_DIGEST, err_text(r), fault_text(f), g->place->name, t->title,
	         t->revision);
	if (r == ERR_HASH || r == ERR_CORRUPT || r == ERR_SYNTAX || r == ERR_TRUNCATED) {
		counters_add(g->all->s.counters, COUNT_WRONG_HASH, r == ERR_HASH);
		upstream_lied(g->all->s.upstream, g->place, now);
	} else if (!disk_reads_only(store_disk(g->all->s.store)) && r != -ENOSPC) {
		sources_failed(&g->place->source, now);
	}
}

static void run_done(struct job *job)
{
	struct grab *g = (struct grab *)job; /* the first member */
	struct prepare *all = g->all;
	struct fault f = {0};
	int r = take_in(g, &f);

	all->active--;
	sources_ended(&g->place->source);
	counters_add(all->s.counters, COUNT_FETCHED_META, g->result.bytes);
	if (r != 0)
		failed(g, r, &f);
	if (g->generation == all->generation) {
		struct record *record = &all->records[g->index];

		record->busy = false;
		if (r == 0)
			*record = (struct record){.busy = false};
	}
	all->s.changed(all->s.ctx); /* or another try is due */
	plan_unref(&g->plan);
	buf_fini(&g->body);
	free(g);
}

static void start(struct prepare *all, size_t index, bool leaves, uint64_t max, mono_us now)
{
	const struct plan_title *t = &all->plan->titles[index];
	struct record *record = &all->records[index];
	struct upstream_place *place = upstream_pick(all->s.upstream, t->title, t->revision, &record->tries, now);
	struct fetch_request req = {.max_bytes = max, .stall_timeout = 8 * DUR_S, .total_timeout = 120 * DUR_S};
	struct grab *g;
	char *url;

	if (place == NULL) { /* all were tried: from the beginning, after a pause */
		dur_us pause = DUR_S << (record->failures < 5 ? record->failures : 5);

		record->paused_until = now + (pause < PAUSE_MAX ? pause : PAUSE_MAX);
		record->failures++;
		record->tries.n = 0;
		return;
	}
	record->tries.places[record->tries.n++] = place;
	g = mem_new(sizeof *g);
	g->job.run = run_done;
	g->all = all;
	g->plan = plan_ref(all->plan);
	g->index = index;
	g->generation = all->generation;
	g->leaves = leaves;
	g->place = place;
	buf_init(&g->body, (size_t)max);
	record->busy = true;
	all->active++;
	sources_started(&place->source);
	url = upstream_url(all->s.upstream, place, t->title, t->revision, leaves ? PACKAGE_LEAVES : PACKAGE_DIGEST);
	req.url = url;
	fetch_start(all->s.fetch, &req, on_header, on_data, on_done, g);
	free(url);
}

/* --- what is missing ------------------------------------------------------------------- */

static void pull_manifest(struct prepare *all, struct package *p)
{
	int at = digest_find(p->digest, PACKAGE_MANIFEST, strlen(PACKAGE_MANIFEST));
	struct copy *c = at >= 0 ? p->copies[at] : NULL;

	for (size_t i = 0; c != NULL && copy_is_manifest(c) && !copy_is_whole(c) && i < c->n_pieces; i++)
		flights_pull(all->s.flights, c, i, NULL);
}

static bool wants_leaves(const struct package *p, const struct plan_title *t)
{
	return p->copies[PACKAGE_LEAVES_AT(p)] == NULL &&
	       (t->hold || digest_leaves_size(p->digest) <= EAGER_LEAVES);
}

static void look_after(struct prepare *all, size_t index, mono_us now)
{
	const struct plan_title *t = &all->plan->titles[index];
	struct record *record = &all->records[index];
	struct package *p = store_find(all->s.store, t->title, t->revision);
	uint64_t max = t->digest_bytes < DIGEST_MAX_BYTES ? t->digest_bytes : DIGEST_MAX_BYTES;

	if (p != NULL)
		pull_manifest(all, p);
	if (record->busy || record->paused_until > now || all->active >= AT_ONCE)
		return;
	if (p == NULL || p->copies[PACKAGE_TORRENT_AT(p)] == NULL)
		start(all, index, false, max, now);
	else if (wants_leaves(p, t))
		start(all, index, true, digest_leaves_size(p->digest), now);
}

mono_us prepare_step(struct prepare *all, mono_us now)
{
	if (all->plan == NULL || all->stopped)
		return INT64_MAX;
	if (disk_reads_only(store_disk(all->s.store)))
		return now + LOOK_AGAIN;
	for (size_t i = 0; i < all->plan->n_titles; i++)
		look_after(all, i, now);
	return now + LOOK_AGAIN;
}
