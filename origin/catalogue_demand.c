/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was asked for where, per file and hour.  A batch and its number are one
 * transaction, so it counts once however often it comes.  What is old is old by the
 * clock here and by the newest hour there is: one clock that is years ahead, ours or
 * an edge's, makes nothing of it go.
 */
#include <string.h>

#include "origin/catalogue_sql.h"

#define KEEP_HOURS (400 * 24)
#define LAST_HOUR INT64_C(253402297200) /* of the year 9999 */

/* 1: new, and its number is noted; 0: counted before. */
static int note_batch(struct catalogue *c, const char *edge, const struct catalogue_batch *b, wall_us when, struct fault *f)
{
	return catalogue_run(c, catalogue_bind(c, SQL_PUT_BATCH, "ssii", edge, b->stream, (int64_t)b->sequence, (int64_t)when), f);
}

int catalogue_put_demand(struct catalogue *c, const char *edge, const struct catalogue_batch *b, wall_us when, bool *ret_new,
                         struct fault *f)
{
	int e = catalogue_begin(c, f), news;

	if (e != 0)
		return e;
	news = e = note_batch(c, edge, b, when, f);
	for (size_t i = 0; news > 0 && e >= 0 && i < b->n; i++) {
		const struct catalogue_count *k = &b->counts[i];

		e = catalogue_run(c, catalogue_bind(c, SQL_ADD_DEMAND, "issiii", k->hour, edge, k->name, (int64_t)k->requests,
		                                    (int64_t)k->bytes, (int64_t)k->sessions), f);
	}
	if (news > 0 && e >= 0)
		e = catalogue_sum_batch(c, edge, b, f);
	if (news > 0 && e >= 0)
		e = catalogue_forget_sums(c, when / DUR_S, (int64_t)KEEP_HOURS * 3600, f);
	if (news > 0 && e >= 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_DEMAND, "ii", (int64_t)(when / DUR_S), (int64_t)KEEP_HOURS * 3600), f);
	e = catalogue_end(c, e < 0 ? e : 0, f);
	if (e == 0)
		*ret_new = news > 0;
	if (e == 0 && news > 0)
		__atomic_add_fetch(&c->demand_version, 1, __ATOMIC_RELEASE);
	return e;
}

uint64_t catalogue_demand_version(const struct catalogue *c)
{
	return __atomic_load_n(&c->demand_version, __ATOMIC_ACQUIRE) + 1;
}

/* A connection for one reading, which the writer need not wait for (WAL). */
static int open_beside(const struct catalogue *c, sqlite3 **ret_db, struct fault *f)
{
	sqlite3 *db = NULL;
	int e = 0;

	if (sqlite3_open_v2(c->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		e = catalogue_error(db, c->path, f);
	if (e != 0) {
		sqlite3_close(db);
		return e;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, CATALOGUE_BUSY_MS);
	*ret_db = db;
	return 0;
}

static int bind_numbers(sqlite3_stmt *s, int first, const int64_t *v, int n)
{
	int e = SQLITE_OK;

	for (int i = 0; e == SQLITE_OK && i < n; i++)
		e = sqlite3_bind_int64(s, first + i, v[i]);
	return e;
}

static int bind_query(sqlite3_stmt *s, const struct catalogue_demand_query *q)
{
	int e = bind_numbers(s, 1, (int64_t[]){q->from, q->to}, 2);

	if (e == SQLITE_OK)
		e = sqlite3_bind_text(s, 3, q->edge, -1, SQLITE_STATIC);
	if (e == SQLITE_OK)
		e = sqlite3_bind_text(s, 4, q->title, -1, SQLITE_STATIC);
	return e == SQLITE_OK ? sqlite3_bind_int64(s, 5, (int64_t)q->limit) : e;
}

/* The part of hours from..to that sums can be had for. */
struct summed {
	int64_t hour;      /* from here on by hour */
	int64_t day, last; /* whole days; none: last < day */
};

static int find_summed(sqlite3 *db, int64_t from, int64_t to, struct summed *ret)
{
	int64_t whole;
	int r = catalogue_whole_sums(db, &whole);

	if (r != SQLITE_OK)
		return r;
	if (whole < from)
		whole = from > 0 ? from : 0;
	if (to > LAST_HOUR)
		to = LAST_HOUR;
	ret->hour = whole <= to ? whole : to + 3600;
	ret->day = (whole + CATALOGUE_DAY - 1) / CATALOGUE_DAY;
	ret->last = (to + 3600) / CATALOGUE_DAY - 1;
	return SQLITE_OK;
}

/* The query's statement, by sums where there are some. */
static int prepare(sqlite3 *db, const struct catalogue_demand_query *q, sqlite3_stmt **ret_s)
{
	static const enum catalogue_statement statements[] = {
		[CATALOGUE_BY_FILE] = SQL_DEMAND_BY_FILE,
		[CATALOGUE_BY_HOUR] = SQL_DEMAND_BY_HOUR,
		[CATALOGUE_EACH] = SQL_DEMAND_EACH,
	};
	enum catalogue_statement which = statements[q->by];
	struct summed sum = {.last = -1};
	int r = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL); /* sums and rows of the same moment */

	if (r == SQLITE_OK && q->edge == NULL && q->by != CATALOGUE_EACH)
		r = find_summed(db, q->from, q->to, &sum);
	if (q->edge == NULL && q->by == CATALOGUE_BY_FILE && sum.day <= sum.last)
		which = SQL_SUMS_BY_FILE;
	else if (q->edge == NULL && q->by == CATALOGUE_BY_HOUR && q->title == NULL && r == SQLITE_OK)
		which = SQL_SUMS_BY_HOUR;
	if (r == SQLITE_OK)
		r = sqlite3_prepare_v2(db, catalogue_text(which), -1, ret_s, NULL);
	if (r == SQLITE_OK)
		r = bind_query(*ret_s, q);
	if (r == SQLITE_OK && which == SQL_SUMS_BY_FILE)
		r = bind_numbers(*ret_s, 6, (int64_t[]){sum.day, sum.last, sum.day * CATALOGUE_DAY, (sum.last + 1) * CATALOGUE_DAY}, 4);
	if (r == SQLITE_OK && which == SQL_SUMS_BY_HOUR)
		r = sqlite3_bind_int64(*ret_s, 8, sum.hour);
	return r;
}

int catalogue_each_demand(struct catalogue *c, const struct catalogue_demand_query *q, catalogue_count_f each, void *ctx,
                          struct fault *f)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int e = open_beside(c, &db, f), r = SQLITE_DONE;

	if (e == 0 && prepare(db, q, &s) != SQLITE_OK)
		e = catalogue_error(db, c->path, f);
	while (e == 0 && (r = sqlite3_step(s)) == SQLITE_ROW) {
		struct catalogue_count k = {
			.hour = sqlite3_column_int64(s, 0),
			.edge = (const char *)sqlite3_column_text(s, 1),
			.name = (const char *)sqlite3_column_text(s, 2),
			.requests = (uint64_t)sqlite3_column_int64(s, 3),
			.bytes = (uint64_t)sqlite3_column_int64(s, 4),
			.sessions = (uint64_t)sqlite3_column_int64(s, 5),
		};

		each(ctx, &k);
	}
	if (e == 0 && r != SQLITE_DONE)
		e = catalogue_error(db, c->path, f);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return e;
}

/* One statement's rows of day, name, bytes. */
static int each_day_of(sqlite3 *db, enum catalogue_statement which, const char *edge, const int64_t *v, int n, catalogue_day_f each, void *ctx)
{
	bool sums = which == SQL_SUMS_DAYS;
	sqlite3_stmt *s = NULL;
	int r = sqlite3_prepare_v2(db, catalogue_text(which), -1, &s, NULL);

	if (r == SQLITE_OK && !sums)
		r = sqlite3_bind_text(s, 1, edge, -1, SQLITE_STATIC);
	if (r == SQLITE_OK)
		r = bind_numbers(s, sums ? 1 : 2, v, n);
	while (r == SQLITE_OK || r == SQLITE_ROW)
		if ((r = sqlite3_step(s)) == SQLITE_ROW)
			each(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1), (uint64_t)sqlite3_column_int64(s, 2));
	sqlite3_finalize(s);
	return r == SQLITE_DONE ? SQLITE_OK : r;
}

/* All edges' days of UTC: those that have sums from them. */
static int each_day_summed(sqlite3 *db, int64_t from, int64_t to, catalogue_day_f each, void *ctx)
{
	struct summed sum;
	int r = find_summed(db, from, to - 3600, &sum);

	if (r == SQLITE_OK && sum.day > sum.last)
		return each_day_of(db, SQL_DEMAND_ALL_DAYS, NULL, (int64_t[]){from, to, 0}, 3, each, ctx);
	if (r == SQLITE_OK)
		r = each_day_of(db, SQL_DEMAND_ALL_DAYS, NULL, (int64_t[]){from, sum.day * CATALOGUE_DAY, 0}, 3, each, ctx);
	if (r == SQLITE_OK)
		r = each_day_of(db, SQL_SUMS_DAYS, NULL, (int64_t[]){sum.day, sum.last}, 2, each, ctx);
	if (r == SQLITE_OK)
		r = each_day_of(db, SQL_DEMAND_ALL_DAYS, NULL, (int64_t[]){(sum.last + 1) * CATALOGUE_DAY, to, 0}, 3, each, ctx);
	return r;
}

int catalogue_each_day(struct catalogue *c, const char *edge, int64_t from, int64_t to, int64_t east, catalogue_day_f each,
                       void *ctx, struct fault *f)
{
	sqlite3 *db = NULL;
	int e = open_beside(c, &db, f), r = SQLITE_OK;

	if (e == 0)
		r = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
	if (e == 0 && r == SQLITE_OK && edge == NULL && east == 0)
		r = each_day_summed(db, from, to, each, ctx);
	else if (e == 0 && r == SQLITE_OK)
		r = each_day_of(db, edge != NULL ? SQL_DEMAND_DAYS : SQL_DEMAND_ALL_DAYS, edge, (int64_t[]){from, to, east}, 3, each, ctx);
	if (e == 0 && r != SQLITE_OK)
		e = catalogue_error(db, c->path, f);
	sqlite3_close(db);
	return e;
}

/* --- policies --- */

int catalogue_set_policy(struct catalogue *c, const char *title, const char *policy, const char *who, wall_us when,
                         struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	if (policy != NULL)
		e = catalogue_run(c, catalogue_bind(c, SQL_PUT_POLICY, "ss", title, policy), f);
	else
		e = catalogue_run(c, catalogue_bind(c, SQL_DROP_POLICY, "s", title), f);
	if (e >= 0)
		e = catalogue_audit(c, when, who, "policy set", title, policy != NULL ? policy : "none", f);
	e = catalogue_end(c, e < 0 ? e : 0, f);
	if (e == 0)
		__atomic_add_fetch(&c->policy_version, 1, __ATOMIC_RELEASE);
	return e;
}

uint64_t catalogue_policy_version(const struct catalogue *c)
{
	return __atomic_load_n(&c->policy_version, __ATOMIC_ACQUIRE) + 1;
}

int catalogue_each_policy(struct catalogue *c, catalogue_policy_f each, void *ctx, struct fault *f)
{
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_EACH_POLICY, "");
	while ((r = sqlite3_step(s)) == SQLITE_ROW)
		each(ctx, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1));
	if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return catalogue_end(c, e, f);
}
