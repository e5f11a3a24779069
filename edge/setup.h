/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ribera-edge --setup: from nothing to an edge that runs.  Asks for what only a
 * person knows (name, origin, token, disk, window, addresses), measures disk and
 * line, writes the settings' file, and tries the whole edge with it.
 */
#ifndef RIBERA_EDGE_SETUP_H
#define RIBERA_EDGE_SETUP_H

#include <stdbool.h>

#include "edge/settings.h"

/*
 * `given`: what file and command line say so far; it is the default of every
 * question, and the answer where there is no terminal.  `path`: the file to
 * write, NULL for /etc/ribera/edge-NAME.yaml (or the folder we are in, when that
 * cannot be written); one that is there is only replaced with `replace` or a
 * person's word, and kept as FILE.before.  ERR_CANCELLED when the person stops.
 */
int setup_run(const struct settings *given, const char *path, bool replace, struct fault *);

#endif
