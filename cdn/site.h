/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A site: edges at one place, whose disks are one store.  Each file has one owner,
 * by weighted rendezvous hashing, so that what a site holds is not four times the
 * same; only what one line cannot carry has more.  When an edge joins or goes, only
 * its share of the files moves.  Pure.
 */
#ifndef RIBERA_CDN_SITE_H
#define RIBERA_CDN_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SITE_MAX_EDGES 64

struct site_edge {
	uint64_t key;      /* site_key of its name */
	uint64_t capacity; /* bytes; also its weight */
};

struct site_item {
	uint64_t key;    /* site_key of its name */
	uint64_t bytes;
	double plays;    /* expected, any unit; 0: nobody */
	unsigned least;  /* copies at least, as far as there are edges; 0: only if it is worth it */
	unsigned first;  /* a higher class comes before all of a lower one, whatever its plays */
	uint64_t must;   /* these edges (a bit each) have it, as far as they have room */
};

uint64_t site_key(const char *name);

/* All edges in the order in which they own a file; n is at most SITE_MAX_EDGES. */
void site_owners(uint64_t item_key, const struct site_edge *, size_t n, uint8_t *ret_order);

/* On how many edges a file must be that draws `share` (0 to 1) of the site's bytes. */
size_t site_copies(double share, size_t n_edges);

/* A copy: which edge shall hold which item. */
struct site_copy {
	uint32_t item;
	uint8_t edge;
};
/* The best use of the site's disks: files by plays, each on its owners, or the next who
 * have room, after those who must have it.  Writes at most n_items * n_edges copies, best file first; returns how many. */
size_t site_plan(const struct site_item *, size_t n_items, const struct site_edge *, size_t n_edges, struct site_copy *ret_copies);

#endif
