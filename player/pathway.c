/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A small table of keys with their penalties.  A full table forgets the entry
 * whose penalty ended longest ago: that one matters least.
 */
#include "player/pathway.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define FIRST_PENALTY (10 * DUR_S)
#define SLOW_PENALTY DUR_MIN
#define MAX_PENALTY (5 * DUR_MIN)

static const struct pathway_entry *find(const struct pathway *p, const char *key)
{
	for (unsigned i = 0; i < p->n; i++)
		if (strncmp(p->entries[i].key, key, sizeof p->entries[i].key - 1) == 0)
			return &p->entries[i];
	return NULL;
}

static struct pathway_entry *find_or_add(struct pathway *p, const char *key)
{
	struct pathway_entry *e = (struct pathway_entry *)find(p, key);

	if (e != NULL)
		return e;
	if (p->n < PATHWAY_MAX) {
		e = &p->entries[p->n++];
	} else {
		e = &p->entries[0];
		for (unsigned i = 1; i < p->n; i++)
			if (p->entries[i].penalty_end < e->penalty_end)
				e = &p->entries[i];
	}
	*e = (struct pathway_entry){0};
	snprintf(e->key, sizeof e->key, "%s", key);
	return e;
}

static mono_us penalty_end(const struct pathway *p, const char *key)
{
	const struct pathway_entry *e = find(p, key);

	return e != NULL ? e->penalty_end : 0;
}

bool pathway_penalised(const struct pathway *p, const char *key, mono_us now)
{
	return penalty_end(p, key) > now;
}

void pathway_steer(struct pathway *p, const char *const *ids, unsigned n)
{
	p->n_order = n < PATHWAY_MAX ? n : PATHWAY_MAX;
	for (unsigned i = 0; i < p->n_order; i++)
		snprintf(p->order[i], sizeof p->order[i], "%s", ids[i]);
}

void pathway_clone(struct pathway *p, const char *base, const char *id, const char *host, const char *query)
{
	unsigned at = 0;

	while (at < p->n_clones && strcmp(p->clones[at].id, id) != 0)
		at++;
	if (at == sizeof p->clones / sizeof p->clones[0] || strlen(id) >= sizeof p->clones[0].id || strlen(host) >= sizeof p->clones[0].host)
		return;
	p->n_clones += at == p->n_clones;
	snprintf(p->clones[at].base, sizeof p->clones[at].base, "%s", base);
	snprintf(p->clones[at].id, sizeof p->clones[at].id, "%s", id);
	snprintf(p->clones[at].host, sizeof p->clones[at].host, "%s", host);
	snprintf(p->clones[at].query, sizeof p->clones[at].query, "%s", query);
}

char *pathway_clone_url(const struct pathway_clone *c, const char *base_url)
{
	const char *colon = strstr(base_url, "://"), *path = colon != NULL ? strchr(colon + 3, '/') : NULL;
	bool whole = strstr(c->host, "://") != NULL;

	if (colon == NULL)
		return NULL;
	path = path != NULL ? path : "/";
	return mem_printf("%.*s%s%s%s%s", whole ? 0 : (int)(colon + 3 - base_url), base_url, c->host, path,
	                  c->query[0] == '\0' ? "" : strchr(path, '?') != NULL ? "&" : "?", c->query);
}

static unsigned rank(const struct pathway *p, const char *key)
{
	unsigned i = 0;

	while (i < p->n_order && strcmp(p->order[i], key) != 0)
		i++;
	return i;
}

int pathway_pick(const struct pathway *p, const char *const *keys, size_t n_keys, uint32_t tried, mono_us now)
{
	int best = -1;
	mono_us best_end = 0;
	unsigned best_rank = 0;

	for (size_t i = 0; i < n_keys && i < PATHWAY_MAX; i++) {
		mono_us end = penalty_end(p, keys[i]);
		unsigned r = rank(p, keys[i]);

		if ((tried & (UINT32_C(1) << i)) != 0)
			continue;
		if (end < now)
			end = now; /* free is free: then the orders decide */
		if (best < 0 || end < best_end || (end == best_end && r < best_rank)) {
			best = (int)i;
			best_end = end;
			best_rank = r;
		}
	}
	return best;
}

int pathway_second(const struct pathway *p, const char *const *keys, size_t n_keys, uint32_t left_out, mono_us now)
{
	int best = -1;
	uint64_t best_rate = 0;

	for (size_t i = 0; i < n_keys && i < PATHWAY_MAX; i++) {
		const struct pathway_entry *e = find(p, keys[i]);

		if ((left_out & (UINT32_C(1) << i)) != 0 || e == NULL || e->penalty_end > now || e->rate <= best_rate)
			continue;
		best = (int)i;
		best_rate = e->rate;
	}
	if (best < 0)
		best = pathway_pick(p, keys, n_keys, left_out, now);
	return best >= 0 && !pathway_penalised(p, keys[best], now) ? best : -1;
}

static dur_us grown(dur_us penalty, unsigned times)
{
	while (times-- > 0 && penalty < MAX_PENALTY)
		penalty *= 2;
	return penalty < MAX_PENALTY ? penalty : MAX_PENALTY;
}

void pathway_fail(struct pathway *p, const char *key, dur_us retry_after, mono_us now)
{
	struct pathway_entry *e = find_or_add(p, key);
	dur_us penalty = grown(FIRST_PENALTY, e->failures++);

	e->failed = now;
	if (retry_after > penalty)
		penalty = retry_after;
	e->penalty_end = now + penalty;
}

void pathway_ok(struct pathway *p, const char *key, mono_us asked)
{
	struct pathway_entry *e = (struct pathway_entry *)find(p, key);

	if (e != NULL && asked >= e->failed) {
		e->failures = 0;
		e->penalty_end = 0;
	}
}

/* Against what another one gave. */
static void judge(struct pathway_entry *e, uint64_t other, mono_us now)
{
	e->doubted = false;
	if (other / 3 * 2 > e->rate) {
		e->penalty_end = now + grown(SLOW_PENALTY, e->slow++);
	} else {
		e->slow = 0;
		e->penalty_end = 0;
	}
}

void pathway_rate(struct pathway *p, const char *key, uint64_t rate, mono_us now)
{
	struct pathway_entry *e = find_or_add(p, key);
	uint64_t best = 0;

	e->rate = rate;
	e->doubted = false;
	for (unsigned i = 0; i < p->n; i++) {
		struct pathway_entry *o = &p->entries[i];

		if (o != e && o->doubted)
			judge(o, rate, now);
		if (o != e && o->penalty_end <= now && o->rate > best)
			best = o->rate;
	}
	if (e->slow > 0 && best > 0)
		judge(e, best, now);
}

void pathway_left(struct pathway *p, const char *key, uint64_t rate, mono_us now)
{
	struct pathway_entry *e = find_or_add(p, key);

	e->rate = rate;
	e->doubted = true;
	e->failed = now;
	e->penalty_end = now + FIRST_PENALTY;
}

bool pathway_promises(const struct pathway *p, const char *key, uint64_t rate)
{
	const struct pathway_entry *e = find(p, key);

	return e == NULL || e->rate == 0 || e->rate / 2 > rate;
}
