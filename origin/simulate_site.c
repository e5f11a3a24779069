/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several edges at one place on one log, in two ways: every edge for itself, asking
 * the others before the origin; and as a site, where viewers are sent to who owns
 * what they want.  The rule by which each edge keeps is the same.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cdn/ranked.h"
#include "cdn/site.h"
#include "origin/simulate.h"

#define DAY 86400.0

struct crew {
	const struct trace *trace;
	struct site_edge edges[SITE_MAX_EDGES];
	struct ranked *stores[SITE_MAX_EDGES];
	double recent[SITE_MAX_EDGES]; /* bytes an edge sent, fading over an hour */
	double served[SITE_MAX_EDGES]; /* bytes since the judging began */
	double *drawn;                 /* by item: bytes, fading over a day */
	double total;                  /* of drawn */
	int64_t *drawn_at;
	int64_t recent_at;
	size_t n;
};

static void begin(struct crew *c, const struct trace *t, const struct simulate_settings *s, size_t n)
{
	char name[32];

	*c = (struct crew){.trace = t, .n = n, .recent_at = t->requests[0].second};
	c->drawn = mem_new_array(t->n_items, sizeof *c->drawn);
	c->drawn_at = mem_new_array(t->n_items, sizeof *c->drawn_at);
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof name, "edge-%zu", i + 1);
		c->edges[i] = (struct site_edge){site_key(name), s->capacity};
		c->stores[i] = ranked_new(&(struct ranked_settings){.capacity = s->capacity, .admits = true});
	}
}

static void end(struct crew *c)
{
	for (size_t i = 0; i < c->n; i++)
		ranked_free(&c->stores[i]);
	free(c->drawn);
	free(c->drawn_at);
}

static void fade(struct crew *c, const struct trace_request *r)
{
	double seconds = (double)(r->second - c->recent_at);

	for (size_t i = 0; i < c->n; i++)
		c->recent[i] *= exp2(-seconds / 3600);
	c->total = c->total * exp2(-seconds / DAY) + (double)c->trace->bytes[r->item];
	c->drawn[r->item] = c->drawn[r->item] * exp2(-(double)(r->second - c->drawn_at[r->item]) / DAY) +
	                    (double)c->trace->bytes[r->item];
	c->drawn_at[r->item] = c->recent_at = r->second;
}

/* Of the edges that own the item the one that has sent the least of late. */
static size_t pick(struct crew *c, const struct trace_request *r)
{
	uint8_t owners[SITE_MAX_EDGES];
	char name[32];
	size_t copies, best;

	snprintf(name, sizeof name, "item-%u", r->item);
	site_owners(site_key(name), c->edges, c->n, owners);
	copies = site_copies(c->drawn[r->item] / c->total, c->n);
	best = owners[0];
	for (size_t k = 1; k < copies; k++)
		if (c->recent[owners[k]] < c->recent[best])
			best = owners[k];
	return best;
}

/* Viewers come to the edges at random. */
static size_t at_random(struct crew *c, uint64_t *viewer)
{
	*viewer = *viewer * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (size_t)((*viewer >> 33) % c->n);
}

static bool held_by_any(const struct crew *c, uint32_t item)
{
	for (size_t i = 0; i < c->n; i++)
		if (ranked_holds(c->stores[i], item))
			return true;
	return false;
}

/* True when the origin was asked. */
static bool one(struct crew *c, const struct trace_request *r, size_t at)
{
	bool far = !held_by_any(c, r->item);

	ranked_know(c->stores[at], r->item, c->trace->bytes[r->item]);
	ranked_played(c->stores[at], r->item, c->trace->bytes[r->item], r->second);
	if (!ranked_holds(c->stores[at], r->item))
		ranked_admit(c->stores[at], r->item);
	return far;
}

void simulate_site(const struct trace *t, const struct simulate_settings *s, size_t n, bool together,
                   struct simulate_site_result *ret)
{
	int64_t first = t->requests[0].second;
	int64_t judged = first + (int64_t)(s->judged_from * (double)(t->requests[t->n - 1].second - first));
	uint64_t viewer = 1;
	double asked = 0, far = 0, most = 0, sum = 0;
	struct crew c;

	begin(&c, t, s, n);
	for (size_t i = 0; i < t->n; i++) {
		const struct trace_request *r = &t->requests[i];
		double bytes = (double)t->bytes[r->item];
		size_t at;
		bool origin;

		fade(&c, r);
		at = together ? pick(&c, r) : at_random(&c, &viewer);
		c.recent[at] += bytes;
		origin = one(&c, r, at);
		if (r->second < judged)
			continue;
		asked += bytes;
		far += origin ? bytes : 0;
		c.served[at] += bytes;
	}
	for (size_t i = 0; i < n; i++) {
		most = c.served[i] > most ? c.served[i] : most;
		sum += c.served[i];
	}
	*ret = (struct simulate_site_result){far / asked, most / (sum / (double)n)};
	end(&c);
}
