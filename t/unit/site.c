/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/site: one owner a file, by weight, and little moves when an edge goes.
 */
#include "cdn/site.h"
#include "t/lib/unit.h"

static struct site_edge edges[] = {{1, 100}, {2, 100}, {3, 100}, {4, 300}};

static uint64_t item(unsigned i)
{
	char name[32];

	snprintf(name, sizeof name, "item-%u", i);
	return site_key(name);
}

Test(site, files_are_owned_by_weight_and_only_the_lost_ones_move)
{
	unsigned owned[4] = {0};
	uint8_t all[4], fewer[4];

	for (unsigned i = 0; i < 6000; i++) {
		site_owners(item(i), edges, 4, all);
		owned[all[0]]++;
		site_owners(item(i), edges, 3, fewer); /* without the fourth */
		if (all[0] != 3)
			CHECK_INT(fewer[0], all[0]);
		else
			CHECK_INT(fewer[0], all[1]);
	}
	for (unsigned i = 0; i < 3; i++)
		CHECK(owned[i] > 900 && owned[i] < 1100);
	CHECK(owned[3] > 2850 && owned[3] < 3150);
}

Test(site, only_what_one_line_cannot_carry_has_copies)
{
	CHECK_INT(site_copies(0, 4), 1);
	CHECK_INT(site_copies(0.02, 4), 1);
	CHECK_INT(site_copies(0.05, 4), 2);
	CHECK_INT(site_copies(1, 4), 4);
	CHECK_INT(site_copies(0.5, 1), 1);
}

Test(site, a_plan_keeps_to_every_disk_and_takes_the_best)
{
	struct site_item items[200];
	struct site_copy copies[200 * 4];
	uint64_t used[4] = {0};
	unsigned held[200] = {0};
	size_t n;

	for (unsigned i = 0; i < 200; i++)
		items[i] = (struct site_item){.key = item(i), .bytes = 7 + i % 5, .plays = 200 - i};
	items[150].least = 3;
	items[199].plays = 0;
	n = site_plan(items, 200, edges, 4, copies);
	for (size_t i = 0; i < n; i++) {
		used[copies[i].edge] += items[copies[i].item].bytes;
		held[copies[i].item]++;
	}
	for (unsigned i = 0; i < 4; i++)
		CHECK(used[i] <= edges[i].capacity && used[i] > edges[i].capacity - 12);
	for (unsigned i = 0; i < 50; i++)
		CHECK_INT(held[i], 1);
	CHECK_INT(held[150], 3);
	CHECK_INT(held[199], 0);
}
