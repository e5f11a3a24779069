/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * origin/catalogue and origin/registry: what survives, what an error leaves.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "origin/catalogue.h"
#include "origin/library.h"
#include "origin/registry.h"
#include "t/lib/unit.h"

#define KEY_A "bbb/00000000000000000001"
#define KEY_B "bbb/00000000000000000002"

static char *folder(void)
{
	char *path = mem_dup("/tmp/ribera-unit-XXXXXX");

	CHECK(mkdtemp(path) != NULL);
	log_set_level(LOG_ERROR);
	return path;
}

static struct catalogue *open_in(const char *place)
{
	char *path = path_join(place, "catalogue.sqlite");
	struct catalogue *c;

	CHECK_INT(catalogue_new(path, &c, NULL), 0);
	free(path);
	return c;
}

static void done(char *place)
{
	CHECK_INT(folder_remove(place), 0);
	free(place);
}

static const char *problem(struct catalogue *c)
{
	static char text[256];

	catalogue_problem(c, text, sizeof text);
	return text;
}

static bool count_edge(void *ctx, const struct registry_edge *e)
{
	*(size_t *)ctx += e->n_holds;
	return true;
}

static size_t holders_of(struct registry *r, const char *key)
{
	const struct holders_set *set;
	size_t n;

	rcu_read_begin();
	set = holders_find(registry_holders(r), key);
	n = set != NULL ? set->n : 0;
	rcu_read_end();
	return n;
}

static int beat(struct registry *r, const char *edge, mono_us now, const char *key)
{
	struct registry_beat b = {.free_bytes = 1};

	if (key != NULL) {
		b.holds = mem_new(sizeof *b.holds);
		b.holds[b.n_holds++] = mem_dup(key);
	}
	return registry_heartbeat(r, edge, &b, now, NULL);
}

Test(registry, edges_and_holdings_come_back)
{
	char *place = folder();
	struct catalogue *c = open_in(place);
	struct registry *r = registry_new(c, NULL, 5 * DUR_S);
	size_t n_edges, up, holds = 0;
	bool is_new;

	CHECK_INT(registry_put(r, "edge-a", "http://a", 7, "test", 0, &is_new, NULL), 0);
	CHECK(is_new);
	CHECK_INT(registry_put(r, "edge-a", "http://a2", 8, "test", 0, &is_new, NULL), 0);
	CHECK(!is_new);
	CHECK_INT(beat(r, "edge-a", 0, KEY_A), 0);
	CHECK_INT(beat(r, "edge-x", 0, KEY_A), ERR_NOT_FOUND);
	CHECK_INT(holders_of(r, KEY_A), 1);
	registry_free(&r);
	catalogue_free(&c);

	c = open_in(place);
	r = registry_new(c, NULL, 5 * DUR_S);
	CHECK_INT(registry_load(r, 100 * DUR_S, NULL), 0);
	registry_counts(r, &n_edges, &up);
	CHECK_INT(n_edges, 1);
	CHECK_INT(up, 1);
	CHECK_INT(registry_with(r, "edge-a", count_edge, &holds), 0);
	CHECK_INT(holds, 1);
	CHECK_INT(holders_of(r, KEY_A), 1);
	registry_tick(r, 115 * DUR_S);
	CHECK_INT(holders_of(r, KEY_A), 1);
	registry_tick(r, 115 * DUR_S + 1); /* three heartbeats missed since the start */
	CHECK_INT(holders_of(r, KEY_A), 0);
	CHECK_INT(beat(r, "edge-a", 116 * DUR_S, KEY_B), 0);
	CHECK_INT(holders_of(r, KEY_A), 0);
	CHECK_INT(holders_of(r, KEY_B), 1);
	CHECK_INT(registry_remove(r, "edge-a", "test", NULL), 0);
	CHECK_INT(registry_remove(r, "edge-a", "test", NULL), ERR_NOT_FOUND);
	CHECK_INT(holders_of(r, KEY_B), 0);
	registry_free(&r);
	catalogue_free(&c);
	done(place);
}

Test(registry, many_edges_and_keys)
{
	char *place = folder(), name[32], key[64];
	struct catalogue *c = open_in(place);
	struct registry *r = registry_new(c, NULL, 5 * DUR_S);
	bool is_new;

	for (int i = 0; i < 20; i++) {
		struct registry_beat b = {.holds = mem_new_array(200, sizeof(char *))};

		snprintf(name, sizeof name, "edge-%02d", 19 - i);
		CHECK_INT(registry_put(r, name, "http://x", 1, "test", 0, &is_new, NULL), 0);
		for (int k = 0; k < 200; k++) { /* edge i holds the keys divisible by i+1, each named twice */
			snprintf(key, sizeof key, "title/%020d", k / 2 * 2 / (i + 1) * (i + 1));
			b.holds[b.n_holds++] = mem_dup(key);
		}
		CHECK_INT(registry_heartbeat(r, name, &b, 0, NULL), 0);
	}
	for (int k = 0; k < 200; k++) {
		size_t want = 0;

		for (int i = 0; i < 20; i++)
			for (int j = 0; j < 200; j += 2)
				if (j / (i + 1) * (i + 1) == k) {
					want++;
					break;
				}
		snprintf(key, sizeof key, "title/%020d", k);
		CHECK_INT(holders_of(r, key), want);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "edge-%02d", i);
		CHECK_INT(registry_remove(r, name, "test", NULL), 0);
	}
	CHECK_INT(holders_of(r, "title/00000000000000000000"), 0);
	registry_free(&r);
	catalogue_free(&c);
	done(place);
}

Test(catalogue, one_origin_at_a_time)
{
	char *place = folder(), *path = path_join(place, "catalogue.sqlite");
	struct catalogue *c = open_in(place), *second;
	struct fault f = {0};

	CHECK_INT(catalogue_new(path, &second, &f), ERR_LOCKED);
	CHECK_HAS(f.text, "in use by another origin");
	catalogue_free(&c);
	CHECK_INT(catalogue_new(path, &second, &f), 0);
	catalogue_free(&second);
	free(path);
	done(place);
}

Test(catalogue, a_damaged_database_is_a_state_and_recovers)
{
	char *place = folder(), *path = path_join(place, "catalogue.sqlite");
	struct catalogue_edge edge = {.name = "edge-a", .url = "http://a"};
	struct catalogue *c;
	struct fault f = {0};

	CHECK_INT(file_write_atomic(path, "this is no database, it is a text of some length", 48, 0644), 0);
	CHECK_INT(catalogue_new(path, &c, &f), 0);
	CHECK_HAS(problem(c), "restore a backup");
	CHECK_INT(catalogue_put_edge(c, &edge, "test", 1, &f), ERR_DATABASE);
	CHECK(!catalogue_tick(c));
	CHECK_INT(unlink(path), 0);
	CHECK(catalogue_tick(c));
	CHECK_STR(problem(c), "");
	CHECK_INT(catalogue_put_edge(c, &edge, "test", 1, &f), 0);
	catalogue_free(&c);
	free(path);
	done(place);
}

static void count_hour(void *ctx, const struct catalogue_count *k)
{
	++*(size_t *)ctx;
}

/* The hours that are there after a batch of `hour` came when the clock said `when`, both in years. */
static size_t hours_after(struct catalogue *c, uint64_t sequence, int64_t when, int64_t hour)
{
	const int64_t year = INT64_C(365) * 24 * 3600;
	struct catalogue_count k = {.hour = hour * year, .name = "t/0/f", .requests = 1};
	struct catalogue_batch b = {"s", sequence, &k, 1};
	struct catalogue_demand_query q = {.by = CATALOGUE_EACH, .to = INT64_MAX, .limit = 100};
	bool news;
	size_t n = 0;

	CHECK_INT(catalogue_put_demand(c, "edge-a", &b, when * year * DUR_S, &news, NULL), 0);
	CHECK_INT(catalogue_each_demand(c, &q, count_hour, &n, NULL), 0);
	return n;
}

Test(catalogue, a_clock_years_ahead_makes_it_forget_nothing)
{
	char *place = folder();
	struct catalogue *c = open_in(place);

	CHECK_INT(catalogue_put_edge(c, &(struct catalogue_edge){"edge-a", "http://a", 1, true, false}, "x", 0, NULL), 0);
	CHECK_INT(hours_after(c, 1, 56, 56), 1);
	CHECK_INT(hours_after(c, 2, 90, 57), 2); /* ours */
	CHECK_INT(hours_after(c, 3, 57, 90), 3); /* an edge's */
	CHECK_INT(hours_after(c, 4, 3, 57), 3);  /* ours is years behind */
	CHECK_INT(hours_after(c, 5, 60, 59), 2); /* time went by indeed, but for the wrong hour: 59 and 90 */
	catalogue_free(&c);
	done(place);
}

Test(catalogue, a_newer_schema_is_refused)
{
	char *place = folder(), *path = path_join(place, "catalogue.sqlite");
	struct catalogue *c;
	sqlite3 *db;

	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	c = open_in(place);
	CHECK_HAS(problem(c), "schema 999");
	catalogue_free(&c);
	free(path);
	done(place);
}

Test(catalogue, a_failed_call_leaves_nothing)
{
	char *place = folder(), *path = path_join(place, "catalogue.sqlite");
	struct catalogue_token t = {.role = "edge", .note = ""};
	struct catalogue *c = open_in(place);
	sqlite3_stmt *s;
	sqlite3 *db;
	int64_t id;

	CHECK_INT(catalogue_add_token(c, &t, "test", &id, NULL), 0);
	CHECK_INT(catalogue_add_token(c, &t, "test", &id, NULL), ERR_DATABASE); /* the same hash */
	CHECK_INT(catalogue_revoke_token(c, id, "test", 5, NULL), 0);
	CHECK_INT(catalogue_revoke_token(c, id, "test", 5, NULL), ERR_NOT_FOUND);
	catalogue_free(&c);
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_prepare_v2(db, "SELECT (SELECT count(*) FROM token), (SELECT count(*) FROM audit)", -1, &s, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_step(s), SQLITE_ROW);
	CHECK_INT(sqlite3_column_int(s, 0), 1);
	CHECK_INT(sqlite3_column_int(s, 1), 2);
	sqlite3_finalize(s);
	sqlite3_close(db);
	free(path);
	done(place);
}
