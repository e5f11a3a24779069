/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/nearness: networks, classes, what is learnt, forgotten and made room for.
 */
#include "cdn/nearness.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cdn/steer.h"
#include "t/lib/unit.h"

#define FAR 1000

static unsigned distance(const struct nearness *n, const char *address, const char *edge, mono_us now)
{
	struct nearness_view v;

	nearness_look(n, nearness_network(address), now, &v);
	return nearness_distance(&v, edge, FAR, NULL);
}

Test(nearness, of_an_address_its_network_is_kept)
{
	static const struct {
		const char *address, *network;
	} cases[] = {{"192.0.2.77", "192.0.2.0/24"}, {"::ffff:192.0.2.77", "192.0.2.0/24"}, {"2001:db8:1:2:3::4", "2001:db8:1::/48"},
	             {"0.0.0.1", "0.0.0.0/24"}, {"::1", "::/48"}, {"255.255.255.255", "255.255.255.0/24"}};
	static const char *const wrong[] = {"", "x", "192.0.2.0", "192.0.2.0/25", "192.0.2.1/24", "192.0.2.0/24 ", "2001:db8::/32", "2001:DB8::/48", "2001:db8::1/48", "/24"};
	char text[NEARNESS_TEXT];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		nearness_print(nearness_network(cases[i].address), text);
		CHECK_STR(text, cases[i].network);
		CHECK(nearness_parse(text) == nearness_network(cases[i].address));
	}
	CHECK(nearness_network("host") == 0);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		CHECK(nearness_parse(wrong[i]) == 0);
}

Test(nearness, near_ones_are_alike_and_small_changes_move_nobody)
{
	CHECK_INT(nearness_class(0, 0), 10);
	CHECK_INT(nearness_class(10, 0), 10);
	CHECK_INT(nearness_class(11, 0), 20);
	CHECK_INT(nearness_class(11, 10), 10);
	CHECK_INT(nearness_class(13, 10), 20);
	CHECK_INT(nearness_class(19, 40), 40);
	CHECK_INT(nearness_class(15, 40), 20);
	CHECK_INT(nearness_class(400, 0), 640);
	CHECK_INT(nearness_class(4000, 0), 640);
}

Test(nearness, what_was_measured_counts_and_what_was_not_is_tried_before_the_far)
{
	struct nearness *n = nearness_new(64);

	CHECK_INT(distance(n, "192.0.2.7", "a", 1), FAR);
	CHECK_INT(distance(NULL, "192.0.2.7", "a", 1), FAR);
	nearness_tell(n, nearness_network("192.0.2.1"), "a", 120, 1);
	CHECK_INT(distance(n, "192.0.2.7", "a", 2), 160);
	CHECK_INT(distance(n, "192.0.2.7", "b", 2), NEARNESS_UNTRIED);
	CHECK_INT(distance(n, "192.0.3.7", "a", 2), FAR);
	nearness_tell(n, nearness_network("192.0.2.2"), "b", 7, 3);
	CHECK_INT(distance(n, "192.0.2.7", "b", 4), 10);
	CHECK_INT(distance(n, "192.0.2.7", "b", 4 + NEARNESS_LIFE + 2 * DUR_HOUR), FAR);
	nearness_free(&n);
}

Test(nearness, eight_edges_of_a_network_are_kept_the_nearest_and_then_no_more_are_tried)
{
	struct nearness *n = nearness_new(64);
	uint64_t network = nearness_network("2001:db8::1");
	char name[16];

	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "edge-%u", i);
		nearness_tell(n, network, name, 300 - i * 20, 1);
	}
	nearness_tell(n, network, "farther", 500, 1);
	CHECK_INT(distance(n, "2001:db8::2", "edge-11", 1), 80);
	CHECK_INT(distance(n, "2001:db8::2", "edge-4", 1), 320);
	CHECK_INT(distance(n, "2001:db8::2", "edge-3", 1), FAR);
	CHECK_INT(distance(n, "2001:db8::2", "farther", 1), FAR);
	nearness_free(&n);
}

Test(nearness, a_full_table_forgets_what_was_heard_of_longest_ago)
{
	struct nearness *n = nearness_new(1024), *again = nearness_new(1024);
	unsigned kept = 0;
	char address[32];

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 20000; i++) {
			snprintf(address, sizeof address, "10.%u.%u.1", i / 250, i % 250);
			nearness_tell(round == 0 ? n : again, nearness_network(address), "a", 5, (mono_us)i * DUR_S);
		}
	for (unsigned i = 0; i < 20000; i++) {
		bool here;

		snprintf(address, sizeof address, "10.%u.%u.1", i / 250, i % 250);
		here = distance(n, address, "a", 20000 * DUR_S) == 10;
		CHECK(here == (distance(again, address, "a", 20000 * DUR_S) == 10)); /* equal words, equal table */
		kept += here;
		if (i >= 19990)
			CHECK(here);
	}
	CHECK_INT(kept, 1024);
	nearness_free(&n);
	nearness_free(&again);
}

/* The place a viewer is given, told of its round trip there, until it stays: with true round trips of 90, 60, 12 and 200 ms it ends at the third. */
Test(nearness, a_viewer_comes_to_the_nearest_edge_by_being_measured)
{
	static const unsigned truth[] = {90, 60, 12, 200};
	static const char *const names[] = {"a", "b", "c", "d"};

	for (unsigned viewer = 0; viewer < 200; viewer++) {
		struct nearness *n = nearness_new(64);
		char address[32];
		const char *current = NULL;
		size_t order[4], at = 0;
		unsigned moves = 0;

		snprintf(address, sizeof address, "198.51.100.%u", viewer);
		for (unsigned round = 0; round < 8; round++) {
			struct steer_edge edges[4];

			for (size_t i = 0; i < 4; i++)
				edges[i] = (struct steer_edge){.name = names[i], .up = true, .holds = true, .distance = distance(n, address, names[i], 1)};
			CHECK_INT(steer_choose(steer_client_key(address), current, edges, 4, 4, order), 4);
			moves += current != NULL && order[0] != at;
			at = order[0];
			current = names[at];
			nearness_tell(n, nearness_network(address), current, truth[at], 1);
		}
		CHECK_STR(current, "c");
		CHECK(moves <= 3);
		nearness_free(&n);
	}
}
