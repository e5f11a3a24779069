/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A binary heap in two parallel arrays.  Invariant: place[things[i]] == i + 1.
 */
#include "cdn/heap.h"

#include <stdlib.h>

#include "base/mem.h"

void heap_fini(struct heap *h)
{
	free(h->things);
	free(h->keys);
	free(h->place);
	*h = (struct heap){0};
}

static bool before(double key_a, uint32_t a, double key_b, uint32_t b)
{
	return key_a < key_b || (key_a == key_b && a < b);
}

static void set(struct heap *h, size_t at, uint32_t thing, double key)
{
	h->things[at] = thing;
	h->keys[at] = key;
	h->place[thing] = (uint32_t)at + 1;
}

static size_t rise(struct heap *h, size_t at, uint32_t thing, double key)
{
	while (at > 0) {
		size_t up = (at - 1) / 2;

		if (!before(key, thing, h->keys[up], h->things[up]))
			break;
		set(h, at, h->things[up], h->keys[up]);
		at = up;
	}
	return at;
}

static size_t sink(struct heap *h, size_t at, uint32_t thing, double key)
{
	for (;;) {
		size_t down = 2 * at + 1;

		if (down >= h->n)
			return at;
		if (down + 1 < h->n && before(h->keys[down + 1], h->things[down + 1], h->keys[down], h->things[down]))
			down++;
		if (!before(h->keys[down], h->things[down], key, thing))
			return at;
		set(h, at, h->things[down], h->keys[down]);
		at = down;
	}
}

static void make_place(struct heap *h, uint32_t thing)
{
	size_t cap = h->cap_place > 0 ? h->cap_place : 64;

	if (thing < h->cap_place)
		return;
	while (cap <= thing)
		cap *= 2;
	h->place = mem_resize(h->place, cap, sizeof *h->place);
	for (size_t i = h->cap_place; i < cap; i++)
		h->place[i] = 0;
	h->cap_place = cap;
}

static void make_room(struct heap *h)
{
	if (h->n < h->cap)
		return;
	h->cap = h->cap > 0 ? h->cap * 2 : 64;
	h->things = mem_resize(h->things, h->cap, sizeof *h->things);
	h->keys = mem_resize(h->keys, h->cap, sizeof *h->keys);
}

void heap_put(struct heap *h, uint32_t thing, double key)
{
	size_t at;

	make_place(h, thing);
	if (h->place[thing] == 0) {
		make_room(h);
		at = h->n++;
	} else {
		at = h->place[thing] - 1;
	}
	at = rise(h, at, thing, key);
	at = sink(h, at, thing, key);
	set(h, at, thing, key);
}

void heap_drop(struct heap *h, uint32_t thing)
{
	size_t at;
	uint32_t last;
	double key;

	if (!heap_has(h, thing))
		return;
	at = h->place[thing] - 1;
	h->place[thing] = 0;
	last = h->things[--h->n];
	key = h->keys[h->n];
	if (last == thing)
		return;
	at = rise(h, at, last, key);
	at = sink(h, at, last, key);
	set(h, at, last, key);
}

void heap_clear(struct heap *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->place[h->things[i]] = 0;
	h->n = 0;
}
