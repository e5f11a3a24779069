/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The plan of an ingest, without the ingest: nothing is written anywhere.
 */
#ifndef RIBERA_INGEST_DRY_H
#define RIBERA_INGEST_DRY_H

#include <stdio.h>

#include "ingest/job.h"

/* Ladder, boundaries, bytes, and how long it will take here, as text or as one JSON object.  job_plan's errors; a time
 * that cannot be told is left out, with a note on standard error unless settings->quiet. */
int dry_run(const struct job_settings *, bool json, FILE *out, struct fault *);

#endif
