/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Common Media Client Data, version 1 (CTA-5004): what a player tells the
 * servers about a request, as four header fields or as one query argument.  Pure.
 */
#ifndef RIBERA_PLAYER_CMCD_H
#define RIBERA_PLAYER_CMCD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct cmcd {
	const char *session_id;  /* sid */
	const char *content_id;  /* cid, or NULL */
	char type;               /* ot: v a i m */
	uint64_t bitrate;        /* br, bit/s; 0: leave out */
	uint64_t top_bitrate;    /* tb */
	dur_us duration;         /* d */
	dur_us buffer;           /* bl; negative: leave out */
	uint64_t throughput;     /* mtp, bit/s; 0: leave out */
	bool startup;            /* su */
	bool starved;            /* bs */
	bool live;               /* st */
};

enum { CMCD_FIELDS = 4 };
/* "CMCD-Object: ...", malloced; a field with nothing to say is NULL. */
void cmcd_headers(const struct cmcd *, char *ret_fields[static CMCD_FIELDS]);
/* url with CMCD=... added to its query; malloced. */
char *cmcd_query(const struct cmcd *, const char *url);

#endif
