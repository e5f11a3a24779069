/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/steer: only edges that can serve, stable, even.
 */
#include "cdn/steer.h"
#include "t/lib/unit.h"

static struct steer_edge edges[] = {
	{"edge-a", true, true, 0}, {"edge-b", true, true, 0}, {"edge-c", true, true, 0}, {"edge-d", true, true, 0},
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
