/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One round: register (until the origin knows us), heartbeat, plan.  A round
 * that fails is said once and counted always.
 */
#include "edge/contact.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "cdn/nearness.h"
#include "cdn/shelf.h"
#include "edge/counts.h"
#include "edge/demand.h"

#define WHERE "edge/contact"
#define MAX_REPLY ((size_t)1 << 20)
#define REPLY_TIMEOUT (10 * DUR_S)
#define REPLY_STALL (3 * DUR_S)
#define PLAN_STALL (6 * DUR_S) /* others are before us in the origin's queue; who waits longer comes again */
#define PLAN_TIMEOUT (5 * DUR_MIN) /* a whole plan of a large library on a slow line, as long as it moves */
#define AT_ONCE 32 /* batches of demand in one round */
#define CLOCK_MAX (WALL_MAX / DUR_MS)
#define LATEST INT64_C(4102444800000) /* ms: 2100, no origin's clock */
#define MAX_WANTED 120 /* seconds that the origin may ask for between two heartbeats */
#define MAX_FILLING 1000 /* that the origin takes */
#define BACK_OFF 8 /* a silent origin is asked at least every so many intervals */

struct contact {
	struct contact_settings s;
	char *base, *authorization, *plan_path;
	pthread_t thread;
	bool started;
	bool registered, silent;
	unsigned failures; /* in a row */
	char *etag;        /* of the plan in force */
	char *plan_version; /* of the plan heard last in this life; NULL: none yet */
	bool plan_is_current;
	struct plan *before; /* in force, what a short plan is made whole of; NULL: none */
	char shelf[SHA256_HEX_SIZE]; /* its shelf's hash; "": not known, or the origin is to send all */
	dur_us wanted;     /* the origin's wish for an interval; 0: none */
	uint32_t random;
	int has_plan;      /* atomic */
	bool send_away;    /* atomic */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t news;
	bool stop, kicked;
};

bool contact_has_plan(const struct contact *c)
{
	return __atomic_load_n(&c->has_plan, __ATOMIC_ACQUIRE);
}

bool contact_sends_away(const struct contact *c)
{
	return __atomic_load_n(&c->send_away, __ATOMIC_RELAXED);
}

const char *contact_clock_trouble(const struct contact *c)
{
	int64_t offset = counters_read(c->s.counters, COUNT_CLOCK_OFFSET);

	if (offset > CLOCK_MAX)
		return "the clock is seconds ahead of the origin's: is time synchronised?";
	return offset < -CLOCK_MAX ? "the clock is seconds behind the origin's: is time synchronised?" : NULL;
}

static void hand_over(struct contact *c, struct plan *plan)
{
	plan_unref(&c->before);
	c->before = plan_ref(plan);
	__atomic_store_n(&c->has_plan, 1, __ATOMIC_RELEASE);
	c->s.plan(c->s.ctx, plan);
}

static void read_kept_plan(struct contact *c)
{
	struct fault f = {0};
	struct plan *plan;
	struct buf b;
	int r;

	buf_init(&b, PLAN_MAX_BYTES);
	r = file_read(c->plan_path, &b);
	if (r == 0) {
		r = plan_read(b.bytes, b.size, &plan, &f);
		if (r == 0)
			hand_over(c, plan);
		else
			log_warn(WHERE, "the plan on disk is of no use: %s path=\"%s\"", fault_text(&f), c->plan_path);
	}
	buf_fini(&b);
}

/* Of the plan in force, when it came whole or from the disk. */
static void hash_shelf(struct contact *c)
{
	struct shelf s;

	c->shelf[0] = '\0';
	if (c->before == NULL || plan_shelf(c->before, &s) != 0)
		return;
	memcpy(c->shelf, s.hash, sizeof c->shelf);
	shelf_fini(&s);
}

struct contact *contact_new(const struct contact_settings *settings)
{
	struct contact *c = mem_new(sizeof *c);
	size_t n = strlen(settings->origin);
	pthread_condattr_t attr;

	c->s = *settings;
	while (n > 0 && settings->origin[n - 1] == '/')
		n--;
	c->base = mem_printf("%.*s/api/v1", (int)n, settings->origin);
	c->authorization = settings->token != NULL ? mem_printf("Authorization: Bearer %s", settings->token) : NULL;
	c->plan_path = mem_dup(settings->plan_path);
	c->random = (uint32_t)clock_mono() | 1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->news, &attr);
	pthread_condattr_destroy(&attr);
	read_kept_plan(c);
	hash_shelf(c);
	return c;
}

/* --- requests -------------------------------------------------------------------------- */

static int request(struct contact *c, const char *method, const char *path, const char *body, const char *condition,
                   size_t max, struct blob **ret_blob, struct fetch_result *ret, char **ret_etag, struct fault *f)
{
	char *url = mem_printf("%s%s", c->base, path);
	const char *fields[3];
	size_t n = 0;
	struct fetch_request req = {
		.url = url,
		.method = method,
		.body = body,
		.body_size = body != NULL ? strlen(body) : 0,
		.fields = fields,
		.max_bytes = max,
		.stall_timeout = max == PLAN_MAX_BYTES ? PLAN_STALL : REPLY_STALL,
		.total_timeout = max == PLAN_MAX_BYTES ? PLAN_TIMEOUT : REPLY_TIMEOUT,
	};
	int r;

	if (c->authorization != NULL)
		fields[n++] = c->authorization;
	if (body != NULL)
		fields[n++] = "Content-Type: application/json";
	if (condition != NULL)
		fields[n++] = condition;
	req.n_fields = n;
	r = fetch_get(c->s.fetch, &req, ret_blob, ret, ret_etag, f);
	free(url);
	return r;
}

/* What the origin said (RFC 9457), for people. */
static int refused(struct fault *f, int r, const struct fetch_result *result, const struct blob *reply)
{
	json_t *root = reply != NULL ? json_loadb((const char *)reply->bytes, reply->size, 0, NULL) : NULL;
	const char *detail = json_string_value(json_object_get(root, "detail"));

	if (result->status > 0)
		fault_set(f, r, "the origin answered %d%s%.200s", result->status, detail != NULL ? ": " : "",
		          detail != NULL ? detail : "");
	json_decref(root);
	return r;
}

static void set_send_away(struct contact *c, bool send_away)
{
	if (send_away != c->send_away)
		log_info(WHERE, send_away ? "this edge is being drained: viewers who are still here are sent to others" : "viewers may stay");
	__atomic_store_n(&c->send_away, send_away, __ATOMIC_RELAXED);
}

/* Answers to a heartbeat, which alone bear this: how often the origin wants to hear from us, whether it has another plan, who shall go. */
static void take_wishes(struct contact *c, const json_t *root)
{
	double seconds = json_number_value(json_object_get(root, "heartbeat_seconds"));
	const char *plan = json_string_value(json_object_get(root, "plan"));

	c->wanted = seconds > 0 && seconds <= MAX_WANTED ? (dur_us)(seconds * (double)DUR_S) : 0;
	set_send_away(c, json_is_true(json_object_get(root, "send_away")));
	c->plan_is_current = plan != NULL && c->plan_version != NULL && strcmp(plan, c->plan_version) == 0;
}

/* How far this clock is ahead, by what the origin's showed in the middle of the exchange (half the round trip is the error). */
static void take_clock(struct contact *c, const json_t *now, mono_us asked)
{
	mono_us answered = clock_mono(), middle = asked + (answered - asked) / 2;
	wall_us own = clock_wall() - (answered - middle), origins = json_integer_value(now) * DUR_MS;

	counters_set(c->s.counters, COUNT_CLOCK_OFFSET, (own - origins) / DUR_MS);
	wall_hear(c->s.wall, origins, middle);
}

static void take_reply(struct contact *c, const struct blob *reply, mono_us asked)
{
	json_t *root = json_loadb((const char *)reply->bytes, reply->size, 0, NULL);
	const json_t *now = json_object_get(root, "now");

	take_wishes(c, root);
	if (json_is_integer(now) && json_integer_value(now) > 0 && json_integer_value(now) < LATEST)
		take_clock(c, now, asked);
	json_decref(root);
}

static int post(struct contact *c, const char *path, json_t *body, int *ret_status, struct fault *f)
{
	mono_us asked = clock_mono();
	char *text = json_dumps(body, JSON_COMPACT);
	struct fetch_result result = {0};
	struct blob *reply = NULL;
	int r;

	MUST(text != NULL);
	r = request(c, "POST", path, text, NULL, MAX_REPLY, &reply, &result, NULL, f);
	if (r != 0)
		refused(f, r, &result, reply);
	else if (reply != NULL)
		take_reply(c, reply, asked);
	*ret_status = result.status;
	blob_unref(&reply);
	json_decref(body);
	free(text);
	return r;
}

static int do_register(struct contact *c, const struct contact_status *s, struct fault *f)
{
	json_t *body = json_pack("{s:s, s:s, s:I}", "name", c->s.name, "url", c->s.public_url, "capacity",
	                         (json_int_t)s->capacity);
	int status, r = post(c, "/edges", body, &status, f);

	if (r == 0) {
		c->registered = true;
		log_info(WHERE, "registered at the origin origin=\"%s\" name=%s url=\"%s\"", c->base, c->s.name,
		         c->s.public_url);
	}
	return r;
}

static json_t *names_json(char *const *names, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *filling_json(const struct contact_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_filling && i < MAX_FILLING; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "title", s->filling[i].title, "revision", s->filling[i].revision,
		                                      "bytes", (json_int_t)s->filling[i].bytes));
	return list;
}

static json_t *round_trips_json(const struct contact_status *s)
{
	json_t *list = json_array();
	char network[NEARNESS_TEXT];

	for (size_t i = 0; i < s->n_round_trips; i++) {
		nearness_print(s->round_trips[i].network, network);
		json_array_append_new(list, json_pack("{s:s, s:I}", "network", network, "ms", (json_int_t)s->round_trips[i].ms));
	}
	return list;
}

static int do_heartbeat(struct contact *c, const struct contact_status *s, struct fault *f)
{
	char *path = mem_printf("/edges/%s/heartbeat", c->s.name);
	json_t *body = json_pack("{s:I, s:f, s:o, s:o, s:I, s:I, s:f, s:I, s:I}", "free_bytes", (json_int_t)s->free_bytes, "load", s->load,
	                         "holds", names_json(s->holds, s->n_holds), "liars", names_json(s->liars, s->n_liars),
	                         "store_errors", (json_int_t)s->store_errors, "now", (json_int_t)(clock_wall() / DUR_MS),
	                         "up_seconds", (double)s->well / (double)DUR_S,
	                         "hits", (json_int_t)s->hits, "misses", (json_int_t)s->misses);
	int status, r;

	if (s->n_filling > 0)
		json_object_set_new(body, "filling", filling_json(s));
	if (s->n_parts > 0)
		json_object_set_new(body, "parts", names_json(s->parts, s->n_parts));
	if (s->n_round_trips > 0)
		json_object_set_new(body, "round_trips", round_trips_json(s));
	if (s->trouble != NULL)
		json_object_set_new(body, "trouble", json_string(s->trouble));
	r = post(c, path, body, &status, f);
	if (r == 0)
		c->s.told(c->s.ctx, s);
	if (status == 404)
		c->registered = false; /* it forgot us */
	free(path);
	return r;
}

static int keep_plan(struct contact *c, const void *text, size_t n, size_t received, struct fault *f)
{
	struct plan *plan;
	int r = plan_read(text, n, &plan, f);

	if (r != 0)
		return r;
	r = file_write_atomic(c->plan_path, text, n, 0644);
	if (r != 0)
		log_warn(WHERE, "cannot keep the plan: %s path=\"%s\"", err_text(r), c->plan_path);
	log_info(WHERE, "new plan version=%s titles=%zu peers=%zu received=%zu", plan->version, plan->n_titles, plan->n_peers, received);
	counters_add(c->s.counters, COUNT_PLANS, 1);
	free(c->plan_version);
	c->plan_version = mem_dup(plan->version);
	hand_over(c, plan);
	return 0;
}

/* `asked`: it was said which shelf is here.  A plan that is no good is asked for whole. */
static int take_plan(struct contact *c, const struct blob *reply, bool asked, struct fault *f)
{
	char hash[SHA256_HEX_SIZE] = "";
	struct buf whole;
	int r = 0;

	buf_init(&whole, PLAN_MAX_BYTES);
	if (asked)
		r = plan_lengthen(c->before, reply->bytes, reply->size, &whole, hash, f);
	if (r == 0)
		r = asked ? keep_plan(c, whole.bytes, whole.size, reply->size, f) : keep_plan(c, reply->bytes, reply->size, reply->size, f);
	buf_fini(&whole);
	if (r != 0)
		counters_add(c->s.counters, COUNT_PLANS_BAD, 1);
	if (r != 0)
		c->shelf[0] = '\0';
	else if (hash[0] != '\0')
		memcpy(c->shelf, hash, sizeof c->shelf);
	else
		hash_shelf(c);
	return r;
}

static int ask_for_plan(struct contact *c, struct fault *f)
{
	bool asked = c->shelf[0] != '\0';
	char *path = mem_printf("/edges/%s/plan%s%s", c->s.name, asked ? "?shelf=" : "", c->shelf);
	char *condition = c->etag != NULL ? mem_printf("If-None-Match: %s", c->etag) : NULL;
	struct fetch_result result = {0};
	struct blob *reply = NULL;
	char *etag = NULL;
	int r = request(c, "GET", path, NULL, condition, PLAN_MAX_BYTES, &reply, &result, &etag, f);

	if (r != 0) {
		refused(f, r, &result, reply);
		c->registered &= result.status != 404;
	} else if (result.status == 200) {
		r = take_plan(c, reply, asked, f);
		if (r == 0) {
			free(c->etag);
			c->etag = etag;
			etag = NULL;
		}
	}
	blob_unref(&reply);
	free(etag);
	free(path);
	free(condition);
	return r;
}

static int do_plan(struct contact *c, struct fault *f)
{
	bool short_one = c->shelf[0] != '\0';
	int r = ask_for_plan(c, f);

	if (r == 0 || !short_one || c->shelf[0] != '\0')
		return r;
	log_verbose(WHERE, "%s; asking for all of it", fault_text(f));
	*f = (struct fault){0};
	return ask_for_plan(c, f);
}

/* Batches the origin has not got yet.  It may not know of them (404) or be unable
 * to count now: they wait, and what else there is to say is said all the same. */
static void do_demand(struct contact *c)
{
	char *path = mem_printf("/edges/%s/demand", c->s.name), *text;

	for (int i = 0; i < AT_ONCE && (text = demand_next(c->s.demand)) != NULL; i++) {
		struct fetch_result result = {0};
		struct blob *reply = NULL;
		struct fault f = {0};
		int r = request(c, "POST", path, text, NULL, MAX_REPLY, &reply, &result, NULL, &f);

		free(text);
		if (r == 0 || result.status == 400 || result.status == 422) {
			if (r != 0)
				log_warn(WHERE, "the origin refuses a batch of demand: %d", result.status);
			counters_add(c->s.counters, r == 0 ? COUNT_DEMAND_SENT : COUNT_DEMAND_LOST, 1);
			demand_delivered(c->s.demand);
		}
		blob_unref(&reply);
		if (r != 0)
			break;
	}
	free(path);
}

/* --- the thread ------------------------------------------------------------------------ */

static void free_status(struct contact_status *s)
{
	for (size_t i = 0; i < s->n_holds; i++)
		free(s->holds[i]);
	free(s->holds);
	for (size_t i = 0; i < s->n_parts; i++)
		free(s->parts[i]);
	free(s->parts);
	for (size_t i = 0; i < s->n_filling; i++)
		free(s->filling[i].title);
	free(s->filling);
	for (size_t i = 0; i < s->n_liars; i++)
		free(s->liars[i]);
	free(s->liars);
	free(s->round_trips);
}

static int round_of(struct contact *c, struct fault *f)
{
	struct contact_status s = {0};
	int r = 0;

	c->s.collect(c->s.ctx);
	c->s.status(c->s.ctx, &s);
	if (!c->registered)
		r = do_register(c, &s, f);
	if (r == 0)
		r = do_heartbeat(c, &s, f);
	if (r == 0 && !c->plan_is_current)
		r = do_plan(c, f);
	if (r == 0)
		do_demand(c);
	free_status(&s);
	return r;
}

static void account(struct contact *c, int r, const struct fault *f)
{
	if (r == ERR_CANCELLED) /* by contact_stop */
		return;
	counters_set(c->s.counters, COUNT_ORIGIN_REACHED, r == 0);
	if (r == 0) {
		if (c->silent)
			log_info(WHERE, "the origin is back origin=\"%s\"", c->base);
		c->silent = false;
		c->failures = 0;
		return;
	}
	counters_add(c->s.counters, COUNT_CONTACT_FAILED, 1);
	c->failures++;
	set_send_away(c, false); /* nobody knows any more where others are better off */
	if (!c->silent)
		log_warn(WHERE, "no contact with the origin, going on with what is here: %s origin=\"%s\"", fault_text(f),
		         c->base);
	c->silent = true;
}

/* Four fifths to six fifths of the interval (ours, or the origin's if that is longer), so that many edges spread out. */
static dur_us pause_of(struct contact *c)
{
	dur_us own = c->s.interval > c->wanted ? c->s.interval : c->wanted;
	dur_us d = own * (dur_us)(c->failures < BACK_OFF ? c->failures + (c->failures == 0) : BACK_OFF);

	c->random = c->random * 1664525u + 1013904223u;
	return d * 4 / 5 + (dur_us)((uint64_t)d * 2 / 5 * (c->random >> 16) / 65536);
}

/* False: the end has come. */
static bool pause_or_stop(struct contact *c, dur_us d)
{
	mono_us until = clock_mono() + d;
	struct timespec ts = {.tv_sec = until / DUR_S, .tv_nsec = until % DUR_S * 1000};
	bool go_on;

	pthread_mutex_lock(&c->lock);
	while (!c->stop && !c->kicked && pthread_cond_timedwait(&c->news, &c->lock, &ts) == 0)
		;
	c->kicked = false;
	go_on = !c->stop;
	pthread_mutex_unlock(&c->lock);
	return go_on;
}

static void *contact_main(void *ctx)
{
	struct contact *c = ctx;

	do {
		struct fault f = {0};

		account(c, round_of(c, &f), &f);
	} while (pause_or_stop(c, pause_of(c)));
	return NULL;
}

void contact_start(struct contact *c)
{
	MUST(pthread_create(&c->thread, NULL, contact_main, c) == 0);
	c->started = true;
}

void contact_kick(struct contact *c)
{
	pthread_mutex_lock(&c->lock);
	c->kicked = true;
	pthread_cond_signal(&c->news);
	pthread_mutex_unlock(&c->lock);
}

void contact_stop(struct contact *c)
{
	if (c == NULL || !c->started)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->news);
	pthread_mutex_unlock(&c->lock);
	fetch_stop(c->s.fetch); /* a plan may take minutes to come */
	pthread_join(c->thread, NULL);
	c->started = false;
}

void contact_free(struct contact **pc)
{
	struct contact *c = *pc;

	if (c == NULL)
		return;
	*pc = NULL;
	contact_stop(c);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->news);
	free(c->base);
	free(c->authorization);
	free(c->plan_path);
	free(c->etag);
	free(c->plan_version);
	plan_unref(&c->before);
	free(c);
}
