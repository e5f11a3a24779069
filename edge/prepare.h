/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What an edge must know of a title before it can serve a byte of it:
 * package.torrent (checked against the plan), package.leaves (checked against
 * the torrent) and the manifest.  Small, and fetched at once for every title of
 * the plan, window or not.  The engine's thread.
 */
#ifndef RIBERA_EDGE_PREPARE_H
#define RIBERA_EDGE_PREPARE_H

#include "edge/flights.h"
#include "edge/plan.h"

struct prepare; /* hidden */

struct prepare_settings {
	struct engine *engine;
	struct store *store;
	struct flights *flights;
	struct upstream *upstream;
	struct counters *counters;
	struct fetch *fetch;
	void (*changed)(void *ctx); /* a package or its leaves came, or another try is due */
	void *ctx;
};

struct prepare *prepare_new(const struct prepare_settings *);
void prepare_free(struct prepare **); /* after fetch_free and engine_drain */
void prepare_set_plan(struct prepare *, struct plan *); /* takes its own reference */
void prepare_stop(struct prepare *); /* starts nothing more */
mono_us prepare_step(struct prepare *, mono_us now);

#endif
