/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sums of demand: of all edges by day and file, and by hour.  A month of a thousand edges is hundreds of millions of rows of
 * demand, and some hundred thousand of these.
 *
 * Invariant: the sums are of all rows whose (hour, edge) is at or behind the mark (demand_summed), and of no others.  What
 * comes with a batch is added in the batch's transaction; what an older program left stands before the mark, which goes back
 * through it in steps of a few milliseconds (catalogue_sum_older).
 */
#include <string.h>

#include "base/mem.h"
#include "origin/catalogue_sql.h"

#define STEP (10 * DUR_MS) /* of a transaction: others wait for it */

static int read_mark(struct catalogue *c, struct catalogue_mark *ret, struct fault *f)
{
	sqlite3_stmt *s = catalogue_bind(c, SQL_SUMMED, "");
	int e = sqlite3_step(s) == SQLITE_ROW ? 0 : catalogue_error(c->db, c->path, f);

	if (e == 0) {
		ret->hour = sqlite3_column_int64(s, 0);
		snprintf(ret->edge, sizeof ret->edge, "%s", (const char *)sqlite3_column_text(s, 1));
	}
	sqlite3_reset(s);
	return e;
}

static bool is_behind(const struct catalogue_mark *m, int64_t hour, const char *edge)
{
	return hour != m->hour ? hour > m->hour : strcmp(edge, m->edge) >= 0;
}

/* The hours come one after the other: each is written once. */
struct hour_sum {
	int64_t hour, requests, bytes, sessions;
};

static int put_hour(struct catalogue *c, const struct hour_sum *h, struct fault *f)
{
	return h->hour < 0 ? 0 : catalogue_run(c, catalogue_bind(c, SQL_ADD_HOUR, "iiii", h->hour, h->requests, h->bytes, h->sessions), f);
}

#define MOST (INT64_C(1) << 62)

static void grow(int64_t *sum, uint64_t by)
{
	*sum = by > (uint64_t)(MOST - *sum) ? MOST : *sum + (int64_t)by;
}

int catalogue_sum_batch(struct catalogue *c, const char *edge, const struct catalogue_batch *b, struct fault *f)
{
	struct catalogue_mark mark;
	struct hour_sum h = {.hour = -1};
	int e = read_mark(c, &mark, f);

	for (size_t i = 0; e >= 0 && i < b->n; i++) {
		const struct catalogue_count *k = &b->counts[i];

		if (!is_behind(&mark, k->hour, edge))
			continue; /* counted when the mark comes there */
		if (k->hour != h.hour) {
			e = put_hour(c, &h, f);
			h = (struct hour_sum){.hour = k->hour};
		}
		grow(&h.requests, k->requests);
		grow(&h.bytes, k->bytes);
		grow(&h.sessions, k->sessions);
		if (e >= 0)
			e = catalogue_run(c, catalogue_bind(c, SQL_ADD_DAY, "isiii", k->hour / CATALOGUE_DAY, k->name, (int64_t)k->requests,
			                                    (int64_t)k->bytes, (int64_t)k->sessions), f);
	}
	if (e >= 0)
		e = put_hour(c, &h, f);
	return e < 0 ? e : 0;
}

int catalogue_forget_sums(struct catalogue *c, int64_t now, int64_t keep, struct fault *f)
{
	int e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_DAYS, "ii", now, keep), f);

	return e < 0 ? e : catalogue_run(c, catalogue_bind(c, SQL_FORGET_HOURS, "ii", now, keep), f);
}

/* The rows next before the mark: one edge's of one hour.  1: there were some. */
static int sum_next(struct catalogue *c, struct catalogue_mark *mark, struct fault *f)
{
	sqlite3_stmt *s = catalogue_bind(c, SQL_NEXT_UNSUMMED, "is", mark->hour, mark->edge);
	int r = sqlite3_step(s), e = 0;

	if (r == SQLITE_ROW) {
		mark->hour = sqlite3_column_int64(s, 0);
		snprintf(mark->edge, sizeof mark->edge, "%s", (const char *)sqlite3_column_text(s, 1));
	} else if (r != SQLITE_DONE) {
		e = catalogue_error(c->db, c->path, f);
	}
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	if (e != 0 || r == SQLITE_DONE)
		return e;
	e = catalogue_run(c, catalogue_bind(c, SQL_SUM_DAY, "is", mark->hour, mark->edge), f);
	if (e >= 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_SUM_HOUR, "is", mark->hour, mark->edge), f);
	return e < 0 ? e : 1;
}

int catalogue_sum_older(struct catalogue *c, bool *ret_done, struct fault *f)
{
	mono_us begin;
	struct catalogue_mark mark;
	int e = catalogue_begin(c, f), more = 0;

	if (e != 0)
		return e;
	begin = clock_mono();
	e = read_mark(c, &mark, f);
	if (e == 0 && mark.hour >= 0) {
		do
			more = sum_next(c, &mark, f);
		while (more > 0 && clock_mono() - begin < STEP);
		if (more == 0)
			mark = (struct catalogue_mark){.hour = -1};
		e = more < 0 ? more : catalogue_run(c, catalogue_bind(c, SQL_SET_SUMMED, "is", mark.hour, mark.edge), f);
	}
	e = catalogue_end(c, e < 0 ? e : 0, f);
	if (e == 0)
		*ret_done = mark.hour < 0;
	return e;
}

int catalogue_whole_sums(sqlite3 *db, int64_t *ret_from)
{
	sqlite3_stmt *s = NULL;
	int r = sqlite3_prepare_v2(db, catalogue_text(SQL_SUMMED), -1, &s, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_step(s);
	if (r == SQLITE_ROW)
		*ret_from = sqlite3_column_int64(s, 0) + (sqlite3_column_bytes(s, 1) > 0 ? 3600 : 0);
	sqlite3_finalize(s);
	return r == SQLITE_ROW ? SQLITE_OK : r;
}
