/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The catalogue's edges, what they hold, and tokens.
 */
#include <string.h>

#include "base/mem.h"
#include "origin/catalogue_sql.h"

int catalogue_put_edge(struct catalogue *c, const struct catalogue_edge *edge, const char *who, wall_us when,
                       struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	e = catalogue_run(c, catalogue_bind(c, SQL_PUT_EDGE, "ssiii", edge->name, edge->url, (int64_t)edge->capacity,
	                                    (int64_t)edge->up, (int64_t)when), f);
	if (e >= 0)
		e = catalogue_audit(c, when, who, "edge registered", edge->name, edge->url, f);
	return catalogue_end(c, e, f);
}

int catalogue_remove_edge(struct catalogue *c, const char *name, const char *who, wall_us when, struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	e = catalogue_run(c, catalogue_bind(c, SQL_REMOVE_EDGE, "s", name), f);
	if (e >= 0)
		e = catalogue_audit(c, when, who, "edge removed", name, NULL, f);
	return catalogue_end(c, e, f);
}

int catalogue_set_up(struct catalogue *c, const char *name, bool up, struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	return catalogue_end(c, catalogue_run(c, catalogue_bind(c, SQL_SET_UP, "si", name, (int64_t)up), f), f);
}

int catalogue_set_draining(struct catalogue *c, const char *name, bool draining, const char *who, wall_us when,
                           struct fault *f)
{
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	e = catalogue_run(c, catalogue_bind(c, SQL_SET_DRAINING, "si", name, (int64_t)draining), f);
	if (e >= 0)
		e = catalogue_audit(c, when, who, draining ? "edge drained" : "edge undrained", name, NULL, f);
	return catalogue_end(c, e, f);
}

/* ERR_NOT_FOUND without a fault: it was removed meanwhile, and its holdings with it. */
static int find_edge(struct catalogue *c, const char *name, int64_t *ret_id, struct fault *f)
{
	sqlite3_stmt *s = catalogue_bind(c, SQL_EDGE_ID, "s", name);
	int r = sqlite3_step(s), e = r == SQLITE_ROW ? 0 : r == SQLITE_DONE ? ERR_NOT_FOUND : catalogue_error(c->db, c->path, f);

	if (e == 0)
		*ret_id = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return e;
}

static int run_keys(struct catalogue *c, enum catalogue_statement which, int64_t edge, char *const *keys, size_t n,
                    struct fault *f)
{
	int e = 0;

	for (size_t i = 0; e >= 0 && i < n; i++)
		e = catalogue_run(c, catalogue_bind(c, which, "is", edge, keys[i]), f);
	return e < 0 ? e : 0;
}

#define TOGETHER 16 /* rows of SQL_ADD_HOLDINGS: most of what a row costs is the statement around it */

static int add_keys(struct catalogue *c, int64_t edge, char *const *keys, size_t n, struct fault *f)
{
	size_t at = 0;
	int e = 0;

	for (; e >= 0 && n - at >= TOGETHER; at += TOGETHER) {
		sqlite3_stmt *s = catalogue_bind(c, SQL_ADD_HOLDINGS, "i", edge);

		for (int i = 0; i < TOGETHER; i++)
			sqlite3_bind_text(s, 2 + i, keys[at + (size_t)i], -1, SQLITE_STATIC);
		e = catalogue_run(c, s, f);
	}
	return e < 0 ? e : run_keys(c, SQL_ADD_HOLDING, edge, keys + at, n - at, f);
}

int catalogue_put_holdings(struct catalogue *c, const char *edge, char *const *added, size_t n_added,
                           char *const *dropped, size_t n_dropped, struct fault *f)
{
	int e = catalogue_begin(c, f);
	int64_t id;

	if (e != 0)
		return e;
	e = find_edge(c, edge, &id, f);
	if (e == 0)
		e = add_keys(c, id, added, n_added, f);
	if (e == 0)
		e = run_keys(c, SQL_DROP_HOLDING, id, dropped, n_dropped, f);
	return catalogue_end(c, e == ERR_NOT_FOUND ? 0 : e, f);
}

static const char *text_of(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);

	return t != NULL ? t : "";
}

static int each_holding(struct catalogue *c, int64_t id, const char *name, catalogue_holding_f each, void *ctx,
                        struct fault *f)
{
	sqlite3_stmt *s = catalogue_bind(c, SQL_EACH_HOLDING, "i", id);
	int r;

	while ((r = sqlite3_step(s)) == SQLITE_ROW)
		each(ctx, name, text_of(s, 0));
	r = r == SQLITE_DONE ? 0 : catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return r;
}

int catalogue_each_edge(struct catalogue *c, catalogue_edge_f each, catalogue_holding_f holding, void *ctx,
                        struct fault *f)
{
	int e = catalogue_begin(c, f), r = SQLITE_DONE;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_EACH_EDGE, "");
	while (e == 0 && (r = sqlite3_step(s)) == SQLITE_ROW) {
		struct catalogue_edge edge = {
			.name = text_of(s, 1),
			.url = text_of(s, 2),
			.capacity = (uint64_t)sqlite3_column_int64(s, 3),
			.up = sqlite3_column_int(s, 4) != 0,
			.draining = sqlite3_column_int(s, 5) != 0,
		};

		each(ctx, &edge);
		e = each_holding(c, sqlite3_column_int64(s, 0), edge.name, holding, ctx, f);
	}
	if (e == 0 && r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return catalogue_end(c, e, f);
}

int catalogue_add_token(struct catalogue *c, const struct catalogue_token *t, const char *who, int64_t *ret_id,
                        struct fault *f)
{
	int e = catalogue_begin(c, f);
	sqlite3_stmt *s;
	int64_t id = 0;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_ADD_TOKEN, "shsis", t->role, &t->hash, t->note, (int64_t)t->created, t->edge);
	if (t->expires != 0)
		sqlite3_bind_int64(s, 6, t->expires);
	e = catalogue_run(c, s, f);
	if (e >= 0) {
		id = sqlite3_last_insert_rowid(c->db);
		e = catalogue_audit(c, t->created, who, "token made", t->role, t->note, f);
	}
	e = catalogue_end(c, e, f);
	if (e == 0)
		*ret_id = id;
	return e;
}

int catalogue_revoke_token(struct catalogue *c, int64_t id, const char *who, wall_us when, struct fault *f)
{
	char subject[32];
	int e = catalogue_begin(c, f);

	if (e != 0)
		return e;
	snprintf(subject, sizeof subject, "%lld", (long long)id);
	e = catalogue_run(c, catalogue_bind(c, SQL_REVOKE_TOKEN, "ii", id, (int64_t)when), f);
	if (e == 0)
		e = fault_set(f, ERR_NOT_FOUND, "there is no token %lld", (long long)id);
	if (e > 0)
		e = catalogue_audit(c, when, who, "token revoked", subject, NULL, f);
	return catalogue_end(c, e, f);
}

int catalogue_each_token(struct catalogue *c, catalogue_token_f each, void *ctx, struct fault *f)
{
	int e = catalogue_begin(c, f), r;
	sqlite3_stmt *s;

	if (e != 0)
		return e;
	s = catalogue_bind(c, SQL_EACH_TOKEN, "");
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		struct catalogue_token t = {
			.id = sqlite3_column_int64(s, 0),
			.role = text_of(s, 1),
			.note = text_of(s, 3),
			.created = sqlite3_column_int64(s, 4),
			.expires = sqlite3_column_int64(s, 5),
			.edge = (const char *)sqlite3_column_text(s, 6),
		};

		if (sqlite3_column_bytes(s, 2) == (int)sizeof t.hash.bytes)
			memcpy(t.hash.bytes, sqlite3_column_blob(s, 2), sizeof t.hash.bytes);
		each(ctx, &t);
	}
	if (r != SQLITE_DONE)
		e = catalogue_error(c->db, c->path, f);
	sqlite3_reset(s);
	return catalogue_end(c, e, f);
}
