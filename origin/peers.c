/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The choice of peers: the greatest scores of pairs of names.
 */
#include "origin/peers.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cdn/plan_text.h"
#include "origin/bookcase.h"
#include "origin/registry.h"
#include "origin/rules.h"

struct peers {
	const struct rules *rules;
	const char *self;
	struct place place;
	uint64_t least;   /* the lowest score that is told of */
	uint64_t *scores; /* of all that are up, while they are counted */
	size_t n, cap;
	struct bookcase *bookcase;
	struct buf *out;
	bool any;
};

/* The same for a and b as for b and a: FNV-1a, and a finish that spreads it over all bits. */
static uint64_t pair_score(const char *a, const char *b)
{
	const char *names[2] = {strcmp(a, b) < 0 ? a : b, strcmp(a, b) < 0 ? b : a};
	uint64_t h = 0xcbf29ce484222325u;

	for (int i = 0; i < 2; i++)
		for (const char *s = names[i];; s++) {
			h = (h ^ (unsigned char)*s) * 0x100000001b3u;
			if (*s == '\0')
				break;
		}
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return (h ^ h >> 33) >> 1;
}

/* Those of the site come before all others; 0: no peer. */
static uint64_t score(const struct peers *p, const struct registry_edge *e)
{
	struct place place;

	if (!e->up || strcmp(e->name, p->self) == 0)
		return 0;
	rules_place(p->rules, e->name, &place);
	return (pair_score(p->self, e->name) | 1) + (strcmp(place.site, p->place.site) == 0 ? UINT64_MAX / 2 : 0);
}

static bool count_peer(void *ctx, const struct registry_edge *e)
{
	struct peers *p = ctx;
	uint64_t s = score(p, e);

	if (s > 0) {
		MEM_GROW(p->scores, p->cap, p->n);
		p->scores[p->n++] = s;
	}
	return true;
}

static bool add_peer(void *ctx, const struct registry_edge *e)
{
	struct peers *p = ctx;
	uint64_t s = score(p, e);

	if (s == 0 || s < p->least)
		return true;
	buf_puts(p->out, p->any ? ",{\"name\":" : "{\"name\":");
	plan_text_json(p->out, json_string(e->name));
	buf_puts(p->out, ",\"url\":");
	plan_text_json(p->out, json_string(e->url));
	buf_puts(p->out, ",\"holds\":");
	buf_puts(p->out, bookcase_runs(p->bookcase, e));
	buf_puts(p->out, "}");
	p->any = true;
	return true;
}

static int greatest_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

void peers_write(struct registry *r, const struct rules *rules, const char *self, struct bookcase *bookcase, struct buf *out)
{
	struct peers p = {.rules = rules, .self = self, .bookcase = bookcase, .out = out};

	rules_place(rules, self, &p.place);
	registry_each(r, NULL, count_peer, &p);
	if (p.n > PEERS_MAX) {
		qsort(p.scores, p.n, sizeof *p.scores, greatest_first);
		p.least = p.scores[PEERS_MAX - 1];
	}
	free(p.scores);
	buf_puts(out, "[");
	registry_each(r, NULL, add_peer, &p);
	buf_puts(out, "]");
}
