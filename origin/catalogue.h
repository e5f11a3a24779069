/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The catalogue: what must survive a restart (SQLite, WAL).  Titles, revisions
 * and files as the library showed them, edges and what they hold, tokens, and
 * who changed what.
 *
 * The origin works without it: when the database is locked, full, damaged or
 * away, every call returns an error, catalogue_problem() says why, and
 * catalogue_tick() tries again.  Invariant: a call that returned 0 is on the
 * disk (synchronous=FULL) and survives kill -9 and power cuts.
 *
 * Errors of every call: ERR_BUSY (locked by another process), ERR_DATABASE
 * (full, damaged, not open), ERR_NOT_FOUND where said.  Any thread; calls are
 * done one at a time and may take as long as the disk: never from a viewers' loop.
 */
#ifndef RIBERA_ORIGIN_CATALOGUE_H
#define RIBERA_ORIGIN_CATALOGUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sha256.h"

struct catalogue; /* hidden */
struct library_view;
struct buf;

/* Locks PATH.lock and tries to open (made if need be, brought to the present
 * schema).  Only ERR_LOCKED (another origin) is an error; a database that cannot
 * be opened is a problem to be seen in catalogue_problem(). */
int catalogue_new(const char *path, struct catalogue **ret_catalogue, struct fault *);
void catalogue_free(struct catalogue **);

/* Appends what its transactions cost, in the Prometheus text format.  Any thread. */
void catalogue_write_metrics(const struct catalogue *, struct buf *out);

/* Copies the present problem, "" when all is well. */
void catalogue_problem(struct catalogue *, char *ret_text, size_t size);
/* Opens again if it is not open, or looks whether it can be written again after
 * a problem.  True when that has ended a problem. */
bool catalogue_tick(struct catalogue *);

/* --- the library --- */

/* Writes what changed between two views (`old` may be NULL) in one transaction. */
int catalogue_put_library(struct catalogue *, const struct library_view *old, const struct library_view *now,
                          wall_us when, struct fault *);

/* --- edges --- */

struct catalogue_edge {
	const char *name, *url;
	uint64_t capacity;
	bool up, draining;
};
int catalogue_put_edge(struct catalogue *, const struct catalogue_edge *, const char *who, wall_us when, struct fault *);
int catalogue_remove_edge(struct catalogue *, const char *name, const char *who, wall_us when, struct fault *);
int catalogue_set_up(struct catalogue *, const char *name, bool up, struct fault *);
int catalogue_set_draining(struct catalogue *, const char *name, bool draining, const char *who, wall_us when,
                           struct fault *);
/* Keys are "TITLE/REVISION". */
int catalogue_put_holdings(struct catalogue *, const char *edge, char *const *added, size_t n_added,
                           char *const *dropped, size_t n_dropped, struct fault *);

/* Edges by name, each followed by its holdings by key.  The strings live during the call. */
typedef void (*catalogue_edge_f)(void *ctx, const struct catalogue_edge *);
typedef void (*catalogue_holding_f)(void *ctx, const char *edge, const char *key);
int catalogue_each_edge(struct catalogue *, catalogue_edge_f, catalogue_holding_f, void *ctx, struct fault *);

/* --- demand --- */

struct catalogue_count {
	int64_t hour;            /* seconds since 1970 of its beginning */
	const char *edge, *name; /* name: "TITLE/REVISION/FILE" */
	uint64_t requests, bytes, sessions;
};
/* What an edge counted; `stream` and `sequence` are its number. */
struct catalogue_batch {
	const char *stream;
	uint64_t sequence;
	const struct catalogue_count *counts; /* `edge` is not looked at */
	size_t n;
};
/* Adds it up, unless that was done before (then *ret_new is false). */
int catalogue_put_demand(struct catalogue *, const char *edge, const struct catalogue_batch *, wall_us when, bool *ret_new,
                         struct fault *);

/* Adds to the sums what an older program's database has and they have not, for some milliseconds; *ret_done: nothing is left. */
int catalogue_sum_older(struct catalogue *, bool *ret_done, struct fault *);

/* Grows with every batch counted by this process; never 0.  Any thread. */
uint64_t catalogue_demand_version(const struct catalogue *);

enum catalogue_by {
	CATALOGUE_BY_FILE, /* the most bytes first; hour 0, edge NULL */
	CATALOGUE_BY_HOUR, /* in order of time; edge and name NULL */
	CATALOGUE_EACH,    /* every row, in order of name */
};
struct catalogue_demand_query {
	enum catalogue_by by;
	int64_t from, to;         /* the first and the last hour, seconds since 1970 */
	const char *edge, *title; /* NULL: all */
	uint64_t limit;           /* rows */
};
/* The strings live during the call. */
typedef void (*catalogue_count_f)(void *ctx, const struct catalogue_count *);
int catalogue_each_demand(struct catalogue *, const struct catalogue_demand_query *, catalogue_count_f, void *ctx,
                          struct fault *);

/* What was asked for a day and file, the first day first; `edge` NULL: of all edges together.  Hours from..to-1 in
 * seconds since 1970; `east` is added before they are cut into days.  The name lives during the call. */
typedef void (*catalogue_day_f)(void *ctx, int64_t day, const char *name, uint64_t bytes);
int catalogue_each_day(struct catalogue *, const char *edge, int64_t from, int64_t to, int64_t east, catalogue_day_f each,
                       void *ctx, struct fault *);

/* --- policies: titles the operator wants on every edge ("pin") or on none ("ban") --- */

/* `policy` NULL: none. */
int catalogue_set_policy(struct catalogue *, const char *title, const char *policy, const char *who, wall_us when,
                         struct fault *);
/* By title; the strings live during the call. */
typedef void (*catalogue_policy_f)(void *ctx, const char *title, const char *policy);
int catalogue_each_policy(struct catalogue *, catalogue_policy_f, void *ctx, struct fault *);
/* Grows with every change by this process; never 0.  Any thread. */
uint64_t catalogue_policy_version(const struct catalogue *);

/* --- what people say of titles --- */

struct catalogue_meta {
	const char *name, *description; /* NULL: what the package says; none */
	int64_t year;                   /* 0: unknown */
	const char *tags;               /* a JSON list, or NULL */
};
/* Writes it, and the policy ("pin", "ban", NULL: none), in one transaction. */
int catalogue_put_meta(struct catalogue *, const char *title, const struct catalogue_meta *, const char *policy, const char *who,
                       wall_us when, struct fault *);
/* By title; the strings live during the call. */
typedef void (*catalogue_meta_f)(void *ctx, const char *title, const struct catalogue_meta *);
int catalogue_each_meta(struct catalogue *, catalogue_meta_f, void *ctx, struct fault *);

/* --- the log of who changed what --- */

struct catalogue_entry {
	int64_t id;
	wall_us at;
	const char *who, *what, *subject, *detail; /* detail may be NULL */
};
int catalogue_add_entry(struct catalogue *, const struct catalogue_entry *, struct fault *); /* `id` is not looked at */
/* The newest first, those before `before` (0: from the newest); `subject` NULL: all. */
typedef void (*catalogue_entry_f)(void *ctx, const struct catalogue_entry *);
int catalogue_each_entry(struct catalogue *, int64_t before, uint64_t limit, const char *subject, catalogue_entry_f, void *ctx,
                         struct fault *);

/* --- requests that are to be done once (Idempotency-Key) --- */

struct catalogue_once {
	struct sha256 key;     /* of who, method, path and the key */
	struct sha256 request; /* of the body */
	wall_us at;
};
struct catalogue_done {
	struct sha256 request;
	int status;            /* 0: it was done, but how it was answered is not known */
	char *location, *body; /* or NULL; to be freed */
};
/* ERR_NOT_FOUND: it was not done yet. */
int catalogue_find_once(struct catalogue *, const struct sha256 *key, struct catalogue_done *ret_done, struct fault *);
/* The next change that this thread makes notes `once` in the same transaction; NULL: no more. */
void catalogue_begin_once(struct catalogue *, const struct catalogue_once *);
/* How it was answered; notes it if no change did.  Forgets those noted before `forget`. */
int catalogue_end_once(struct catalogue *, int status, const char *location, const char *body, wall_us forget, struct fault *);

/* PATH and the ending; to be freed. */
char *catalogue_beside(const struct catalogue *, const char *ending);
/* A copy of the database `from` as it is now, while it is in use (SQLite's backup).  PATH must not exist.  Needs no
 * catalogue, so any thread at any time: it holds up nobody.  ERR_CANCELLED soon after `*stop` is true; then nothing is left. */
int catalogue_copy(const char *from, const char *path, const atomic_bool *stop, struct fault *);

/* --- places: what operators want of edges (and, under the name "*", of all) --- */

/* `value` NULL: nothing any more.  Counts as a change of policies. */
int catalogue_set_rule(struct catalogue *, const char *place, const char *key, const char *value, const char *who,
                       wall_us when, struct fault *);
/* By place and key; the strings live during the call. */
typedef void (*catalogue_rule_f)(void *ctx, const char *place, const char *key, const char *value);
int catalogue_each_rule(struct catalogue *, catalogue_rule_f each, void *ctx, struct fault *);

/* --- plans: days are local days, counted from 1970 --- */

/* The last decision for a site, as the planner wrote it; `take` is called once or not at all. */
typedef void (*catalogue_night_f)(void *ctx, int64_t day, const char *decided);
int catalogue_put_night(struct catalogue *, const char *site, int64_t day, const char *decided, struct fault *);
int catalogue_get_night(struct catalogue *, const char *site, catalogue_night_f take, void *ctx, struct fault *);

struct catalogue_plan {
	int64_t day;
	wall_us made;
	const char *version, *summary;    /* summary: JSON */
	const char *files_hash, *files;   /* JSON; equal lists have equal hashes */
};
/* Of several plans of a day the last one stays.  An edge's last 60 are kept, those of edges that are no more for
 * 60 days; when lists of files take more than 1 GiB packed, the oldest days go first. */
int catalogue_put_plan(struct catalogue *, const char *edge, const struct catalogue_plan *, struct fault *);
/* In order of days; the strings live during the call.  ERR_CORRUPT when a list was damaged. */
typedef void (*catalogue_plan_f)(void *ctx, const struct catalogue_plan *);
int catalogue_each_plan(struct catalogue *, const char *edge, int64_t from, int64_t to, catalogue_plan_f each, void *ctx,
                        struct fault *);

/* --- tokens --- */

struct catalogue_token {
	int64_t id;
	const char *role, *note;
	const char *edge; /* whose it is alone, or NULL */
	struct sha256 hash;
	wall_us created, expires; /* expires 0: never */
};
int catalogue_add_token(struct catalogue *, const struct catalogue_token *, const char *who, int64_t *ret_id,
                        struct fault *);
/* ERR_NOT_FOUND when there is none or it is revoked already. */
int catalogue_revoke_token(struct catalogue *, int64_t id, const char *who, wall_us when, struct fault *);
/* Those not revoked, by id. */
typedef void (*catalogue_token_f)(void *ctx, const struct catalogue_token *);
int catalogue_each_token(struct catalogue *, catalogue_token_f, void *ctx, struct fault *);

#endif
