/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cdn/flap.h"

#include "t/lib/unit.h"

Test(flap, one_fall_is_an_accident)
{
	struct flap f = {0};

	CHECK_INT(flap_hold(&f, 5 * DUR_S), 0);
	flap_fell(&f, 5 * DUR_S);
	CHECK_INT(flap_hold(&f, 5 * DUR_S), 0);
	flap_fell(&f, 5 * DUR_S + FLAP_HALF);
	CHECK_INT(flap_hold(&f, 5 * DUR_S + FLAP_HALF), 0);
}

Test(flap, each_further_one_costs_more_up_to_a_limit)
{
	struct flap f = {0};
	dur_us before = 0, hold = 0;
	mono_us now = DUR_S;

	flap_fell(&f, now);
	for (int i = 0; i < 5; i++) {
		flap_fell(&f, now += 10 * DUR_S);
		hold = flap_hold(&f, now);
		CHECK(hold > before);
		CHECK(before == 0 || hold > before * 3 / 2);
		before = hold;
	}
	for (int i = 0; i < 2000; i++)
		flap_fell(&f, now += DUR_S);
	CHECK_INT(flap_hold(&f, now), FLAP_MOST);
}

Test(flap, calm_makes_up_for_it_and_time_that_goes_back_changes_nothing)
{
	struct flap f = {0};

	for (int i = 0; i < 4; i++)
		flap_fell(&f, 100 * DUR_S);
	CHECK_INT(flap_hold(&f, 0), flap_hold(&f, 100 * DUR_S));
	CHECK(flap_hold(&f, 100 * DUR_S) > 0);
	CHECK_INT(flap_hold(&f, 100 * DUR_S + 3 * FLAP_HALF), 0);
}
