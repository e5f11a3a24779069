/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Behind the door of abr.h: what every rule of adaptation is given, and what it
 * answers.  A rule is a row of functions over a state of its own; abr.c holds
 * both in one block, so nothing is allocated after abr_new.
 */
#ifndef RIBERA_PLAYER_ABR_RULE_H
#define RIBERA_PLAYER_ABR_RULE_H

#include <stddef.h>

#include "player/abr.h"

#define ABR_MAX_RUNGS 64

/* What is played: seconds, Mbit and Mbit/s, as the QoE counts. */
struct abr_film {
	unsigned n_rungs, n_segments; /* n_segments 0: no end is known */
	double segment, cap;
	double mbps[ABR_MAX_RUNGS];
	double start_mbps;            /* known of this network; 0: nothing */
	uint32_t *sizes;              /* bytes, [segment * n_rungs + rung]; NULL: from the bitrates */
};

/* Mbit of a segment; from the bitrate where the size is not known. */
double abr_film_mbit(const struct abr_film *, unsigned segment, unsigned rung);
/* The highest rung of at most so many Mbit/s; the lowest when none is. */
unsigned abr_film_rung_at(const struct abr_film *, double mbps);

static inline double abr_seconds(dur_us d)
{
	return (double)d / 1e6;
}

/* next() is only asked behind the first segment. */
struct abr_rule {
	const char *name;
	size_t size; /* of the state, which starts as zeros */
	void (*init)(void *state, const struct abr_film *);
	void (*add_sample)(void *state, const struct abr_film *, const struct abr_sample *);
	struct abr_decision (*next)(void *state, const struct abr_film *, const struct abr_state *);
	int (*abandon)(void *state, const struct abr_film *, const struct abr_progress *); /* NULL: never */
	double (*forecast)(const void *state); /* Mbit/s; 0: no idea yet */
};

extern const struct abr_rule abr_ribera, abr_rate, abr_bola_e, abr_dynamic, abr_robustmpc;

#endif
