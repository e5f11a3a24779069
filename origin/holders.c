/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An open hash table whose slots point to immutable sets.  A change makes new
 * sets and swaps the pointers; what was replaced is freed together after one
 * grace period.  Keys stay in the table once they are there (an empty set
 * costs a name), until the table is rebuilt to grow.
 */
#include "origin/holders.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rcu.h"

struct slot {
	char *key;               /* NULL: empty; constant once set */
	struct holders_set *set; /* swapped by the writer; NULL: nobody */
};

struct table {
	size_t mask;
	struct slot slots[];
};

struct holders {
	struct table *table;
	size_t n_keys;
	void **retired; /* to be freed after the next grace period */
	size_t n_retired, cap_retired;
};

static struct table *table_new(size_t size)
{
	struct table *t = mem_new(sizeof *t + size * sizeof t->slots[0]);

	t->mask = size - 1;
	return t;
}

struct holders *holders_new(void)
{
	struct holders *h = mem_new(sizeof *h);

	h->table = table_new(64);
	return h;
}

void holders_free(struct holders **ph)
{
	struct holders *h = *ph;

	if (h == NULL)
		return;
	for (size_t i = 0; i <= h->table->mask; i++) {
		free(h->table->slots[i].key);
		free(h->table->slots[i].set);
	}
	free(h->table);
	free(h->retired);
	free(h);
	*ph = NULL;
}

struct holders_edge *holders_edge_new(const char *name, const char *url)
{
	struct holders_edge *e = mem_new(sizeof *e);

	e->name = mem_dup(name);
	e->url = mem_dup(url);
	return e;
}

void holders_edge_free(struct holders_edge **pe)
{
	if (*pe == NULL)
		return;
	rcu_synchronize();
	free((*pe)->name);
	free((*pe)->url);
	free(*pe);
	*pe = NULL;
}

static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h ^ (h >> 32);
}

/* The slot of the key, or the empty one where it belongs. */
static struct slot *slot_of(struct table *t, const char *key)
{
	for (size_t i = hash(key) & t->mask;; i = (i + 1) & t->mask) {
		const char *k = __atomic_load_n(&t->slots[i].key, __ATOMIC_ACQUIRE);

		if (k == NULL || strcmp(k, key) == 0)
			return &t->slots[i];
	}
}

const struct holders_set *holders_find(const struct holders *h, const char *key)
{
	return RCU_LOAD(&slot_of(RCU_LOAD(&h->table), key)->set);
}

static void retire(struct holders *h, void *p)
{
	if (p == NULL)
		return;
	MEM_GROW(h->retired, h->cap_retired, h->n_retired);
	h->retired[h->n_retired++] = p;
}

static void free_retired(struct holders *h)
{
	if (h->n_retired == 0)
		return;
	rcu_synchronize();
	for (size_t i = 0; i < h->n_retired; i++)
		free(h->retired[i]);
	h->n_retired = 0;
}

/* Keeps the table at most half full, and leaves out keys nobody holds. */
static void make_room(struct holders *h, size_t n)
{
	struct table *old = h->table, *fresh;
	size_t used = 0, size = 64;

	if ((h->n_keys + n) * 2 <= old->mask + 1)
		return;
	for (size_t i = 0; i <= old->mask; i++)
		used += old->slots[i].set != NULL;
	while (size < (used + n) * 4)
		size *= 2;
	fresh = table_new(size);
	for (size_t i = 0; i <= old->mask; i++) {
		if (old->slots[i].set != NULL)
			*slot_of(fresh, old->slots[i].key) = old->slots[i];
		else
			retire(h, old->slots[i].key);
	}
	h->n_keys = used;
	RCU_STORE(&h->table, fresh);
	retire(h, old);
	free_retired(h);
}

/* The set with the edge in it (or without it), NULL when it would be empty. */
static struct holders_set *changed(const struct holders_set *old, struct holders_edge *edge, int add)
{
	size_t n = old != NULL ? old->n : 0, k = 0;
	struct holders_set *s = mem_new(sizeof *s + (n + 1) * sizeof s->edges[0]);

	for (size_t i = 0; i < n; i++) {
		if (add && strcmp(edge->name, old->edges[i]->name) < 0) {
			s->edges[k++] = edge;
			add = 0;
		}
		if (old->edges[i] != edge)
			s->edges[k++] = old->edges[i];
	}
	if (add)
		s->edges[k++] = edge;
	s->n = k;
	if (k == 0) {
		free(s);
		return NULL;
	}
	return s;
}

void holders_add(struct holders *h, struct holders_edge *edge, char *const *keys, size_t n)
{
	make_room(h, n);
	for (size_t i = 0; i < n; i++) {
		struct slot *s = slot_of(h->table, keys[i]);

		if (s->key == NULL) {
			h->n_keys++;
			__atomic_store_n(&s->key, mem_dup(keys[i]), __ATOMIC_RELEASE);
		}
		retire(h, RCU_SWAP(&s->set, changed(s->set, edge, 1)));
	}
	free_retired(h);
}

void holders_drop(struct holders *h, struct holders_edge *edge, char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct slot *s = slot_of(h->table, keys[i]);

		if (s->key != NULL && s->set != NULL)
			retire(h, RCU_SWAP(&s->set, changed(s->set, edge, 0)));
	}
	free_retired(h);
}
