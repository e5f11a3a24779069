/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who guesses tokens is slowed down: FAILURES_BURST wrong ones from an address (an
 * IPv6 /64), then one in FAILURES_EACH; meanwhile nothing from there is looked at.
 * Owner's thread.
 */
#ifndef RIBERA_ORIGIN_FAILURES_H
#define RIBERA_ORIGIN_FAILURES_H

#include <stdbool.h>

#include "base/clock.h"

#define FAILURES_BURST 20
#define FAILURES_EACH (3 * DUR_S)

struct failures; /* hidden */

struct failures *failures_new(void);
void failures_free(struct failures **);
/* How long the peer ("192.0.2.1", "2001:db8::1") has to wait; 0: it may try. */
dur_us failures_wait(const struct failures *, const char *peer, mono_us now);
void failures_add(struct failures *, const char *peer, mono_us now);

#endif
