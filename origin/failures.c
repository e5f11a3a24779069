/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A leaky bucket in a table of fixed size: each slot is the time at which the bucket of
 * the addresses that fall into it will be empty.  Addresses that share a slot share
 * their punishment, which the seed makes unpredictable.
 */
#include "origin/failures.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "base/sha256.h"

#define N_SLOTS 65536

struct failures {
	uint64_t seed[2];
	mono_us empty[N_SLOTS];
};

struct failures *failures_new(void)
{
	struct failures *v = mem_new(sizeof *v);

	if (getrandom(v->seed, sizeof v->seed, GRND_NONBLOCK) != (ssize_t)sizeof v->seed)
		v->seed[0] = (uint64_t)clock_wall();
	return v;
}

void failures_free(struct failures **pv)
{
	free(*pv);
	*pv = NULL;
}

static size_t slot_of(const struct failures *v, const char *peer)
{
	struct {
		uint64_t seed[2];
		struct in6_addr address;
	} key = {.seed = {v->seed[0], v->seed[1]}};
	struct sha256 hash;
	size_t slot;

	if (inet_pton(AF_INET6, peer, &key.address) == 1)
		memset(key.address.s6_addr + 8, 0, 8);
	else
		(void)inet_pton(AF_INET, peer, &key.address);
	sha256_of(&key, sizeof key, &hash);
	memcpy(&slot, hash.bytes, sizeof slot);
	return slot % N_SLOTS;
}

dur_us failures_wait(const struct failures *v, const char *peer, mono_us now)
{
	dur_us over = v->empty[slot_of(v, peer)] - now - (FAILURES_BURST - 1) * FAILURES_EACH;

	return over > 0 ? over : 0;
}

void failures_add(struct failures *v, const char *peer, mono_us now)
{
	mono_us *empty = &v->empty[slot_of(v, peer)];

	*empty = (*empty > now ? *empty : now) + FAILURES_EACH;
}
