/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A small table of keys with their penalties.  A full table forgets the entry
 * whose penalty ended longest ago: that one matters least.
 */
#include "player/pathway.h"

#include <stdio.h>
#include <string.h>

#define FIRST_PENALTY (10 * DUR_S)
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

int pathway_pick(const struct pathway *p, const char *const *keys, size_t n_keys, uint32_t tried, mono_us now)
{
	int best = -1;
	mono_us best_end = 0;

	for (size_t i = 0; i < n_keys && i < PATHWAY_MAX; i++) {
		mono_us end = penalty_end(p, keys[i]);

		if ((tried & (UINT32_C(1) << i)) != 0)
			continue;
		if (end <= now)
			return (int)i;
		if (best < 0 || end < best_end) {
			best = (int)i;
			best_end = end;
		}
	}
	return best;
}

void pathway_fail(struct pathway *p, const char *key, dur_us retry_after, mono_us now)
{
	struct pathway_entry *e = find_or_add(p, key);
	dur_us penalty = FIRST_PENALTY;

	for (unsigned i = 0; i < e->failures && penalty < MAX_PENALTY; i++)
		penalty *= 2;
	e->failures++;
	if (penalty > MAX_PENALTY)
		penalty = MAX_PENALTY;
	if (retry_after > penalty)
		penalty = retry_after;
	e->penalty_end = now + penalty;
}

void pathway_ok(struct pathway *p, const char *key)
{
	struct pathway_entry *e = (struct pathway_entry *)find(p, key);

	if (e != NULL) {
		e->failures = 0;
		e->penalty_end = 0;
	}
}
