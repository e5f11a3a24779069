/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Steering: in which order a viewer shall try the edges.  Pure and deterministic:
 * equal input, equal order.
 *
 *   1. only edges that are up, hold the revision and are not being drained
 *   2. those with room before those that have none
 *   3. the nearer before the farther; an edge that has just come back stands for part of the viewers behind the
 *      farthest, so that not all of its own come at once
 *   4. of equally near ones the two that weighted rendezvous hashing names for this
 *      viewer, the less loaded of them first, or of equally loaded ones the one to
 *      which clearly fewer were sent of late: viewers are spread by free capacity,
 *      also while news of the load is old,
 *      and when an edge goes only its own viewers move
 *   5. where a viewer is now it stays, unless that place falls behind in 1 to 3
 */
#ifndef RIBERA_CDN_STEER_H
#define RIBERA_CDN_STEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct steer_edge {
	const char *name;
	bool up;
	bool holds;         /* the revision asked for */
	double load;        /* 0 idle, 1 all it can do; at 1 and above it comes behind the others */
	bool draining;
	unsigned distance;  /* any unit; equal: equally near */
	double hold_back;   /* 0 to 1: part of its share it shall not have yet (slow start) */
	unsigned sent;      /* viewers sent there of late, by any count that fades */
};

/* A viewer's key from its address ("192.0.2.1", "2001:db8::1"): equal text, equal key. */
uint64_t steer_client_key(const char *address);

/* Writes at most `max` (no more than 16) indexes of edges that may be used, best first; returns how
 * many.  `current` (or NULL) is the name of the edge the viewer is at. */
size_t steer_choose(uint64_t client_key, const char *current, const struct steer_edge *, size_t n, size_t max,
                    size_t *ret_order);
/* The same for a viewer who is nowhere yet. */
size_t steer_order(uint64_t client_key, const struct steer_edge *, size_t n, size_t max, size_t *ret_order);

#endif
