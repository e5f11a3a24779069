/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the planner decided, and what operators want of places.  A file list is
 * kept once under its hash however many days it was in force, so a plan that
 * does not change costs a row a day.
 */
#include <stdlib.h>

#include "origin/catalogue_sql.h"

#define KEEP_DAYS 60

int catalogue_set_rule(struct catalogue *c, const char *place, const char *key, const char *value, const char *who,
                       wall_us when, struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	if (value != NULL)
		e = catalogue_run(c, catalogue_bind(c, SQL_PUT_RULE, "sss", place, key, value), f);
	else
		e = catalogue_run(c, catalogue_bind(c, SQL_DROP_RULE, "ss", place, key), f);
	if (e >= 0)
		e = catalogue_audit(c, when, who, key, place, value != NULL ? value : "none", f);
	e = catalogue_end(c, e < 0 ? e : 0, f);
	if (e == 0)
		__atomic_add_fetch(&c->policy_version, 1, __ATOMIC_RELEASE);
	return e;
}

int catalogue_each_rule(struct catalogue *c, catalogue_rule_f each, void *ctx, struct fault *f)
{
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_EACH_RULE, "");
	while ((r = sqlite3_step(s)) == SQLITE_ROW)
		each(ctx, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1),
		     (const char *)sqlite3_column_text(s, 2));
	if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return catalogue_end(c, e, f);
}

/* --- nights --- */

int catalogue_put_night(struct catalogue *c, const char *site, int64_t day, const char *decided, struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	e = catalogue_run(c, catalogue_bind(c, SQL_PUT_NIGHT, "sis", site, day, decided), f);
	return catalogue_end(c, e < 0 ? e : 0, f);
}

int catalogue_get_night(struct catalogue *c, const char *site, catalogue_night_f take, void *ctx, struct fault *f)
{
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_GET_NIGHT, "s", site);
	r = sqlite3_step(s);
	if (r == SQLITE_ROW)
		take(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1));
	else if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return catalogue_end(c, e, f);
}

/* --- plans --- */

static int put_plan(struct catalogue *c, const char *edge, const struct catalogue_plan *p, struct fault *f)
{
	int e = catalogue_run(c, catalogue_bind(c, SQL_PUT_FILES, "ss", p->files_hash, p->files), f);

	if (e >= 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_PUT_PLAN, "sissis", edge, p->day, p->version, p->files_hash,
		                                    (int64_t)p->made, p->summary), f);
	if (e >= 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_PLANS, "i", p->day - KEEP_DAYS), f);
	if (e >= 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_FILES, ""), f);
	return e;
}

int catalogue_put_plan(struct catalogue *c, const char *edge, const struct catalogue_plan *p, struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	e = put_plan(c, edge, p, f);
	return catalogue_end(c, e < 0 ? e : 0, f);
}

int catalogue_each_plan(struct catalogue *c, const char *edge, int64_t from, int64_t to, catalogue_plan_f each, void *ctx,
                        struct fault *f)
{
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_EACH_PLAN, "sii", edge, from, to);
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		struct catalogue_plan p = {
			.day = sqlite3_column_int64(s, 0),
			.version = (const char *)sqlite3_column_text(s, 1),
			.files_hash = (const char *)sqlite3_column_text(s, 2),
			.made = sqlite3_column_int64(s, 3),
			.summary = (const char *)sqlite3_column_text(s, 4),
			.files = (const char *)sqlite3_column_text(s, 5),
		};

		each(ctx, &p);
	}
	if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return catalogue_end(c, e, f);
}
