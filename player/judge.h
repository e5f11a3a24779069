/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A lane's judgement: the adaptation for the ladder of the period it is in, with
 * what was measured before, which outlives periods and seeks.
 */
#ifndef RIBERA_PLAYER_JUDGE_H
#define RIBERA_PLAYER_JUDGE_H

#include "player/abr.h"

struct rung;

enum { JUDGE_SAMPLES = 16 };

struct judge {
	struct abr *abr;         /* NULL between periods */
	const char *algorithm;
	dur_us buffer;
	uint64_t start_bps;      /* what the network gave to earlier sessions; 0: unknown */
	struct abr_sample samples[JUDGE_SAMPLES]; /* told to the next abr */
	unsigned n_samples, n_ready;
};

/* `live`: without an end, and of unknown sizes.  A ladder of n rungs of which n_ready can be used; `segment` is how long one is, about. */
void judge_enter(struct judge *, const struct rung *rungs, unsigned n, unsigned n_ready, const uint32_t *bitrates,
                 dur_us segment, bool live);
void judge_leave(struct judge *);
void judge_add(struct judge *, const struct abr_sample *);
uint64_t judge_forecast(const struct judge *); /* bit/s; 0: unknown */

/* Sound: what costs at most 15 % of the line (0: unknown); it comes down at 25 %, so it does not swing. */
unsigned judge_sound(const uint32_t *bitrates, unsigned n, int last, uint64_t line);

#endif
