/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/steer: only edges that can serve, stable, even.
 */
#include "cdn/prefix.h"
#include "cdn/steer.h"
#include "t/lib/unit.h"

static struct steer_edge edges[] = {
	{.name = "edge-a", .up = true, .holds = true}, {.name = "edge-b", .up = true, .holds = true},
	{.name = "edge-c", .up = true, .holds = true}, {.name = "edge-d", .up = true, .holds = true},
};
#define N (sizeof edges / sizeof edges[0])

static uint64_t client(unsigned i)
{
	char address[32];

	snprintf(address, sizeof address, "10.%u.%u.%u", i / 65536, i / 256 % 256, i % 256);
	return steer_client_key(address);
}

Test(steer, leaves_out_who_cannot_serve)
{
	struct steer_edge e[N];
	size_t order[N];

	memcpy(e, edges, sizeof e);
	e[0].up = false;
	e[2].holds = false;
	for (unsigned i = 0; i < 100; i++) {
		CHECK_INT(steer_order(client(i), e, N, N, order), 2);
		CHECK((order[0] == 1 && order[1] == 3) || (order[0] == 3 && order[1] == 1));
	}
	CHECK_INT(steer_order(1, e, 0, N, order), 0);
	CHECK_INT(steer_order(1, e, N, 0, order), 0);
}

Test(steer, spreads_viewers_and_keeps_them)
{
	size_t order[N], again[N], first[N] = {0};

	for (unsigned i = 0; i < 10000; i++) {
		CHECK_INT(steer_order(client(i), edges, N, N, order), N);
		CHECK_INT(steer_order(client(i), edges, N, N, again), N);
		CHECK(memcmp(order, again, sizeof order) == 0);
		first[order[0]]++;
	}
	for (size_t i = 0; i < N; i++)
		CHECK(first[i] > 2250 && first[i] < 2750);
}

Test(steer, the_best_few_are_the_head_of_all)
{
	size_t all[N], few[2];

	for (unsigned i = 0; i < 1000; i++) {
		steer_order(client(i), edges, N, N, all);
		CHECK_INT(steer_order(client(i), edges, N, 2, few), 2);
		CHECK(few[0] == all[0] && few[1] == all[1]);
	}
}

Test(steer, only_the_dead_edges_viewers_move)
{
	struct steer_edge e[N];
	size_t before[N], after[N];

	memcpy(e, edges, sizeof e);
	e[1].up = false;
	for (unsigned i = 0; i < 1000; i++) {
		steer_order(client(i), edges, N, N, before);
		steer_order(client(i), e, N, N, after);
		if (before[0] != 1)
			CHECK_INT(after[0], before[0]);
		else
			CHECK_INT(after[0], before[1]);
	}
}

Test(steer, the_overloaded_come_last)
{
	struct steer_edge e[N];
	size_t order[N];

	memcpy(e, edges, sizeof e);
	e[3].load = 1.5;
	for (unsigned i = 0; i < 100; i++) {
		CHECK_INT(steer_order(client(i), e, N, N, order), N);
		CHECK_INT(order[N - 1], 3);
	}
}

Test(steer, the_nearer_come_first_unless_they_have_no_room)
{
	struct steer_edge e[N];
	size_t order[N];

	memcpy(e, edges, sizeof e);
	e[0].distance = e[2].distance = 7;
	for (unsigned i = 0; i < 100; i++) {
		steer_order(client(i), e, N, N, order);
		CHECK(order[0] % 2 == 1 && order[1] % 2 == 1);
	}
	e[1].load = e[3].load = 1;
	steer_order(client(1), e, N, N, order);
	CHECK(order[0] % 2 == 0);
}

Test(steer, a_viewer_stays_where_it_is_while_that_is_good)
{
	struct steer_edge e[N];
	size_t order[N];

	memcpy(e, edges, sizeof e);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_INT(steer_choose(client(i), "edge-c", e, N, N, order), N);
		CHECK_INT(order[0], 2);
		CHECK(order[1] != 2 && order[2] != 2 && order[3] != 2);
	}
	e[2].draining = true;
	CHECK_INT(steer_choose(client(1), "edge-c", e, N, N, order), N - 1);
	e[2].draining = false;
	e[2].distance = 1;
	steer_choose(client(1), "edge-c", e, N, N, order);
	CHECK_INT(order[3], 2);
	e[2].distance = 0;
	steer_choose(client(1), "no-such", e, N, N, order);
	CHECK_INT(steer_choose(client(1), "edge-c", e, N, 1, order), 1);
	CHECK_INT(order[0], 2);
}

/* Ten thousand viewers, one after the other, each seeing the load the others make. */
Test(steer, no_edge_gets_much_more_than_its_share)
{
	static struct steer_edge e[100];
	static char names[100][16];
	static unsigned viewers[100];
	size_t order[4];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(names[i], sizeof names[i], "edge-%u", i);
		e[i] = (struct steer_edge){.name = names[i], .up = true, .holds = true};
	}
	for (unsigned i = 0; i < 10000; i++) {
		steer_order(client(i), e, 100, 4, order);
		e[order[0]].load = ++viewers[order[0]] / 200.0;
	}
	for (unsigned i = 0; i < 100; i++)
		cr_assert(viewers[i] < 120, "%u viewers at edge %u", viewers[i], i);
}

Test(steer, who_has_come_back_gets_its_share_slowly)
{
	struct steer_edge e[N];
	size_t order[N], first = 0;

	memcpy(e, edges, sizeof e);
	e[1].hold_back = 0.75;
	for (unsigned i = 0; i < 10000; i++) {
		steer_order(client(i), e, N, N, order);
		first += order[0] == 1;
	}
	CHECK(first > 550 && first < 700); /* a quarter of a quarter: 625 */
	e[1].distance = 0;
	e[0].distance = e[2].distance = e[3].distance = 5;
	for (unsigned i = first = 0; i < 10000; i++) { /* also when it alone is near */
		steer_order(client(i), e, N, N, order);
		first += order[0] == 1;
		if (order[0] != 1)
			CHECK_INT(order[N - 1], 1);
	}
	CHECK(first > 2300 && first < 2700);
	e[0].up = e[2].up = e[3].up = false; /* and everybody when there is no other */
	CHECK_INT(steer_order(client(1), e, N, N, order), 1);
	CHECK_INT(order[0], 1);
}

Test(prefix, the_longest_network_counts)
{
	static const char text[] = "# near\n10.0.0.0/8 far-one 40\n10.1.0.0/16 near-one 3\n10.1.0.0/16 near-two\n\n"
	                           "2001:db8::/32 six 9 # comment\n";
	struct prefix_table *t;
	struct fault f = {0};

	CHECK_INT(prefix_read(text, strlen(text), "x", &t, &f), 0);
	CHECK_INT(prefix_distance(t, prefix_find(t, "10.1.2.3"), "near-one"), 3);
	CHECK_INT(prefix_distance(t, prefix_find(t, "10.1.2.3"), "near-two"), 1);
	CHECK_INT(prefix_distance(t, prefix_find(t, "10.1.2.3"), "far-one"), PREFIX_FAR);
	CHECK_INT(prefix_distance(t, prefix_find(t, "10.2.2.3"), "far-one"), 40);
	CHECK_INT(prefix_distance(t, prefix_find(t, "2001:db8:9::1"), "six"), 9);
	CHECK_INT(prefix_find(t, "192.0.2.1"), 0);
	CHECK_INT(prefix_find(t, "no address"), 0);
	CHECK_INT(prefix_find(NULL, "10.1.2.3"), 0);
	prefix_free(&t);
	CHECK_INT(prefix_read("10.0.0.0/33 a", 13, "x", &t, &f), ERR_SYNTAX);
	CHECK_INT(prefix_read("10.0.0.0/8 a\nfoo", 16, "x", &t, &f), ERR_SYNTAX);
	CHECK_HAS(f.text, "line 2");
}
