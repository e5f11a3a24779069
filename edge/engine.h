/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The engine: one thread that owns everything that changes what the edge holds
 * (flights, fill, eviction, the plan in force).  Other threads hand it jobs.
 */
#ifndef RIBERA_EDGE_ENGINE_H
#define RIBERA_EDGE_ENGINE_H

#include "base/clock.h"

struct engine; /* hidden */

struct job {
	void (*run)(struct job *); /* on the engine's thread; may free the job */
	struct job *next;          /* the engine's while posted */
};

/* After every round of jobs: looks after what depends on time and returns when
 * it wants to be called again at the latest. */
typedef mono_us (*engine_idle_f)(void *ctx, mono_us now);

struct engine *engine_new(void);
void engine_start(struct engine *, engine_idle_f, void *ctx);
/* Any thread; jobs run in the order of posting.  A job must not be posted twice before it ran. */
void engine_post(struct engine *, struct job *);
/* Calls the idle function soon.  Any thread. */
void engine_kick(struct engine *);
/* Runs what was posted, calls idle no more, joins.  Jobs posted afterwards are run by engine_drain. */
void engine_stop(struct engine *);
void engine_drain(struct engine *); /* by the caller's thread, after engine_stop */
void engine_free(struct engine **);

#endif
