/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the files of the node share; for them only.  node.c makes the parts and
 * ends them, node_engine.c is what the engine's thread does between them,
 * node_status.c what is told to others: heartbeat, /healthz, service manager.
 */
#ifndef RIBERA_EDGE_NODE_INNER_H
#define RIBERA_EDGE_NODE_INNER_H

#include "base/counter.h"
#include "edge/admit.h"
#include "edge/contact.h"
#include "edge/demand.h"
#include "edge/engine.h"
#include "edge/fill.h"
#include "edge/flights.h"
#include "edge/nearby.h"
#include "edge/node.h"
#include "edge/passing.h"
#include "edge/prepare.h"
#include "edge/scrub.h"
#include "edge/space.h"
#include "edge/swarm.h"
#include "edge/viewers.h"
#include "edge/wall.h"

struct manager_job {
	struct job job;
	bool posted; /* atomic */
};

struct node {
	const struct settings *settings;
	char *public_url;
	struct counters *counters;
	struct wall *wall;
	struct store *store;
	struct engine *engine;
	struct upstream *upstream;
	struct fetch *fetch_pull, *fetch_fill, *fetch_control;
	struct flights *flights;
	struct admit *admit;
	struct space space;
	struct passing *passing;
	struct fill *fill;
	struct swarm *swarm;
	struct prepare *prepare;
	struct viewers *viewers;
	struct nearby *nearby; /* NULL: not measured */
	struct serve *serve, *control;
	struct contact *contact;
	struct demand *demand; /* the contact thread's */
	struct scrub *scrub;

	/* the engine's */
	struct plan *plan;
	bool view_due;
	mono_us fill_due, prepare_due;
	size_t n_whole;
	int kept; /* atomic: something has come to the disk for good */
	mono_us well_since; /* atomic: the start, or when its disk was well again */

	/* the main thread's */
	struct manager_job manager;
	char said[160];
};

/* --- node_engine.c: the hooks of the parts; ctx is the node, the engine's thread unless told otherwise ------- */

mono_us node_engine_idle(void *ctx, mono_us now);
void node_engine_recall(struct node *);                  /* posts: what was played before the restart is taken in */
void node_engine_publish(struct node *);                 /* shows viewers plan and packages, when they have changed */
void node_engine_plan(void *ctx, struct plan *);         /* the contact thread's; takes the reference */
void node_engine_prepared(void *ctx);
void node_engine_forget(void *ctx, struct package *);
bool node_engine_keep(void *ctx, struct copy *, uint64_t bytes, bool fill);
void node_engine_displaced(void *ctx, struct copy *);
void node_engine_landed(void *ctx, struct copy *, size_t piece, bool fill, int error);
void node_engine_parts(void *ctx);
void node_engine_kept(void *ctx);                        /* the journal's thread */
void node_engine_bad(void *ctx, struct copy *, size_t piece); /* the scrub's thread */

/* --- node_status.c: ctx is the node; any thread unless told otherwise --------------------------------------- */

const char *node_status_trouble(void *ctx);              /* static text; NULL: none */
bool node_status_ready(void *ctx);
bool node_status_send_away(void *ctx);
void node_status_report(void *ctx, struct contact_status *); /* the contact thread, as the rest */
void node_status_told(void *ctx, const struct contact_status *);
void node_status_collect(struct node *, bool at_once);   /* what was asked for goes to `demand` */
void node_status_collect_due(void *ctx);
void node_status_feed_watchdog(struct job *);            /* the engine's thread */

#endif
