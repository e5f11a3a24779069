/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which edges are near which networks, as an operator writes it:
 *
 *   # network          edge    round trip in ms (optional)
 *   192.0.2.0/24       vienna  3
 *   192.0.2.0/24       linz    8
 *   2001:db8::/32      vienna
 *   as:64500           linz    5
 *   country:AT         vienna  10
 *   continent:EU       vienna  30
 *
 * The longest network that has the address counts.  Names stand for what somebody
 * else knows of an address (origin/geo).  Immutable once read; any thread.
 */
#ifndef RIBERA_CDN_PREFIX_H
#define RIBERA_CDN_PREFIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PREFIX_FAR 1000 /* the distance of edges that are not named for an address */

struct prefix_table; /* hidden */

/* ERR_SYNTAX with the line, ERR_LIMIT (over a million lines). */
int prefix_read(const char *text, size_t n, const char *name, struct prefix_table **ret_table, struct fault *);
void prefix_free(struct prefix_table **);

/* The network an address ("192.0.2.1", "2001:db8::1") lies in: 0 is none, and for NULL tables. */
unsigned prefix_find(const struct prefix_table *, const char *address);
/* The network of a name ("country:AT"): 0 is none, and for NULL tables. */
unsigned prefix_named(const struct prefix_table *, const char *name);
/* How far an edge is from there, in ms, PREFIX_FAR when nothing says. */
unsigned prefix_distance(const struct prefix_table *, unsigned network, const char *edge);

#endif
