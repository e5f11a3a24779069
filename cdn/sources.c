/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Penalties double from one second to a minute with failures in a row; a lie
 * costs a peer ten minutes at once, the origin (which nobody can replace) thirty
 * seconds.
 */
#include "cdn/sources.h"

#define PENALTY_MAX (60 * DUR_S)
#define PENALTY_LIE (10 * DUR_MIN)
#define PENALTY_LIE_ORIGIN (30 * DUR_S)
#define EXPLORE_ONE_IN 8

static bool is_free(const struct source *s, mono_us now)
{
	return s->penalty_until <= now;
}

/* Seconds per byte as the next transfer would see it; what was never measured
 * counts as the best that was, so that it gets its chance. */
static double cost(const struct source *s, double best_rate)
{
	double rate = s->rate > 0 ? s->rate : best_rate;

	return (s->active + 1) / (rate > 0 ? rate : 1);
}

static int pick_peer(const struct source *s, size_t n, const bool *usable, mono_us now, uint32_t random)
{
	double best_rate = 0;
	size_t peers = 0, nth;
	int best = -1;

	for (size_t i = 0; i < n; i++)
		if (usable[i] && !s[i].origin && is_free(&s[i], now)) {
			peers++;
			if (s[i].rate > best_rate)
				best_rate = s[i].rate;
		}
	if (peers == 0)
		return -1;
	nth = random % EXPLORE_ONE_IN == 0 ? random / EXPLORE_ONE_IN % peers : SIZE_MAX;
	for (size_t i = 0; i < n; i++) {
		if (!usable[i] || s[i].origin || !is_free(&s[i], now))
			continue;
		if (nth-- == 0)
			return (int)i;
		if (best < 0 || cost(&s[i], best_rate) < cost(&s[best], best_rate))
			best = (int)i;
	}
	return best;
}

/* Everybody good is gone: the one that comes back first, unless it lied. */
static int pick_penalised(const struct source *s, size_t n, const bool *usable)
{
	int best = -1;

	for (size_t i = 0; i < n; i++)
		if (usable[i] && !s[i].lied && (best < 0 || s[i].penalty_until < s[best].penalty_until))
			best = (int)i;
	return best;
}

int sources_pick(const struct source *s, size_t n, const bool *usable, mono_us now, uint32_t random)
{
	int best = pick_peer(s, n, usable, now, random);

	for (size_t i = 0; i < n && best < 0; i++)
		if (usable[i] && s[i].origin && is_free(&s[i], now))
			best = (int)i;
	return best >= 0 ? best : pick_penalised(s, n, usable);
}

void sources_started(struct source *s)
{
	s->active++;
}

void sources_ended(struct source *s)
{
	if (s->active > 0)
		s->active--;
}

void sources_good(struct source *s, uint64_t bytes, dur_us took)
{
	double rate = (double)bytes * 1e6 / (double)(took > 0 ? took : 1);

	s->rate = s->rate > 0 ? s->rate * 0.75 + rate * 0.25 : rate;
	s->failures = 0;
	s->lied = false;
	s->penalty_until = 0;
}

void sources_failed(struct source *s, mono_us now)
{
	dur_us penalty = DUR_S << (s->failures < 6 ? s->failures : 6);

	s->failures++;
	if (now + penalty > s->penalty_until)
		s->penalty_until = now + (penalty < PENALTY_MAX ? penalty : PENALTY_MAX);
}

void sources_lied(struct source *s, mono_us now)
{
	s->lies++;
	s->lied = true;
	s->penalty_until = now + (s->origin ? PENALTY_LIE_ORIGIN : PENALTY_LIE);
}

dur_us sources_deadline(const struct source *s, uint64_t bytes)
{
	double d = s->rate > 0 ? 8 * (double)bytes / s->rate * 1e6 : (double)(30 * DUR_S);

	if (d < (double)(5 * DUR_S))
		return 5 * DUR_S;
	return d > (double)(60 * DUR_S) ? 60 * DUR_S : (dur_us)d;
}
