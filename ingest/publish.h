/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Publishing: work in a hidden, locked folder of the library, then one rename.
 * A crash at any instant leaves the old state or the new one.
 */
#ifndef RIBERA_INGEST_PUBLISH_H
#define RIBERA_INGEST_PUBLISH_H

#include <stdbool.h>

#include "base/err.h"

/* Makes LIBRARY (its parent must exist) and a hidden folder in it, locked while this
 * process lives; removes such folders of processes that are gone. */
int publish_begin(const char *library, const char *title, char **ret_folder, struct fault *);

/* Syncs everything, renames to LIBRARY/TITLE/REVISION, syncs the parents.  When that
 * revision is there already, *ret_existed is true and the work is dropped. */
int publish_end(const char *library, const char *title, const char *revision, const char *work, char **ret_folder,
                bool *ret_existed, struct fault *);

/* Removes the work folder if it is still there, and forgets it; sets NULL. */
void publish_abandon(char **work);

#endif
