/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Common Media Client Data, version 1 (CTA-5004): what a player tells the
 * servers about a request, as four header fields or as one query argument.  Pure.
 */
#ifndef RIBERA_PLAYER_CMCD_H
#define RIBERA_PLAYER_CMCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum cmcd_mode { CMCD_NONE, CMCD_HEADERS, CMCD_QUERY };

struct cmcd {
	const char *session_id;  /* sid */
	const char *content_id;  /* cid, or NULL */
	char type;               /* ot: v a i m o */
	uint64_t bitrate;        /* br, bit/s; 0: leave out */
	uint64_t top_bitrate;    /* tb */
	dur_us duration;         /* d */
	dur_us buffer;           /* bl; negative: leave out */
	uint64_t throughput;     /* mtp, bit/s; 0: leave out */
	bool startup;            /* su */
	bool starved;            /* bs: at any time since the request before */
	double speed;            /* pr, and in dl: 0 is standing still; negative: not known */
	bool live;               /* st */
	char next[128];          /* nor: the next object, relative to this one's address; "" with a range: the same one */
	bool has_next_range;     /* nrr */
	uint64_t next_first, next_last;
};

/* Sets `next` from two references that are resolved against the same base; left empty where that is no plain relative
 * address in the same folder, or too long. */
void cmcd_set_next(struct cmcd *, const char *reference, const char *next);

enum { CMCD_FIELDS = 4 };
/* "CMCD-Object: ...", malloced; a field with nothing to say is NULL. */
void cmcd_headers(const struct cmcd *, char *ret_fields[static CMCD_FIELDS]);
/* url with CMCD=... added to its query; malloced. */
char *cmcd_query(const struct cmcd *, const char *url);

/* What to ask for, and which fields to send with it. */
struct cmcd_request {
	char *url;
	char *fields[CMCD_FIELDS]; /* the first n, owned */
	size_t n;
};
/* With cmcd NULL, or with CMCD_NONE, the url alone.  Free it with cmcd_request_fini. */
void cmcd_request_init(struct cmcd_request *, enum cmcd_mode, const struct cmcd *, const char *url);
void cmcd_request_fini(struct cmcd_request *);

/* Takes the CMCD argument out of a url, in place: a server that redirects may hand back what it was asked with. */
void cmcd_strip(char *url);

/* A session's name from 16 random bytes (RFC 9562 5.4). */
void cmcd_session_id(const uint8_t random[static 16], char ret_id[static 37]);

#endif
