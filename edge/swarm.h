/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Edges that fill the same title at the same time help each other: each asks the others which pieces they have
 * (a bit a piece), takes from them what they have, and from the origin first what falls to its own share, so that
 * a piece leaves the origin few times however many edges fill.  The engine's thread.
 */
#ifndef RIBERA_EDGE_SWARM_H
#define RIBERA_EDGE_SWARM_H

#include "base/buf.h"
#include "edge/copy.h"
#include "edge/engine.h"
#include "edge/upstream.h"
#include "fetch/fetch.h"

struct swarm; /* hidden */

struct swarm_settings {
	const char *name;          /* of this edge */
	struct engine *engine;
	struct upstream *upstream; /* is told how to look for parts */
	struct fetch *fetch;
	void (*news)(void *ctx);   /* somebody has more; the engine's thread */
	void *ctx;
};

struct swarm *swarm_new(const struct swarm_settings *);
void swarm_free(struct swarm **); /* after fetch_free and engine_drain */
void swarm_stop(struct swarm *);
void swarm_forget(struct swarm *, const struct package *);

enum swarm_advice {
	SWARM_TAKE, /* a peer has it, or nobody will and it falls to us */
	SWARM_WAIT, /* it falls to another edge, which will have it soon, or nobody was asked yet */
};
/* The fill wants this piece.  Asking keeps the title watched for some seconds. */
enum swarm_advice swarm_advice(struct swarm *, struct package *, size_t index, size_t piece, mono_us now);

/* Asks peers that have not been asked for a while; returns when to be called again at the latest. */
mono_us swarm_step(struct swarm *, mono_us now);

/* Which pieces are here, as others are told: a bit each, lowest first, over the digest's files in order.
 * Inside an RCU section. */
void swarm_describe(const struct package *, struct buf *out);

#endif
