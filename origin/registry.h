/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The edges as they are now: facts from their registration (kept in the
 * catalogue), state from their heartbeats.  An edge is up while heartbeats
 * come; three missed ones make it down.  Only monotonic time counts, so a clock
 * that jumps changes nothing.
 *
 * After a restart edges are as the catalogue knew them and have three
 * heartbeats' time to show that they live.
 *
 * Any thread; viewers' loops use registry_holders() only.
 */
#ifndef RIBERA_ORIGIN_REGISTRY_H
#define RIBERA_ORIGIN_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "origin/health.h"
#include "origin/holders.h"

#define REGISTRY_MISSED 3
#define REGISTRY_HITS_FADE (10 * DUR_MIN)
#define REGISTRY_MAX_EDGES 10000

struct registry; /* hidden */
struct catalogue;
struct events;

/* A revision on its way to an edge. */
struct registry_filling {
	char *key; /* "TITLE/REVISION" */
	uint64_t bytes;
};

struct registry_edge {
	char *name, *url;
	uint64_t capacity;
	bool up, heard;      /* heard: since this process started */
	bool draining;       /* gets no viewers; fills and is asked as a peer as before */
	mono_us drained;     /* since when; 0: before this process started */
	mono_us last;        /* when it was last heard, or the start */
	uint64_t free_bytes; /* valid once heard by a heartbeat */
	double load;
	char **holds;        /* keys, sorted, unique: whole, or as far as its plan wants */
	size_t n_holds;
	uint64_t holds_version; /* another one whenever they change */
	char **parts;        /* "TITLE/REVISION/FILE", sorted, unique: of keys it holds in part */
	size_t n_parts;
	struct registry_filling *filling; /* sorted */
	size_t n_filling;
	char plan[32];       /* the version of the plan it was given last, shortened; "" for none */
	char *trouble;           /* what it says is wrong with it, or NULL */
	uint64_t store_errors;   /* writes its disk refused and pieces found changed, since it started */
	dur_us up_for;           /* since it started or was well again, by the last heartbeat that said it; 0: none did */
	bool has_clock;          /* it said what its clock shows */
	dur_us clock_offset;     /* its clock before ours, by the last heartbeat */
	uint64_t hits, misses;   /* lookups since it started, by its last heartbeat */
	bool has_hits;           /* it was heard once: what comes more is of late */
	double hits_of_late, misses_of_late; /* the same, of which half is forgotten in REGISTRY_HITS_FADE */
	uint64_t accused;        /* heartbeats of others that said it sent wrong bytes, since this process started */
	struct health health;
	struct holders_edge *shown; /* private, but for origin/health */
};

/* `catalogue` and `events` (NULL: nobody is told) are borrowed. */
struct registry *registry_new(struct catalogue *, struct events *, dur_us heartbeat);
void registry_free(struct registry **);
const struct holders *registry_holders(const struct registry *);
/* How often edges shall be heard from; grows with their number. */
dur_us registry_heartbeat_interval(struct registry *);

/* Takes in the edges of the catalogue that are not known yet. */
int registry_load(struct registry *, mono_us now, struct fault *);

/* Registers or renews; durable when it returns 0.  The catalogue's errors; ERR_LIMIT. */
int registry_put(struct registry *, const char *name, const char *url, uint64_t capacity, const char *who, mono_us now,
                 bool *ret_new, struct fault *);
/* ERR_NOT_FOUND, the catalogue's errors. */
int registry_remove(struct registry *, const char *name, const char *who, struct fault *);

/* Sends viewers away from an edge, or lets them come again; durable.  ERR_NOT_FOUND, the catalogue's errors. */
int registry_drain(struct registry *, const char *name, bool draining, const char *who, struct fault *);

struct registry_beat {
	uint64_t free_bytes;
	double load;
	char **holds; /* any order; taken over, also on failure */
	size_t n_holds;
	char **parts; /* likewise; their keys are held too */
	size_t n_parts;
	struct registry_filling *filling; /* sorted by key; taken over, also on failure */
	size_t n_filling;
	char *trouble;  /* taken over, also on failure; NULL: none */
	uint64_t store_errors;
	dur_us up;      /* since it started or was well again; 0: not said */
	uint64_t hits, misses; /* since it started */
	bool has_clock;
	dur_us clock_offset;
	char **liars;   /* names of edges that sent it wrong bytes; taken over, also on failure */
	size_t n_liars;
};
void registry_beat_fini(struct registry_beat *);
/* ERR_NOT_FOUND.  What cannot be written to the catalogue is logged: the next
 * heartbeat says it again. */
int registry_heartbeat(struct registry *, const char *name, struct registry_beat *, mono_us now, struct fault *);

/* Notes the version of the plan an edge was given; says "plan.changed" when it is another one. */
void registry_note_plan(struct registry *, const char *name, const char *version);

/* What the origin found when it asked the edge at `url`; nothing is noted when it is gone or elsewhere now. */
void registry_note_probe(struct registry *, const char *name, const char *url, bool answered);

/* Makes edges down that were not heard of; to be called about once a heartbeat. */
void registry_tick(struct registry *, mono_us now);

/* Grows with every change that a plan could depend on. */
uint64_t registry_version(struct registry *);
void registry_counts(struct registry *, size_t *ret_edges, size_t *ret_up);

/* Calls `each` for the edges behind `after` (NULL: from the first), by name,
 * with the registry locked; stops when it returns false. */
typedef bool (*registry_each_f)(void *ctx, const struct registry_edge *);
void registry_each(struct registry *, const char *after, registry_each_f, void *ctx);
/* Calls `with` for one edge; ERR_NOT_FOUND. */
int registry_with(struct registry *, const char *name, registry_each_f with, void *ctx);
bool registry_edge_holds(const struct registry_edge *, const char *key);
/* Of `key`, which it holds, this file too? */
bool registry_edge_holds_file(const struct registry_edge *, const char *key, const char *file);
/* It holds the key in part: the first of its parts; *ret_n of them.  NULL: whole, or not at all. */
char *const *registry_edge_parts(const struct registry_edge *, const char *key, size_t *ret_n);

#endif
