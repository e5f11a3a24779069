/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rendezvous hashing over the edges that can serve.  The best `max` are kept by
 * insertion, so no memory is needed and n may be in the thousands.
 */
#include "cdn/steer.h"

/* FNV-1a, then the finaliser of splitmix64: FNV's high bits alone are too even
 * for names that differ in the last letter. */
static uint64_t hash_text(uint64_t h, const char *s)
{
	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

uint64_t steer_client_key(const char *address)
{
	return hash_text(UINT64_C(0xcbf29ce484222325), address);
}

struct rank {
	bool overloaded;
	uint64_t score;
};

static struct rank rank_of(uint64_t key, const struct steer_edge *e)
{
	return (struct rank){.overloaded = e->load >= 1, .score = hash_text(key, e->name)};
}

static bool better(struct rank a, struct rank b)
{
	return a.overloaded != b.overloaded ? b.overloaded : a.score > b.score;
}

size_t steer_order(uint64_t client_key, const struct steer_edge *edges, size_t n, size_t max, size_t *ret_order)
{
	size_t n_order = 0;

	for (size_t i = 0; i < n; i++) {
		struct rank mine = rank_of(client_key, &edges[i]);
		size_t at = n_order;

		if (!edges[i].up || !edges[i].holds)
			continue;
		while (at > 0 && better(mine, rank_of(client_key, &edges[ret_order[at - 1]])))
			at--;
		if (at >= max)
			continue;
		if (n_order < max)
			n_order++;
		for (size_t j = n_order - 1; j > at; j--)
			ret_order[j] = ret_order[j - 1];
		ret_order[at] = i;
	}
	return n_order;
}
