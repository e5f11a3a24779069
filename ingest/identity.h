/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What makes two ingests the same: the master's bytes, the plan, the encoder's
 * settings and the program's version.
 */
#ifndef RIBERA_INGEST_IDENTITY_H
#define RIBERA_INGEST_IDENTITY_H

#include <stdbool.h>

#include "base/err.h"
#include "ingest/plan.h"

#define IDENTITY_SIZE 17 /* 16 hex digits and a NUL */

/* *ret_lasting: the same command would find the same; false for standard input, pipes and the like, whose
 * identity is this process's alone.  A file is known by size, time of change, and its first and last MiB.  -errno. */
int identity_of(const char *master, const struct plan *, const char *preset, const struct plan *av1, const char *av1_preset, char ret_key[static IDENTITY_SIZE],
                bool *ret_lasting, struct fault *);

#endif
