/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A title's MPD, from a URL or a file, and its timeline.
 */
#ifndef RIBERA_PLAYER_SOURCE_H
#define RIBERA_PLAYER_SOURCE_H

#include "base/err.h"
#include "dash/timeline.h"

struct fetch;

struct source {
	char *url;               /* where it was found at last */
	struct mpd *mpd;
	struct timeline *timeline;
};

/* Waits for the MPD.  A `where` without "://" is a file.  The fault names what
 * was wrong: no such host, a status, not an MPD at line:column. */
int source_open(struct fetch *, const char *where, struct source *ret_source, struct fault *);
void source_close(struct source *);

/* Can this build decode it?  `codecs` is RFC 6381; NULL is worth a try. */
bool source_can_decode(const char *codecs);

/* The track to play of a kind: decodable, not a trick mode, main before
 * commentary, of the wanted language (or NULL) first.  NULL when there is none;
 * then *ret_why says why, in words. */
struct timeline_track *source_choose(const struct timeline_period *, enum timeline_kind, const char *lang,
                                     const char **ret_why);

/* The period that holds presentation time t; the last one for times past the end. */
unsigned source_period_at(const struct timeline *, dur_us t);
/* When a period ends; INT64_MAX when that is not known. */
dur_us source_period_end(const struct timeline *, unsigned period);

#endif
