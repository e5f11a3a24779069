/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: while somebody waits, no core is free; a turn that is given goes to the first who waits.
 */
#include "ingest/turns.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"

struct waiter {
	struct turn turn;
	bool called;
	pthread_cond_t call;
	struct waiter *next;
};

struct turns {
	pthread_mutex_t lock; /* guards what follows */
	unsigned free;
	struct waiter *first; /* the smallest first, equal ones in order */
};

struct turns *turns_new(unsigned cores)
{
	struct turns *t = mem_new(sizeof *t);

	pthread_mutex_init(&t->lock, NULL);
	t->free = cores > 0 ? cores : 1;
	return t;
}

void turns_free(struct turns **pt)
{
	struct turns *t = *pt;

	*pt = NULL;
	if (t == NULL)
		return;
	MUST(t->first == NULL);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static bool goes_before(const struct turn *a, const struct turn *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return a->place != b->place ? a->place < b->place : a->pixels > b->pixels;
}

static void wait_for_call(struct turns *t, const struct turn *turn) /* locked */
{
	struct waiter me = {.turn = *turn}, **at = &t->first;

	while (*at != NULL && !goes_before(turn, &(*at)->turn))
		at = &(*at)->next;
	me.next = *at;
	*at = &me;
	pthread_cond_init(&me.call, NULL);
	while (!me.called)
		pthread_cond_wait(&me.call, &t->lock);
	pthread_cond_destroy(&me.call);
}

static void pass_on(struct turns *t) /* locked */
{
	struct waiter *w = t->first;

	if (w == NULL) {
		t->free++;
		return;
	}
	t->first = w->next;
	w->called = true;
	pthread_cond_signal(&w->call);
}

void turns_take(struct turns *t, struct turn turn)
{
	pthread_mutex_lock(&t->lock);
	if (t->free > 0)
		t->free--;
	else
		wait_for_call(t, &turn);
	pthread_mutex_unlock(&t->lock);
}

void turns_give(struct turns *t)
{
	pthread_mutex_lock(&t->lock);
	pass_on(t);
	pthread_mutex_unlock(&t->lock);
}

void turns_let(struct turns *t, struct turn turn)
{
	pthread_mutex_lock(&t->lock);
	if (t->first != NULL && goes_before(&t->first->turn, &turn)) {
		pass_on(t);
		wait_for_call(t, &turn);
	}
	pthread_mutex_unlock(&t->lock);
}

unsigned turns_waiting(struct turns *t)
{
	unsigned n = 0;

	pthread_mutex_lock(&t->lock);
	for (const struct waiter *w = t->first; w != NULL; w = w->next)
		n++;
	pthread_mutex_unlock(&t->lock);
	return n;
}
