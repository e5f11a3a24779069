/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Telling scripts that the origin is ready, and where.
 */
#ifndef RIBERA_ORIGIN_READY_H
#define RIBERA_ORIGIN_READY_H

#include <stdint.h>

#include "base/err.h"

/* {"viewers": PORT, "control": PORT}, there as a whole or not at all.  -errno. */
int ready_write_ports(const char *path, uint16_t viewers, uint16_t control, struct fault *);

#endif
