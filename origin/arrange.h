/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which edge of a site holds which items: the operator's wishes, what the night
 * chose, what is too new to have been asked for, and what else there is room for,
 * in this order, each at its owners (cdn/site).  Pure.
 */
#ifndef RIBERA_ORIGIN_ARRANGE_H
#define RIBERA_ORIGIN_ARRANGE_H

#include "cdn/site.h"
#include "origin/night.h"
#include "origin/rules.h"

/* Why an item is held; a later one comes before all earlier ones. */
enum arrange_class {
	ARRANGE_NOT,    /* not worth its bytes, or banned */
	ARRANGE_ROOM,   /* nobody asked for it, and there is room */
	ARRANGE_RANKED,
	ARRANGE_NEW,    /* nobody could ask for it yet */
	ARRANGE_PINNED,
};
const char *arrange_text(enum arrange_class);

struct arrange_edge {
	char *name, *region; /* region NULL: none */
	uint64_t capacity;   /* that plans may use */
	bool mirror, here;   /* here: of the site; the others are of its region */
};

struct arrangement {
	const struct night_item **known; /* by item of the stock, the night's; NULL: nobody played it */
	bool *placed;                /* by item: some edge of the site shall hold it */
	enum arrange_class *classes; /* by item of the stock */
	struct site_copy *copies;    /* edge: a number among those that are here */
	size_t n_copies;
};

/* At most SITE_MAX_EDGES are here. */
void arrange(const struct stock *, const struct night *, const struct rules *, const struct arrange_edge *, size_t n_edges,
             struct arrangement *ret_arrangement);
void arrangement_fini(struct arrangement *);

#endif
