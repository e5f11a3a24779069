/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sets of four slots; a slot is a network and a word for each of its edges:
 * hash of the name (32 bits), class (4), ms (12), when in units of TICK (16).  A reader that met a slot
 * while it was given to another network sees that the network changed, and knows nothing.
 */
#include "cdn/nearness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define WAYS 4
#define V4 (UINT64_C(4) << 56)
#define V6 (UINT64_C(6) << 56)
#define FIRST_CLASS 10 /* ms */
#define TICK (4 * DUR_MIN)
#define CLASSES 7

struct slot {
	uint64_t network; /* 0: free */
	uint64_t edges[NEARNESS_EDGES];
};

struct nearness {
	size_t sets; /* a power of two */
	struct slot slots[];
};

/* --- networks --------------------------------------------------------------------------- */

static uint64_t bytes_of(const uint8_t *b, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | b[i];
	return v;
}

uint64_t nearness_network(const char *address)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	uint8_t b[16];

	if (inet_pton(AF_INET, address, b) == 1)
		return V4 | bytes_of(b, 3);
	if (inet_pton(AF_INET6, address, b) != 1)
		return 0;
	return memcmp(b, mapped, sizeof mapped) == 0 ? V4 | bytes_of(b + 12, 3) : V6 | bytes_of(b, 6);
}

void nearness_print(uint64_t network, char ret_text[static NEARNESS_TEXT])
{
	bool v4 = network >> 56 == 4;
	unsigned n = v4 ? 3 : 6;
	uint8_t b[16] = {0};
	char text[INET6_ADDRSTRLEN] = "";

	for (unsigned i = 0; i < n; i++)
		b[i] = (uint8_t)(network >> 8 * (n - 1 - i));
	inet_ntop(v4 ? AF_INET : AF_INET6, b, text, sizeof text);
	snprintf(ret_text, NEARNESS_TEXT, "%s/%u", text, n * 8);
}

uint64_t nearness_parse(const char *text)
{
	char again[NEARNESS_TEXT], address[NEARNESS_TEXT];
	uint64_t network;

	snprintf(address, sizeof address, "%.*s", (int)strcspn(text, "/"), text);
	network = nearness_network(address);
	if (network == 0)
		return 0;
	nearness_print(network, again);
	return strcmp(again, text) == 0 ? network : 0; /* no other way to write it, no longer prefix */
}

/* --- classes ---------------------------------------------------------------------------- */

static unsigned class_limit(unsigned i)
{
	return FIRST_CLASS << i;
}

unsigned nearness_class(unsigned ms, unsigned before)
{
	unsigned i = 0;

	/* a fifth beyond its limits it is still what it was */
	if (before >= FIRST_CLASS && ms <= before + before / 5 && (before == FIRST_CLASS || ms > before / 2 - before / 10))
		return before;
	while (i + 1 < CLASSES && ms > class_limit(i))
		i++;
	return class_limit(i);
}

/* --- the table --------------------------------------------------------------------------- */

struct nearness *nearness_new(size_t networks)
{
	struct nearness *n;
	size_t sets = 1;

	while (sets * WAYS < networks)
		sets *= 2;
	n = mem_new(sizeof *n + sets * WAYS * sizeof n->slots[0]);
	n->sets = sets;
	return n;
}

void nearness_free(struct nearness **pn)
{
	free(*pn);
	*pn = NULL;
}

static uint64_t mix(uint64_t h)
{
	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

static uint32_t hash_of(const char *edge)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *edge != '\0'; edge++)
		h = (h ^ (unsigned char)*edge) * UINT64_C(0x100000001b3);
	return (uint32_t)mix(h) | 1; /* never 0: that is an empty word */
}

static uint64_t word_of(uint32_t edge, unsigned class, unsigned ms, mono_us now)
{
	unsigned i = 0;

	while (class_limit(i) < class)
		i++;
	return (uint64_t)edge << 32 | (uint64_t)i << 28 | (uint64_t)ms << 16 | ((uint64_t)(now / TICK) & 0xffff);
}

static uint32_t edge_in(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static unsigned class_in(uint64_t word)
{
	return class_limit(word >> 28 & 15);
}

static unsigned ms_in(uint64_t word)
{
	return word >> 16 & 0xfff;
}

/* Ticks since it was told; they come round after half a year. */
static unsigned age_in(uint64_t word, mono_us now)
{
	return ((unsigned)(now / TICK) - (unsigned)(word & 0xffff)) & 0xffff;
}

static bool is_old(uint64_t word, mono_us now)
{
	return word == 0 || age_in(word, now) > NEARNESS_LIFE / TICK;
}

static struct slot *set_of(const struct nearness *n, uint64_t network)
{
	return (struct slot *)n->slots + (mix(network) & (n->sets - 1)) * WAYS;
}

static uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* Since anything was told of it. */
static unsigned slot_age(const struct slot *s, mono_us now)
{
	unsigned least = UINT32_MAX;

	for (unsigned i = 0; s->network != 0 && i < NEARNESS_EDGES; i++)
		if (s->edges[i] != 0 && age_in(s->edges[i], now) < least)
			least = age_in(s->edges[i], now);
	return least;
}

/* The network's slot; else the free one, or the one that was heard of longest ago. */
static struct slot *slot_for(struct nearness *n, uint64_t network, mono_us now)
{
	struct slot *set = set_of(n, network), *oldest = &set[mix(network) >> 62]; /* of equally old ones not always the first */

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].network == network)
			return &set[i];
	for (unsigned i = 0; i < WAYS; i++)
		if (slot_age(&set[i], now) > slot_age(oldest, now))
			oldest = &set[i];
	store(&oldest->network, 0);
	for (unsigned i = 0; i < NEARNESS_EDGES; i++)
		store(&oldest->edges[i], 0);
	store(&oldest->network, network);
	return oldest;
}

void nearness_tell(struct nearness *n, uint64_t network, const char *edge, unsigned ms, mono_us now)
{
	uint32_t hash = hash_of(edge);
	struct slot *s = slot_for(n, network, now);
	uint64_t *place = NULL;
	unsigned class;

	ms = ms > NEARNESS_MAX_MS ? NEARNESS_MAX_MS : ms;
	class = nearness_class(ms, 0);
	for (unsigned i = 0; i < NEARNESS_EDGES; i++)
		if (edge_in(s->edges[i]) == hash) {
			place = &s->edges[i];
			class = nearness_class(ms, is_old(*place, now) ? 0 : class_in(*place));
			break;
		}
	for (unsigned i = 0; place == NULL && i < NEARNESS_EDGES; i++)
		if (is_old(s->edges[i], now))
			place = &s->edges[i];
	if (place == NULL) { /* instead of the farthest */
		place = &s->edges[0];
		for (unsigned i = 1; i < NEARNESS_EDGES; i++)
			if (ms_in(s->edges[i]) > ms_in(*place))
				place = &s->edges[i];
		if (ms >= ms_in(*place))
			return;
	}
	store(place, word_of(hash, class, ms, now));
}

void nearness_look(const struct nearness *n, uint64_t network, mono_us now, struct nearness_view *ret)
{
	const struct slot *set = n != NULL ? set_of(n, network) : NULL;

	ret->n = 0;
	for (unsigned k = 0; set != NULL && network != 0 && k < WAYS; k++) {
		if (load(&set[k].network) != network)
			continue;
		for (unsigned i = 0; i < NEARNESS_EDGES; i++) {
			uint64_t word = load(&set[k].edges[i]);

			if (is_old(word, now))
				continue;
			ret->of[ret->n].edge = edge_in(word);
			ret->of[ret->n].distance = class_in(word);
			ret->of[ret->n++].ms = ms_in(word);
		}
		if (load(&set[k].network) != network)
			ret->n = 0;
		return;
	}
}

unsigned nearness_distance(const struct nearness_view *v, const char *edge, unsigned otherwise, unsigned *ret_ms)
{
	uint32_t hash = v->n > 0 ? hash_of(edge) : 0;

	if (ret_ms != NULL)
		*ret_ms = 0;
	for (size_t i = 0; i < v->n; i++)
		if (v->of[i].edge == hash) {
			if (ret_ms != NULL)
				*ret_ms = v->of[i].ms;
			return v->of[i].distance;
		}
	return v->n == 0 || v->n == NEARNESS_EDGES || otherwise < NEARNESS_UNTRIED ? otherwise : NEARNESS_UNTRIED;
}
