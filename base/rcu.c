/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Epochs.  Each reading thread has a slot of its own: 0 outside a section, else
 * the epoch in which its section began.  A writer moves the epoch on and waits
 * until no slot shows an older one.  Why that is enough: a reader stores its
 * slot before it loads the pointer, the writer swaps the pointer before it
 * looks at the slots, all sequentially consistent; so a slot the writer saw
 * empty belongs to a reader that will load the new pointer.
 */
#include "base/rcu.h"

#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/must.h"

struct slot {
	uint64_t epoch;
	int taken;
	struct slot *next; /* constant once in the list */
} __attribute__((aligned(64)));

static uint64_t epoch = 1;
static struct slot *slots; /* only grows; slots of ended threads are used again */
static pthread_key_t slot_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread struct slot *mine;

static void give_back(void *slot)
{
	__atomic_store_n(&((struct slot *)slot)->taken, 0, __ATOMIC_RELEASE);
}

static void make_key(void)
{
	MUST(pthread_key_create(&slot_key, give_back) == 0);
}

static struct slot *reuse_slot(void)
{
	for (struct slot *s = __atomic_load_n(&slots, __ATOMIC_ACQUIRE); s != NULL; s = s->next) {
		int free_slot = 0;

		if (__atomic_compare_exchange_n(&s->taken, &free_slot, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return s;
	}
	return NULL;
}

static struct slot *add_slot(void)
{
	struct slot *s = aligned_alloc(64, sizeof *s);

	MUST(s != NULL);
	*s = (struct slot){.taken = 1, .next = __atomic_load_n(&slots, __ATOMIC_ACQUIRE)};
	while (!__atomic_compare_exchange_n(&slots, &s->next, s, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return s;
}

static struct slot *my_slot(void)
{
	if (mine == NULL) {
		pthread_once(&once, make_key);
		mine = reuse_slot();
		if (mine == NULL)
			mine = add_slot();
		pthread_setspecific(slot_key, mine);
	}
	return mine;
}

void rcu_read_begin(void)
{
	struct slot *s = my_slot();

	MUST(__atomic_load_n(&s->epoch, __ATOMIC_RELAXED) == 0);
	__atomic_store_n(&s->epoch, __atomic_load_n(&epoch, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
}

void rcu_read_end(void)
{
	__atomic_store_n(&mine->epoch, 0, __ATOMIC_SEQ_CST);
}

void rcu_synchronize(void)
{
	uint64_t fresh = __atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);

	MUST(mine == NULL || __atomic_load_n(&mine->epoch, __ATOMIC_RELAXED) == 0);
	for (struct slot *s = __atomic_load_n(&slots, __ATOMIC_SEQ_CST); s != NULL; s = s->next) {
		for (;;) {
			uint64_t e = __atomic_load_n(&s->epoch, __ATOMIC_SEQ_CST);

			if (e == 0 || e >= fresh)
				break;
			sched_yield();
		}
	}
}
