/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Busy time is added up lazily: every call first accounts for the time since
 * the one before, if a body was under way in it.
 */
#include "player/meter.h"

#include "base/must.h"

static void account(struct meter *m, mono_us now)
{
	if (m->active > 0 && now > m->last)
		m->busy += now - m->last;
	if (now > m->last)
		m->last = now;
}

void meter_begin(struct meter *m, mono_us now)
{
	account(m, now);
	m->active++;
}

void meter_add(struct meter *m, uint64_t n, mono_us now)
{
	account(m, now);
	m->bytes += n;
}

void meter_end(struct meter *m, mono_us now)
{
	MUST(m->active > 0);
	account(m, now);
	m->active--;
}

#define BURST (20 * DUR_MS) /* a longer pause is the maker's */
#define PIECE DUR_MS        /* what came first in a burst took so long, for want of knowing */

void meter_burst(struct meter *m, mono_us former, uint64_t n, mono_us now)
{
	mono_us last = m->last > former ? m->last : former;
	bool alone = m->active == 0;

	account(m, now);
	if (alone && now > last)
		m->busy += now - former <= BURST ? now - last : PIECE;
	m->bytes += n;
}

uint64_t meter_rate(const struct meter *before, const struct meter *after)
{
	dur_us busy = after->busy - before->busy;

	return busy > 0 ? (uint64_t)((double)(after->bytes - before->bytes) * 8e6 / (double)busy) : 0;
}
