/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One kind of media (video or audio) through all periods: which segment next,
 * in which rendition, when; and what to do when it cannot be had.  Runs in the
 * engine's thread.
 */
#ifndef RIBERA_PLAYER_LANE_H
#define RIBERA_PLAYER_LANE_H

#include <stdbool.h>

#include "base/err.h"
#include "player/grab.h"
#include "player/source.h"

struct lane; /* hidden */

struct lane_setup {
	int kind;                    /* LANE_VIDEO or LANE_AUDIO */
	const struct source *source;
	struct grab_world *world;
	const char *algorithm;       /* abr.h */
	const char *lang;            /* or NULL */
	uint64_t max_height;         /* 0: any */
	dur_us buffer;               /* target */
	uint64_t line;               /* bit/s that the network gave before; 0: unknown */
	dur_us start, end;           /* presentation times to play */
};

struct lane *lane_new(const struct lane_setup *);
void lane_free(struct lane **);

/* Moves it on.  `line` is the forecast to pay for sound by (0: unknown), `other_end`
 * where the other lane's media ends (INT64_MAX without one): neither runs far ahead.
 * 0, or what ended everything. */
int lane_step(struct lane *, mono_us now, uint64_t line, dur_us other_end, mono_us *ret_next, struct fault *);

/* The timeline is about to be replaced by this one; afterwards nothing of the old is kept. */
void lane_refresh(struct lane *, struct timeline *next);

void lane_seek(struct lane *, dur_us to, unsigned generation); /* the hub's */
void lane_keep(struct lane *, unsigned generation); /* a seek to what it has given already */
dur_us lane_end(const struct lane *);         /* where its media in hand ends */
bool lane_ended(const struct lane *);         /* everything was asked for and came */
uint64_t lane_forecast(const struct lane *);  /* bit/s; 0: unknown */

struct lane_view { /* for people */
	char rendition[64], key[128];
	uint64_t bandwidth, throughput;
	unsigned height;
	char trouble[256];       /* of the transfer that runs; "" when all is well */
};
void lane_view(const struct lane *, struct lane_view *ret_view);

#endif
