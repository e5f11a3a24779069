/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A hash table of clients with at least one connection.  Taken once when a
 * connection comes and once when it goes, and by requests whose replies were made for them alone; its locks are many,
 * so that lanes hardly meet.  The hash has a seed: who may choose addresses (a
 * network of its own) must not choose collisions.
 */
#include "serve/limit.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"

#define N_BUCKETS 16384
#define N_LOCKS 64

struct entry {
	struct entry *next;
	struct limit_client client;
	unsigned n;
	uint64_t held; /* bytes */
};

struct limit {
	uint64_t seed;
	pthread_mutex_t locks[N_LOCKS]; /* of the buckets that are the same modulo N_LOCKS */
	struct entry *buckets[N_BUCKETS];
};

struct limit_client limit_client_of(const struct sockaddr *a)
{
	const struct sockaddr_in6 *v6 = (const void *)a;
	const struct sockaddr_in *v4 = (const void *)a;
	struct limit_client c = {{0}};

	if (a->sa_family == AF_INET) {
		c.bytes[10] = c.bytes[11] = 0xff;
		memcpy(c.bytes + 12, &v4->sin_addr, 4);
	} else if (a->sa_family == AF_INET6) {
		memcpy(c.bytes, &v6->sin6_addr, IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? 16 : 8);
	}
	return c;
}

struct limit *limit_new(void)
{
	struct limit *l = mem_new(sizeof *l);

	if (getrandom(&l->seed, sizeof l->seed, GRND_NONBLOCK) != sizeof l->seed)
		l->seed = (uint64_t)clock_mono();
	for (size_t i = 0; i < N_LOCKS; i++)
		pthread_mutex_init(&l->locks[i], NULL);
	return l;
}

void limit_free(struct limit **pl)
{
	struct limit *l = *pl;

	*pl = NULL;
	if (l == NULL)
		return;
	for (size_t i = 0; i < N_BUCKETS; i++)
		for (struct entry *e = l->buckets[i], *next; e != NULL; e = next) {
			next = e->next;
			free(e);
		}
	for (size_t i = 0; i < N_LOCKS; i++)
		pthread_mutex_destroy(&l->locks[i]);
	free(l);
}

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

static size_t bucket_of(const struct limit *l, const struct limit_client *c)
{
	uint64_t halves[2];

	memcpy(halves, c->bytes, sizeof halves);
	return mix(mix(halves[0] ^ l->seed) ^ halves[1]) % N_BUCKETS;
}

/* The pointer to the client's entry, or to the NULL at the end. */
static struct entry **find(struct limit *l, size_t bucket, const struct limit_client *c)
{
	struct entry **e = &l->buckets[bucket];

	while (*e != NULL && memcmp(&(*e)->client, c, sizeof *c) != 0)
		e = &(*e)->next;
	return e;
}

unsigned limit_enter(struct limit *l, const struct limit_client *c)
{
	size_t bucket = bucket_of(l, c);
	struct entry **e;
	unsigned n;

	pthread_mutex_lock(&l->locks[bucket % N_LOCKS]);
	e = find(l, bucket, c);
	if (*e == NULL) {
		*e = mem_new(sizeof **e);
		(*e)->client = *c;
	}
	n = ++(*e)->n;
	pthread_mutex_unlock(&l->locks[bucket % N_LOCKS]);
	return n;
}

bool limit_hold(struct limit *l, const struct limit_client *c, uint64_t bytes, uint64_t most)
{
	size_t bucket = bucket_of(l, c);
	struct entry *e;
	bool fits;

	pthread_mutex_lock(&l->locks[bucket % N_LOCKS]);
	e = *find(l, bucket, c);
	MUST(e != NULL);
	fits = e->held == 0 || e->held + bytes <= most;
	e->held += fits ? bytes : 0;
	pthread_mutex_unlock(&l->locks[bucket % N_LOCKS]);
	return fits;
}

void limit_let_go(struct limit *l, const struct limit_client *c, uint64_t bytes)
{
	size_t bucket = bucket_of(l, c);
	struct entry *e;

	pthread_mutex_lock(&l->locks[bucket % N_LOCKS]);
	e = *find(l, bucket, c);
	MUST(e != NULL && e->held >= bytes);
	e->held -= bytes;
	pthread_mutex_unlock(&l->locks[bucket % N_LOCKS]);
}

void limit_leave(struct limit *l, const struct limit_client *c)
{
	size_t bucket = bucket_of(l, c);
	struct entry **e, *gone = NULL;

	pthread_mutex_lock(&l->locks[bucket % N_LOCKS]);
	e = find(l, bucket, c);
	MUST(*e != NULL && (*e)->n > 0);
	if (--(*e)->n == 0) {
		gone = *e;
		*e = gone->next;
	}
	pthread_mutex_unlock(&l->locks[bucket % N_LOCKS]);
	free(gone);
}
