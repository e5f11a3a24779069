/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Steering: in which order a viewer shall try the edges.  Pure: the same viewer
 * gets the same order as long as the edges' state does not change, viewers are
 * spread evenly, and when an edge goes only its own viewers move (rendezvous
 * hashing).
 */
#ifndef RIBERA_CDN_STEER_H
#define RIBERA_CDN_STEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct steer_edge {
	const char *name;
	bool up;
	bool holds;  /* the revision asked for */
	double load; /* 0 idle, 1 all it can do; at 1 and above it comes behind the others */
};

/* A viewer's key from its address ("192.0.2.1", "2001:db8::1"): equal text, equal key. */
uint64_t steer_client_key(const char *address);

/* Writes at most `max` indexes of edges that are up and hold the revision, best
 * first; returns how many. */
size_t steer_order(uint64_t client_key, const struct steer_edge *, size_t n, size_t max, size_t *ret_order);

#endif
