/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The pictures' way through an ingest: put on the grid of the plan's frame rate
 * (variable rates end here), filtered once into every size, and given to the
 * renditions.
 */
#ifndef RIBERA_INGEST_REEL_H
#define RIBERA_INGEST_REEL_H

#include <signal.h>

#include "ingest/plan.h"
#include "ingest/rendition.h"
#include "ingest/source.h"
#include "ingest/tiles.h"
#include "ingest/tone.h"

struct reel; /* hidden */

struct reel_setup {
	const struct source_info *info; /* must stay, as all of these */
	const struct plan *plan;
	const char *master;      /* its name, for messages */
	const char *folder;      /* for the track files */
	const char *chunks;
	const char *preset;
	const struct plan *av1;  /* further renditions; n_rungs 0: none */
	const char *av1_preset;
	const volatile sig_atomic_t *stop; /* as coder_settings have it */
};

struct reel *reel_new(const struct reel_setup *);
void reel_free(struct reel **);

/* The next decoded picture; `frame` stays the caller's. */
int reel_take(struct reel *, const AVFrame *frame, AVRational time_base, struct fault *);
/* No more: finishes all track files. */
int reel_end(struct reel *, struct fault *);

double reel_time(const struct reel *);     /* seconds of the newest picture */
uint64_t reel_frames(const struct reel *); /* on the grid */
double reel_kept(const struct reel *);     /* seconds of film that an earlier run had encoded; the mean over all picture areas */
const struct tiles_facts *reel_tiles(const struct reel *); /* after reel_end */
const AVFrame *reel_poster(const struct reel *); /* the best of the first minute, or NULL */
const struct track_facts *reel_facts(const struct reel *, size_t rung); /* after reel_end */
const struct track_facts *reel_av1_facts(const struct reel *, size_t rung);
bool reel_met_fields(const struct reel *);  /* where none were expected; they became frames */
const struct tone *reel_tone(const struct reel *); /* the pictures' colours; after the first one */

#endif
