/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The library: the packages of a folder LIBRARY/TITLE/REVISION/, found at the
 * start and, while it runs, by inotify and by looking again now and then (which
 * is enough for network file systems).  Invariant: a view is immutable; readers
 * see the old one or the new one as a whole.
 */
#ifndef RIBERA_ORIGIN_LIBRARY_H
#define RIBERA_ORIGIN_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "origin/revision.h"

struct library; /* hidden */
struct serve_object;

struct library_title {
	char *name;
	struct revision **revisions; /* the current one, then the newest published first; at least one */
	size_t n_revisions;
};

/* Withdrawn: on no list, but its bytes are served until the grace time is over. */
struct library_gone {
	struct revision *revision;
	wall_us at;
};

struct library_view {
	unsigned refs;               /* private */
	uint64_t version;            /* grows with every change */
	struct library_title *titles; /* sorted by name */
	size_t n_titles, n_revisions;
	struct library_gone *gone; /* sorted by key */
	size_t n_gone;
	uint64_t bytes;
};

struct library_settings {
	const char *folder;
	size_t max_open_files;
	dur_us rescan;               /* look again even without an event */
	dur_us grace;                /* how long withdrawn revisions are kept */
	/* Something changed (`old` NULL: the first look); in the library's thread.  NULL: nobody cares. */
	void (*changed)(void *ctx, const struct library_view *old, struct library_view *now);
	void *ctx;
};

/* Scans once (missing folder: made), removes work folders that nobody works on,
 * then keeps watching in a thread of its own.  Damaged packages are logged and
 * left out.  -errno. */
int library_open(const struct library_settings *, struct library **ret_library, struct fault *);
/* Its thread has ended when this returns: the library tells of no change any more.  NULL is allowed. */
void library_stop(struct library *);
void library_close(struct library **); /* the servers and the views that others kept are gone by now */

/* The present view, one reference.  Any thread. */
struct library_view *library_view(struct library *);
struct library_view *library_view_ref(struct library_view *);
void library_view_unref(struct library_view **); /* any thread; takes NULL, sets NULL */
const struct library_title *library_view_find(const struct library_view *, const char *name, size_t n);
/* The place of the first title behind the name (NULL: of the first). */
size_t library_view_behind(const struct library_view *, const char *name);
/* The revision of a key "TITLE/REVISION", or NULL; lives as long as the view. */
const struct revision *library_view_revision(const struct library_view *, const char *key);

/* The withdrawn revisions of a title: their number, and the first of them in the view (NULL: there are none). */
size_t library_view_gone(const struct library_view *, const char *title, const struct library_gone **ret_first);

/* --- what is to be seen of the library ---
 * Kept as marks in the title's folder, so that it is true for whoever reads the
 * library, also without a catalogue: ".withdrawn-REVISION" (its date is the time), and
 * ".current" with the revision chosen, which holds until a newer one is published.
 * When a call returns 0 the mark is durable and the view shows it.  Any thread but
 * viewers' loops.  ERR_NOT_FOUND, -errno. */

/* `revision` NULL: all of the title. */
int library_withdraw(struct library *, const char *title, const char *revision, struct fault *);
int library_restore(struct library *, const char *title, const char *revision, struct fault *);
/* `revision` NULL: the newest again. */
int library_choose(struct library *, const char *title, const char *revision, struct fault *);

/* While this is true no bytes go because their grace is over: a clock that is not to be believed says nothing of
 * ages.  Any thread. */
void library_doubt_ages(struct library *, bool);

/* Looks at one title again, now. */
int library_refresh(struct library *, const char *title, struct fault *);

/* A file of a package (one reference), to be opened by whoever sends it.  ERR_NOT_FOUND.
 * Any thread; takes no lock when it was asked for of late, and never looks at the disk. */
int library_find(struct library *, const struct package_path *, struct serve_object **ret_object);
/* The current revision of a title, one reference, or NULL.  Any thread. */
struct revision *library_current(struct library *, const char *title, size_t n);

struct library_state {
	size_t n_titles, n_revisions, n_refused, n_open_files;
	uint64_t bytes;
	char problem[256]; /* empty: the folder can be read */
};
void library_state(struct library *, struct library_state *ret_state); /* any thread */

#endif
