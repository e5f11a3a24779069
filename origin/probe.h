/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The origin asks each edge that is up, at the address viewers get, now and then.
 * Any HTTP answer below 500 is one; what it is good for, origin/health decides.
 */
#ifndef RIBERA_ORIGIN_PROBE_H
#define RIBERA_ORIGIN_PROBE_H

#include "base/clock.h"
#include "base/err.h"

struct probe; /* hidden */
struct registry;

/* The registry is borrowed.  interval 0: *ret_probe is NULL, nobody is asked.  fetch_new's errors. */
int probe_new(struct registry *, dur_us interval, struct probe **ret_probe);
/* Ends what is asked.  The registry must live still.  NULL is fine. */
void probe_free(struct probe **);

/* Asks those whose turn it is; returns at once.  The ticking thread.  NULL is fine. */
void probe_tick(struct probe *, mono_us now);

#endif
