/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The edges' part of the control API.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "cdn/nearness.h"
#include "dash/package.h"
#include "origin/api.h"
#include "origin/events.h"
#include "origin/form.h"
#include "origin/json_text.h"
#include "origin/library.h"
#include "origin/manifest.h"
#include "origin/origin.h"
#include "origin/planner.h"
#include "origin/registry.h"
#include "origin/reply.h"
#include "origin/steer.h"
#include "origin/titles.h"
#include "serve/serve.h"

#define MAX_HOLDS 200000
#define MAX_FILLING 1000
#define LIST_HELD 20    /* of an edge in a list of edges at most, */
#define PAGE_HELD 2000  /* and on a page together */
#define MAX_LIARS 100
#define MAX_ROUND_TRIPS 1000
#define MAX_TROUBLE 200
#define MAX_UP 1e9 /* seconds */

static double interval_seconds(const struct api_call *c)
{
	return (double)registry_heartbeat_interval(c->origin->registry) / (double)DUR_S;
}

/* --- reading --- */

/* Held whole, in part (then which files), or being fetched (then how many bytes are here). */
static void write_held(struct json_text *t, const struct registry_edge *e, const char *key, const uint64_t *bytes)
{
	const char *slash = strchr(key, '/');
	size_t n = 0, skip = strlen(key) + 1;
	char *const *parts = bytes == NULL ? registry_edge_parts(e, key, &n) : NULL;

	json_text_open(t, NULL, '{');
	json_text_string_n(t, "title", key, (size_t)(slash - key));
	json_text_string(t, "revision", slash + 1);
	if (bytes != NULL)
		json_text_integer(t, "bytes", (int64_t)*bytes);
	json_text_bool(t, "complete", bytes == NULL && parts == NULL);
	if (parts != NULL) {
		json_text_open(t, "files", '[');
		for (size_t i = 0; i < n; i++)
			json_text_string(t, NULL, parts[i] + skip);
		json_text_close(t, ']');
	}
	json_text_close(t, '}');
}

/* Of the lookups of late; null when there were none to speak of. */
static double hit_ratio(const struct registry_edge *e)
{
	double all = e->hits_of_late + e->misses_of_late;

	return all >= 1 ? e->hits_of_late / all : NAN;
}

static void write_health(struct json_text *t, const struct registry_edge *e, mono_us now)
{
	mono_us out_until = __atomic_load_n(&e->shown->out_until, __ATOMIC_RELAXED);

	json_text_string(t, "trouble", e->trouble);
	json_text_integer(t, "store_errors", (int64_t)e->store_errors);
	json_text_real(t, "hit_ratio", hit_ratio(e));
	if (e->has_clock)
		json_text_integer(t, "clock_offset_ms", e->clock_offset / DUR_MS);
	else
		json_text_null(t, "clock_offset_ms");
	json_text_integer(t, "wrong_bytes_reported", (int64_t)e->accused);
	if (e->health.probed)
		json_text_bool(t, "reachable", e->health.misses < HEALTH_MISSES);
	else
		json_text_null(t, "reachable");
	json_text_seconds(t, "held_out_seconds", out_until > now ? out_until - now : 0);
}

/* With at most so many of what it holds and of what it fetches; the numbers are there in any case. */
static void write_edge(struct json_text *t, const struct registry_edge *e, mono_us now, size_t max_held)
{
	json_text_open(t, NULL, '{');
	json_text_string(t, "name", e->name);
	json_text_string(t, "url", e->url);
	json_text_integer(t, "capacity", (int64_t)e->capacity);
	json_text_string(t, "state", e->up ? "up" : "down");
	json_text_bool(t, "draining", e->draining);
	if (e->heard)
		json_text_integer(t, "free_bytes", (int64_t)e->free_bytes);
	else
		json_text_null(t, "free_bytes");
	json_text_real(t, "load", e->heard ? e->load : NAN);
	json_text_seconds(t, "seen_seconds_ago", now - e->last);
	json_text_open(t, "held", '[');
	for (size_t i = 0; i < e->n_holds && i < max_held; i++)
		write_held(t, e, e->holds[i], NULL);
	for (size_t i = 0; i < e->n_filling && i < max_held; i++)
		write_held(t, e, e->filling[i].key, &e->filling[i].bytes);
	json_text_close(t, ']');
	write_health(t, e, now);
	json_text_integer(t, "holds", (int64_t)e->n_holds);
	json_text_integer(t, "fills", (int64_t)e->n_filling);
	json_text_close(t, '}');
}

struct listing {
	struct json_text text;
	size_t n, limit, max_held;
	char last[128 + 1]; /* its name */
	char *what; /* of a single one: what people say of it, to be freed */
	bool more;
	mono_us now;
};

static bool list_one(void *ctx, const struct registry_edge *e)
{
	struct listing *l = ctx;

	l->more = l->n == l->limit;
	if (l->more)
		return false;
	write_edge(&l->text, e, l->now, l->max_held);
	snprintf(l->last, sizeof l->last, "%s", e->name);
	if (l->limit == 1 && l->what == NULL)
		l->what = mem_printf("%s %s %llu %d", e->name, e->url, (unsigned long long)e->capacity, (int)e->draining);
	l->n++;
	return true;
}

void api_list_edges(struct api_call *c)
{
	struct listing l = {.now = clock_mono()};
	const char *after;
	size_t total, up;

	if (!titles_read_page(c->req, &l.limit, &after))
		return;
	l.max_held = PAGE_HELD / l.limit < LIST_HELD ? PAGE_HELD / l.limit : LIST_HELD;
	json_text_init(&l.text);
	json_text_open(&l.text, NULL, '{');
	json_text_open(&l.text, "edges", '[');
	registry_each(c->origin->registry, after, list_one, &l);
	json_text_close(&l.text, ']');
	registry_counts(c->origin->registry, &total, &up);
	json_text_integer(&l.text, "total", (int64_t)total);
	json_text_integer(&l.text, "up", (int64_t)up);
	json_text_string(&l.text, "next", l.more ? l.last : NULL);
	json_text_close(&l.text, '}');
	free(l.what);
	reply_json_text(c->req, &l.text);
}

void api_get_edge(struct api_call *c)
{
	struct listing l = {.limit = 1, .max_held = SIZE_MAX, .now = clock_mono()};

	json_text_init(&l.text);
	if (registry_with(c->origin->registry, c->name, list_one, &l) == 0) {
		reply_json_alive(c->req, &l.text, l.what);
		free(l.what);
		return;
	}
	buf_fini(&l.text.out);
	reply_problem(c->req, 404, "there is no edge \"%s\"", c->name);
}

void api_remove_edge(struct api_call *c)
{
	struct fault f = {0};

	if (registry_remove(c->origin->registry, c->name, c->who, &f) != 0)
		reply_fault(c->req, &f);
	else
		reply_empty(c->req, 204);
}

static void drain(struct api_call *c, bool draining)
{
	struct fault f = {0};

	if (registry_drain(c->origin->registry, c->name, draining, c->who, &f) != 0)
		reply_fault(c->req, &f);
	else
		reply_empty(c->req, 204);
}

void api_drain_edge(struct api_call *c)
{
	drain(c, true);
}

void api_undrain_edge(struct api_call *c)
{
	drain(c, false);
}

/* --- registration --- */

struct registration {
	const char *name, *url;
	uint64_t capacity;
};

static const struct form_row registration_rows[] = {
	{"name", FORM_NAME, true, offsetof(struct registration, name), 0, 0},
	{"url", FORM_URL, true, offsetof(struct registration, url), 0, 0},
	{"capacity", FORM_SIZE, true, offsetof(struct registration, capacity), 0, 0},
};

static void put_edge(struct api_call *c, const struct registration *r)
{
	size_t n = strlen(r->url);
	bool is_new = false;
	struct fault f = {0};
	char *url, *location;
	json_t *body;
	int e;

	while (n > 0 && r->url[n - 1] == '/')
		n--;
	url = mem_dup_n(r->url, n);
	e = registry_put(c->origin->registry, r->name, url, r->capacity, c->who, clock_mono(), &is_new, &f);
	if (e != 0) {
		reply_fault(c->req, &f);
	} else {
		body = json_pack("{s:s, s:f}", "name", r->name, "heartbeat_seconds", interval_seconds(c));
		location = mem_printf("/api/v1/edges/%s", r->name);
		if (is_new) {
			log_info("origin/api", "edge registered name=%s url=%s capacity=%llu", r->name, url,
			         (unsigned long long)r->capacity);
			reply_created(c->req, body, location);
		} else {
			reply_json(c->req, 200, body);
		}
		free(location);
	}
	free(url);
}

void api_register_edge(struct api_call *c)
{
	struct registration r = {0};
	struct form_error e;
	json_t *root;
	size_t n;
	const void *body = serve_body(c->req, &n);

	if (form_read(body, n, registration_rows, 3, &r, &root, &e) != 0) {
		reply_form_error(c->req, &e);
		return;
	}
	if (c->edge[0] != '\0' && strcmp(r.name, c->edge) != 0) {
		reply_problem(c->req, 403, "the token is for the edge \"%s\"", c->edge);
	} else if (strcmp(r.name, MANIFEST_ORIGIN) == 0) {
		form_fail(&e, "name", "\"" MANIFEST_ORIGIN "\" is the origin's own name");
		reply_form_error(c->req, &e);
	} else {
		put_edge(c, &r);
	}
	json_decref(root);
}

/* --- heartbeats --- */

struct heartbeat {
	uint64_t free_bytes;
	double load;
	json_t *holds, *filling, *parts, *liars, *round_trips;
	const char *trouble;
	uint64_t store_errors, hits, misses, now; /* now: milliseconds since 1970 */
	double up;
};

static const struct form_row heartbeat_rows[] = {
	{"free_bytes", FORM_SIZE, true, offsetof(struct heartbeat, free_bytes), 0, 0},
	{"load", FORM_NUMBER, true, offsetof(struct heartbeat, load), 0, 0},
	{"holds", FORM_LIST, true, offsetof(struct heartbeat, holds), 0, MAX_HOLDS},
	{"filling", FORM_LIST, false, offsetof(struct heartbeat, filling), 0, MAX_FILLING},
	{"parts", FORM_LIST, false, offsetof(struct heartbeat, parts), 0, MAX_HOLDS},
	{"liars", FORM_LIST, false, offsetof(struct heartbeat, liars), 0, MAX_LIARS},
	{"round_trips", FORM_LIST, false, offsetof(struct heartbeat, round_trips), 0, MAX_ROUND_TRIPS},
	{"trouble", FORM_TEXT, false, offsetof(struct heartbeat, trouble), 0, MAX_TROUBLE},
	{"store_errors", FORM_SIZE, false, offsetof(struct heartbeat, store_errors), 0, 0},
	{"hits", FORM_SIZE, false, offsetof(struct heartbeat, hits), 0, 0},
	{"misses", FORM_SIZE, false, offsetof(struct heartbeat, misses), 0, 0},
	{"now", FORM_SIZE, false, offsetof(struct heartbeat, now), 0, 0},
	{"up_seconds", FORM_NUMBER, false, offsetof(struct heartbeat, up), 0, 0},
};

struct filling {
	const char *title, *revision;
	uint64_t bytes;
};

static const struct form_row filling_rows[] = {
	{"title", FORM_NAME, true, offsetof(struct filling, title), 0, 0},
	{"revision", FORM_NAME, true, offsetof(struct filling, revision), 0, 0},
	{"bytes", FORM_SIZE, true, offsetof(struct filling, bytes), 0, 0},
};

static bool is_revision(const char *s)
{
	return strlen(s) == PACKAGE_REVISION_SIZE - 1 && strspn(s, "0123456789abcdef") == PACKAGE_REVISION_SIZE - 1;
}

/* "TITLE/REVISION" */
static bool is_key(const json_t *v)
{
	const char *s = json_string_value(v), *slash = s != NULL ? strchr(s, '/') : NULL;

	return slash != NULL && strlen(s) == json_string_length(v) && str_is_name(s, (size_t)(slash - s)) &&
	       is_revision(slash + 1);
}

/* "TITLE/REVISION/FILE" */
static bool is_part(const json_t *v)
{
	const char *s = json_string_value(v);
	char *path;
	struct package_path p;
	bool good;

	if (s == NULL || strlen(s) != json_string_length(v))
		return false;
	path = mem_printf("/v/%s", s);
	good = package_path_parse(path, strlen(path), &p) == 0 && p.revision_n > 0;
	free(path);
	return good;
}

static bool is_edge_name(const json_t *v)
{
	return json_is_string(v) && str_is_name(json_string_value(v), json_string_length(v));
}

/* Copies a list of strings that are all good; `list` NULL: none.  What was read is in *ret_items also on failure. */
static int read_strings(const json_t *list, const char *name, bool (*is_good)(const json_t *), const char *wanted,
                        char ***ret_items, size_t *ret_n, struct form_error *e)
{
	size_t i;
	json_t *v;

	*ret_items = mem_new_array(json_array_size(list) + 1, sizeof **ret_items);
	json_array_foreach((json_t *)list, i, v) {
		if (!is_good(v)) {
			char field[32];

			snprintf(field, sizeof field, "%s[%zu]", name, i);
			return form_fail(e, field, "expected %s", wanted);
		}
		(*ret_items)[(*ret_n)++] = mem_dup(json_string_value(v));
	}
	return 0;
}

static int compare_filling(const void *a, const void *b)
{
	return strcmp(((const struct registry_filling *)a)->key, ((const struct registry_filling *)b)->key);
}

static int read_filling(const json_t *list, struct registry_beat *b, struct form_error *e)
{
	size_t i;
	json_t *v;

	b->filling = mem_new_array(json_array_size(list) + 1, sizeof *b->filling);
	json_array_foreach((json_t *)list, i, v) {
		struct filling f = {0};
		char field[48];

		snprintf(field, sizeof field, "filling[%zu]", i);
		if (form_read_object(v, field, filling_rows, 3, &f, e) != 0)
			return ERR_SYNTAX;
		snprintf(field, sizeof field, "filling[%zu].revision", i);
		if (!is_revision(f.revision))
			return form_fail(e, field, "expected 20 hex digits");
		b->filling[b->n_filling].key = mem_printf("%s/%s", f.title, f.revision);
		b->filling[b->n_filling++].bytes = f.bytes;
	}
	qsort(b->filling, b->n_filling, sizeof *b->filling, compare_filling);
	return 0;
}

static json_t *filling_json(const char *key, uint64_t bytes)
{
	const char *slash = strchr(key, '/');

	return json_pack("{s:s%, s:s, s:I}", "title", key, (size_t)(slash - key), "revision", slash + 1, "bytes", (json_int_t)bytes);
}

#define SAID_FILLING 50 /* in an event; GET /fills has all */

/* How far the edge's fills are: told, not kept. */
static void say_filling(struct api_call *c, const struct registry_beat *b)
{
	json_t *list = json_array();
	struct library_view *view = library_view(c->origin->library);

	for (size_t i = 0; i < b->n_filling && i < SAID_FILLING; i++) {
		json_t *o = filling_json(b->filling[i].key, b->filling[i].bytes);
		const struct revision *r = library_view_revision(view, b->filling[i].key);

		json_object_set_new(o, "total", r != NULL ? json_integer((json_int_t)r->bytes) : json_null());
		json_array_append_new(list, o);
	}
	library_view_unref(&view);
	events_say(c->origin->events, EVENT_FILL_PROGRESS, json_pack("{s:s, s:o}", "edge", c->name, "filling", list));
}

static int read_beat(const struct heartbeat *h, struct registry_beat *b, struct form_error *e)
{
	int r = read_strings(h->holds, "holds", is_key, "TITLE/REVISION", &b->holds, &b->n_holds, e);

	if (r == 0 && h->filling != NULL)
		r = read_filling(h->filling, b, e);
	if (r == 0)
		r = read_strings(h->parts, "parts", is_part, "TITLE/REVISION/FILE", &b->parts, &b->n_parts, e);
	if (r == 0)
		r = read_strings(h->liars, "liars", is_edge_name, "the name of an edge", &b->liars, &b->n_liars, e);
	b->free_bytes = h->free_bytes;
	b->load = h->load;
	b->trouble = h->trouble != NULL && *h->trouble != '\0' ? mem_dup(h->trouble) : NULL;
	b->store_errors = h->store_errors;
	b->up = h->up < MAX_UP ? (dur_us)(h->up * (double)DUR_S) : (dur_us)(MAX_UP * (double)DUR_S);
	b->hits = h->hits;
	b->misses = h->misses;
	b->has_clock = h->now > 0 && h->now < UINT64_C(1) << 52;
	if (b->has_clock)
		b->clock_offset = (dur_us)h->now * DUR_MS - clock_wall();
	return r;
}

struct round_trip {
	const char *network;
	uint64_t ms;
};

static const struct form_row round_trip_rows[] = {
	{"network", FORM_TEXT, true, offsetof(struct round_trip, network), 0, 64},
	{"ms", FORM_SIZE, true, offsetof(struct round_trip, ms), 0, 0},
};

/* How far an edge's viewers are from it; NULL: it did not say. */
static int take_round_trips(struct api_call *c, const json_t *list, struct form_error *e)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)list, i, v) {
		struct round_trip t = {0};
		char field[48];

		snprintf(field, sizeof field, "round_trips[%zu]", i);
		if (form_read_object(v, field, round_trip_rows, 2, &t, e) != 0)
			return ERR_SYNTAX;
		if (!steering_learn(c->origin->steering, c->name, t.network, t.ms < NEARNESS_MAX_MS ? (unsigned)t.ms : NEARNESS_MAX_MS)) {
			snprintf(field, sizeof field, "round_trips[%zu].network", i);
			return form_fail(e, field, "expected ADDRESS/24 or ADDRESS/48, the bits behind it 0");
		}
	}
	return 0;
}

struct leaving {
	mono_us before;
	bool send_away;
};

static bool look_leaving(void *ctx, const struct registry_edge *e)
{
	struct leaving *l = ctx;

	l->send_away = e->draining && e->drained <= l->before;
	return true;
}

/* Who was drained one TTL ago has lost the players that let themselves be steered; the others it sends on itself. */
static bool shall_send_away(const struct api_call *c)
{
	struct leaving l = {.before = clock_mono() - c->origin->settings.steering_ttl};

	return registry_with(c->origin->registry, c->name, look_leaving, &l) == 0 && l.send_away;
}

/* With the plan's version, an edge that has it need not ask for it. */
static json_t *heartbeat_reply(struct api_call *c)
{
	struct library_view *v = library_view(c->origin->library);
	const char *plan = planner_current(c->origin->planner, v, c->name);
	json_t *o = json_pack("{s:f, s:I}", "heartbeat_seconds", interval_seconds(c), "now", (json_int_t)(clock_wall() / DUR_MS));

	if (plan != NULL)
		json_object_set_new(o, "plan", json_string(plan));
	if (shall_send_away(c))
		json_object_set_new(o, "send_away", json_true());
	library_view_unref(&v);
	return o;
}

#define EDGES "/api/v1/edges/"

/* The name in the path; to be freed. */
static char *edge_of(const struct serve_request *req)
{
	const char *name = serve_path(req, NULL) + strlen(EDGES);

	return mem_dup_n(name, strcspn(name, "/"));
}

void api_of_edge(void *origin, struct serve_request *req, void (*answer)(struct api_call *))
{
	char *edge = edge_of(req);
	struct api_call c = {.origin = origin, .req = req, .name = edge};

	answer(&c);
	free(edge);
}

/* What an edge holds and what was asked of it may be megabytes, and edges are many. */
void api_in_turn(struct api_call *c, void (*answer)(struct api_call *), serve_handler_f in_turn)
{
	size_t n;

	(void)serve_body(c->req, &n);
	if (n > API_LARGE)
		serve_later(c->req, in_turn, c->origin);
	else
		answer(c);
}

static void take_heartbeat(struct api_call *c)
{
	struct heartbeat h = {0};
	struct registry_beat beat = {0};
	struct form_error e;
	struct fault f = {0};
	json_t *root;
	size_t n;
	const void *body = serve_body(c->req, &n);
	int r;

	if (form_read(body, n, heartbeat_rows, sizeof heartbeat_rows / sizeof heartbeat_rows[0], &h, &root, &e) != 0) {
		reply_form_error(c->req, &e);
		return;
	}
	r = read_beat(&h, &beat, &e);
	if (r == 0)
		r = take_round_trips(c, h.round_trips, &e);
	json_decref(root);
	if (r != 0) {
		registry_beat_fini(&beat);
		reply_form_error(c->req, &e);
		return;
	}
	if (beat.n_filling > 0)
		say_filling(c, &beat);
	if (registry_heartbeat(c->origin->registry, c->name, &beat, clock_mono(), &f) != 0)
		reply_fault(c->req, &f);
	else
		reply_json(c->req, 200, heartbeat_reply(c));
}

static void heartbeat_in_turn(void *ctx, struct serve_request *req)
{
	api_of_edge(ctx, req, take_heartbeat);
}

void api_heartbeat(struct api_call *c)
{
	api_in_turn(c, take_heartbeat, heartbeat_in_turn);
}

/* --- plans --- */

/* GET .../plan?why=yes */
static void explain(struct origin *o, struct serve_request *req, struct library_view *view, const char *edge)
{
	struct fault f = {0};
	json_t *plan;

	if (planner_explain(o->planner, view, edge, &plan, &f) != 0)
		reply_fault(req, &f);
	else
		reply_json(req, 200, plan);
}

static void send_plan(void *ctx, struct serve_request *req)
{
	struct origin *o = ctx;
	struct library_view *view = library_view(o->library);
	char version[SHA256_HEX_SIZE], *edge = edge_of(req);
	struct blob *json;
	struct fault f = {0};

	if (serve_param(req, "why") != NULL) {
		explain(o, req, view, edge);
	} else if (planner_plan(o->planner, view, edge, serve_param(req, "shelf"), &json, version, &f) != 0) {
		reply_fault(req, &f);
	} else {
		registry_note_plan(o->registry, edge, version);
		reply_json_blob(req, json, version);
	}
	library_view_unref(&view);
	free(edge);
}

/* What a thousand edges ask for in the same minute must not keep their heartbeats waiting. */
void api_plan(struct api_call *c)
{
	serve_later(c->req, send_plan, c->origin);
}
