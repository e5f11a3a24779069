/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rendezvous: the edge with the greatest -capacity / ln(u) owns a file, u made of
 * both names (Thaler and Ravishankar 1998; weights as in the RIPE of Schindelhauer).
 */
#include "cdn/site.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"

/* A file may draw this part of an edge's fair share of bytes before it gets another copy. */
#define ONE_LINE 0.1

static uint64_t mix(uint64_t h)
{
	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

uint64_t site_key(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return mix(h);
}

void site_owners(uint64_t item_key, const struct site_edge *edges, size_t n, uint8_t *ret_order)
{
	double scores[SITE_MAX_EDGES];

	MUST(n <= SITE_MAX_EDGES);
	for (size_t i = 0; i < n; i++) {
		double u = ((double)(mix(item_key ^ edges[i].key * UINT64_C(0x9e3779b97f4a7c15)) >> 11) + 0.5) / 9007199254740992.0;
		double score = -(double)edges[i].capacity / log(u);
		size_t at = i;

		for (; at > 0 && scores[at - 1] < score; at--) {
			scores[at] = scores[at - 1];
			ret_order[at] = ret_order[at - 1];
		}
		scores[at] = score;
		ret_order[at] = (uint8_t)i;
	}
}

size_t site_copies(double share, size_t n_edges)
{
	double copies = share * (double)n_edges / ONE_LINE;

	return copies < 1 ? 1 : copies < (double)n_edges ? (size_t)copies : n_edges;
}

/* --- the plan --------------------------------------------------------------------------- */

struct order {
	double plays;
	uint32_t item;
	unsigned first;
};

static int best_first(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->first != y->first)
		return x->first > y->first ? -1 : 1;
	if (x->plays != y->plays)
		return x->plays > y->plays ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

static struct order *ranking(const struct site_item *items, size_t n, double *ret_total)
{
	struct order *o = mem_new_array(n + 1, sizeof *o);

	*ret_total = 0;
	for (size_t i = 0; i < n; i++) {
		o[i] = (struct order){items[i].plays, (uint32_t)i, items[i].first * 2 + (items[i].least > 0)};
		*ret_total += items[i].plays * (double)items[i].bytes;
	}
	qsort(o, n, sizeof *o, best_first);
	return o;
}

struct packing {
	const struct site_edge *edges;
	size_t n_edges;
	uint64_t room[SITE_MAX_EDGES];
	struct site_copy *copies;
	size_t n;
};

static bool put(struct packing *p, uint32_t item, uint64_t bytes, uint8_t edge)
{
	if (p->room[edge] < bytes)
		return false;
	p->room[edge] -= bytes;
	p->copies[p->n++] = (struct site_copy){item, edge};
	return true;
}

static void place(struct packing *p, uint32_t index, const struct site_item *item, double total)
{
	double share = total > 0 ? item->plays * (double)item->bytes / total : 0;
	size_t copies = item->plays > 0 || item->least > 0 ? site_copies(share, p->n_edges) : 0;
	uint8_t owners[SITE_MAX_EDGES];

	if (item->least > copies)
		copies = item->least < p->n_edges ? item->least : p->n_edges;
	for (uint8_t k = 0; item->must != 0 && k < p->n_edges; k++)
		if ((item->must >> k & 1) != 0 && put(p, index, item->bytes, k) && copies > 0)
			copies--;
	if (copies == 0)
		return;
	site_owners(item->key, p->edges, p->n_edges, owners);
	for (size_t k = 0; k < p->n_edges && copies > 0; k++)
		if ((item->must >> owners[k] & 1) == 0 && put(p, index, item->bytes, owners[k]))
			copies--;
}

/* Some edge has room for an item as small as that. */
static bool has_room(const struct packing *p, uint64_t smallest)
{
	for (size_t i = 0; i < p->n_edges; i++)
		if (p->room[i] >= smallest)
			return true;
	return false;
}

size_t site_plan(const struct site_item *items, size_t n_items, const struct site_edge *edges, size_t n_edges,
                 struct site_copy *ret_copies)
{
	struct packing p = {.edges = edges, .n_edges = n_edges, .copies = ret_copies};
	uint64_t smallest = UINT64_MAX;
	double total;
	struct order *o = ranking(items, n_items, &total);

	MUST(n_edges <= SITE_MAX_EDGES);
	for (size_t i = 0; i < n_edges; i++)
		p.room[i] = edges[i].capacity;
	for (size_t i = 0; i < n_items; i++)
		smallest = items[i].bytes < smallest ? items[i].bytes : smallest;
	for (size_t i = 0; i < n_items && has_room(&p, smallest); i++)
		place(&p, o[i].item, &items[o[i].item], total);
	free(o);
	return p.n;
}
