/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Work and publishing: a hidden, locked folder of the library, then one rename.
 * A crash at any instant leaves the old state or the new one, and the chunks
 * that were finished.
 */
#ifndef RIBERA_INGEST_PUBLISH_H
#define RIBERA_INGEST_PUBLISH_H

#include <stdbool.h>

#include "base/err.h"

struct publish_work {
	char *root;    /* LIBRARY/.work-TITLE-KEY */
	char *package; /* below it: empty at the beginning, becomes TITLE/REVISION */
	char *chunks;  /* below it: what an interrupted run has finished is still there */
	bool found;    /* such a run was there */
	int lock;
};

/* Makes LIBRARY (its parent must exist) and the work folder of `key` (a name for master and settings: the same
 * command has the same key), locked while this process lives; removes old ones of processes that are gone.
 * ERR_LOCKED: another process is at it.  -errno. */
int publish_begin(const char *library, const char *title, const char *key, struct publish_work *ret_work, struct fault *);

/* Syncs everything, renames to LIBRARY/TITLE/REVISION, syncs the parents, removes the rest of the work folder.
 * When that revision is there already, *ret_existed is true and the work is dropped. */
int publish_end(const char *library, const char *title, const char *revision, struct publish_work *, char **ret_folder,
                bool *ret_existed, struct fault *);

/* People know nothing of the work folder: in the fault's text "WORK/FILE" becomes
 * "LIBRARY: FILE". */
void publish_tell(const char *library, const struct publish_work *, struct fault *);

/* Lets go of the work folder; `keep`: with the chunks in it, for the next run. */
void publish_abandon(struct publish_work *, bool keep);

#endif
