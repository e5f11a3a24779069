/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A folder that is watched: every master that lands there is ingested once, by
 * a process of its own, one after the other.  Then it moves to FOLDER/done, or,
 * with the reason in NAME.txt beside it, to FOLDER/failed; so where a file
 * stands is the whole memory, and survives anything.
 */
#ifndef RIBERA_INGEST_WATCH_H
#define RIBERA_INGEST_WATCH_H

#include <signal.h>

#include "base/err.h"

struct watch_settings {
	const char *folder;
	const char *metrics;     /* a file for node_exporter's textfile collector, or NULL */
	char *const *command;    /* ribera-ingest and its options, ends with NULL; the master goes behind */
	const volatile sig_atomic_t *stop; /* non-zero: end the ingest in work (its finished chunks are kept) and return */
};

/* Exit code of a child that met trouble of the machine (no space, another run at it): tried again later. */
#define WATCH_AGAIN 75 /* EX_TEMPFAIL of sysexits.h */

/* Until *stop.  A name that begins with '.' or ends in .part, .tmp, .crdownload, .filepart or .txt is no master yet; others
 * are taken when they were closed or moved in, or else when they have not grown for some seconds.  -errno. */
int watch_run(const struct watch_settings *, struct fault *);

#endif
