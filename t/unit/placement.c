/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/placement: order, room, and that nothing moves without a reason.
 */
#include <stdlib.h>

#include "cdn/placement.h"
#include "t/lib/unit.h"

#define N 5

static void base_items(struct placement_item *items)
{
	static const char *const titles[] = {"a", "b", "c", "d", "e"};

	for (size_t i = 0; i < N; i++)
		items[i] = (struct placement_item){
			.title = titles[i], .revision = "r", .bytes = 100, .published = (wall_us)(i + 1) * DUR_S, .current = true};
}

/* The plan as text: "e+ d+ c-" */
static const char *plan(const struct placement_item *items, size_t n, uint64_t capacity)
{
	static char text[256];
	struct placement_choice choices[16];
	size_t at = 0;

	placement_plan(items, n, capacity, choices);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s%c", i > 0 ? " " : "", items[choices[i].item].title,
		                       choices[i].hold ? '+' : '-');
	return text;
}

Test(placement, newest_first_while_it_fits)
{
	struct placement_item items[N];

	base_items(items);
	CHECK_STR(plan(items, N, 250), "e+ d+ c- b- a-");
	CHECK_STR(plan(items, N, 500), "e+ d+ c+ b+ a+");
	CHECK_STR(plan(items, N, 499), "e+ d+ c+ b+ a-");
	CHECK_STR(plan(items, N, 0), "e- d- c- b- a-");
	CHECK_STR(plan(items, 0, 100), "");
}

Test(placement, what_does_not_fit_makes_no_hole)
{
	struct placement_item items[N];

	base_items(items);
	items[4].bytes = 1000;
	items[3].bytes = UINT64_MAX;
	CHECK_STR(plan(items, N, 250), "c+ b+ e- d- a-");
}

Test(placement, pins_then_demand_then_age)
{
	struct placement_item items[N];

	base_items(items);
	items[0].pinned = true;
	items[1].demand = 10;
	items[2].demand = 20;
	CHECK_STR(plan(items, N, 300), "a+ c+ b+ e- d-");
}

Test(placement, old_revisions_are_never_filled)
{
	struct placement_item items[N];
	struct placement_choice choices[N];

	base_items(items);
	items[4].current = false;
	items[4].pinned = true;
	CHECK_STR(plan(items, N, 1000), "d+ c+ b+ a+ e-");
	placement_plan(items, N, 1000, choices);
	CHECK_STR(placement_why_text(choices[4].why), "old revision");
}

Test(placement, near_ties_do_not_move_bytes)
{
	struct placement_item items[N];

	base_items(items);
	items[0].demand = 100;
	items[0].held = true;
	items[1].demand = 110; /* better, but not by enough */
	CHECK_STR(plan(items, N, 100), "a+ b- e- d- c-");
	items[1].demand = 116;
	CHECK_STR(plan(items, N, 100), "b+ a- e- d- c-");
}

Test(placement, holding_what_the_plan_says_keeps_the_plan)
{
	struct placement_item items[16];
	struct placement_choice first[16], again[16];

	for (unsigned seed = 1; seed <= 200; seed++) {
		uint64_t capacity, sum = 0;

		srand(seed);
		capacity = (uint64_t)rand() % 2000;
		for (size_t i = 0; i < 16; i++)
			items[i] = (struct placement_item){.title = "t",
			                                   .revision = &"abcdefghijklmnop"[i],
			                                   .bytes = (uint64_t)rand() % 400,
			                                   .published = rand() % 5,
			                                   .demand = rand() % 4,
			                                   .current = rand() % 8 > 0};
		placement_plan(items, 16, capacity, first);
		for (size_t i = 0; i < 16; i++) {
			items[first[i].item].held = first[i].hold;
			sum += first[i].hold ? items[first[i].item].bytes : 0;
		}
		CHECK(sum <= capacity);
		placement_plan(items, 16, capacity, again);
		for (size_t i = 0; i < 16; i++)
			CHECK_INT(items[again[i].item].held, again[i].hold);
	}
}

Test(placement, order_of_the_input_does_not_matter)
{
	struct placement_item items[N], turned[N];
	char one[64];

	base_items(items);
	items[1].published = items[2].published; /* a tie: by name */
	for (size_t i = 0; i < N; i++)
		turned[i] = items[N - 1 - i];
	snprintf(one, sizeof one, "%s", plan(items, N, 300));
	CHECK_STR(plan(turned, N, 300), one);
}
