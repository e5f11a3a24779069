/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Turns at the cores: no more encoders work at once than there are cores, and the one that matters most goes first.
 * The rendition with the most to do is the one that all others end up waiting for; left to the system's
 * fair shares it falls behind, and is alone at the end with the other cores idle.
 * Threads: all of it, any thread.  A turn is held while one computes, never while one waits for something else.
 */
#ifndef RIBERA_INGEST_TURNS_H
#define RIBERA_INGEST_TURNS_H

struct turns; /* hidden */

struct turns *turns_new(unsigned cores); /* aborts without memory */
void turns_free(struct turns **);        /* nobody has one or waits */

/* Waits until a core is free and nobody of a smaller `rank` waits; equal ones go in order. */
void turns_take(struct turns *, unsigned rank);
void turns_give(struct turns *);
/* For who has one: lets those of a smaller rank go first, if there are any. */
void turns_let(struct turns *, unsigned rank);

/* How many wait now. */
unsigned turns_waiting(struct turns *);

#endif
