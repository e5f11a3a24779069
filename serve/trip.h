/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The round trip of a connection, as the kernel measures it.
 */
#ifndef RIBERA_SERVE_TRIP_H
#define RIBERA_SERVE_TRIP_H

#include "base/clock.h"

/* The least of the last minutes, or, where the kernel has none yet, the smoothed one; 0: not known. */
dur_us trip_of(int fd);

#endif
