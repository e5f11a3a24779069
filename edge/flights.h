/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Flights: pieces on their way here.  One flight a piece, however many viewers
 * wait for it and whether or not the fill wants it too.  Every 16 KiB block is
 * checked against its leaf (and the leaves against the piece's hash) before it
 * is written and shown; without leaves the piece is shown when it is whole.
 * What is not to be kept, or cannot be, stands in memory for those who wait.  A
 * source that fails is followed by the next from the last good block on.
 */
#ifndef RIBERA_EDGE_FLIGHTS_H
#define RIBERA_EDGE_FLIGHTS_H

#include "base/counter.h"
#include "edge/copy.h"
#include "edge/engine.h"
#include "edge/passing.h"
#include "edge/store.h"
#include "edge/upstream.h"
#include "fetch/fetch.h"

struct flights; /* hidden */

struct flights_settings {
	struct engine *engine;
	struct store *store;
	struct upstream *upstream;
	struct counters *counters;
	struct fetch *pull, *fill; /* two clients: a fill never takes a viewer's connection */
	struct passing *passing;
	/* Is a piece of this copy to be kept?  Makes room for it if so, as far as that goes; engine's thread. */
	bool (*keep)(void *ctx, struct copy *, uint64_t bytes, bool fill);
	/* A flight is over: 0 or why it failed; engine's thread. */
	void (*landed)(void *ctx, struct copy *, size_t piece, bool fill, int error);
	void *ctx;
};

struct flights *flights_new(const struct flights_settings *);
void flights_free(struct flights **); /* after flights_stop, fetch_free and engine_drain */

/* Viewers' bytes: see serve_object_ops.  Any thread. */
int64_t flights_ready(struct flights *, struct copy *, uint64_t offset, uint64_t length);
void flights_want(struct flights *, struct copy *, uint64_t offset, uint64_t length, struct serve_waiter *);

/* The fill's: starts the piece.  ERR_BUSY: it is under way already.  The engine's thread. */
int flights_fill(struct flights *, struct copy *, size_t piece);
unsigned flights_filling(const struct flights *); /* fill flights now; the engine's thread */
/* A flight of this piece, or any of this copy, is under way.  Any thread. */
bool flights_has(struct flights *, struct copy *, size_t piece);
bool flights_touch(struct flights *, const struct copy *);
/* As if a viewer wanted the piece; `viewer` (or NULL) is the request for whose sake.  Any thread (with one, its loop's). */
void flights_pull(struct flights *, struct copy *, size_t piece, struct serve_request *viewer);
/* Starts what is queued, as many at once as there may be; after every round.  The engine's thread. */
void flights_step(struct flights *);

/* Everybody who waits is told that nothing comes, and nothing new starts.  Any thread. */
void flights_stop(struct flights *);

#endif
