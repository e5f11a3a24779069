/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Throughput of the line, not of a transfer: the bytes of all transfers over
 * the time in which at least one of them was receiving.  Waiting for a first
 * byte is not busy time, and two transfers side by side are one busy line.
 * Pure; the caller serialises.
 */
#ifndef RIBERA_PLAYER_METER_H
#define RIBERA_PLAYER_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct meter {
	uint64_t bytes;    /* of all transfers so far */
	dur_us busy;       /* time with a body under way so far */
	mono_us last;      /* busy is right up to here */
	unsigned active;   /* bodies under way */
};

void meter_begin(struct meter *, mono_us now);           /* the first byte of a body came */
void meter_add(struct meter *, uint64_t n, mono_us now); /* n bytes came */
void meter_end(struct meter *, mono_us now);             /* a body ended that had begun */

/* n bytes of a body that comes as it is made, never begun here: the time since `former`, when
 * bytes of it came last, was the line's when it was short, and waiting for more when not. */
void meter_burst(struct meter *, mono_us former, uint64_t n, mono_us now);

/* Bit/s between an earlier copy of the meter and now; 0 when that was no time. */
uint64_t meter_rate(const struct meter *before, const struct meter *after);

#endif
