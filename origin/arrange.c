/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A title's items have the same owners, so that who is sent there finds them all.
 */
#include "origin/arrange.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NEW_SHARE 5 /* a fifth of the site is for titles nobody could ask for yet */

const char *arrange_text(enum arrange_class class)
{
	static const char *const texts[] = {
		[ARRANGE_NOT] = "no room", [ARRANGE_ROOM] = "room", [ARRANGE_RANKED] = "ranked",
		[ARRANGE_NEW] = "new", [ARRANGE_PINNED] = "pinned",
	};

	return texts[class];
}

void arrangement_fini(struct arrangement *a)
{
	free(a->known);
	free(a->placed);
	free(a->classes);
	free(a->copies);
	*a = (struct arrangement){0};
}

static size_t title_end(const struct stock *s, size_t i)
{
	size_t k = i;

	while (k < s->n && s->items[k].of == s->items[i].of)
		k++;
	return k;
}

/* --- the newest -------------------------------------------------------------------------- */

/* Of titles of which nothing was asked for the newest that fit into `room` bytes, then the others.  ret_rank: by item, more for the newer. */
static void class_unasked(const struct stock *s, const struct night_item *const *known, const bool *banned, uint64_t room,
                          enum arrange_class *classes, double *ret_rank)
{
	for (size_t i = 0; i < s->n_titles; i++) {
		size_t first = s->newest[i], end = title_end(s, first);
		bool asked = banned[first] || classes[first] == ARRANGE_PINNED, fresh;
		uint64_t bytes = 0;

		for (size_t k = first; k < end; k++) {
			asked |= known[k] != NULL;
			bytes += s->items[k].bytes;
		}
		if (asked)
			continue;
		fresh = bytes <= room;
		room = fresh ? room - bytes : 0;
		for (size_t k = first; k < end; k++) {
			classes[k] = fresh ? ARRANGE_NEW : ARRANGE_ROOM;
			ret_rank[k] = (double)(s->n_titles - i);
		}
	}
}

/* --- who must have it -------------------------------------------------------------------- */

/* Bits of the edges here that are among the first `copies` owners in the region. */
static uint64_t regional(const struct stock_item *item, const struct arrange_edge *edges, size_t n, const struct site_edge *all,
                         size_t copies)
{
	uint8_t order[SITE_MAX_EDGES];
	uint64_t must = 0;
	size_t in_region = n < SITE_MAX_EDGES ? n : SITE_MAX_EDGES;

	site_owners(site_key(item->of->title), all, in_region, order);
	for (size_t k = 0; k < in_region && k < copies; k++) {
		unsigned bit = 0;

		for (size_t i = 0; i < order[k]; i++)
			bit += edges[i].here;
		if (edges[order[k]].here)
			must |= UINT64_C(1) << bit;
	}
	return must;
}

static uint64_t all_bits(size_t n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

struct work {
	struct site_edge here[SITE_MAX_EDGES], *all;
	size_t n_here;
	uint64_t mirrors, capacity;
	struct site_item *items;
	bool *banned;
	double *rank;
};

static void look_at_edges(struct work *w, const struct arrange_edge *edges, size_t n)
{
	w->all = mem_new_array(n + 1, sizeof *w->all);
	for (size_t i = 0; i < n; i++) {
		w->all[i] = (struct site_edge){site_key(edges[i].name), edges[i].capacity};
		if (!edges[i].here)
			continue;
		w->mirrors |= edges[i].mirror ? UINT64_C(1) << w->n_here : 0;
		w->capacity += edges[i].capacity;
		w->here[w->n_here++] = w->all[i];
	}
}

static void make_item(const struct work *w, const struct stock *s, size_t i, const struct night_item *known,
                      enum arrange_class class, struct site_item *ret)
{
	*ret = (struct site_item){.key = site_key(s->items[i].of->title), .bytes = s->items[i].bytes, .first = class};
	if (w->banned[i])
		return;
	ret->must = class == ARRANGE_PINNED ? all_bits(w->n_here) : w->mirrors;
	if (class == ARRANGE_RANKED || class == ARRANGE_PINNED)
		ret->plays = known != NULL ? known->plays : 0;
	else if (class != ARRANGE_NOT)
		ret->plays = w->rank[i] * 1e-9; /* an order, no demand */
	ret->least = class != ARRANGE_NOT;
}

void arrange(const struct stock *s, const struct night *night, const struct rules *rules, const struct arrange_edge *edges,
             size_t n_edges, struct arrangement *ret)
{
	struct work w = {.items = mem_new_array(s->n + 1, sizeof *w.items), .banned = mem_new_array(s->n + 1, sizeof *w.banned),
	                 .rank = mem_new_array(s->n + 1, sizeof *w.rank)};
	unsigned copies = rules_copies(rules);
	enum arrange_class *classes = mem_new_array(s->n + 1, sizeof *classes);
	const struct night_item **known = night_join(night, s);

	look_at_edges(&w, edges, n_edges);
	for (size_t i = 0; i < s->n; i++) {
		w.banned[i] = rules_banned(rules, s->items[i].of->title);
		classes[i] = rules_pinned(rules, s->items[i].of->title) ? ARRANGE_PINNED
		             : known[i] != NULL && known[i]->chosen && !w.banned[i] ? ARRANGE_RANKED : ARRANGE_NOT;
	}
	class_unasked(s, known, w.banned, night->blind ? 0 : w.capacity / NEW_SHARE, classes, w.rank);
	for (size_t i = 0; i < s->n; i++) {
		make_item(&w, s, i, known[i], classes[i], &w.items[i]);
		if (copies > 0 && !w.banned[i])
			w.items[i].must |= regional(&s->items[i], edges, n_edges, w.all, copies);
	}
	*ret = (struct arrangement){
		.known = known,
		.placed = mem_new_array(s->n + 1, sizeof *ret->placed),
		.classes = classes,
		.copies = mem_new_array(s->n * w.n_here + 1, sizeof *ret->copies),
	};
	ret->n_copies = site_plan(w.items, s->n, w.here, w.n_here, ret->copies);
	for (size_t i = 0; i < ret->n_copies; i++)
		ret->placed[ret->copies[i].item] = true;
	free(w.items);
	free(w.banned);
	free(w.rank);
	free(w.all);
}
