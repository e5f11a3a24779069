/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A connection's round trip and what of it has arrived, as the kernel knows them.
 */
#ifndef RIBERA_SERVE_TRIP_H
#define RIBERA_SERVE_TRIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* The least of the last minutes, or, where the kernel has none yet, the smoothed one; 0: not known. */
dur_us trip_of(int fd);
/* Bytes that the other side has acknowledged in all; -1: not known. */
int64_t trip_acknowledged(int fd);
bool trip_is_open(int fd); /* neither side has ended it */
/* Bytes that came in all, and those that the other side has acknowledged; false: not known. */
bool trip_traffic(int fd, uint64_t *ret_in, uint64_t *ret_out);

#endif
