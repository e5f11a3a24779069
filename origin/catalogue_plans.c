/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the planner decided, and what operators want of places.  A file list is kept once under its hash however many
 * days it was in force, so a plan that does not change costs a row a day; one that does costs its difference from
 * a whole one, which is at most one step away.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "origin/catalogue_sql.h"
#include "origin/plan_pack.h"

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

/* A whole list, of which others are told as differences. */
struct base {
	char hash[64]; /* "": none */
	char *text;
	size_t size, packed; /* packed: the bytes it takes */
};

static int damaged(struct catalogue *c, const char *hash, struct fault *f)
{
	return fault_set(f, ERR_CORRUPT, "catalogue \"%s\": the files of a plan (%.64s) are damaged: restore a backup, if you need the history",
	                 c->path, hash);
}

/* Of the columns hash, bytes, packed from `i` on.  One that is there already stays. */
static int read_base(struct catalogue *c, sqlite3_stmt *s, int i, struct base *b, struct fault *f)
{
	const char *hash = (const char *)sqlite3_column_text(s, i);

	if (hash != NULL && strcmp(hash, b->hash) == 0)
		return 0;
	free(b->text);
	*b = (struct base){0};
	if (hash == NULL)
		return 0;
	b->size = (size_t)sqlite3_column_int64(s, i + 1);
	b->packed = (size_t)sqlite3_column_bytes(s, i + 2);
	if (plan_unpack(sqlite3_column_blob(s, i + 2), b->packed, NULL, 0, b->size, &b->text) != 0)
		return damaged(c, hash, f);
	snprintf(b->hash, sizeof b->hash, "%s", hash);
	return 0;
}

/* What the edge's last plan is told by.  A damaged one is none: the next list is kept whole. */
static int last_base(struct catalogue *c, const char *edge, struct base *b, struct fault *f)
{
	sqlite3_stmt *s = catalogue_bind(c, SQL_BASE_FILES, "s", edge);
	int r = sqlite3_step(s), e = 0;

	if (r == SQLITE_ROW)
		read_base(c, s, 0, b, NULL);
	else if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return e;
}

/* As a difference while that is less than a third of the whole: the sum over the days is least about there. */
static int pack(const struct catalogue_plan *p, const struct base *b, struct buf *out, bool *ret_whole)
{
	size_t n = strlen(p->files);
	int e = b->text != NULL ? plan_pack(p->files, n, b->text, b->size, out) : 0;

	*ret_whole = b->text == NULL || out->size > b->packed / 3;
	if (e == 0 && *ret_whole) {
		buf_clear(out);
		e = plan_pack(p->files, n, NULL, 0, out);
	}
	return e;
}

static int insert_files(struct catalogue *c, const char *edge, const struct catalogue_plan *p, struct fault *f)
{
	struct base b = {0};
	sqlite3_stmt *s;
	struct buf packed;
	bool whole;
	int e = last_base(c, edge, &b, f);

	buf_init(&packed, SIZE_MAX);
	if (e == 0 && (e = pack(p, &b, &packed, &whole)) != 0)
		e = fault_set(f, e, "the files of a plan cannot be packed: %s", err_text(e));
	if (e == 0) {
		s = catalogue_bind(c, SQL_PUT_FILES, "ssi", p->files_hash, whole ? NULL : b.hash, (int64_t)strlen(p->files));
		MUST(sqlite3_bind_blob64(s, 4, packed.bytes, packed.size, SQLITE_STATIC) == SQLITE_OK);
		e = catalogue_run(c, s, f);
	}
	buf_fini(&packed);
	free(b.text);
	return e;
}

static int put_files(struct catalogue *c, const char *edge, const struct catalogue_plan *p, struct fault *f)
{
	sqlite3_stmt *s = catalogue_bind(c, SQL_HAS_FILES, "s", p->files_hash);
	bool there = false;
	int e = 0;

	if (sqlite3_step(s) == SQLITE_ROW)
		there = sqlite3_column_int64(s, 0) != 0;
	else
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return e != 0 || there ? e : insert_files(c, edge, p, f);
}

/* What the day's plan was until now; the caller frees, NULL: nothing. */
static char *replaced(struct catalogue *c, const char *edge, int64_t day)
{
	sqlite3_stmt *s = catalogue_bind(c, SQL_FILES_OF_DAY, "si", edge, day);
	char *hash = sqlite3_step(s) == SQLITE_ROW ? mem_dup((const char *)sqlite3_column_text(s, 0)) : NULL;

	sqlite3_reset(s);
	return hash;
}

/* Once a day: edges that are no more, and the oldest days of what is too much. */
static int sweep(struct catalogue *c, int64_t today, struct fault *f)
{
	int e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_EDGES_PLANS, "i", today - KEEP_DAYS), f);

	do {
		if (e >= 0)
			e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_FILES, ""), f);
		if (e >= 0)
			e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_OLDEST_PLANS, "i", c->max_history), f);
	} while (e > 0);
	if (e == 0)
		c->plans_swept = today;
	return e;
}

static int put_plan(struct catalogue *c, const char *edge, const struct catalogue_plan *p, struct fault *f)
{
	char *before = replaced(c, edge, p->day);
	int e = put_files(c, edge, p, f);

	if (e >= 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_PUT_PLAN, "sissis", edge, p->day, p->version, p->files_hash,
		                                    (int64_t)p->made, p->summary), f);
	if (e >= 0)
		e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_PLANS, "si", edge, (int64_t)KEEP_DAYS), f);
	if (e >= 0 && before != NULL)
		e = catalogue_run(c, catalogue_bind(c, SQL_FORGET_ONE_FILES, "s", before), f);
	if (e >= 0 && p->day > c->plans_swept)
		e = sweep(c, p->day, f);
	free(before);
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

static int tell(struct catalogue *c, sqlite3_stmt *s, struct base *b, catalogue_plan_f each, void *ctx, struct fault *f)
{
	struct catalogue_plan p = {
		.day = sqlite3_column_int64(s, 0),
		.version = (const char *)sqlite3_column_text(s, 1),
		.files_hash = (const char *)sqlite3_column_text(s, 2),
		.made = sqlite3_column_int64(s, 3),
		.summary = (const char *)sqlite3_column_text(s, 4),
	};
	char *files;
	int e = read_base(c, s, 7, b, f);

	if (e == 0 && plan_unpack(sqlite3_column_blob(s, 6), (size_t)sqlite3_column_bytes(s, 6), b->text, b->size,
	                          (size_t)sqlite3_column_int64(s, 5), &files) != 0)
		e = damaged(c, p.files_hash, f);
	if (e != 0)
		return e;
	p.files = files;
	each(ctx, &p);
	free(files);
	return 0;
}

int catalogue_each_plan(struct catalogue *c, const char *edge, int64_t from, int64_t to, catalogue_plan_f each, void *ctx,
                        struct fault *f)
{
	int e = catalogue_begin(c, f), r = SQLITE_ROW;
	struct base b = {0};
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_EACH_PLAN, "sii", edge, from, to);
	while (e == 0 && (r = sqlite3_step(s)) == SQLITE_ROW)
		e = tell(c, s, &b, each, ctx, f);
	if (e == 0 && r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	free(b.text);
	return catalogue_end(c, e, f);
}
