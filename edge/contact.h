/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Contact with the origin: registers, sends heartbeats, polls the plan.  A
 * thread of its own, so that a dead origin holds up nothing.  The last good plan
 * is kept on disk; what becomes of the origin later does not matter to viewers.
 */
#ifndef RIBERA_EDGE_CONTACT_H
#define RIBERA_EDGE_CONTACT_H

#include "base/counter.h"
#include "edge/nearby.h"
#include "edge/plan.h"
#include "edge/wall.h"
#include "fetch/fetch.h"

struct contact; /* hidden */

struct contact_status {
	uint64_t capacity, free_bytes;
	double load;     /* 0 idle, 1 all it can do */
	char **holds;    /* "TITLE/REVISION"; freed by the caller of the callback */
	size_t n_holds;
	char **parts;    /* "TITLE/REVISION/FILE" of those held as far as the plan wants; likewise */
	size_t n_parts;
	struct contact_filling { /* titles of the plan that are on their way; likewise */
		char *title;
		char revision[PACKAGE_REVISION_SIZE];
		uint64_t bytes; /* there so far */
	} *filling;
	size_t n_filling;
	const char *trouble; /* static, or NULL */
	dur_us well;     /* since it started, or its disk was well again */
	uint64_t hits, misses; /* lookups of titles that are known, since the start */
	uint64_t store_errors;
	char **liars;    /* peers that sent wrong bytes; freed like holds */
	size_t n_liars;
	struct nearby_row *round_trips; /* how far viewers' networks are; freed likewise */
	size_t n_round_trips;
};

struct contact_settings {
	const char *origin;    /* control URL */
	const char *token;     /* or NULL */
	const char *name, *public_url;
	const char *plan_path; /* where the last plan is kept */
	dur_us interval;
	struct fetch *fetch;
	struct counters *counters;
	struct wall *wall; /* is told the origin's clock */
	void (*status)(void *ctx, struct contact_status *ret_status); /* this thread */
	void (*told)(void *ctx, const struct contact_status *);       /* the origin has it; this thread */
	void (*plan)(void *ctx, struct plan *);                       /* this thread; takes the reference */
	/* Takes in what was asked for, now and then; this thread. */
	void (*collect)(void *ctx);
	struct demand *demand; /* whose batches are sent */
	void *ctx;
};

/* Reads the plan on disk, if there is a good one, and hands it over (on the
 * caller's thread). */
struct contact *contact_new(const struct contact_settings *);
void contact_start(struct contact *);
void contact_kick(struct contact *); /* something worth a heartbeat has happened; any thread */
void contact_stop(struct contact *);  /* joins; stops the fetch it was given, and with it a request under way; takes NULL */
void contact_free(struct contact **);
bool contact_has_plan(const struct contact *); /* any thread */
/* The origin wants viewers who are still here sent elsewhere; no longer once it is silent.  Any thread. */
bool contact_sends_away(const struct contact *);
/* What is wrong with this machine's clock, by the origin's; static text, NULL: nothing.  Any thread. */
const char *contact_clock_trouble(const struct contact *);

#endif
