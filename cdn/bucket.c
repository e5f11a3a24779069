/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: over any time T no more than burst + rate * T bytes are taken
 * (plus one debt when a single take is greater than the burst).
 */
#include "cdn/bucket.h"

static void fill(struct bucket *b, mono_us now)
{
	if (now <= b->filled)
		return;
	b->tokens += (double)b->rate * (double)(now - b->filled) / 1e6;
	if (b->tokens > (double)b->burst)
		b->tokens = (double)b->burst;
	b->filled = now;
}

void bucket_init(struct bucket *b, uint64_t rate, uint64_t burst, mono_us now)
{
	*b = (struct bucket){.rate = rate, .burst = burst, .tokens = (double)burst, .filled = now};
}

void bucket_set_rate(struct bucket *b, uint64_t rate, mono_us now)
{
	fill(b, now);
	b->rate = rate;
}

dur_us bucket_take(struct bucket *b, uint64_t n, mono_us now)
{
	double need = (double)(n < b->burst ? n : b->burst);

	if (b->rate == 0)
		return 0;
	fill(b, now);
	if (b->tokens < need)
		return 1 + (dur_us)((need - b->tokens) * 1e6 / (double)b->rate);
	b->tokens -= (double)n;
	return 0;
}

void bucket_return(struct bucket *b, uint64_t n)
{
	b->tokens += (double)n;
	if (b->tokens > (double)b->burst)
		b->tokens = (double)b->burst;
}
