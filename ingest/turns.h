/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Turns at the cores: no more encoders work at once than there are cores, and the one that matters most goes first.
 * The rendition with the most to do is the one that all others end up waiting for; left to the system's
 * fair shares it falls behind, and is alone at the end with the other cores idle.  Among the others whoever is furthest back
 * in the film goes first: its frames are the ones that the decoder waits to get rid of, so short queues do.  Where all end a chunk and code
 * what they have looked ahead, the longest work goes first, so that the cores are done at about the same time.
 * Threads: all of it, any thread.  A turn is held while one computes, never while one waits for something else.
 */
#ifndef RIBERA_INGEST_TURNS_H
#define RIBERA_INGEST_TURNS_H

#include <stdint.h>

struct turns; /* hidden */

struct turns *turns_new(unsigned cores); /* aborts without memory */
void turns_free(struct turns **);        /* nobody has one or waits */

struct turn { /* the smaller goes first: by rank, then by place; of one place the larger picture */
	unsigned rank;
	uint64_t place;          /* the frame of the film that is to be coded */
	uint64_t pixels;         /* of a picture */
};

/* Waits until a core is free and nobody smaller waits; equal ones go in order. */
void turns_take(struct turns *, struct turn);
void turns_give(struct turns *);
/* For who has one: lets smaller ones go first, if there are any. */
void turns_let(struct turns *, struct turn);

/* How many wait now. */
unsigned turns_waiting(struct turns *);

#endif
