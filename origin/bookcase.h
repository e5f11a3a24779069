/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What short plans (cdn/plan_text) are made of beside what an edge shall hold: the
 * shelf of the library as it is, what has changed in it of late, and what edges
 * hold as runs of its lines.  All of it is made once for all plans.  One thread.
 */
#ifndef RIBERA_ORIGIN_BOOKCASE_H
#define RIBERA_ORIGIN_BOOKCASE_H

#include "cdn/shelf.h"

struct library_view;
struct registry_edge;

#define BOOKCASE_PAST 64 /* libraries whose differences to the present one are known */

/* Zeroed: nothing. */
struct bookcase {
	struct library_view *view; /* whose shelf it is; one reference, NULL: none */
	struct shelf shelf;
	struct bookcase_past {
		char hash[SHA256_HEX_SIZE]; /* "": none */
		char **titles; /* that are not the same in the next one */
		size_t n, cap;
	} past[BOOKCASE_PAST]; /* the oldest first */
	size_t n_past;
	struct bookcase_runs {
		char *edge, *text;
		uint64_t holds_version;
	} *runs;                   /* by edge's name */
	size_t n_runs, cap_runs;
};

/* `max`: bytes of text.  ERR_LIMIT, -ENOMEM: it has no shelf. */
int bookcase_take(struct bookcase *, struct library_view *, size_t max);
void bookcase_fini(struct bookcase *);

/* Appends what has changed since, {"since":..., "titles":[...], "gone":[...]}.  False: not known, or it is most of it. */
bool bookcase_changes(const struct bookcase *, const char *since, struct buf *out);
/* What the edge holds whole, JSON; lives until the next call. */
const char *bookcase_runs(struct bookcase *, const struct registry_edge *);

#endif
