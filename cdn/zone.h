/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A time zone read from the bytes of a TZif file (RFC 8536 / RFC 9636): its
 * past transitions and, for the years behind the last one, the rule in the
 * footer (POSIX TZ string).  Independent of TZ, locale and libc's one global
 * zone.  Immutable after reading; any thread.
 */
#ifndef RIBERA_CDN_ZONE_H
#define RIBERA_CDN_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ZONE_MAX_BYTES ((size_t)1 << 20)

struct zone; /* hidden */

/* ERR_SYNTAX, ERR_TRUNCATED; the fault says what is wrong with `name`. */
int zone_read(const void *bytes, size_t n, const char *name, struct zone **ret_zone, struct fault *);
void zone_free(struct zone **);

/* The zone that is always UTC. */
struct zone *zone_utc(void);

/* An IANA name as it may be looked up below a zoneinfo folder: "Europe/Vienna",
 * "Etc/GMT+1", "UTC"; no absolute path, no dot segments. */
bool zone_name_is_good(const char *name);

/* Seconds east of UTC at `t` (seconds since 1970, UTC).  ret_next (or NULL): the
 * next instant after t at which the offset may change, INT64_MAX when never. */
int32_t zone_offset(const struct zone *, int64_t t, int64_t *ret_next);

/* The first instant at which a clock on the wall there shows this local time
 * (seconds since 1970 as if local were UTC).  A time that the clock jumps over
 * gives the instant of the jump; a time shown twice gives the first. */
int64_t zone_from_local(const struct zone *, int64_t local);

#endif
