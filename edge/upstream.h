/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The places bytes can be had from, by the plan: peers and the origin, with what
 * was measured of each (cdn/sources.h).  The engine's thread.
 */
#ifndef RIBERA_EDGE_UPSTREAM_H
#define RIBERA_EDGE_UPSTREAM_H

#include "cdn/sources.h"
#include "edge/copy.h"
#include "edge/plan.h"
#include "edge/wall.h"

struct serve;
struct upstream; /* hidden */

/* One place; stays where it is until upstream_free. */
struct upstream_place {
	char *name, *url;      /* "origin" for the origin; url without a '/' at the end */
	struct source source;
	const struct plan_peer *peer; /* of the plan in force; NULL: the origin, or not in the plan any more */
};

#define UPSTREAM_MAX_TRIES 6
/* What a flight has tried already. */
struct upstream_tries {
	struct upstream_place *places[UPSTREAM_MAX_TRIES];
	unsigned n;
};

struct upstream *upstream_new(const struct wall *); /* borrowed */
void upstream_free(struct upstream **);
void upstream_set_plan(struct upstream *, struct plan *); /* takes its own reference */

/* The place sent wrong bytes; peers are remembered for the origin.  The engine's thread. */
void upstream_lied(struct upstream *, struct upstream_place *, mono_us now);
/* Names of peers that lied and that the origin was not told of; the caller frees all.  Any thread. */
char **upstream_liars(struct upstream *, size_t *ret_n);
void upstream_liars_told(struct upstream *, size_t n); /* the first n of them; any thread */

/* The best place for a piece of this package; one that failed in this flight
 * gets a second chance, unless it lied.  NULL: nowhere. */
struct upstream_place *upstream_pick(struct upstream *, const char *title, const char *revision,
                                     const struct upstream_tries *, mono_us now);
/* The same for a piece of one of its files: peers that hold the title in part come in when they have it. */
struct upstream_place *upstream_pick_piece(struct upstream *, const struct package *, size_t index, size_t piece,
                                           const struct upstream_tries *, mono_us now);
/* How to find out whether a peer has a piece of a title it does not hold whole (edge/swarm.h); NULL: nobody has. */
typedef bool (*upstream_parts_f)(void *ctx, const struct upstream_place *, const struct package *, size_t index, size_t piece);
void upstream_set_parts(struct upstream *, upstream_parts_f, void *ctx);
/* The peers of the plan in force, at most n; returns how many. */
size_t upstream_peers(const struct upstream *, struct upstream_place **ret_places, size_t n);

/* Requests are signed with the keys of this server's URLs, if it has any.  NULL: no more. */
void upstream_set_signer(struct upstream *, const struct serve *);

/* "URL[/s/TOKEN]/v/TITLE/REVISION/FILE"; caller frees. */
char *upstream_url(const struct upstream *, const struct upstream_place *, const char *title, const char *revision, const char *file);

#endif
