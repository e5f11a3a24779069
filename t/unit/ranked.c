/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cdn/heap, cdn/tier, cdn/ranked and cdn/pull: order, room, budgets, memory.
 */
#include <math.h>

#include "cdn/pull.h"
#include "cdn/ranked.h"
#include "t/lib/unit.h"

#define DAY 86400

static uint32_t rnd(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

Test(heap, gives_the_least_whatever_happened_before)
{
	struct heap h = {0};
	double keys[200];
	bool in[200] = {false};
	uint32_t seed = 7;

	for (int round = 0; round < 20000; round++) {
		uint32_t i = rnd(&seed) % 200;
		uint32_t best = UINT32_MAX;

		if (rnd(&seed) % 3 == 0) {
			heap_drop(&h, i);
			in[i] = false;
		} else {
			keys[i] = rnd(&seed) % 50;
			heap_put(&h, i, keys[i]);
			in[i] = true;
		}
		for (uint32_t k = 0; k < 200; k++)
			if (in[k] && (best == UINT32_MAX || keys[k] < keys[best]))
				best = k;
		CHECK_INT(heap_has(&h, i), in[i]);
		if (best != UINT32_MAX)
			CHECK_INT(heap_top(&h), best);
		else
			CHECK_INT(h.n, 0);
	}
	heap_fini(&h);
}

Test(tier, a_newcomer_must_outrank_all_who_go)
{
	uint64_t bytes[] = {40, 40, 20, 60, 30};
	double keys[] = {1, 3, 5, 2, 1.1};
	struct tier_items items = {bytes, keys, 5, 100};
	struct tier_changes changes = {0};
	struct tier t = {0};

	for (uint32_t i = 0; i < 3; i++)
		tier_put(&t, &items, i);
	CHECK(!tier_admit(&t, &items, 3, &changes)); /* 0 would do, 1 is better than it */
	CHECK(!tier_admit(&t, &items, 4, &changes)); /* within the margin */
	CHECK_INT(changes.n, 0);
	CHECK_INT(t.used, 100);
	keys[3] = 3.3;
	CHECK(tier_admit(&t, &items, 3, &changes));
	CHECK_INT(changes.n, 3);
	CHECK_INT(changes.v[0].item, 0);
	CHECK_INT(changes.v[1].item, 1);
	CHECK(changes.v[2].add && changes.v[2].item == 3);
	CHECK_INT(t.used, 80);
	free(changes.v);
	tier_fini(&t);
}

Test(tier, a_night_keeps_to_its_budget)
{
	uint64_t bytes[] = {50, 30, 30, 10};
	double keys[] = {9, 8, 7, 6};
	struct tier_items items = {bytes, keys, 4, 200};
	struct tier_changes changes = {0};
	struct tier t = {0};

	CHECK_INT(tier_night(&t, &items, 45, &changes), 40); /* the best is too large for it */
	CHECK(heap_has(&t.held, 1) && heap_has(&t.held, 3) && t.held.n == 2);
	CHECK_INT(tier_night(&t, &items, UINT64_MAX, &changes), 80);
	CHECK_INT(tier_night(&t, &items, UINT64_MAX, &changes), 0);
	free(changes.v);
	tier_fini(&t);
}

static struct ranked *new_ranked(uint64_t capacity, uint64_t budget, bool admits)
{
	return ranked_new(&(struct ranked_settings){.capacity = capacity, .night_budget = budget, .admits = admits});
}

static void play(struct ranked *r, uint32_t item, uint64_t bytes, int64_t second)
{
	if (!ranked_knows(r, item))
		ranked_know(r, item, bytes);
	ranked_played(r, item, bytes, second);
}

Test(ranked, counts_plays_not_bytes)
{
	struct ranked *r = new_ranked(100, 0, true);

	ranked_know(r, 0, 100);
	ranked_know(r, 1, 10);
	for (int i = 0; i < 3; i++)
		ranked_played(r, 0, 50, 1000); /* one play and a half */
	for (int i = 0; i < 2; i++)
		ranked_played(r, 1, 10, 1000);
	CHECK(fabs(ranked_worth(r, 0, 1000) - 1.5) < 1e-9);
	CHECK(fabs(ranked_worth(r, 1, 1000) - 2) < 1e-9);
	CHECK(ranked_worth(r, 1, 1000 + (int64_t)ranked_half_life(r)) < 1.01);
	ranked_free(&r);
}

Test(ranked, keeps_what_is_wanted_and_streams_the_rest_through)
{
	struct ranked *r = new_ranked(100, 0, true);

	for (int i = 0; i < 5; i++)
		play(r, 0, 60, i);
	CHECK_INT(ranked_admit(r, 0)->n, 1);
	play(r, 1, 60, 10);
	CHECK_INT(ranked_admit(r, 1)->n, 0); /* once against five times */
	for (int i = 0; i < 8; i++)
		play(r, 1, 60, 11);
	CHECK_INT(ranked_admit(r, 1)->n, 2);
	CHECK(ranked_holds(r, 1) && !ranked_holds(r, 0));
	CHECK_INT(ranked_admit(r, 1)->n, 0);
	play(r, 2, 1000, 12); /* larger than the store */
	CHECK_INT(ranked_admit(r, 2)->n, 0);
	CHECK_INT(ranked_admit(r, 77)->n, 0);
	ranked_free(&r);
}

Test(ranked, the_first_fill_is_exempt_and_a_small_budget_only_delays)
{
	struct ranked *r = new_ranked(1000, 0, false);
	int nights = 0;

	for (uint32_t i = 0; i < 20; i++)
		for (uint32_t k = 0; k <= i; k++)
			play(r, i, 100, 0);
	CHECK_INT(ranked_night(r, 1)->n, 10);
	for (int k = 0; k < 1000; k++)
		play(r, 20, 400, 2); /* eight nights' budget: 5 % of 1000 is 50 */
	while (!ranked_holds(r, 20) && nights < 30)
		ranked_night(r, ++nights * DAY);
	CHECK(nights > 1 && nights <= 8);
	ranked_free(&r);
}

Test(ranked, a_night_that_changes_nothing_stays_so)
{
	struct ranked *r = new_ranked(500, 0, false);

	for (uint32_t i = 0; i < 50; i++)
		play(r, i, 20 + i, i * 100);
	ranked_night(r, 6000);
	CHECK_INT(ranked_night(r, 6000)->n, 0);
	CHECK_INT(ranked_night(r, 6001)->n, 0);
	ranked_free(&r);
}

/* Yesterday's news: plays of an item fall by half every two hours. */
Test(ranked, learns_how_fast_to_forget)
{
	struct ranked *news = new_ranked(1000, 0, true), *films = new_ranked(1000, 0, true);
	uint32_t seed = 1;

	for (int64_t second = 0; second < 20 * DAY; second += 60) {
		uint32_t age = 0, z = rnd(&seed) % 4096;

		while (age < 40 && rnd(&seed) % 4 != 0)
			age++;
		play(news, (uint32_t)(second / 1800) + 40 - age, 100, second); /* a new one every half hour */
		play(films, z * z / 4096 % 64, 100, second); /* the same ones for ever */
	}
	CHECK(ranked_half_life(news) < DAY);
	CHECK(ranked_half_life(films) > 3 * DAY);
	ranked_free(&news);
	ranked_free(&films);
}

Test(pull, every_rule_keeps_to_the_capacity_and_serves)
{
	for (int rule = 0; rule < N_PULL; rule++) {
		struct pull *p = pull_new((enum pull_rule)rule, 1000);
		uint64_t bytes[100], held;
		uint32_t seed = 3, hits = 0;

		for (uint32_t i = 0; i < 100; i++)
			bytes[i] = 5 + i % 7 * 20;
		bytes[99] = 2000;
		for (int k = 0; k < 20000; k++) {
			uint32_t z = rnd(&seed) % 100, item = z * z / 100;

			hits += pull_ask(p, item, bytes[item]);
			held = 0;
			for (uint32_t i = 0; i < 100 && k % 100 == 0; i++)
				held += pull_has(p, i) ? bytes[i] : 0;
			CHECK(held <= 1000);
		}
		CHECK(!pull_has(p, 99));
		cr_assert(hits > 4000, "%s hit %u times", pull_name((enum pull_rule)rule), hits);
		pull_free(&p);
	}
}

/* Items of a skewed catalogue that are asked for over `days`, the favourites changing every `turn` days; the half-life in use. */
static double half_life_seen(size_t sample, int days, int turn)
{
	struct ranked *r = ranked_new(&(struct ranked_settings){.capacity = 200 * 100, .sample = sample});
	uint32_t seed = 5;
	double half_life;

	for (int day = 0; day < days; day++) {
		for (int i = 0; i < 4000; i++) {
			uint32_t u = rnd(&seed) % 1000, v = rnd(&seed) % 1000;
			uint32_t rank = (uint32_t)((uint64_t)u * u * v / 500000), item = (rank + (uint32_t)(day / turn) * 331) % 2000;

			play(r, item, 100, (int64_t)day * DAY + i * 20);
		}
		ranked_night_past(r, (int64_t)(day + 1) * DAY);
	}
	for (uint32_t i = 0; i < 2000; i++)
		CHECK(!ranked_holds(r, i));
	half_life = ranked_half_life(r);
	ranked_free(&r);
	return half_life;
}

Test(ranked, a_part_of_the_items_shows_which_memory_is_right)
{
	double steady = half_life_seen(500, 20, 1000), restless = half_life_seen(500, 20, 4);

	CHECK(restless <= 4.0 * DAY);
	CHECK(steady >= 9.0 * DAY);
	CHECK(half_life_seen(0, 20, 4) <= 4.0 * DAY); /* all of them show the same */
	CHECK(half_life_seen(0, 20, 1000) >= 9.0 * DAY);
}
