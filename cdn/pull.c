/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Queues are doubly linked lists through one array of items.  Invariant: an item
 * is in at most one queue, and only those of the resident queues count as used.
 */
#include "cdn/pull.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cdn/heap.h"

#define NONE UINT32_MAX

enum queue_name { OUT, MAIN, SMALL, GHOST, PROTECTED, N_QUEUES }; /* GHOST: names only */

struct item {
	uint64_t bytes;
	uint32_t next, previous; /* towards the tail (older), towards the head */
	uint8_t queue, uses;
};

struct queue {
	uint32_t head, tail;
	uint64_t bytes;
};

struct pull {
	enum pull_rule rule;
	uint64_t capacity, written;
	struct item *items;
	size_t cap_items;
	struct queue queues[N_QUEUES];
	uint32_t hand;       /* SIEVE */
	struct heap heap;    /* LFU-DA */
	double age;          /* LFU-DA */
	double *frequency;   /* LFU-DA, W-TinyLFU: by item */
	uint64_t asked, resident; /* W-TinyLFU: for halving */
};

static const char *const names[N_PULL] = {"LRU", "LFU-DA", "S3-FIFO", "SIEVE", "W-TinyLFU"};

const char *pull_name(enum pull_rule rule)
{
	return names[rule];
}

struct pull *pull_new(enum pull_rule rule, uint64_t capacity)
{
	struct pull *p = mem_new(sizeof *p);

	p->rule = rule;
	p->capacity = capacity;
	p->hand = NONE;
	for (int i = 0; i < N_QUEUES; i++)
		p->queues[i] = (struct queue){NONE, NONE, 0};
	return p;
}

void pull_free(struct pull **pp)
{
	if (*pp == NULL)
		return;
	heap_fini(&(*pp)->heap);
	free((*pp)->items);
	free((*pp)->frequency);
	free(*pp);
	*pp = NULL;
}

bool pull_has(const struct pull *p, uint32_t item)
{
	return item < p->cap_items && p->items[item].queue != OUT && p->items[item].queue != GHOST;
}

uint64_t pull_written(const struct pull *p)
{
	return p->written;
}

static void know(struct pull *p, uint32_t item, uint64_t bytes)
{
	size_t cap = p->cap_items > 0 ? p->cap_items : 64;

	if (item >= p->cap_items) {
		while (cap <= item)
			cap *= 2;
		p->items = mem_resize(p->items, cap, sizeof *p->items);
		p->frequency = mem_resize(p->frequency, cap, sizeof *p->frequency);
		for (size_t i = p->cap_items; i < cap; i++) {
			p->items[i] = (struct item){.next = NONE, .previous = NONE};
			p->frequency[i] = 0;
		}
		p->cap_items = cap;
	}
	if (p->items[item].queue == OUT)
		p->items[item].bytes = bytes;
}

static void take_out(struct pull *p, uint32_t i)
{
	struct item *it = &p->items[i];
	struct queue *q = &p->queues[it->queue];

	if (it->previous != NONE)
		p->items[it->previous].next = it->next;
	else
		q->head = it->next;
	if (it->next != NONE)
		p->items[it->next].previous = it->previous;
	else
		q->tail = it->previous;
	q->bytes -= it->bytes;
	it->queue = OUT;
}

static void put_first(struct pull *p, enum queue_name to, uint32_t i)
{
	struct item *it = &p->items[i];
	struct queue *q = &p->queues[to];

	if (it->queue != OUT)
		take_out(p, i);
	it->queue = (uint8_t)to;
	it->previous = NONE;
	it->next = q->head;
	if (q->head != NONE)
		p->items[q->head].previous = i;
	else
		q->tail = i;
	q->head = i;
	q->bytes += it->bytes;
}

static void admit(struct pull *p, enum queue_name to, uint32_t i)
{
	put_first(p, to, i);
	p->written += p->items[i].bytes;
}

/* --- LRU -------------------------------------------------------------------------------- */

static void ask_lru(struct pull *p, uint32_t i, bool hit)
{
	if (hit) {
		put_first(p, MAIN, i);
		return;
	}
	while (p->queues[MAIN].bytes + p->items[i].bytes > p->capacity)
		take_out(p, p->queues[MAIN].tail);
	admit(p, MAIN, i);
}

/* --- LFU with dynamic aging: key = age at its last use + uses ------------------------------- */

static void ask_lfuda(struct pull *p, uint32_t i, bool hit)
{
	if (!hit) {
		p->frequency[i] = 0;
		while (p->queues[MAIN].bytes + p->items[i].bytes > p->capacity) {
			uint32_t victim = heap_top(&p->heap);

			p->age = heap_top_key(&p->heap);
			heap_drop(&p->heap, victim);
			take_out(p, victim);
		}
		admit(p, MAIN, i);
	}
	p->frequency[i] += 1;
	heap_put(&p->heap, i, p->age + p->frequency[i]);
}

/* --- SIEVE -------------------------------------------------------------------------------- */

static void sieve_evict(struct pull *p)
{
	uint32_t at = p->hand != NONE ? p->hand : p->queues[MAIN].tail;

	while (p->items[at].uses > 0) {
		p->items[at].uses = 0;
		at = p->items[at].previous != NONE ? p->items[at].previous : p->queues[MAIN].tail;
	}
	p->hand = p->items[at].previous;
	take_out(p, at);
}

static void ask_sieve(struct pull *p, uint32_t i, bool hit)
{
	if (hit) {
		p->items[i].uses = 1;
		return;
	}
	while (p->queues[MAIN].bytes + p->items[i].bytes > p->capacity)
		sieve_evict(p);
	p->items[i].uses = 0;
	admit(p, MAIN, i);
}

/* --- S3-FIFO: a tenth is the small queue; as many names as bytes are remembered ---------------- */

static void s3_evict_main(struct pull *p)
{
	uint32_t t = p->queues[MAIN].tail;

	while (p->items[t].uses > 0) {
		p->items[t].uses--;
		put_first(p, MAIN, t);
		t = p->queues[MAIN].tail;
	}
	take_out(p, t);
}

static void s3_evict_small(struct pull *p)
{
	uint32_t t = p->queues[SMALL].tail;

	if (p->items[t].uses > 1) {
		p->items[t].uses = 0;
		put_first(p, MAIN, t);
		return;
	}
	put_first(p, GHOST, t);
	while (p->queues[GHOST].bytes > p->capacity / 10 * 9)
		take_out(p, p->queues[GHOST].tail);
}

static void ask_s3fifo(struct pull *p, uint32_t i, bool hit)
{
	uint64_t bytes = p->items[i].bytes;
	bool known = p->items[i].queue == GHOST;

	if (hit) {
		if (p->items[i].uses < 3)
			p->items[i].uses++;
		return;
	}
	if (known)
		take_out(p, i);
	while (p->queues[MAIN].bytes + p->queues[SMALL].bytes + bytes > p->capacity) {
		if (p->queues[SMALL].tail != NONE &&
		    (p->queues[SMALL].bytes > p->capacity / 10 || p->queues[MAIN].tail == NONE))
			s3_evict_small(p);
		else
			s3_evict_main(p);
	}
	p->items[i].uses = 0;
	admit(p, known ? MAIN : SMALL, i);
}

/* --- W-TinyLFU: window 1 %, the rest a segmented LRU, four fifths of it protected --------------- */

static void tiny_count(struct pull *p, uint32_t i, size_t n_items)
{
	p->frequency[i] += 1;
	if (++p->asked < 10 * (p->resident + 64))
		return;
	for (size_t j = 0; j < n_items; j++)
		p->frequency[j] /= 2;
	p->asked /= 2;
}

static void tiny_touch(struct pull *p, uint32_t i)
{
	uint64_t most = p->capacity / 100 * 99 / 5 * 4;

	if (p->items[i].queue == SMALL) {
		put_first(p, SMALL, i);
		return;
	}
	put_first(p, PROTECTED, i);
	while (p->queues[PROTECTED].bytes > most && p->queues[PROTECTED].tail != i)
		put_first(p, MAIN, p->queues[PROTECTED].tail);
}

/* What falls out of the window comes in only if it was asked for more often than each who must go. */
static void tiny_challenge(struct pull *p, uint32_t candidate)
{
	uint64_t most = p->capacity - p->capacity / 100;
	uint64_t bytes = p->items[candidate].bytes;

	take_out(p, candidate);
	p->resident--;
	while (p->queues[MAIN].bytes + p->queues[PROTECTED].bytes + bytes > most) {
		enum queue_name from = p->queues[MAIN].tail != NONE ? MAIN : PROTECTED;
		uint32_t victim = p->queues[from].tail;

		if (victim == NONE || p->frequency[victim] >= p->frequency[candidate])
			return;
		take_out(p, victim);
		p->resident--;
	}
	put_first(p, MAIN, candidate);
	p->resident++;
}

static void ask_tinylfu(struct pull *p, uint32_t i, bool hit)
{
	tiny_count(p, i, p->cap_items);
	if (hit) {
		tiny_touch(p, i);
		return;
	}
	admit(p, SMALL, i);
	p->resident++;
	while (p->queues[SMALL].bytes > p->capacity / 100)
		tiny_challenge(p, p->queues[SMALL].tail);
	if (!pull_has(p, i)) /* it never touched the disk */
		p->written -= p->items[i].bytes;
}

bool pull_ask(struct pull *p, uint32_t item, uint64_t bytes)
{
	static void (*const rules[N_PULL])(struct pull *, uint32_t, bool) = {
		ask_lru, ask_lfuda, ask_s3fifo, ask_sieve, ask_tinylfu,
	};
	bool hit;

	know(p, item, bytes);
	hit = pull_has(p, item);
	if (!hit && p->items[item].bytes > p->capacity)
		return false;
	rules[p->rule](p, item, hit);
	return hit;
}
