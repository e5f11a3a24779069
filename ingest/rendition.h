/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One rendition of the pictures: frames in, in order; a finished track file out.
 * Chunks are encoded side by side by the rendition's own threads ("lanes"), kept
 * in files, and joined in order.
 */
#ifndef RIBERA_INGEST_RENDITION_H
#define RIBERA_INGEST_RENDITION_H

#include "ingest/coder.h"
#include "ingest/track.h"
#include "ingest/turns.h"

struct rendition; /* hidden */

struct rendition_setup {
	const char *folder;      /* for the track file */
	const char *chunks;      /* folder for the chunks; those found there are kept */
	const struct coder *coder;
	struct coder_settings code; /* plan and rung must stay */
	unsigned lanes;          /* chunks encoded at once, at least 1; each has an encoder of its own, which is what takes the memory */
	unsigned queue;          /* frames that may wait */
	struct turns *turns;     /* must stay; NULL: the encoder has threads of its own and asks nobody */
	unsigned rank;           /* among them */
};

int rendition_new(const struct rendition_setup *, struct rendition **ret_rendition, struct fault *);
void rendition_free(struct rendition **); /* ends the lanes, drops what is unfinished; chunks stay */

/* Frames come in order, pts is their number; a reference is taken.  Waits while the queue is full.
 * Fails with the first lane's fault. */
int rendition_push(struct rendition *, const AVFrame *, struct fault *);

/* No more frames: the lanes code what they have, and nobody waits.  Before one rendition is finished all are ended, for each has as
 * many frames in hand as its encoder looks ahead. */
void rendition_end(struct rendition *);

/* No more frames after `frames`: waits for the lanes and writes the track file. */
int rendition_finish(struct rendition *, uint64_t frames, struct fault *);

const struct track_facts *rendition_facts(const struct rendition *); /* after rendition_finish */
uint64_t rendition_kept(const struct rendition *); /* frames that an earlier run had encoded */

/* Lanes and queues for all rungs of a plan that keep `cores` busy within about `memory` bytes of frames. */
void rendition_share(const struct plan *, unsigned cores, uint64_t memory, unsigned lanes[static PLAN_MAX_RUNGS],
                     unsigned queues[static PLAN_MAX_RUNGS]);

#endif
