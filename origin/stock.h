/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What can be placed: the tracks of every title's current revision, one item
 * each.  What is small beside them (manifests, playlists, pictures) goes where
 * any track of the title goes, and is counted with each.
 */
#ifndef RIBERA_ORIGIN_STOCK_H
#define RIBERA_ORIGIN_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "origin/revision.h"

struct library_view;

struct stock_item {
	char *name;                  /* "TITLE/FILE": the same through revisions */
	const struct revision *of;   /* the view's */
	const char *file;            /* the revision's */
	uint64_t bytes;              /* on an edge's disk, companions included */
};

struct stock {
	struct stock_item *items; /* sorted by name, so a title's stand together */
	size_t n;
	uint32_t *newest;         /* the first item of each title, those of the newest title first */
	size_t n_titles;
};

/* The view must outlive it. */
void stock_new(const struct library_view *, struct stock *ret_stock);
void stock_fini(struct stock *);

/* A track, that is; other files go along. */
bool stock_is_track(const char *file);
/* The items that "TITLE/REVISION/FILE" stands for: that file's, or all of the title's when
 * the current revision has no such file (any more).  Returns how many, 0 when there are none. */
size_t stock_find(const struct stock *, const char *name, size_t *ret_first);

#endif
