/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What lane.c (which segment next, in which rendition) and lane_ask.c (having it, or
 * going on without it) share.  For these two files only; the engine's thread.
 */
#ifndef RIBERA_PLAYER_LANE_IN_H
#define RIBERA_PLAYER_LANE_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "player/flow.h"
#include "player/judge.h"
#include "player/lane.h"
#include "player/rung.h"

#define LANE_MAX_RUNGS 64
#define LANE_TICK (100 * DUR_MS)      /* how often a transfer that runs is thought about */

struct lane {
	struct lane_setup set;
	unsigned period, next_id, generation;
	bool entered, prepared, ended;
	mono_us first_ready;
	struct rung rungs[LANE_MAX_RUNGS];
	unsigned n_rungs;
	uint32_t bitrates[LANE_MAX_RUNGS];
	struct judge judge;
	int last_rung;           /* of the segment before; -1: none */
	int last_index;          /* in that rendition; -1: find by time */
	dur_us t;                /* presentation time of the next segment */
	dur_us window;           /* frames before are not shown (start, seek) */
	int limit;               /* highest rung to try for this segment; -1: any */
	unsigned skipped;        /* in a row */
	dur_us wait_above;       /* the engine asked to wait until no more than this is in hand; 0: no */
	struct grab *grab;
	struct feed *feed;       /* of the grab, when its segment is still being made; or NULL */
	bool fed;                /* its segment is in the queue already */
	unsigned grab_rung, grab_index;
	dur_us grab_start, grab_end; /* of its segment */
	unsigned wish_rung, next_audio; /* the viewer's, as the hub's */
	unsigned starvations;    /* that servers were told of */
	bool waits;              /* for segments that are not made yet */
	bool moved;              /* the timeline was replaced since */
	dur_us grab_buffer;
	mono_us asked;           /* when the grab began */
	mono_us left_slow;       /* when a base was last left for its slowness; 0: never */
	mono_us looked;          /* when abandoning was last thought about */
	struct flow flow;        /* of the grab */
	char error[256];
	struct lane_view view;
};

const struct timeline_period *lane_period(const struct lane *);
/* Presentation times of segment i of a rendition of the period. */
dur_us lane_segment_start(const struct lane *, const struct timeline_rendition *, unsigned i);
dur_us lane_segment_end(const struct lane *, const struct timeline_rendition *, unsigned i);
dur_us lane_position(const struct lane *);    /* the playhead */
dur_us lane_buffered(const struct lane *);    /* media in hand before it */

/* Begins to get segment `index` of a rung that is ready; no grab may run. */
void lane_ask(struct lane *, unsigned rung, unsigned index, mono_us now);
/* Moves the grab that runs on: to the decoder with what came; else a lower rendition, or a hole.
 * 0, or ERR_NETWORK when nothing came too often in a row. */
int lane_follow(struct lane *, mono_us now, mono_us *ret_next, struct fault *);

#endif
