/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What operators want of titles (pins, bans) and of places, read from the
 * catalogue as a whole.  Of a place, a key each:
 *
 *   site    edges of one site are one store; without it an edge is a site of its own
 *   region  of the network, for "copies"
 *   zone    IANA name; its midnight begins the edge's day.  Default UTC
 *   share   1 to 100 percent of the edge's capacity that plans may use
 *   mirror  yes: everything, as far as there is room
 *   copies  of the place "*": of every title in every region at least
 */
#ifndef RIBERA_ORIGIN_RULES_H
#define RIBERA_ORIGIN_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RULES_EVERYWHERE "*"

struct catalogue;
struct rules; /* hidden */

struct rules *rules_new(void);
void rules_free(struct rules **);
/* Reads anew if anything changed; the catalogue's errors, then the old ones stay.  True in *ret_changed when it did. */
int rules_read(struct rules *, struct catalogue *, bool *ret_changed, struct fault *);

bool rules_pinned(const struct rules *, const char *title);
bool rules_urgent(const struct rules *, const char *title); /* pinned, and filled outside windows too */
bool rules_banned(const struct rules *, const char *title);

struct place {
	const char *site, *region; /* views; site is never NULL, region may be */
	const char *zone;          /* NULL: UTC */
	unsigned share;            /* percent */
	bool mirror;
};
void rules_place(const struct rules *, const char *edge, struct place *ret_place);
unsigned rules_copies(const struct rules *);

/* NULL: the value is good for the key; else what was expected. */
const char *rules_check(const char *place, const char *key, const char *value);
/* Can a place have the key?  NULL: yes; else what it has to be. */
const char *rules_check_key(const char *place, const char *key);

#endif
