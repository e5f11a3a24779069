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

int catalogue_each_demand(struct catalogue *c, const struct catalogue_demand_query *q, catalogue_count_f each, void *ctx,
                          struct fault *f)
{
	static const enum catalogue_statement statements[] = {
		[CATALOGUE_BY_FILE] = SQL_DEMAND_BY_FILE,
		[CATALOGUE_BY_HOUR] = SQL_DEMAND_BY_HOUR,
		[CATALOGUE_EACH] = SQL_DEMAND_EACH,
	};
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, statements[q->by], "iissi", q->from, q->to, q->edge, q->title, (int64_t)q->limit);
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
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
	if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return catalogue_end(c, e, f);
}

int catalogue_each_day(struct catalogue *c, const char *edge, int64_t from, int64_t to, int64_t east, catalogue_day_f each,
                       void *ctx, struct fault *f)
{
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, edge != NULL ? SQL_DEMAND_DAYS : SQL_DEMAND_ALL_DAYS, "siii", edge, from, to, east);
	while ((r = sqlite3_step(s)) == SQLITE_ROW)
		each(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1), (uint64_t)sqlite3_column_int64(s, 2));
	if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return catalogue_end(c, e, f);
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
