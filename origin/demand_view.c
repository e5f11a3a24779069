/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A thousand edges name hundreds of thousands of files in a day: sums over them take longer than a list may.
 * Invariant: an answer in the table is whole and is replaced, never changed; nobody counts with the lock held.
 */
#include "origin/demand_view.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/mem.h"
#include "origin/catalogue.h"
#include "origin/popular.h"

#define ROWS_MAX 1000
#define KEPT_MAX 32
#define ASKED_FOR (10 * DUR_MIN) /* nobody asked for so long: forgotten */
#define SHARE 20                 /* of the time one part is spent counting */
#define LEAST (2 * DUR_S)        /* between two counts of the same */
#define TURN DUR_S
#define FILES_HOURS 24 /* what the operators' page asks for */
#define CURVE_HOURS 48
#define MONTH_HOURS 720 /* what people ask for next */

struct kept {
	char *key;
	struct demand_view_query query; /* its texts are owned */
	struct blob *json;
	mono_us counted, asked;
	dur_us took;      /* of the processor: a busy machine makes nothing dear */
	uint64_t version; /* of the demand that was counted */
	int64_t hour;
};

struct demand_view {
	struct catalogue *catalogue;
	struct popular *popular;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	bool stop;
	bool summed; /* the thread's: nothing is left that has no sums */
	struct kept kept[KEPT_MAX];
	size_t n;
};

/* --- counting --- */

static void add_totals(json_t *o, const struct catalogue_count *k)
{
	json_object_set_new(o, "requests", json_integer((json_int_t)k->requests));
	json_object_set_new(o, "bytes", json_integer((json_int_t)k->bytes));
	json_object_set_new(o, "sessions", json_integer((json_int_t)k->sessions));
}

static void add_file(void *ctx, const struct catalogue_count *k)
{
	const char *revision = strchr(k->name, '/'), *file = revision != NULL ? strchr(revision + 1, '/') : NULL;
	json_t *o;

	if (file == NULL)
		return;
	o = json_pack("{s:s%, s:s%, s:s}", "title", k->name, (size_t)(revision - k->name), "revision", revision + 1,
	              (size_t)(file - revision - 1), "file", file + 1);
	add_totals(o, k);
	json_array_append_new(ctx, o);
}

static void add_hour(void *ctx, const struct catalogue_count *k)
{
	char at[CLOCK_RFC3339_SIZE];
	json_t *o;

	clock_to_rfc3339(k->hour * DUR_S, at);
	o = json_pack("{s:s}", "hour", at);
	add_totals(o, k);
	json_array_append_new(ctx, o);
}

static struct blob *to_text(json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT), *line = mem_printf("%s\n", text);
	struct blob *b = blob_copy(line, strlen(line));

	free(line);
	free(text);
	json_decref(o);
	return b;
}

static int64_t this_hour(void)
{
	return clock_wall() / DUR_HOUR * 3600;
}

static int count(struct demand_view *v, const struct demand_view_query *q, int64_t hour, struct blob **ret_json, struct fault *f)
{
	struct catalogue_demand_query ask = {.by = q->by_hour ? CATALOGUE_BY_HOUR : CATALOGUE_BY_FILE, .edge = q->edge, .title = q->title,
	                                     .limit = q->by_hour ? q->hours : ROWS_MAX, .to = hour, .from = hour - (int64_t)(q->hours - 1) * 3600};
	char from[CLOCK_RFC3339_SIZE], to[CLOCK_RFC3339_SIZE];
	json_t *list = json_array();
	int e = catalogue_each_demand(v->catalogue, &ask, q->by_hour ? add_hour : add_file, list, f);

	if (e != 0) {
		json_decref(list);
		return e;
	}
	clock_to_rfc3339(ask.from * DUR_S, from);
	clock_to_rfc3339((ask.to + 3600) * DUR_S, to);
	*ret_json = to_text(json_pack("{s:s, s:s, s:o}", "from", from, "to", to, q->by_hour ? "hours" : "files", list));
	return 0;
}

/* The pause between two counts of the same: what looks far back changes slowly, and is dear. */
static dur_us pause_of(const struct kept *k)
{
	dur_us pause = SHARE * k->took * (k->query.hours > CURVE_HOURS ? 4 : 1);

	return pause > LEAST ? pause : LEAST;
}

/* --- the table; with the lock held --- */

static void kept_fini(struct kept *k)
{
	free(k->key);
	free((char *)k->query.edge);
	free((char *)k->query.title);
	blob_unref(&k->json);
}

static struct kept *find(struct demand_view *v, const char *key)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->kept[i].key, key) == 0)
			return &v->kept[i];
	return NULL;
}

static void drop(struct demand_view *v, size_t i)
{
	kept_fini(&v->kept[i]);
	v->kept[i] = v->kept[--v->n];
}

static void make_room(struct demand_view *v)
{
	size_t oldest = 0;

	for (size_t i = 1; i < v->n; i++)
		if (v->kept[i].asked < v->kept[oldest].asked)
			oldest = i;
	if (v->n == KEPT_MAX)
		drop(v, oldest);
}

static char *copy_text(const char *s)
{
	return s != NULL ? mem_dup(s) : NULL;
}

/* What was counted; takes nothing. */
static void put(struct demand_view *v, const char *key, const struct demand_view_query *q, const struct kept *fresh)
{
	struct kept *k = find(v, key);

	if (k == NULL) {
		make_room(v);
		k = &v->kept[v->n++];
		*k = (struct kept){.key = mem_dup(key), .query = {q->by_hour, q->hours, copy_text(q->edge), copy_text(q->title)}, .asked = fresh->asked};
	}
	blob_unref(&k->json);
	k->json = blob_ref(fresh->json);
	k->counted = fresh->counted;
	k->took = fresh->took;
	k->version = fresh->version;
	k->hour = fresh->hour;
}

/* --- asking --- */

static char *key_of(const struct demand_view_query *q)
{
	return mem_printf("%d %" PRIu64 " %s %s", (int)q->by_hour, q->hours, q->edge != NULL ? q->edge : "", q->title != NULL ? q->title : "");
}

/* Counts, and keeps it when that was dear or it is kept already. */
static int count_and_keep(struct demand_view *v, const char *key, const struct demand_view_query *q, struct blob **ret_json, struct fault *f)
{
	dur_us begin = clock_cpu_thread();
	struct kept fresh = {.asked = clock_mono(), .version = catalogue_demand_version(v->catalogue), .hour = this_hour()};
	int e = count(v, q, fresh.hour, &fresh.json, f);

	if (e != 0)
		return e;
	fresh.counted = clock_mono();
	fresh.took = clock_cpu_thread() - begin;
	pthread_mutex_lock(&v->lock);
	if (fresh.took >= DEMAND_VIEW_DEAR)
		put(v, key, q, &fresh);
	else
		for (size_t i = 0; i < v->n; i++)
			if (strcmp(v->kept[i].key, key) == 0)
				drop(v, i--);
	pthread_mutex_unlock(&v->lock);
	*ret_json = fresh.json;
	return 0;
}

static struct blob *look(struct demand_view *v, const char *key, dur_us *ret_age)
{
	mono_us now = clock_mono();
	struct blob *json = NULL;
	struct kept *k;

	pthread_mutex_lock(&v->lock);
	k = find(v, key);
	if (k != NULL && now - k->counted < DEMAND_VIEW_OLDEST + pause_of(k)) {
		k->asked = now;
		json = blob_ref(k->json);
		*ret_age = now - k->counted;
	}
	pthread_mutex_unlock(&v->lock);
	return json;
}

bool demand_view_look(struct demand_view *v, const struct demand_view_query *q, struct blob **ret_json, dur_us *ret_age)
{
	char *key = key_of(q);
	struct blob *json = look(v, key, ret_age);

	free(key);
	if (json != NULL)
		*ret_json = json;
	return json != NULL;
}

int demand_view_ask(struct demand_view *v, const struct demand_view_query *q, struct blob **ret_json, dur_us *ret_age, struct fault *f)
{
	char *key = key_of(q);
	struct blob *json = look(v, key, ret_age);
	int e = 0;

	if (json == NULL) {
		*ret_age = 0;
		e = count_and_keep(v, key, q, &json, f);
	}
	free(key);
	if (e == 0)
		*ret_json = json;
	return e;
}

/* --- the thread --- */

/* One that is to be counted anew, as copies; false: none.  What nobody asks for is dropped. */
static bool next_due(struct demand_view *v, char **ret_key, struct demand_view_query *ret_query)
{
	mono_us now = clock_mono();
	uint64_t version = catalogue_demand_version(v->catalogue);
	int64_t hour = this_hour();
	bool due = false;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < v->n && !due; i++) {
		struct kept *k = &v->kept[i];

		if (now - k->asked > ASKED_FOR) {
			drop(v, i--);
			continue;
		}
		due = now - k->counted >= pause_of(k) && (k->version != version || k->hour != hour || now - k->counted >= DEMAND_VIEW_OLDEST / 2);
		if (due) {
			*ret_key = mem_dup(k->key);
			*ret_query = (struct demand_view_query){k->query.by_hour, k->query.hours, copy_text(k->query.edge), copy_text(k->query.title)};
		}
	}
	pthread_mutex_unlock(&v->lock);
	return due;
}

static void refresh(struct demand_view *v)
{
	struct demand_view_query q;
	struct fault f = {0};
	struct blob *json;
	char *key;

	while (next_due(v, &key, &q)) {
		int e = count_and_keep(v, key, &q, &json, &f);

		if (e == 0)
			blob_unref(&json);
		else
			log_verbose("origin/demand", "not counted: %s", fault_text(&f));
		free((char *)q.edge);
		free((char *)q.title);
		free(key);
		if (e != 0)
			break;
	}
}

/* An older program's rows: at most this long a turn, in short transactions with room between them for others. */
#define OLDER (50 * DUR_MS)

static void sum_older(struct demand_view *v)
{
	mono_us begin = clock_mono();
	struct fault f = {0};

	while (!v->summed && clock_mono() - begin < OLDER)
		if (catalogue_sum_older(v->catalogue, &v->summed, &f) != 0)
			break; /* the catalogue tells what is wrong with it */
}

/* What the operators' page asks for is there before anybody does, where it is dear. */
static void prepare(struct demand_view *v)
{
	static const struct demand_view_query usual[] = {{false, FILES_HOURS, NULL, NULL}, {true, CURVE_HOURS, NULL, NULL}, {false, MONTH_HOURS, NULL, NULL}};
	struct fault f = {0};
	struct blob *json;
	dur_us age;

	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		if (demand_view_ask(v, &usual[i], &json, &age, &f) == 0)
			blob_unref(&json);
}

static bool wait_a_turn(struct demand_view *v)
{
	struct timespec until;
	mono_us at = clock_mono() + TURN;
	bool go_on;

	until = (struct timespec){.tv_sec = (time_t)(at / DUR_S), .tv_nsec = (long)(at % DUR_S) * 1000};
	pthread_mutex_lock(&v->lock);
	while (!v->stop && clock_mono() < at)
		pthread_cond_timedwait(&v->wake, &v->lock, &until);
	go_on = !v->stop;
	pthread_mutex_unlock(&v->lock);
	return go_on;
}

static void *run(void *arg)
{
	struct demand_view *v = arg;

	do {
		if (popular_tick(v->popular, v->catalogue, clock_wall(), clock_mono()) >= DEMAND_VIEW_DEAR)
			prepare(v);
		refresh(v);
		sum_older(v);
	} while (wait_a_turn(v));
	return NULL;
}

int demand_view_new(struct catalogue *catalogue, struct popular *popular, struct demand_view **ret_view)
{
	struct demand_view *v = mem_new(sizeof *v);
	pthread_condattr_t monotonic;
	int e;

	v->catalogue = catalogue;
	v->popular = popular;
	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&v->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	e = -pthread_create(&v->thread, NULL, run, v);
	if (e != 0) {
		pthread_cond_destroy(&v->wake);
		pthread_mutex_destroy(&v->lock);
		free(v);
		return e;
	}
	*ret_view = v;
	return 0;
}

void demand_view_free(struct demand_view **pv)
{
	struct demand_view *v = *pv;

	if (v == NULL)
		return;
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
	pthread_join(v->thread, NULL);
	while (v->n > 0)
		drop(v, 0);
	pthread_cond_destroy(&v->wake);
	pthread_mutex_destroy(&v->lock);
	free(v);
	*pv = NULL;
}
