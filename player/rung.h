/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A rendition made ready to be asked for segments: its initialisation segment
 * and, where there is one, its index, in one request when they lie together.
 */
#ifndef RIBERA_PLAYER_RUNG_H
#define RIBERA_PLAYER_RUNG_H

#include "player/grab.h"

enum rung_state { RUNG_LOADING, RUNG_READY, RUNG_DEAD };

struct rung {
	struct timeline_rendition *r;
	unsigned id;                 /* unique in a player's life */
	enum rung_state state;
	struct blob *init;           /* NULL: segments stand alone */
	struct grab_world *world;
	int lane;
	bool live;                   /* of a dynamic MPD */
	struct grab *init_grab, *index_grab;
	struct timeline_index *index; /* as far as it is read */
	bool indexed;                /* its segments were found through a sidx */
	uint32_t ticks;              /* a second, in the track; 0: not known yet */
	bool timed;                  /* a segment's decode time was what the index says: so are the others' */
	unsigned refused;            /* times that a base gave something that is no index */
	bool together;               /* the first index_grab brings the initialisation segment too */
	uint64_t index_first;        /* file offset of what index_grab brings */
	char error[256];
};

void rung_begin(struct rung *, struct grab_world *, struct timeline_rendition *, unsigned id, int lane, bool live,
                mono_us now);
void rung_step(struct rung *, mono_us now, mono_us *ret_next);
void rung_end(struct rung *);

#endif
