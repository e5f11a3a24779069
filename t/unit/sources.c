/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/sources: who is asked.
 */
#include "cdn/sources.h"

#include "t/lib/unit.h"

#define NOT_EXPLORING 1

static const bool all[4] = {true, true, true, true};

Test(sources, peers_come_before_the_origin)
{
	struct source s[3] = {{.origin = true, .rate = 1e9}, {.rate = 1e5}, {.rate = 2e5}};

	CHECK_INT(sources_pick(s, 3, all, 0, NOT_EXPLORING), 2);
	CHECK_INT(sources_pick(s, 1, all, 0, NOT_EXPLORING), 0);
	CHECK_INT(sources_pick(s, 3, (bool[]){true, false, false}, 0, NOT_EXPLORING), 0);
	CHECK_INT(sources_pick(s, 3, (bool[]){false, false, false}, 0, NOT_EXPLORING), -1);
	CHECK_INT(sources_pick(s, 0, all, 0, NOT_EXPLORING), -1);
}

Test(sources, load_is_shared)
{
	struct source s[2] = {{.rate = 1e6}, {.rate = 1e6}};
	int first = sources_pick(s, 2, all, 0, NOT_EXPLORING);

	sources_started(&s[first]);
	CHECK_INT(sources_pick(s, 2, all, 0, NOT_EXPLORING), 1 - first);
	sources_ended(&s[first]);
	CHECK_INT(sources_pick(s, 2, all, 0, NOT_EXPLORING), first);
}

Test(sources, an_unknown_peer_gets_its_chance)
{
	struct source s[2] = {{.rate = 1e6, .active = 1}, {.rate = 0}};

	CHECK_INT(sources_pick(s, 2, all, 0, NOT_EXPLORING), 1);
}

Test(sources, one_in_eight_explores)
{
	struct source s[2] = {{.rate = 1e9}, {.rate = 1}};
	int slow = 0;

	for (uint32_t r = 0; r < 800; r++)
		slow += sources_pick(s, 2, all, 0, r) == 1;
	CHECK_INT(slow, 50);
}

Test(sources, a_failing_peer_is_avoided_for_longer_and_longer)
{
	struct source s[2] = {{.origin = true}, {.rate = 1e6}};
	mono_us now = 0;

	for (int i = 0; i < 20; i++) {
		sources_failed(&s[1], now);
		CHECK_INT(sources_pick(s, 2, all, now, NOT_EXPLORING), 0);
		CHECK(s[1].penalty_until - now <= 60 * DUR_S);
		CHECK(s[1].penalty_until - now >= (i < 6 ? DUR_S << i : 60 * DUR_S));
		now = s[1].penalty_until;
		CHECK_INT(sources_pick(s, 2, all, now, NOT_EXPLORING), 1);
	}
	sources_good(&s[1], 1000, 1000);
	CHECK_INT(s[1].failures, 0);
}

Test(sources, a_failing_last_resort_is_tried_a_liar_is_not)
{
	struct source s[2] = {{.origin = true}, {.rate = 1e6}};

	sources_failed(&s[0], 0);
	sources_lied(&s[1], 0);
	CHECK_INT(sources_pick(s, 2, all, 0, NOT_EXPLORING), 0);
	CHECK_INT(sources_pick(s, 2, (bool[]){false, true}, 9 * DUR_MIN, NOT_EXPLORING), -1);
	CHECK_INT(sources_pick(s, 2, (bool[]){false, true}, 10 * DUR_MIN, NOT_EXPLORING), 1);
	CHECK_INT(s[1].lies, 1);
}

Test(sources, rates_are_smoothed_and_deadlines_follow)
{
	struct source s = {.rate = 0};

	CHECK_INT(sources_deadline(&s, 1 << 20), 30 * DUR_S);
	sources_good(&s, 1000000, DUR_S);
	CHECK_INT(s.rate, 1000000);
	CHECK_INT(sources_deadline(&s, 1000000), 8 * DUR_S);
	CHECK_INT(sources_deadline(&s, 1), 5 * DUR_S);
	CHECK_INT(sources_deadline(&s, 1u << 30), 60 * DUR_S);
	sources_good(&s, 2000000, DUR_S);
	CHECK_INT(s.rate, 1250000);
	sources_good(&s, 1, 0); /* no division by nothing */
}
