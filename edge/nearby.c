/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sets of four, under one lock that loops only try to take.
 */
#include "edge/nearby.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cdn/nearness.h"

#define WAYS 4
#define SETS (NEARBY_NETWORKS / WAYS)

struct seen {
	uint64_t network; /* 0: free */
	dur_us round_trip;
	unsigned times;   /* since it was told last */
	unsigned told;    /* ms; 0: never */
	mono_us last, told_at;
};

struct nearby {
	pthread_mutex_t lock;
	size_t next; /* where the next news begin, so that all have their turn */
	struct seen seen[NEARBY_NETWORKS];
};

struct nearby *nearby_new(void)
{
	struct nearby *n = mem_new(sizeof *n);

	pthread_mutex_init(&n->lock, NULL);
	return n;
}

void nearby_free(struct nearby **pn)
{
	if (*pn != NULL)
		pthread_mutex_destroy(&(*pn)->lock);
	free(*pn);
	*pn = NULL;
}

static struct seen *set_of(struct nearby *n, uint64_t network)
{
	return n->seen + ((network * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % SETS * WAYS;
}

static struct seen *find(struct nearby *n, uint64_t network)
{
	struct seen *set = set_of(n, network);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].network == network)
			return &set[i];
	return NULL;
}

static struct seen *find_or_add(struct nearby *n, uint64_t network, dur_us round_trip)
{
	struct seen *s = find(n, network), *set = set_of(n, network);

	if (s != NULL)
		return s;
	s = set;
	for (unsigned i = 1; i < WAYS; i++)
		if (set[i].last < s->last)
			s = &set[i];
	*s = (struct seen){.network = network, .round_trip = round_trip};
	return s;
}

void nearby_saw(struct nearby *n, const char *peer, dur_us round_trip, mono_us now)
{
	uint64_t network = nearness_network(peer);
	struct seen *s;

	if (network == 0 || round_trip <= 0 || pthread_mutex_trylock(&n->lock) != 0)
		return;
	s = find_or_add(n, network, round_trip);
	s->round_trip += (round_trip - s->round_trip) / (round_trip < s->round_trip ? 2 : 32);
	s->times++;
	s->last = now;
	pthread_mutex_unlock(&n->lock);
}

static unsigned in_ms(dur_us round_trip)
{
	return round_trip > NEARNESS_MAX_MS * DUR_MS ? NEARNESS_MAX_MS : (unsigned)((round_trip + DUR_MS - 1) / DUR_MS);
}

static bool is_news(const struct seen *s, mono_us now)
{
	unsigned ms = in_ms(s->round_trip), apart = ms > s->told ? ms - s->told : s->told - ms;

	if (s->network == 0 || s->times < (s->told == 0 ? NEARBY_LEAST : 1))
		return false;
	return s->told == 0 || now - s->told_at >= NEARBY_AGAIN || apart > 2 + s->told / 5;
}

size_t nearby_news(struct nearby *n, mono_us now, struct nearby_row *ret, size_t max)
{
	size_t found = 0;

	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < NEARBY_NETWORKS && found < max; i++) {
		const struct seen *s = &n->seen[n->next];

		n->next = (n->next + 1) % NEARBY_NETWORKS;
		if (is_news(s, now))
			ret[found++] = (struct nearby_row){s->network, in_ms(s->round_trip)};
	}
	pthread_mutex_unlock(&n->lock);
	return found;
}

void nearby_told(struct nearby *n, const struct nearby_row *rows, size_t n_rows, mono_us now)
{
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n_rows; i++) {
		struct seen *s = find(n, rows[i].network);

		if (s == NULL)
			continue;
		s->told = rows[i].ms;
		s->told_at = now;
		s->times = 0;
	}
	pthread_mutex_unlock(&n->lock);
}
