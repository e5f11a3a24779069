/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which of several bases next.  The steering server's order decides, then the MPD's; a base that
 * failed sits in a penalty box, longer each time, and comes back by itself.  One that was left because it was slow
 * does so when another one turns out to be faster; where none is, it is the line.
 * Bases are known by a key (service location, or the server's name), so what
 * one track learns serves the other.  Pure; the caller serialises.
 */
#ifndef RIBERA_PLAYER_PATHWAY_H
#define RIBERA_PLAYER_PATHWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define PATHWAY_MAX 32 /* keys remembered, and bases looked at per pick */

struct pathway {
	struct pathway_entry {
		char key[128];
		mono_us penalty_end, failed;
		unsigned failures; /* since the last success */
		uint64_t rate;     /* of the last body that came from there, bit/s; 0: none did */
		unsigned slow;     /* how often it was left for slowness, and another was faster */
		bool doubted;      /* left, and nothing has come from another yet */
	} entries[PATHWAY_MAX];
	unsigned n;
	char order[PATHWAY_MAX][128]; /* the steering server's; what is not in it comes behind */
	unsigned n_order;
	struct pathway_clone {
		char base[128], id[128], host[256], query[256];
	} clones[PATHWAY_MAX / 2];    /* places the MPD does not list */
	unsigned n_clones;
};

/* The order from now on; names that no base has are passed over. */
void pathway_steer(struct pathway *, const char *const *ids, unsigned n);
/* The place `id` is as `base`, but for the server ("host", "host:port", or with "https://" in front)
 * and a query (or ""); a known `id` is changed. */
void pathway_clone(struct pathway *, const char *base, const char *id, const char *host, const char *query);
/* The URL of a clone, made of its base's; caller frees. */
char *pathway_clone_url(const struct pathway_clone *, const char *base_url);

/* The base to ask next among `keys` (in the MPD's order): the first by both orders that
 * is neither in `tried` (a bit each) nor penalised, else the untried one whose
 * penalty ends first; -1 when all were tried. */
int pathway_pick(const struct pathway *, const char *const *keys, size_t n_keys, uint32_t tried, mono_us now);

/* The base to ask beside one that does not answer, of those not in `left_out` and free of penalty: the one that gave its
 * last body fastest, else (none gave any) the first by both orders; -1: none. */
int pathway_second(const struct pathway *, const char *const *keys, size_t n_keys, uint32_t left_out, mono_us now);

/* A transfer from this base failed.  The penalty is 10 s, doubled with each
 * failure in a row up to 5 min, or `retry_after` when that is longer. */
void pathway_fail(struct pathway *, const char *key, dur_us retry_after, mono_us now);
/* One that was asked for then has come whole: all is forgiven, if it is news, asked for since the last failure. */
void pathway_ok(struct pathway *, const char *key, mono_us asked);

/* A body of this base came so fast (bit/s), or, left(), so slowly that the rest of it is asked for elsewhere.  A base
 * that was left is penalised for 10 s; then, when another one gives half as much again, for 1 min, doubled each time
 * up to 5 min.  When it comes back and is no slower than others, that is forgiven. */
void pathway_rate(struct pathway *, const char *key, uint64_t rate, mono_us now);
void pathway_left(struct pathway *, const char *key, uint64_t rate, mono_us now);
/* Whether more than `rate` may be hoped for: it gave twice as much, or nothing yet. */
bool pathway_promises(const struct pathway *, const char *key, uint64_t rate);

bool pathway_penalised(const struct pathway *, const char *key, mono_us now);

#endif
