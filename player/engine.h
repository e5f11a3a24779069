/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The engine: a thread that keeps the lanes supplied ahead of the playhead.
 */
#ifndef RIBERA_PLAYER_ENGINE_H
#define RIBERA_PLAYER_ENGINE_H

#include "player/hub.h"
#include "player/lane.h"

struct engine; /* hidden */

struct engine_setup {
	struct hub *hub;
	struct fetch *fetch;
	struct source *source;   /* replaced when `live` has a newer one */
	struct live *live;       /* or NULL */
	struct report *report;   /* its segments, failovers and errors are ours until engine_free */
	const char *algorithm, *lang;
	uint64_t max_height;
	dur_us buffer, start, end;
	uint64_t line;           /* bit/s that this network gave before; 0: unknown */
	enum cmcd_mode cmcd;
	const char *session_id;  /* of CMCD; outlives the engine */
};

/* Sets hub->lane and starts the thread.  ERR_MEDIA when nothing can be played,
 * ERR_USAGE for an unknown algorithm. */
int engine_new(const struct engine_setup *, struct engine **ret_engine, struct fault *);
/* After hub_quit: joins the thread and lets go of all transfers.  Their last
 * callbacks still need the engine: fetch_free, then engine_free. */
void engine_stop(struct engine *);
void engine_free(struct engine **);

struct engine_view {
	struct lane_view lanes[N_LANES];
	dur_us buffer;           /* of the lane that has least */
	char trouble[256];       /* of the newest transfer that failed and is tried again; "" when all is well */
	dur_us from, to;         /* live: what is there; to 0: not live */
};
void engine_view(struct engine *, struct engine_view *ret_view); /* any thread */

/* Mean bit/s while bytes came; 0 when too few came to say. */
uint64_t engine_line(struct engine *);

/* Has everything ended because nothing could be had any more?  0, or the code with its fault. */
int engine_failure(struct engine *, struct fault *);

#endif
