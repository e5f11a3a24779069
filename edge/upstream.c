/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Places are kept by name, so that what was learned of a peer outlives a plan.
 */
#include "edge/upstream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "serve/serve.h"

#define MAX_PLACES 8192
#define TRIES_EACH 2
#define MAX_LIARS 32 /* to be told in one heartbeat */

struct upstream {
	struct plan *plan;
	struct upstream_place **places; /* [0] is the origin */
	size_t n, cap;
	const struct serve *signer; /* or NULL */
	const struct wall *wall;
	uint32_t random; /* xorshift: spreads choices, nothing secret */
	upstream_parts_f parts;
	void *parts_ctx;
	pthread_mutex_t lock; /* guards what follows */
	char *liars[MAX_LIARS];
	size_t n_liars;
};

static struct upstream_place *add(struct upstream *u, const char *name)
{
	struct upstream_place *p = mem_new(sizeof *p);

	p->name = mem_dup(name);
	MEM_GROW(u->places, u->cap, u->n);
	u->places[u->n++] = p;
	return p;
}

struct upstream *upstream_new(const struct wall *wall)
{
	struct upstream *u = mem_new(sizeof *u);

	u->wall = wall;
	u->random = (uint32_t)clock_mono() | 1;
	pthread_mutex_init(&u->lock, NULL);
	add(u, "origin")->source.origin = true;
	return u;
}

void upstream_free(struct upstream **pu)
{
	struct upstream *u = *pu;

	if (u == NULL)
		return;
	for (size_t i = 0; i < u->n; i++) {
		free(u->places[i]->name);
		free(u->places[i]->url);
		free(u->places[i]);
	}
	for (size_t i = 0; i < u->n_liars; i++)
		free(u->liars[i]);
	pthread_mutex_destroy(&u->lock);
	plan_unref(&u->plan);
	free(u->places);
	free(u);
	*pu = NULL;
}

static struct upstream_place *place_of(struct upstream *u, const char *name)
{
	for (size_t i = 1; i < u->n; i++)
		if (strcmp(u->places[i]->name, name) == 0)
			return u->places[i];
	return u->n < MAX_PLACES ? add(u, name) : NULL;
}

static void set_url(struct upstream_place *p, const char *url)
{
	if (p->url != NULL && strcmp(p->url, url) == 0)
		return;
	free(p->url);
	p->url = mem_dup(url);
}

void upstream_set_plan(struct upstream *u, struct plan *plan)
{
	plan_ref(plan);
	plan_unref(&u->plan);
	u->plan = plan;
	for (size_t i = 0; i < u->n; i++)
		u->places[i]->peer = NULL;
	set_url(u->places[0], plan->origin);
	for (size_t i = 0; i < plan->n_peers; i++) {
		struct upstream_place *p = place_of(u, plan->peers[i].name);

		if (p == NULL)
			continue;
		p->peer = &plan->peers[i];
		set_url(p, p->peer->url);
	}
}

static bool may_try(const struct upstream_place *p, const struct upstream_tries *tries)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tries->n; i++)
		n += tries->places[i] == p;
	return n < TRIES_EACH && !(n > 0 && p->source.lied);
}

static uint32_t next_random(struct upstream *u)
{
	u->random ^= u->random << 13;
	u->random ^= u->random >> 17;
	u->random ^= u->random << 5;
	return u->random;
}

/* What is asked for: of a package that is here, one piece; of one that is not, package.torrent. */
struct asked {
	const char *title, *revision;
	const struct package *package; /* or NULL */
	size_t index, piece;
};

static bool has(const struct upstream *u, const struct upstream_place *p, const struct asked *a)
{
	if (p->source.origin)
		return true;
	if (p->peer == NULL)
		return false;
	return plan_peer_holds(p->peer, a->title, a->revision) ||
	       (u->parts != NULL && a->package != NULL && u->parts(u->parts_ctx, p, a->package, a->index, a->piece));
}

static struct upstream_place *pick(struct upstream *u, const struct asked *asked, const struct upstream_tries *tries,
                                   mono_us now)
{
	struct source *sources = mem_new_array(u->n, sizeof *sources);
	bool *usable = mem_new_array(u->n, sizeof *usable);
	int best;

	for (size_t i = 0; i < u->n; i++) {
		const struct upstream_place *p = u->places[i];

		sources[i] = p->source;
		usable[i] = p->url != NULL && tries->n < UPSTREAM_MAX_TRIES && may_try(p, tries) && has(u, p, asked);
	}
	best = sources_pick(sources, u->n, usable, now, next_random(u));
	free(sources);
	free(usable);
	return best < 0 ? NULL : u->places[best];
}

struct upstream_place *upstream_pick(struct upstream *u, const char *title, const char *revision,
                                     const struct upstream_tries *tries, mono_us now)
{
	const struct asked asked = {.title = title, .revision = revision};

	return pick(u, &asked, tries, now);
}

struct upstream_place *upstream_pick_piece(struct upstream *u, const struct package *p, size_t index, size_t piece,
                                           const struct upstream_tries *tries, mono_us now)
{
	const struct asked asked = {p->title, p->revision, p, index, piece};

	return pick(u, &asked, tries, now);
}

void upstream_set_parts(struct upstream *u, upstream_parts_f parts, void *ctx)
{
	u->parts = parts;
	u->parts_ctx = ctx;
}

size_t upstream_peers(const struct upstream *u, struct upstream_place **ret_places, size_t n)
{
	size_t found = 0;

	for (size_t i = 1; i < u->n && found < n; i++)
		if (u->places[i]->peer != NULL)
			ret_places[found++] = u->places[i];
	return found;
}

static bool is_noted(const struct upstream *u, const char *name)
{
	for (size_t i = 0; i < u->n_liars; i++)
		if (strcmp(u->liars[i], name) == 0)
			return true;
	return false;
}

void upstream_lied(struct upstream *u, struct upstream_place *p, mono_us now)
{
	sources_lied(&p->source, now);
	if (p->source.origin)
		return;
	pthread_mutex_lock(&u->lock);
	if (u->n_liars < MAX_LIARS && !is_noted(u, p->name))
		u->liars[u->n_liars++] = mem_dup(p->name);
	pthread_mutex_unlock(&u->lock);
}

char **upstream_liars(struct upstream *u, size_t *ret_n)
{
	char **names = mem_new_array(MAX_LIARS, sizeof *names);

	pthread_mutex_lock(&u->lock);
	for (*ret_n = 0; *ret_n < u->n_liars; (*ret_n)++)
		names[*ret_n] = mem_dup(u->liars[*ret_n]);
	pthread_mutex_unlock(&u->lock);
	return names;
}

void upstream_liars_told(struct upstream *u, size_t n)
{
	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < n; i++)
		free(u->liars[i]);
	u->n_liars -= n;
	memmove(u->liars, u->liars + n, u->n_liars * sizeof *u->liars);
	pthread_mutex_unlock(&u->lock);
}

void upstream_set_signer(struct upstream *u, const struct serve *s)
{
	u->signer = s;
}

char *upstream_url(const struct upstream *u, const struct upstream_place *p, const char *title, const char *revision, const char *file)
{
	char prefix[SERVE_PREFIX_SIZE];

	serve_sign_own(u->signer, wall_now(u->wall), prefix);
	return mem_printf("%s%s/v/%s/%s/%s", p->url, prefix, title, revision, file);
}
