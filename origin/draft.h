/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What an edge shall hold, before it is written as a plan: its surroundings (the
 * edges of its site and region), the site's decision of the local day, and the
 * items that are this edge's.  One thread.
 */
#ifndef RIBERA_ORIGIN_DRAFT_H
#define RIBERA_ORIGIN_DRAFT_H

#include "origin/arrange.h"

struct catalogue;
struct registry;
struct zone;

struct site_night {
	char *site;
	uint64_t demand_version;
	uint64_t decisions; /* a number that no two decisions share */
	struct night night;
};

/* How a site was arranged of late, and for what. */
struct arranged {
	uint64_t decision, surroundings;
	struct arrangement arrangement;
};
#define DRAFT_KEPT 8

struct drafter {
	struct registry *registry;   /* borrowed, like the catalogue */
	struct catalogue *catalogue;
	struct rules *rules;         /* owned */
	struct site_night *nights;
	size_t n_nights, cap_nights;
	struct named_zone {
		char *name;
		struct zone *zone;
	} *zones;                    /* looked up so far */
	size_t n_zones, cap_zones;
	struct library_view *view;   /* of `stock`; one reference, NULL: none yet */
	struct stock stock;
	struct arranged kept[DRAFT_KEPT];
	unsigned next_kept;
	uint64_t decisions;
	struct night_everywhere everywhere; /* of `stock` */
};
void drafter_fini(struct drafter *);
/* The rules have changed. */
void drafter_forget(struct drafter *);

/* The edge's local day, from 1970, and its seconds east of UTC. */
int64_t drafter_day(struct drafter *, const char *edge, int64_t *ret_east);

struct around {
	struct drafter *drafter;
	const char *self;
	struct place place;
	bool found;
	struct arrange_edge *edges; /* of the site and its region, by name */
	size_t n, cap, n_here, self_here;
};

struct draft {
	struct around around;
	const struct stock *stock; /* the drafter's, as the arrangement: until the next draft */
	struct site_night *night;
	int64_t day;
	const struct arrangement *arrangement;
	bool *mine;             /* by item: to be held by this edge */
	uint64_t held_bytes;
	size_t held_files;
};

/* What all plans of a library share and what all edges of a site share is made once and kept.  The view must outlive
 * the draft.  ERR_NOT_FOUND: no such edge. */
int draft_plan(struct drafter *, struct library_view *, const char *edge, struct draft *ret_draft, struct fault *);
void draft_fini(struct draft *);

/* Called for every title: those to hold in the order in which they are filled, then (`others`) the others' current
 * revisions, then old ones (first == end).  first..end-1: its items. */
typedef void (*draft_each_f)(void *ctx, const struct draft *, const struct revision *, size_t first, size_t end, bool hold);
void draft_each_title(const struct draft *, const struct library_view *, bool others, draft_each_f each, void *ctx);

/* Part of the bytes expected at the site that the site would serve itself. */
double draft_offload(const struct draft *);

#endif
