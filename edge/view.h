/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The index by which viewers' names are found: an immutable picture of the plan
 * and the store, swapped as a whole (base/rcu.h).  A hit takes no lock and
 * touches no disk.
 */
#ifndef RIBERA_EDGE_VIEW_H
#define RIBERA_EDGE_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "edge/copy.h"
#include "edge/plan.h"

struct store;

struct view_revision {
	char revision[PACKAGE_REVISION_SIZE];
	bool listed, hold;       /* by the plan */
	struct package *package; /* one reference; NULL: not prepared yet */
};

struct view_title {
	const char *title;       /* the plan's */
	struct view_revision *revisions; /* the plan's first, so [0] is the current one */
	size_t n, cap;
	struct serve_object *manifest, *playlist; /* atomic: made by the first who asks; one reference each */
};

struct view {
	struct plan *plan;       /* one reference */
	struct view_title *titles; /* those the plan lists, by name */
	size_t n;
};

struct view *view_new(struct plan *, const struct store *); /* the engine's thread */
void view_free(struct view **);

struct view_title *view_find(const struct view *, const char *title, size_t n);
const struct view_revision *view_find_revision(const struct view_title *, const char *revision);

#endif
