/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where an address is, by a file in MaxMind's format (GeoLite2, DB-IP and others):
 * country and continent, or the number of its autonomous system, whatever is in
 * the file.  The file is mapped: replace it by rename, and start anew to use it.
 * Any thread.
 */
#ifndef RIBERA_ORIGIN_GEO_H
#define RIBERA_ORIGIN_GEO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct geo; /* hidden */

/* ERR_SYNTAX, -errno; ERR_USAGE when this program was built without libmaxminddb. */
int geo_open(const char *path, struct geo **ret_geo, struct fault *);
void geo_free(struct geo **);

/* What is known of a place, most exact first, as a networks file names it. */
#define GEO_MAX_NAMES 3
struct geo_place {
	char names[GEO_MAX_NAMES][16]; /* "as:64500", "country:AT", "continent:EU" */
	size_t n;
};
/* `geo` NULL, or an address ("192.0.2.1", "2001:db8::1") of which nothing is known: no names. */
void geo_find(const struct geo *, const char *address, struct geo_place *ret_place);

#endif
