/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * All edges are judged together after each probe that changes something, so that
 * one look decides whether it is them or us.
 */
#include "origin/health.h"

#include "base/log.h"
#include "origin/registry.h"

#define WHERE "origin/health"
#define ENOUGH 3 /* edges that are needed to doubt the own line */

void health_fell(struct registry_edge *e, mono_us now)
{
	flap_fell(&e->health.flap, now);
}

void health_back(struct registry_edge *e, mono_us now)
{
	dur_us hold = flap_hold(&e->health.flap, now);

	__atomic_store_n(&e->shown->back_since, now + hold, __ATOMIC_RELAXED);
	__atomic_store_n(&e->shown->out_until, hold > 0 ? now + hold : 0, __ATOMIC_RELAXED);
	if (hold > 0)
		log_warn(WHERE, "an edge comes and goes: no viewers for the next %lld s name=%s", (long long)(hold / DUR_S), e->name);
}

void health_began_anew(struct registry_edge *e, dur_us up, mono_us now)
{
	mono_us since = now - up;

	if (since > __atomic_load_n(&e->shown->back_since, __ATOMIC_RELAXED))
		__atomic_store_n(&e->shown->back_since, since, __ATOMIC_RELAXED);
}

void health_moved(struct registry_edge *e)
{
	e->health.misses = 0;
	e->health.reached = e->health.probed = false;
}

static bool fails(const struct registry_edge *e)
{
	return e->up && e->health.misses >= HEALTH_MISSES;
}

static void set_unreachable(struct registry_edge *e, bool unreachable)
{
	if (__atomic_load_n(&e->shown->unreachable, __ATOMIC_RELAXED) == unreachable)
		return;
	__atomic_store_n(&e->shown->unreachable, unreachable, __ATOMIC_RELAXED);
	if (unreachable)
		log_warn(WHERE, "an edge sends heartbeats and cannot be reached, viewers are not sent there: look at its address, its "
		         "firewall and its certificate name=%s url=%s", e->name, e->url);
	else
		log_info(WHERE, "an edge can be reached again, or nothing can name=%s url=%s", e->name, e->url);
}

static void judge(struct registry_edge *const *edges, size_t n)
{
	size_t reached = 0, failing = 0;
	bool own_line;

	for (size_t i = 0; i < n; i++) {
		reached += edges[i]->up && edges[i]->health.reached;
		failing += edges[i]->health.reached && fails(edges[i]);
	}
	own_line = reached >= ENOUGH && failing > reached / 2;
	for (size_t i = 0; i < n; i++) {
		const struct health *h = &edges[i]->health;
		bool never = fails(edges[i]) && !h->reached;

		set_unreachable(edges[i], fails(edges[i]) && h->reached && !own_line);
		__atomic_store_n(&edges[i]->shown->doubtful, never && reached > failing, __ATOMIC_RELAXED);
	}
}

void health_probed(struct registry_edge *const *edges, size_t n, struct registry_edge *e, bool answered)
{
	struct health *h = &e->health;
	bool news = !h->probed || (answered ? h->misses > 0 || !h->reached : h->misses + 1 == HEALTH_MISSES);

	if (answered && h->misses >= HEALTH_MISSES && h->reached)
		health_back(e, clock_mono());
	else if (!answered && h->misses + 1 == HEALTH_MISSES && h->reached)
		health_fell(e, clock_mono());
	h->probed = true;
	h->reached |= answered;
	h->misses = answered ? 0 : h->misses + 1;
	if (news)
		judge(edges, n);
}
