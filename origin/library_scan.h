/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Looking through the library's folder; used by library.c alone, in its thread.
 */
#ifndef RIBERA_ORIGIN_LIBRARY_SCAN_H
#define RIBERA_ORIGIN_LIBRARY_SCAN_H

#include "origin/library.h"

/* A package that cannot be served, so that it is complained about once. */
struct library_refused {
	char *key, *why;
	bool seen; /* in this scan */
};

struct library_scan {
	const char *folder;
	struct open_files *open;
	struct library_refused *refused;
	size_t n_refused, cap_refused;
	void (*watch)(void *ctx, const char *title); /* before a title's folder is listed */
	void *ctx;
};
void library_scan_fini(struct library_scan *);

/* A new view: titles named in `dirty` (NULL: all) are looked at again, the
 * others are taken from `old`.  What cannot be listed for another reason than
 * being gone keeps its old state.  -errno when the library itself cannot be. */
int library_scan(struct library_scan *, const struct library_view *old, char *const *dirty, size_t n_dirty,
                 struct library_view **ret_view, struct fault *);

#define LIBRARY_WITHDRAWN ".withdrawn-" /* REVISION */
#define LIBRARY_CURRENT ".current"

/* Removes the bytes of what was withdrawn before `before`; the next scan finds them gone. */
void library_remove_gone(const char *folder, const struct library_view *, wall_us before);

/* Same titles with the same revisions? */
bool library_view_equal(const struct library_view *, const struct library_view *);

/* Removes LIBRARY/.work-NAME where nobody holds LIBRARY/.work-NAME.lock, and what was half removed. */
void library_sweep(const char *folder);

#endif
