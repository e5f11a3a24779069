/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two thresholds, so that it does not flutter: it begins well off the target and
 * ends on it.
 */
#include "player/pace.h"

#define FASTEST 2.0
#define SLOWEST 0.5
#define UNHEARD 1.05
#define OFF (200 * DUR_MS)   /* and a tenth of the target: how far off it begins */
#define IN_HAND (500 * DUR_MS)

struct pace pace_of(const struct mpd_service *s)
{
	struct pace p = {.target = s->latency_target < (uint64_t)(MPD_MAX_TIME / DUR_MS) ? (dur_us)s->latency_target * DUR_MS : 0,
		.slow = 1, .fast = UNHEARD};

	if (s->rate_max > 0)
		p.fast = s->rate_max < 1 ? 1 : s->rate_max > FASTEST ? FASTEST : s->rate_max;
	if (s->rate_min > 0)
		p.slow = s->rate_min > 1 ? 1 : s->rate_min < SLOWEST ? SLOWEST : s->rate_min;
	return p;
}

double pace_speed(struct pace *p, dur_us latency, dur_us buffer)
{
	dur_us off = latency - p->target, begin = OFF + p->target / 10;

	if (p->target == 0)
		return 1;
	if (p->way == 0 && off > begin && buffer > 2 * IN_HAND)
		p->way = 1;
	else if (p->way == 0 && off < -begin)
		p->way = -1;
	else if ((p->way > 0 && (off <= 0 || buffer < IN_HAND)) || (p->way < 0 && off >= 0))
		p->way = 0;
	return p->way > 0 ? p->fast : p->way < 0 ? p->slow : 1;
}
