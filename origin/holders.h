/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who holds what: for each revision the edges that are up and hold it, in the
 * order of their names.  Looked up by the viewers' loops without a lock (rcu),
 * changed by one writer at a time, at a cost in proportion to the change.
 */
#ifndef RIBERA_ORIGIN_HOLDERS_H
#define RIBERA_ORIGIN_HOLDERS_H

#include <stddef.h>
#include <stdint.h>

struct holders; /* hidden */

/* An edge as viewers see it.  Immutable but for its load. */
struct holders_edge {
	char *name;
	char *url;              /* without a slash at the end */
	uint32_t load_permille; /* atomic */
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
