/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The fill: brings here what the plan wants held, in its order, inside the
 * window and under the rate cap, a few pieces at a time.  The engine's thread.
 */
#ifndef RIBERA_EDGE_FILL_H
#define RIBERA_EDGE_FILL_H

#include "cdn/rates.h"
#include "cdn/window.h"
#include "edge/plan.h"
#include "edge/space.h"

struct fill; /* hidden */

struct fill_settings {
	struct store *store;
	struct flights *flights;
	struct space *space;
	struct swarm *swarm;
	struct counters *counters;
	struct window window;
	struct rates rates; /* bytes per second by the time of day */
	unsigned parallel;  /* pieces at once */
};

struct fill *fill_new(const struct fill_settings *, mono_us now);
void fill_free(struct fill **);

/* From now on, whatever was saved up before. */
void fill_set_hours(struct fill *, const struct window *, const struct rates *);

/* The plan or the packages here have changed. */
void fill_set_plan(struct fill *, const struct plan *);
/* A package is about to be removed. */
void fill_forget(struct fill *, const struct package *);
/* A piece has come, or not. */
void fill_landed(struct fill *, const struct copy *, bool fill, int error, mono_us now);
/* Starts what may start; returns when to be called again at the latest. */
mono_us fill_step(struct fill *, mono_us now, wall_us wall);

#endif
