/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the engine's thread does between the parts: a new plan, a round of
 * looking after what is due, pieces that turned out bad.  What must hold: what
 * changes what the edge holds is shown to viewers in the same round.
 */
#include <config.h>

#include "edge/node_inner.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

#define WHERE "edge"
#define REFRESH (200 * DUR_MS) /* the fill looks at everything at most so often, unless something came */

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

void node_engine_plan(void *ctx, struct plan *plan)
{
	struct node *n = ctx;
	struct plan_job *j = mem_new(sizeof *j);

	*j = (struct plan_job){{.run = run_plan}, n, plan};
	engine_post(n->engine, &j->job);
}

void node_engine_prepared(void *ctx)
{
	look_anew(ctx);
}

void node_engine_forget(void *ctx, struct package *p)
{
	struct node *n = ctx;

	fill_forget(n->fill, p);
	admit_forget(n->admit, p);
	swarm_forget(n->swarm, p);
	n->view_due = true;
}

bool node_engine_keep(void *ctx, struct copy *c, uint64_t bytes, bool fill)
{
	struct node *n = ctx;

	return !disk_reads_only(store_disk(n->store)) ? space_keeps(&n->space, c, bytes) || fill : fill;
}

void node_engine_displaced(void *ctx, struct copy *c)
{
	struct node *n = ctx;

	space_displace(&n->space, c);
}

void node_engine_landed(void *ctx, struct copy *c, size_t piece, bool fill, int error)
{
	struct node *n = ctx;

	fill_landed(n->fill, c, fill, error, clock_mono());
	n->fill_due = 0;
}

void node_engine_parts(void *ctx)
{
	struct node *n = ctx;

	n->fill_due = 0;
}

void node_engine_kept(void *ctx)
{
	struct node *n = ctx;

	__atomic_store_n(&n->kept, 1, __ATOMIC_RELEASE);
	engine_kick(n->engine);
}

struct recall_job {
	struct job job;
	struct node *node;
};

static void run_recall(struct job *job)
{
	struct recall_job *j = (struct recall_job *)job;

	admit_recall(j->node->admit, j->node->store, space_share(&j->node->space), clock_mono());
	free(j);
}

void node_engine_recall(struct node *n)
{
	struct recall_job *j = mem_new(sizeof *j);

	*j = (struct recall_job){{.run = run_recall}, n};
	engine_post(n->engine, &j->job);
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

void node_engine_publish(struct node *n)
{
	if (!n->view_due || n->plan == NULL)
		return;
	n->view_due = false;
	viewers_publish(n->viewers, view_new(n->plan, n->store));
}

mono_us node_engine_idle(void *ctx, mono_us now)
{
	struct node *n = ctx;
	mono_us wake = now + DUR_S, swarm_due, passing_due;

	flights_step(n->flights);
	passing_due = passing_step(n->passing, now);
	space_step(&n->space);
	admit_step(n->admit, now);
	tell_whole(n);
	if (store_probe(n->store, now, &wake)) {
		n->fill_due = n->prepare_due = 0;
		__atomic_store_n(&n->well_since, now, __ATOMIC_RELAXED);
		contact_kick(n->contact);
	}
	if (n->plan == NULL)
		return wake;
	if (n->prepare_due <= now)
		n->prepare_due = prepare_step(n->prepare, now);
	if (n->fill_due <= now) {
		n->fill_due = INT64_MAX; /* a piece that lands at once sets it to 0 again */
		mono_us due = fill_step(n->fill, now, wall_now(n->wall));

		if (due < n->fill_due)
			n->fill_due = due;
		if (n->fill_due <= now)
			n->fill_due = now + REFRESH;
	}
	swarm_due = swarm_step(n->swarm, now);
	node_engine_publish(n);
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

void node_engine_bad(void *ctx, struct copy *c, size_t piece)
{
	struct node *n = ctx;
	struct bad_job *j = mem_new(sizeof *j);

	*j = (struct bad_job){{.run = run_bad}, n, copy_ref(c), piece};
	engine_post(n->engine, &j->job);
}
