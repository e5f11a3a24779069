/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a site decides once a local day: which files are worth their bytes on its
 * disks together (cdn/ranked over the catalogue's demand).  The rule learns from
 * history anew each time, and goes on from what it decided the night before; so a
 * decision depends on the catalogue alone, and is made once a day.
 */
#ifndef RIBERA_ORIGIN_NIGHT_H
#define RIBERA_ORIGIN_NIGHT_H

#include "cdn/ranked.h"
#include "origin/stock.h"

struct catalogue;

struct night_item {
	char *name;    /* stock's "TITLE/FILE" */
	double plays;  /* expected, as the rule sees them */
	bool chosen;
};

struct night {
	int64_t day;               /* local, from 1970 */
	double half_life;          /* seconds, in use */
	struct ranked_state state; /* for the next night */
	bool blind;                /* there was no demand at all */
	struct night_item *items;  /* those that anybody played, sorted by name */
	size_t n;
};

struct night_site {
	const char *const *edges; /* their names */
	size_t n_edges;
	uint64_t capacity;        /* bytes, together */
	int64_t day, east;        /* the local day; seconds east of UTC */
	wall_us now;              /* only while nothing was ever asked for: what came today counts */
};

/* What all sites together asked for before a night, which is all of the catalogue's demand: read once for the sites whose
 * nights come together.  Zeroed: nothing; of one stock, to be forgotten with it. */
struct night_everywhere {
	double *sums;  /* bytes by the stock's item, fading; owned */
	int64_t to;    /* seconds: before then */
	uint64_t demand_version;
	wall_us made;
};
#define NIGHT_TOGETHER (5 * DUR_MIN) /* what comes from elsewhere within that counts from the next night on */
void night_everywhere_fini(struct night_everywhere *);

#define NIGHT_DAYS_BACK 90
/* What other sites asked for counts as well, a little.  `before` (or NULL) is the last decision.  The catalogue's errors. */
int night_decide(struct catalogue *, const struct stock *, const struct night_site *,
                 const struct night *before, struct night_everywhere *, struct night *ret_night, struct fault *);
void night_fini(struct night *);

const struct night_item *night_find(const struct night *, const char *name);
/* What was decided of each item of the stock, by its number; NULL: nobody played it.  The caller frees; what is
 * pointed to is the night's. */
const struct night_item **night_join(const struct night *, const struct stock *);

/* As it is kept in the catalogue.  The caller frees.  ERR_SYNTAX. */
char *night_to_json(const struct night *);
int night_from_json(const char *json, struct night *ret_night, struct fault *);

#endif
