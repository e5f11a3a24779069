/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One question to a time server (RFC 5905 14, SNTP).  Blocks, `patience` at most
 * (looking its name up apart, which is the system's resolver's business).
 */
#ifndef RIBERA_PLAYER_SNTP_H
#define RIBERA_PLAYER_SNTP_H

#include <stdbool.h>

#include "base/clock.h"

/* `server` is NAME, NAME:PORT, [IPv6] or [IPv6]:PORT; the port is 123 unless told.
 * *ret_offset: true time - our clock. */
bool sntp_ask(const char *server, dur_us patience, dur_us *ret_offset);

/* A 64-bit NTP timestamp (RFC 5905 6), of the years 1968 to 2104. */
wall_us sntp_time(const unsigned char stamp[static 8]);

#endif
