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

static int bind_query(sqlite3_stmt *s, const struct catalogue_demand_query *q)
{
	int e = sqlite3_bind_int64(s, 1, q->from);

	if (e == SQLITE_OK)
		e = sqlite3_bind_int64(s, 2, q->to);
	if (e == SQLITE_OK)
		e = sqlite3_bind_text(s, 3, q->edge, -1, SQLITE_STATIC);
	if (e == SQLITE_OK)
		e = sqlite3_bind_text(s, 4, q->title, -1, SQLITE_STATIC);
	return e == SQLITE_OK ? sqlite3_bind_int64(s, 5, (int64_t)q->limit) : e;
}

int catalogue_each_demand(struct catalogue *c, const struct catalogue_demand_query *q, catalogue_count_f each, void *ctx,
                          struct fault *f)
{
	static const enum catalogue_statement statements[] = {
		[CATALOGUE_BY_FILE] = SQL_DEMAND_BY_FILE,
		[CATALOGUE_BY_HOUR] = SQL_DEMAND_BY_HOUR,
		[CATALOGUE_EACH] = SQL_DEMAND_EACH,
	};
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int e = open_beside(c, &db, f), r = SQLITE_DONE;

	if (e == 0 && (sqlite3_prepare_v2(db, catalogue_text(statements[q->by]), -1, &s, NULL) != SQLITE_OK || bind_query(s, q) != SQLITE_OK))
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

static int bind_days(sqlite3_stmt *s, const char *edge, int64_t from, int64_t to, int64_t east)
{
	int e = sqlite3_bind_text(s, 1, edge, -1, SQLITE_STATIC);

	if (e == SQLITE_OK)
		e = sqlite3_bind_int64(s, 2, from);
	if (e == SQLITE_OK)
		e = sqlite3_bind_int64(s, 3, to);
	return e == SQLITE_OK ? sqlite3_bind_int64(s, 4, east) : e;
}

int catalogue_each_day(struct catalogue *c, const char *edge, int64_t from, int64_t to, int64_t east, catalogue_day_f each,
                       void *ctx, struct fault *f)
{
	const char *text = catalogue_text(edge != NULL ? SQL_DEMAND_DAYS : SQL_DEMAND_ALL_DAYS);
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int e = open_beside(c, &db, f), r = SQLITE_DONE;

	if (e == 0 && (sqlite3_prepare_v2(db, text, -1, &s, NULL) != SQLITE_OK || bind_days(s, edge, from, to, east) != SQLITE_OK))
		e = catalogue_error(db, c->path, f);
	while (e == 0 && (r = sqlite3_step(s)) == SQLITE_ROW)
		each(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1), (uint64_t)sqlite3_column_int64(s, 2));
	if (e == 0 && r != SQLITE_DONE)
		e = catalogue_error(db, c->path, f);
	sqlite3_finalize(s);
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
