/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Everything is decided in UTC seconds; the zone is asked only for the instant
 * of a local start.  A window is at most a day, so those of four dates around
 * now are all that can matter, whatever the zone (offsets reach 14 hours).
 */
#include "cdn/window.h"

#include <stdint.h>

#define DAY 86400

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

void window_at(const struct window *w, wall_us now, struct window_state *ret_state)
{
	int64_t today = floor_div(now, DUR_S * DAY);

	*ret_state = (struct window_state){.changes = INT64_MAX};
	if (w->duration <= 0)
		return;
	if (w->duration >= DUR_S * DAY) {
		*ret_state = (struct window_state){true, INT64_MAX, (int32_t)today};
		return;
	}
	for (int64_t day = today - 2; day <= today + 3; day++) {
		wall_us opens = zone_from_local(w->zone, day * DAY + w->start / DUR_S) * DUR_S + w->start % DUR_S;
		wall_us closes = opens + w->duration;

		if (now >= opens && now < closes) {
			*ret_state = (struct window_state){true, closes, (int32_t)day};
			return;
		}
		if (opens > now && opens < ret_state->changes)
			ret_state->changes = opens;
	}
}

static bool two_digits(const char **p, int max, int *ret_v)
{
	int v = 0, n = 0;

	while (n < 2 && **p >= '0' && **p <= '9') {
		v = v * 10 + (*(*p)++ - '0');
		n++;
	}
	*ret_v = v;
	return n > 0 && v <= max;
}

int window_parse_start(const char *s, dur_us *ret_start)
{
	int h, m, sec = 0;

	if (!two_digits(&s, 23, &h) || *s++ != ':' || !two_digits(&s, 59, &m))
		return ERR_SYNTAX;
	if (*s == ':') {
		s++;
		if (!two_digits(&s, 59, &sec))
			return ERR_SYNTAX;
	}
	if (*s != '\0')
		return ERR_SYNTAX;
	*ret_start = (h * 3600 + m * 60 + sec) * DUR_S;
	return 0;
}
