/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which others an edge is told of.  If all were told of all, a thousand edges
 * would be sent a thousand lists of a thousand.  Everybody knows those of its
 * site and some more at random, always the same ones while they are up, so that a
 * piece still goes from edge to edge through the whole network.
 */
#ifndef RIBERA_ORIGIN_PEERS_H
#define RIBERA_ORIGIN_PEERS_H

struct bookcase;
struct buf;
struct registry;
struct rules;

#define PEERS_MAX 24

/* Appends [{name, url, holds}] of at most PEERS_MAX edges that are up, as short plans have them (cdn/plan_text). */
void peers_write(struct registry *, const struct rules *, const char *self, struct bookcase *, struct buf *out);

#endif
