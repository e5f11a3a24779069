/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Falls are summed and fade, so there is no window at whose edge all is forgotten.
 */
#include "cdn/flap.h"

#include <math.h>

/* One fall is an accident, and what is left of two that lie FLAP_HALF apart is hardly more. */
#define FREE 1.55

static double falls(const struct flap *f, mono_us now)
{
	return now <= f->at ? f->falls : f->falls * exp2(-(double)(now - f->at) / (double)FLAP_HALF);
}

void flap_fell(struct flap *f, mono_us now)
{
	f->falls = falls(f, now) + 1;
	f->at = now;
}

dur_us flap_hold(const struct flap *f, mono_us now)
{
	double n = falls(f, now), hold;

	if (n < FREE)
		return 0;
	hold = (double)FLAP_LEAST * exp2(n - 2);
	return hold < (double)FLAP_MOST ? (dur_us)hold : FLAP_MOST;
}
