/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who holds what: for each revision the edges that are up and hold it, in the
 * order of their names.  Looked up by the viewers' loops without a lock (rcu),
 * changed by one writer at a time, at a cost in proportion to the change.
 */
#ifndef RIBERA_ORIGIN_HOLDERS_H
#define RIBERA_ORIGIN_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct holders; /* hidden */

#define HOLDERS_WITNESSES 8

/* An edge as viewers see it.  Immutable but for what is atomic. */
struct holders_edge {
	char *name;
	char *url;              /* without a slash at the end */
	uint32_t load_permille; /* atomic */
	uint32_t witnesses;     /* atomic: players who could not use it, of late */
	uint64_t witnessed_by[HOLDERS_WITNESSES]; /* atomic: the keys of the last of them, who count once; 0: none */
	uint32_t sent;          /* atomic: viewers it was named first to, of late */
	uint64_t sent_last;     /* atomic: the key of the last of them, who counts once */
	bool unreachable;       /* atomic: it says that it lives, and cannot be reached */
	bool doubtful;          /* atomic: the origin reached others, this one never */
	bool draining;          /* atomic: nobody new, and who is there shall go */
	mono_us back_since;     /* atomic: when it came back from being down; 0: it never was */
	mono_us out_until;      /* atomic: it came and went too often, and gets nobody until then */
};

/* The edges of one revision. */
struct holders_set {
	size_t n;
	struct holders_edge *edges[]; /* sorted by name */
};

struct holders *holders_new(void);
void holders_free(struct holders **); /* no reader any more */

struct holders_edge *holders_edge_new(const char *name, const char *url);
/* Frees after the grace period; it must stand in no set any more. */
void holders_edge_free(struct holders_edge **);

/* The writer (its caller serialises): adds or takes away one edge for many
 * revisions ("TITLE/REVISION" each). */
void holders_add(struct holders *, struct holders_edge *, char *const *keys, size_t n);
void holders_drop(struct holders *, struct holders_edge *, char *const *keys, size_t n);

/* Inside a read section: the set of "TITLE/REVISION", or NULL when nobody holds it. */
const struct holders_set *holders_find(const struct holders *, const char *key);

#endif
