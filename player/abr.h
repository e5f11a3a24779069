/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Adaptation: which rendition next, and when.  Pure: samples and states in,
 * decisions out; no clock, no globals, no allocation after abr_new.  The same
 * code runs in the player, in --simulate and in --abr-serve.
 */
#ifndef RIBERA_PLAYER_ABR_H
#define RIBERA_PLAYER_ABR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct abr; /* hidden */

struct abr_setup {
	const char *algorithm;     /* one of abr_algorithms; NULL: the default */
	unsigned n_rungs;          /* 1 to 64, ascending bitrate */
	const uint32_t *bitrates;  /* bit/s, n_rungs */
	unsigned n_segments;       /* 0: no end is known */
	const uint32_t *sizes;     /* bytes, [segment * n_rungs + rung]; copied; NULL: from the bitrates */
	dur_us segment;            /* nominal duration */
	dur_us buffer_cap;         /* the caller asks for nothing that would not fit */
	uint64_t start_bps;        /* known throughput of this network, 0: unknown */
};

/* NULL for an unknown algorithm or impossible numbers. */
struct abr *abr_new(const struct abr_setup *);
void abr_free(struct abr **);

/* One finished (or aborted) transfer. */
struct abr_sample {
	unsigned segment, rung;
	uint64_t bytes;
	dur_us first_byte;         /* request to first byte */
	dur_us total;              /* request to last byte */
	bool aborted;
};
void abr_add_sample(struct abr *, const struct abr_sample *);

struct abr_state {
	unsigned segment;          /* the one to choose for */
	int last_rung;             /* -1: none yet */
	dur_us buffer;             /* media time buffered ahead of the playhead */
	mono_us now;
};
struct abr_decision {
	unsigned rung;
	dur_us wait;               /* before requesting it */
};
struct abr_decision abr_next(struct abr *, const struct abr_state *);

/* A running transfer.  Returns the rung to restart the segment with, or -1 to go on. */
struct abr_progress {
	unsigned segment, rung;
	uint64_t size, got;        /* bytes */
	dur_us elapsed, first_byte, buffer;
	dur_us before;             /* that bodies of this segment ran elsewhere, too slowly */
};
int abr_abandon(struct abr *, const struct abr_progress *);

/* Forecast throughput in bit/s; 0: no idea yet. */
uint64_t abr_forecast(const struct abr *);

/* NULL-terminated names of the algorithms, the default first. */
extern const char *const abr_algorithms[];

#endif
