/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The last step of the set-up: an edge with the settings just written, for some
 * seconds.
 */
#ifndef RIBERA_EDGE_SETUP_TRY_H
#define RIBERA_EDGE_SETUP_TRY_H

#include <stdio.h>

#include "base/err.h"

struct fetch;

/* Is there such a time zone on this machine?  ERR_USAGE. */
int setup_check_zone(const char *name, struct fault *);

/*
 * Reads the file as the edge will, starts the whole edge with a store of its own
 * beside the real one, waits until it has a plan and says that it is well, asks
 * for that by its public address, and ends it.  What does not keep it from
 * working (an address that this machine itself cannot reach) is said on `out`.
 */
int setup_try(const char *path, struct fetch *, FILE *out, struct fault *);

#endif
