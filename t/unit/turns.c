/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Turns: who goes first, and that never more work than there are cores.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "ingest/turns.h"
#include "t/lib/unit.h"

struct worker {
	struct turns *turns;
	struct turn turn;
	pthread_t thread;
	atomic_uint *at_work, *most, *order;
	unsigned place;          /* in which it went first */
};

static void *work(void *ctx)
{
	struct worker *w = ctx;

	turns_take(w->turns, w->turn);
	w->place = atomic_fetch_add(w->order, 1);
	for (int i = 0; i < 200; i++) {
		unsigned now = atomic_fetch_add(w->at_work, 1) + 1, most = atomic_load(w->most);

		while (now > most && !atomic_compare_exchange_weak(w->most, &most, now))
			;
		atomic_fetch_sub(w->at_work, 1);
		turns_let(w->turns, w->turn);
	}
	turns_give(w->turns);
	return NULL;
}

Test(turns, no_more_work_than_there_are_cores)
{
	struct turns *t = turns_new(2);
	atomic_uint at_work = 0, most = 0, order = 0;
	struct worker w[8];

	for (unsigned i = 0; i < 8; i++) {
		w[i] = (struct worker){.turns = t, .turn = {i % 3, i % 2}, .at_work = &at_work, .most = &most, .order = &order};
		CHECK_INT(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (unsigned i = 0; i < 8; i++)
		pthread_join(w[i].thread, NULL);
	CHECK(atomic_load(&most) >= 1 && atomic_load(&most) <= 2);
	CHECK_INT(atomic_load(&order), 8);
	turns_free(&t);
}

/* With the only core taken all of them wait; the smaller rank goes first, of one rank who is further back in the film, and there the larger picture. */
Test(turns, the_smaller_one_goes_first)
{
	static const struct turn turns[] = {{1, 50, 9}, {0, 90, 1}, {1, 40, 1}, {0, 80, 1}, {1, 50, 10}};
	static const unsigned places[] = {4, 1, 2, 0, 3};
	struct turns *t = turns_new(1);
	atomic_uint at_work = 0, most = 0, order = 0;
	struct worker w[5];

	turns_take(t, (struct turn){0, 0, 0});
	for (unsigned i = 0; i < 5; i++) {
		w[i] = (struct worker){.turns = t, .turn = turns[i], .at_work = &at_work, .most = &most, .order = &order};
		CHECK_INT(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	while (turns_waiting(t) < 5)
		sched_yield();
	turns_give(t);
	for (unsigned i = 0; i < 5; i++)
		pthread_join(w[i].thread, NULL);
	for (unsigned i = 0; i < 5; i++)
		CHECK_INT(w[i].place, places[i]);
	CHECK_INT(atomic_load(&most), 1);
	turns_free(&t);
}
