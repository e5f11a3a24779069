/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rendezvous hashing over the edges that can serve.  The best `max` are kept by
 * insertion, so no memory is needed and n may be in the thousands.
 */
#include "cdn/steer.h"

#include <math.h>
#include <string.h>

#define MAX_CHOSEN 16
#define NOTICEABLE 0.02 /* difference in load that decides between two */
#define SENT_FEW 8      /* and so many viewers, beside a tenth, of those sent there of late */

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

/* Free capacity in steps, so that small changes of load move nobody. */
static double weight_of(const struct steer_edge *e)
{
	return e->load < 0.5 ? 1 : e->load < 0.75 ? 0.5 : e->load < 1 ? 0.25 : 1;
}

struct rank {
	bool overloaded, waits; /* waits: it came back, and this viewer is not yet for it */
	unsigned distance;
	double score;
};

/* Between 0 and 1, without either. */
static double fraction(uint64_t hash)
{
	return ((double)(hash >> 11) + 0.5) / 9007199254740992.0;
}

/* Is this viewer one of those an edge that has come back shall not have yet?  Whoever it may have it keeps. */
static bool held_back(uint64_t key, const struct steer_edge *e)
{
	return e->hold_back > 0 && fraction(hash_text(~key, e->name)) < e->hold_back;
}

/* Weighted rendezvous hashing: who has the greatest -w / ln(u) has a share of w. */
static struct rank rank_of(uint64_t key, const struct steer_edge *e)
{
	return (struct rank){
		.overloaded = e->load >= 1,
		.waits = held_back(key, e),
		.distance = e->distance,
		.score = -weight_of(e) / log(fraction(hash_text(key, e->name))),
	};
}

static bool same_class(struct rank a, struct rank b)
{
	return a.overloaded == b.overloaded && a.waits == b.waits && a.distance == b.distance;
}

static bool better(struct rank a, struct rank b)
{
	if (a.overloaded != b.overloaded)
		return b.overloaded;
	if (a.waits != b.waits)
		return b.waits;
	if (a.distance != b.distance)
		return a.distance < b.distance;
	return a.score > b.score;
}

static bool usable(const struct steer_edge *e)
{
	return e->up && e->holds && !e->draining;
}

struct best {
	size_t index[MAX_CHOSEN];
	struct rank rank[MAX_CHOSEN];
	size_t n, max;
};

static void consider(struct best *b, size_t index, struct rank rank)
{
	size_t at = b->n;

	while (at > 0 && better(rank, b->rank[at - 1]))
		at--;
	if (at >= b->max)
		return;
	if (b->n < b->max)
		b->n++;
	for (size_t j = b->n - 1; j > at; j--) {
		b->index[j] = b->index[j - 1];
		b->rank[j] = b->rank[j - 1];
	}
	b->index[at] = index;
	b->rank[at] = rank;
}

static void swap_first_two(struct best *b)
{
	size_t i = b->index[0];

	b->index[0] = b->index[1];
	b->index[1] = i;
}

static bool good_enough(const struct steer_edge *e, uint64_t key, struct rank best)
{
	struct steer_edge here = *e;
	struct rank rank;

	here.hold_back = 0; /* whom it has it may keep */
	rank = rank_of(key, &here);
	return usable(e) && (same_class(rank, best) || better(rank, best));
}

/* Where the viewer is comes first, if it is as good as the best in all but chance. */
static bool keep_current(struct best *b, const char *current, const struct steer_edge *edges, size_t n, uint64_t key)
{
	for (size_t i = 0; current != NULL && b->n > 0 && i < n; i++) {
		if (strcmp(edges[i].name, current) != 0)
			continue;
		if (!good_enough(&edges[i], key, b->rank[0]))
			return false;
		for (size_t k = 0, carry = i; k < b->n; k++) { /* to the front; the others move one down, up to its own place */
			size_t was = b->index[k];

			b->index[k] = carry;
			carry = was;
			if (was == i)
				break;
		}
		return true;
	}
	return false;
}

/* Reports of load come seldom, viewers all the time: what was sent since then counts where the load says nothing. */
static bool second_is_freer(const struct steer_edge *a, const struct steer_edge *b)
{
	if (fabs(a->load - b->load) > NOTICEABLE)
		return a->load > b->load;
	return a->sent > b->sent + b->sent / 10 + SENT_FEW;
}

size_t steer_choose(uint64_t client_key, const char *current, const struct steer_edge *edges, size_t n, size_t max,
                    size_t *ret_order)
{
	struct best b = {.max = max < 2 ? 2 : max < MAX_CHOSEN ? max : MAX_CHOSEN};

	for (size_t i = 0; i < n; i++)
		if (usable(&edges[i]))
			consider(&b, i, rank_of(client_key, &edges[i]));
	if (!keep_current(&b, current, edges, n, client_key) && b.n >= 2 && same_class(b.rank[0], b.rank[1]) &&
	    second_is_freer(&edges[b.index[0]], &edges[b.index[1]]))
		swap_first_two(&b);
	if (b.n > max)
		b.n = max;
	memcpy(ret_order, b.index, b.n * sizeof *ret_order);
	return b.n;
}

size_t steer_order(uint64_t client_key, const struct steer_edge *edges, size_t n, size_t max, size_t *ret_order)
{
	return steer_choose(client_key, NULL, edges, n, max, ret_order);
}
