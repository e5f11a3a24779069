/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A title's MPD, from a URL or a file, and its timeline.
 */
#ifndef RIBERA_PLAYER_SOURCE_H
#define RIBERA_PLAYER_SOURCE_H

#include <signal.h>

#include "base/buf.h"
#include "base/err.h"
#include "dash/timeline.h"
#include "player/cmcd.h"

struct fetch;

/* How MPDs and their parts are got, and what servers are told with it. */
struct source_door {
	struct fetch *fetch;
	enum cmcd_mode cmcd;
	const char *session_id; /* of CMCD; NULL with CMCD_NONE */
	const volatile sig_atomic_t *stop; /* not 0: no more waiting for a server that wants to be asked later; NULL: never wait for one */
};

struct source {
	char *url;               /* where it was found at last */
	struct buf text;         /* of the MPD, its remote parts in their places */
	struct mpd *mpd;
	struct timeline *timeline;
};

/* Waits for the MPD and for its remote parts.  A `where` without "://" is a file.
 * `now` matters for dynamic MPDs: what is available then.  The fault names what
 * was wrong: no such host, a status, not an MPD at line:column.  Remote parts and
 * renditions that are left out are logged. */
int source_open(const struct source_door *, const char *where, wall_us now, struct source *ret_source, struct fault *);
/* The same from a text that is here already; where there are remote parts it is
 * replaced by the text with them in their places.  `url` is where it was found,
 * `name` what faults call it.  ret_source->text is a copy. */
int source_parse(const struct source_door *, struct buf *text, const char *url, const char *name, wall_us now, struct source *ret_source,
                 struct fault *);
void source_close(struct source *);

/* Waits for what stands at an absolute URL (http, https or file), MPD_MAX_BYTES at most.  What may pass is tried once more: of a
 * server that is silent another address, if it has one, and one that says when (Retry-After) then, but within 10 s.
 * *ret_url (or NULL) is where it was found at last; caller frees. */
int source_get(const struct source_door *, const char *url, struct buf *out, char **ret_url, struct fault *);

/* The track to play of a kind: fit (fit.h), main before
 * commentary, of the wanted language (or NULL) first, and then `next` further in
 * the order of the MPD, round and round.  NULL when there is none;
 * then `why` (or NULL) says why, in words. */
struct timeline_track *source_choose(const struct timeline_period *, enum timeline_kind, const char *lang, unsigned next,
                                     struct fault *why);

/* The period that holds presentation time t; the last one for times past the end. */
unsigned source_period_at(const struct timeline *, dur_us t);
/* When a period ends; INT64_MAX when that is not known. */
dur_us source_period_end(const struct timeline *, unsigned period);

#endif
