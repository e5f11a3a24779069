/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Damping of edges that come and go: after its first fall an edge is back at once
 * (slow start is all), after each further one within a while it has to stay up for
 * twice as long before viewers are sent there again.  Calm makes up for it: a fall
 * counts half after ten minutes.
 *
 * Pure; zeroed: it never fell.
 */
#ifndef RIBERA_CDN_FLAP_H
#define RIBERA_CDN_FLAP_H

#include "base/clock.h"

#define FLAP_LEAST (15 * DUR_S)
#define FLAP_MOST (15 * DUR_MIN)
#define FLAP_HALF (10 * DUR_MIN) /* in so long a fall counts half */

struct flap {
	double falls; /* as of `at`, fading */
	mono_us at;
};

/* It went down. */
void flap_fell(struct flap *, mono_us now);
/* It is back: how long it shall not have viewers yet. */
dur_us flap_hold(const struct flap *, mono_us now);

#endif
