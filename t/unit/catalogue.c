/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * origin/catalogue and origin/registry: what survives, what an error leaves.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "origin/catalogue.h"
#include "origin/catalogue_sql.h"
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

/* --- sums of demand --- */

#define FIRST_DAY 20000

static unsigned dice(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % n;
}

/* A batch of some hours of some days. */
static void put_some(struct catalogue *c, unsigned *seed, uint64_t sequence)
{
	static const char *const edges[] = {"edge-a", "edge-b", "edge-c"};
	static const char *const names[] = {"film/0/a.mp4", "film/0/b.mp4", "film-2/0/a.mp4", "film/1/a.mp4", "other/0/a.mp4"};
	struct catalogue_count v[40];
	struct catalogue_batch b = {"s", sequence, v, 1 + dice(seed, 40)};
	bool news = false;

	for (size_t i = 0; i < b.n; i++)
		v[i] = (struct catalogue_count){.hour = (FIRST_DAY * 24 + dice(seed, 24 * 6)) * INT64_C(3600), .name = names[dice(seed, 5)], .requests = dice(seed, 9),
		                                .bytes = dice(seed, 50) == 0 ? UINT64_C(1) << 44 : dice(seed, 1000), .sessions = dice(seed, 3)};
	CHECK_INT(catalogue_put_demand(c, edges[sequence % 3], &b, (FIRST_DAY + 7) * 86400 * DUR_S, &news, NULL), 0);
	CHECK(news);
}

static void add_text(void *ctx, const struct catalogue_count *k)
{
	buf_printf(ctx, "%lld %s %llu %llu %llu\n", (long long)k->hour, k->name != NULL ? k->name : "-", (unsigned long long)k->requests,
	           (unsigned long long)k->bytes, (unsigned long long)k->sessions);
}

static void add_day(void *ctx, int64_t day, const char *name, uint64_t bytes)
{
	buf_printf(ctx, "%lld %s %llu\n", (long long)day, name, (unsigned long long)bytes);
}

/* What the rows themselves add up to. */
static void add_rows(struct catalogue *c, const char *sql, struct buf *b)
{
	sqlite3_stmt *s;

	CHECK_INT(sqlite3_prepare_v2(c->db, sql, -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(s); i++)
			buf_printf(b, "%s%s", i > 0 ? " " : "", (const char *)sqlite3_column_text(s, i));
		buf_printf(b, "\n");
	}
	sqlite3_finalize(s);
}

static void is_as_rows(struct catalogue *c, const struct catalogue_demand_query *q)
{
	struct buf is, want;
	char *where = mem_printf("WHERE hour BETWEEN %lld AND %lld %s", (long long)q->from, (long long)q->to,
	                         q->title != NULL ? "AND name GLOB 'film/*'" : "");
	char *sql = mem_printf(q->by == CATALOGUE_BY_FILE
	                               ? "SELECT 0, name, sum(requests), sum(bytes), sum(sessions) FROM demand %s GROUP BY name ORDER BY 4 DESC, name"
	                               : "SELECT hour, '-', sum(requests), sum(bytes), sum(sessions) FROM demand %s GROUP BY hour ORDER BY hour",
	                       where);

	buf_init(&is, SIZE_MAX);
	buf_init(&want, SIZE_MAX);
	CHECK_INT(catalogue_each_demand(c, q, add_text, &is, NULL), 0);
	add_rows(c, sql, &want);
	buf_append(&is, "", 1);
	buf_append(&want, "", 1);
	CHECK_STR((const char *)is.bytes, (const char *)want.bytes);
	buf_fini(&is);
	buf_fini(&want);
	free(sql);
	free(where);
}

static void days_are_as_rows(struct catalogue *c, int64_t from, int64_t to)
{
	struct buf is, want;
	char *sql = mem_printf("SELECT hour / 86400 AS day, name, sum(bytes) FROM demand WHERE hour >= %lld AND hour < %lld GROUP BY day, name ORDER BY day, name",
	                       (long long)from, (long long)to);

	buf_init(&is, SIZE_MAX);
	buf_init(&want, SIZE_MAX);
	CHECK_INT(catalogue_each_day(c, NULL, from, to, 0, add_day, &is, NULL), 0);
	add_rows(c, sql, &want);
	buf_append(&is, "", 1);
	buf_append(&want, "", 1);
	CHECK_STR((const char *)is.bytes, (const char *)want.bytes);
	buf_fini(&is);
	buf_fini(&want);
	free(sql);
}

static void all_is_as_rows(struct catalogue *c, unsigned *seed)
{
	for (int i = 0; i < 20; i++) {
		int64_t from = (FIRST_DAY * 24 + dice(seed, 24 * 7)) * INT64_C(3600) - 24 * 3600, to = from + dice(seed, 24 * 7) * INT64_C(3600);

		for (int k = 0; k < 4; k++)
			is_as_rows(c, &(struct catalogue_demand_query){.by = k & 1 ? CATALOGUE_BY_FILE : CATALOGUE_BY_HOUR, .from = from, .to = to,
			                                              .title = k & 2 ? "film" : NULL, .limit = 1000});
		days_are_as_rows(c, from, to);
		days_are_as_rows(c, from / 86400 * 86400, to / 86400 * 86400);
	}
}

/* The database as an older program's is after some steps of catching up: rows before the mark have no sums. */
static void forget_sums_before(struct catalogue *c, int64_t hour, const char *edge)
{
	char *sql = mem_printf("DELETE FROM demand_day; DELETE FROM demand_hour; UPDATE demand_summed SET hour = %lld, edge = '%s';"
	                       "INSERT INTO demand_day SELECT hour / 86400, name, sum(requests), sum(bytes), sum(sessions) FROM demand "
	                       "WHERE (hour, edge) >= (%lld, '%s') GROUP BY 1, 2;"
	                       "INSERT INTO demand_hour SELECT hour, sum(requests), sum(bytes), sum(sessions) FROM demand "
	                       "WHERE (hour, edge) >= (%lld, '%s') GROUP BY 1",
	                       (long long)hour, edge, (long long)hour, edge, (long long)hour, edge);

	CHECK_INT(sqlite3_exec(c->db, sql, NULL, NULL, NULL), SQLITE_OK);
	free(sql);
}

Test(catalogue, sums_of_demand_are_what_the_rows_add_up_to)
{
	char *place = folder();
	struct catalogue *c = open_in(place);
	unsigned seed = 7;
	uint64_t sequence = 0;
	bool all = false;

	for (int i = 0; i < 20; i++)
		put_some(c, &seed, ++sequence);
	all_is_as_rows(c, &seed); /* all have come with their sums */
	for (int round = 0; round < 6; round++) {
		forget_sums_before(c, (FIRST_DAY * 24 + dice(&seed, 24 * 7)) * INT64_C(3600), round % 2 == 0 ? "" : "edge-b");
		all_is_as_rows(c, &seed);
		for (int i = 0; i < 5; i++) /* before, at and behind the mark */
			put_some(c, &seed, ++sequence);
		all_is_as_rows(c, &seed);
		for (all = false; !all;)
			CHECK_INT(catalogue_sum_older(c, &all, NULL), 0);
		put_some(c, &seed, ++sequence);
		all_is_as_rows(c, &seed);
	}
	CHECK_INT(catalogue_sum_older(c, &all, NULL), 0);
	CHECK(all);
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

/* --- plans that were --- */

#define TITLES 300

/* As planners write them: most of it is as on the day before. */
static char *held(int edge, int day)
{
	struct buf b;
	char *text;

	buf_init(&b, SIZE_MAX);
	for (int i = 0; i < TITLES; i++) {
		unsigned seed = (unsigned)(edge * 7 + i + (i % 50 == day % 50 ? day * 1000 : i % 50 < day % 50 ? day / 50 * 1000 : 0)) * 2654435761u;

		buf_printf(&b, "%s\"title-%u/%08x%08x1234\":{\"video.mp4\":%u,\"audio.mp4\":%u}", i == 0 ? "{" : ",", seed % 1000, seed,
		           seed * 31, seed / 3, seed / 50);
	}
	buf_puts(&b, "}");
	text = buf_take(&b);
	return text;
}

static int put_day(struct catalogue *c, const char *edge, int number, int day)
{
	char *files = held(number, day), hash[SHA256_HEX_SIZE];
	struct sha256 h;
	int e;

	sha256_of(files, strlen(files), &h);
	sha256_to_hex(&h, hash);
	hash[32] = '\0';
	e = catalogue_put_plan(c, edge, &(struct catalogue_plan){day, day, "v", "{}", hash, files}, NULL);
	free(files);
	return e;
}

struct expected {
	int edge, days, first, wrong;
};

static void expect_day(void *ctx, const struct catalogue_plan *p)
{
	struct expected *x = ctx;
	char *files = held(x->edge, (int)p->day);

	if (x->days++ == 0)
		x->first = (int)p->day;
	x->wrong += strcmp(p->files, files) != 0;
	free(files);
}

static struct expected days_of(struct catalogue *c, const char *edge, int number)
{
	struct expected x = {.edge = number};

	CHECK_INT(catalogue_each_plan(c, edge, 0, INT32_MAX, expect_day, &x, NULL), 0);
	CHECK_INT(x.wrong, 0);
	return x;
}

static int64_t one_number(struct catalogue *c, const char *sql)
{
	sqlite3_stmt *s;
	int64_t n;

	CHECK_INT(sqlite3_prepare_v2(c->db, sql, -1, &s, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

Test(catalogue, plans_that_were_are_kept_as_differences)
{
	char *place = folder();
	struct catalogue *c = open_in(place);
	int64_t texts;

	CHECK_INT(catalogue_put_edge(c, &(struct catalogue_edge){"edge-a", "http://a", 1, true, false}, "x", 0, NULL), 0);
	for (int day = 100; day < 170; day++) {
		CHECK_INT(put_day(c, "edge-a", 1, day), 0);
		if (day < 102)
			CHECK_INT(put_day(c, "gone", 2, day), 0);
		CHECK_INT(put_day(c, "edge-a", 1, day + 1), 0); /* the next day begins with what this one ended with */
	}
	CHECK_INT(days_of(c, "edge-a", 1).days, 60);
	CHECK_INT(days_of(c, "edge-a", 1).first, 111);
	CHECK_INT(days_of(c, "gone", 2).days, 0);
	texts = one_number(c, "SELECT total(bytes) FROM plan JOIN plan_files ON hash = files");
	CHECK(one_number(c, "SELECT total(length(packed)) FROM plan_files") < texts / 10);
	CHECK(one_number(c, "SELECT count(*) FROM plan_files WHERE base IS NULL") < 20);
	CHECK(one_number(c, "SELECT count(*) FROM plan_files WHERE base IS NOT NULL") > 40);
	CHECK_INT(one_number(c, "SELECT count(*) FROM plan_files WHERE base NOT IN (SELECT hash FROM plan_files WHERE base IS NULL)"), 0);
	c->max_history = one_number(c, "SELECT total(length(packed)) FROM plan_files") / 2;
	CHECK_INT(put_day(c, "edge-a", 1, 172), 0);
	CHECK(days_of(c, "edge-a", 1).days < 45 && days_of(c, "edge-a", 1).days > 10);
	CHECK(one_number(c, "SELECT total(length(packed)) FROM plan_files") <= c->max_history);
	catalogue_free(&c);
	done(place);
}

Test(catalogue, a_damaged_plan_is_told_and_the_next_one_is_whole)
{
	char *place = folder();
	struct catalogue *c = open_in(place);
	struct expected x = {.edge = 1};
	struct fault f = {0};

	CHECK_INT(put_day(c, "edge-a", 1, 100), 0);
	CHECK_INT(put_day(c, "edge-a", 1, 101), 0);
	CHECK_INT(sqlite3_exec(c->db, "UPDATE plan_files SET packed = CAST(substr(packed, 1, 99) || x'00' || substr(packed, 101) AS BLOB) WHERE base IS NULL", NULL, NULL, NULL), SQLITE_OK);
	CHECK_INT(catalogue_each_plan(c, "edge-a", 0, 200, expect_day, &x, &f), ERR_CORRUPT);
	CHECK_HAS(fault_text(&f), "damaged");
	CHECK_INT(put_day(c, "edge-a", 1, 102), 0);
	CHECK_INT(catalogue_each_plan(c, "edge-a", 102, 200, expect_day, &x, NULL), 0);
	CHECK_INT(x.days, 1);
	CHECK_INT(x.wrong, 0);
	catalogue_free(&c);
	done(place);
}

/* A catalogue as schema 6 kept it. */
static void make_old(struct catalogue *c, int days)
{
	sqlite3_stmt *s;

	CHECK_INT(sqlite3_exec(c->db, "DROP TABLE demand_day; DROP TABLE demand_hour; DROP TABLE demand_summed; DROP TABLE plan_files; CREATE TABLE plan_files(hash TEXT PRIMARY KEY, files TEXT NOT NULL) STRICT; PRAGMA user_version = 6",
	                       NULL, NULL, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_prepare_v2(c->db, "INSERT INTO plan_files SELECT files, ?2 FROM plan WHERE day = ?1", -1, &s, NULL), SQLITE_OK);
	for (int day = 1; day <= days; day++) {
		char *files = held(1, day);

		sqlite3_bind_int64(s, 1, day);
		sqlite3_bind_text(s, 2, files, -1, SQLITE_STATIC);
		CHECK_INT(sqlite3_step(s), SQLITE_DONE);
		sqlite3_reset(s);
		free(files);
	}
	sqlite3_finalize(s);
}

Test(catalogue, plans_of_an_older_catalogue_stay)
{
	char *place = folder();
	struct catalogue *c = open_in(place);

	for (int day = 1; day <= 20; day++)
		CHECK_INT(put_day(c, "edge-a", 1, day), 0);
	make_old(c, 20);
	catalogue_free(&c);
	c = open_in(place);
	CHECK_STR(problem(c), "");
	CHECK_INT(days_of(c, "edge-a", 1).days, 20);
	CHECK_INT(put_day(c, "edge-a", 1, 21), 0);
	CHECK_INT(days_of(c, "edge-a", 1).days, 21);
	CHECK_INT(one_number(c, "SELECT count(*) FROM plan_files WHERE base IS NOT NULL"), 1);
	catalogue_free(&c);
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
