/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Telling others that the origin is ready: scripts by a ports file, a service
 * manager by its socket (sd_notify's protocol, systemd's sd_notify(3)).
 */
#ifndef RIBERA_ORIGIN_READY_H
#define RIBERA_ORIGIN_READY_H

#include <stdint.h>

#include "base/err.h"

/* {"viewers": PORT, "control": PORT}, there as a whole or not at all.  -errno. */
int ready_write_ports(const char *path, uint16_t viewers, uint16_t control, struct fault *);

/* "READY=1", "STOPPING=1"; does nothing when no manager listens. */
void ready_notify(const char *state);

#endif
