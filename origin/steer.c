/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The document: VERSION, TTL, RELOAD-URI, PATHWAY-PRIORITY, and PATHWAY-CLONES for
 * edges that the player's manifest does not list.
 */
#include "origin/steer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/blob.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/str.h"
#include "base/words.h"
#include "cdn/nearness.h"
#include "dash/package.h"
#include "origin/library.h"
#include "origin/manifest.h"
#include "origin/reply.h"
#include "origin/revision.h"
#include "serve/serve.h"

#define MAX_TABLE ((size_t)64 << 20)
#define MAX_LEARNT 65536 /* networks of which round trips are known: 5 MB when all are */
#define N_ASKERS 4096
#define STEER_FASTER 3     /* times what its place gives a viewer that another one gave it: there it is better off */
#define ASKS_PER_TTL 30    /* of one session; more is 429 */

struct asker {
	uint64_t window; /* the session's hash, mixed with the number of the TTL */
	uint32_t asks;
};

struct steering {
	char *origin_url, *url;
	const struct holders *holders;
	struct prefix_table *networks;
	struct geo *geo;
	struct nearness *nearness; /* NULL: nothing is learnt */
	dur_us ttl, slow_start;
	struct asker askers[N_ASKERS]; /* atomic fields; a collision only forgets */
};

int steering_new(const struct steering_settings *settings, const struct holders *holders, struct steering **ret_steering,
                 struct fault *f)
{
	struct steering *s = mem_new(sizeof *s);
	struct buf b;
	int e = 0;

	s->origin_url = mem_dup(settings->origin_url);
	s->url = mem_printf("%s/steer", settings->origin_url);
	s->ttl = settings->ttl;
	s->slow_start = settings->slow_start;
	s->nearness = settings->learn ? nearness_new(MAX_LEARNT) : NULL;
	s->holders = holders;
	buf_init(&b, MAX_TABLE);
	if (settings->networks != NULL) {
		e = file_read(settings->networks, &b);
		if (e != 0)
			fault_set(f, e, _("networks: cannot read %s: %s"), settings->networks, words_error(e));
		else
			e = prefix_read((const char *)b.bytes, b.size, settings->networks, &s->networks, f);
	}
	buf_fini(&b);
	if (e == 0 && settings->geo != NULL)
		e = geo_open(settings->geo, &s->geo, f);
	if (e != 0)
		steering_free(&s);
	else
		*ret_steering = s;
	return e;
}

void steering_free(struct steering **ps)
{
	if (*ps == NULL)
		return;
	prefix_free(&(*ps)->networks);
	geo_free(&(*ps)->geo);
	nearness_free(&(*ps)->nearness);
	free((*ps)->origin_url);
	free((*ps)->url);
	free(*ps);
	*ps = NULL;
}

const char *steering_url(const struct steering *s)
{
	return s->ttl > 0 ? s->url : NULL;
}

const char *steering_origin(const struct steering *s)
{
	return s->origin_url;
}

static double hold_back(const struct steering *s, const struct holders_edge *e, mono_us now)
{
	mono_us since = __atomic_load_n(&e->back_since, __ATOMIC_RELAXED);

	return since == 0 || now - since >= s->slow_start ? 0 : 1 - (double)(now - since) / (double)s->slow_start;
}

bool steering_learn(struct steering *s, const char *edge, const char *network, unsigned ms)
{
	uint64_t of = nearness_parse(network);

	if (of != 0 && s->nearness != NULL)
		nearness_tell(s->nearness, of, edge, ms, clock_mono());
	return of != 0;
}

/* What the operator wrote of a network is more exact than what was measured in it, and that more than what a file of the world says. */
static void look_learnt(const struct steering *s, const char *address, struct nearness_view *ret)
{
	nearness_look(s->nearness, prefix_find(s->networks, address) == 0 ? nearness_network(address) : 0, clock_mono(), ret);
}

unsigned steering_measured(const struct steering *s, const char *address, const char *edge)
{
	struct nearness_view learnt;
	unsigned ms;

	look_learnt(s, address, &learnt);
	nearness_distance(&learnt, edge, PREFIX_FAR, &ms);
	return ms;
}

unsigned steering_locate(const struct steering *s, const char *address, struct geo_place *ret_place)
{
	unsigned network = prefix_find(s->networks, address);

	geo_find(s->geo, address, ret_place);
	for (size_t i = 0; i < ret_place->n && network == 0; i++)
		network = prefix_named(s->networks, ret_place->names[i]);
	return network;
}

/* Where all that could be reached came and went too often, none is held out: the origin's own line may be what comes and goes, and
 * without them the origin would have everybody. */
static void let_in(const struct holders_set *set, struct steer_edge *edges)
{
	for (size_t i = 0; i < set->n; i++)
		if (edges[i].up && !edges[i].draining)
			return;
	for (size_t i = 0; i < set->n; i++)
		edges[i].up = !__atomic_load_n(&set->edges[i]->unreachable, __ATOMIC_RELAXED);
}

void steering_describe(const struct steering *s, const struct holders_set *set, const char *address, struct steer_edge *ret)
{
	struct geo_place place;
	unsigned network = steering_locate(s, address, &place);
	struct nearness_view learnt;
	mono_us now = clock_mono();

	look_learnt(s, address, &learnt);
	for (size_t i = 0; i < set->n; i++) {
		const struct holders_edge *e = set->edges[i];
		bool behind = __atomic_load_n(&e->doubtful, __ATOMIC_RELAXED) ||
		              __atomic_load_n(&e->witnesses, __ATOMIC_RELAXED) >= STEER_WITNESSES;
		double load = __atomic_load_n(&e->load_permille, __ATOMIC_RELAXED) / 1000.0;

		ret[i] = (struct steer_edge){
			.name = e->name,
			.up = !__atomic_load_n(&e->unreachable, __ATOMIC_RELAXED) && now >= __atomic_load_n(&e->out_until, __ATOMIC_RELAXED),
			.holds = true,
			.load = behind && load < 1 ? 1 : load,
			.draining = __atomic_load_n(&e->draining, __ATOMIC_RELAXED),
			.distance = nearness_distance(&learnt, e->name, prefix_distance(s->networks, network, e->name), NULL),
			/* in eighths, so that the order changes a few times, not with every question */
			.hold_back = (double)(int)(hold_back(s, e, now) * 8) / 8,
			.sent = __atomic_load_n(&e->sent, __ATOMIC_RELAXED),
		};
	}
	let_in(set, ret);
}

void steering_sent(struct holders_edge *e, const char *address)
{
	uint64_t key = steer_client_key(address);

	if (__atomic_exchange_n(&e->sent_last, key, __ATOMIC_RELAXED) != key)
		__atomic_add_fetch(&e->sent, 1, __ATOMIC_RELAXED);
}

/* --- what the player says --------------------------------------------------------------- */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static size_t decode(const char *s, size_t n, char *out, size_t size)
{
	size_t k = 0;

	for (size_t i = 0; i < n && k + 1 < size; i++) {
		if (s[i] == '%' && i + 2 < n && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0) {
			out[k++] = (char)(hex(s[i + 1]) * 16 + hex(s[i + 2]));
			i += 2;
		} else {
			out[k++] = s[i] == '+' ? ' ' : s[i];
		}
	}
	out[k] = '\0';
	return k;
}

/* a,b or "a,b" or "a","b" */
static void take_names(const char *text, struct steer_report *r)
{
	while (*text != '\0') {
		size_t n;

		text += strspn(text, " ,\"");
		n = strcspn(text, " ,\"");
		if (n > 0 && n < sizeof r->used[0] && r->n_used < STEER_MAX_USED && str_is_name(text, n)) {
			memcpy(r->used[r->n_used], text, n);
			r->used[r->n_used++][n] = '\0';
		}
		text += n;
	}
}

/* 5140000,330000 with or without quotes; a number that is missing or none leaves a gap, so the others keep their places */
static void take_numbers(const char *text, struct steer_report *r, size_t *n)
{
	for (const char *end; *n < STEER_MAX_USED; text = end + 1) {
		size_t skip = strspn(text, " \"");

		end = text + strcspn(text, ",");
		if (str_parse_u64(text + skip, strcspn(text + skip, " \",."), &r->throughput[*n]) != 0)
			r->throughput[*n] = 0;
		++*n;
		if (*end == '\0')
			return;
	}
}

const char *steer_report_place(const struct steer_report *r)
{
	size_t best = 0;

	for (size_t i = 1; i < r->n_used; i++)
		if (r->throughput[0] > 0 && r->throughput[i] / STEER_FASTER > r->throughput[0] && r->throughput[i] > r->throughput[best])
			best = i;
	return r->n_used > 0 ? r->used[best] : NULL;
}

void steer_report_read(const char *query, size_t n, struct steer_report *ret)
{
	const char *end = query + n;
	size_t numbers = 0;

	*ret = (struct steer_report){.n_used = 0};
	while (query < end) {
		const char *stop = memchr(query, '&', (size_t)(end - query)), *equals;
		char name[32], value[2100];

		if (stop == NULL)
			stop = end;
		equals = memchr(query, '=', (size_t)(stop - query));
		if (equals != NULL) {
			decode(query, (size_t)(equals - query), name, sizeof name);
			decode(equals + 1, (size_t)(stop - equals - 1), value, sizeof value);
			if (strcasecmp(name, "_DASH_pathway") == 0 || strcasecmp(name, "_HLS_pathway") == 0)
				take_names(value, ret);
			else if (strcasecmp(name, "_DASH_throughput") == 0 || strcasecmp(name, "_HLS_throughput") == 0)
				take_numbers(value, ret, &numbers);
		}
		query = stop + 1;
	}
}

/* --- the answer ------------------------------------------------------------------------- */

struct question {
	const char *title, *revision, *listed, *session, *was;
	char key[600];
	struct steer_report report;
};

static bool used(const struct question *q, const char *name)
{
	for (size_t i = 0; i < q->report.n_used; i++)
		if (strcmp(q->report.used[i], name) == 0)
			return true;
	return false;
}

/* Is the name in a list with commas? */
static bool in_list(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *s = list; s != NULL && *s != '\0'; s = strchr(s, ',') != NULL ? strchr(s, ',') + 1 : NULL)
		if (strncmp(s, name, n) == 0 && (s[n] == ',' || s[n] == '\0'))
			return true;
	return false;
}

/* "host:port" of an edge that differs from the origin in nothing else; NULL: it cannot be a clone. */
static const char *clone_host(const struct steering *s, const char *url)
{
	size_t scheme = (size_t)(strstr(s->origin_url, "://") - s->origin_url) + 3;

	if (strncmp(s->origin_url, url, scheme) != 0 || strchr(url + scheme, '/') != NULL ||
	    strchr(s->origin_url + scheme, '/') != NULL)
		return NULL;
	return url + scheme;
}

/* Anybody may say what players say: who says it again, from the same place, is one witness. */
static void take_witness(struct holders_edge *e, const char *address)
{
	uint64_t key = strchr(address, ':') != NULL ? nearness_network(address) : steer_client_key(address);

	for (size_t i = 0; i < HOLDERS_WITNESSES; i++)
		if (__atomic_load_n(&e->witnessed_by[i], __ATOMIC_RELAXED) == key)
			return;
	__atomic_store_n(&e->witnessed_by[__atomic_fetch_add(&e->witnesses, 1, __ATOMIC_RELAXED) % HOLDERS_WITNESSES], key, __ATOMIC_RELAXED);
}

static void bear_witness(const struct question *q, const struct holders_set *set, const char *address)
{
	if (q->was == NULL || q->report.n_used == 0 || used(q, q->was))
		return;
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->edges[i]->name, q->was) == 0)
			take_witness(set->edges[i], address);
}

static void add_edges(const struct steering *s, const struct question *q, const char *address, json_t *priority, json_t *clones)
{
	const struct holders_set *set = holders_find(s->holders, q->key);
	size_t order[STEER_MAX_EDGES], n;
	struct steer_edge *edges;

	if (set == NULL)
		return;
	bear_witness(q, set, address);
	edges = mem_new_array(set->n, sizeof *edges);
	steering_describe(s, set, address, edges);
	n = steer_choose(steer_client_key(address), steer_report_place(&q->report), edges, set->n,
	                 STEER_MAX_EDGES, order);
	free(edges);
	for (size_t i = 0; i < n; i++) {
		const struct holders_edge *e = set->edges[order[i]];
		const char *host = q->listed != NULL && !in_list(q->listed, e->name) ? clone_host(s, e->url) : NULL;

		if (q->listed != NULL && !in_list(q->listed, e->name) && host == NULL)
			continue;
		json_array_append_new(priority, json_string(e->name));
		if (host != NULL)
			json_array_append_new(clones, json_pack("{s:s, s:s, s:{s:s}}", "BASE-ID", MANIFEST_ORIGIN, "ID", e->name,
			                                        "URI-REPLACEMENT", "HOST", host));
	}
}

/* Absolute: not every player resolves it against what it asked. */
static char *reload_uri(const struct steering *s, const struct question *q, const char *first)
{
	char fresh[17];

	if (q->session == NULL)
		snprintf(fresh, sizeof fresh, "%016llx",
		         (unsigned long long)(((uint64_t)clock_mono() ^ (uint64_t)(uintptr_t)q) * UINT64_C(0x9e3779b97f4a7c15)));
	return mem_printf("%s?title=%s&revision=%s%s%s&sid=%s%s%s", s->url, q->title, q->revision, q->listed != NULL ? "&in=" : "",
	                  q->listed != NULL ? q->listed : "", q->session != NULL ? q->session : fresh,
	                  first != NULL ? "&was=" : "", first != NULL ? first : "");
}

static void answer(struct steering *s, const struct question *q, struct serve_request *req)
{
	static const struct serve_header no_store = {"cache-control", "no-store"};
	json_t *priority = json_array(), *clones = json_array(), *o;
	const char *first;
	char *reload, *text;

	rcu_read_begin();
	add_edges(s, q, serve_peer(req), priority, clones);
	rcu_read_end();
	first = json_string_value(json_array_get(priority, 0));
	/* only one who was told to stay where it is and leaves all the same is a witness: not every player can be moved */
	reload = reload_uri(s, q, first != NULL && used(q, first) ? first : NULL);
	json_array_append_new(priority, json_string(MANIFEST_ORIGIN));
	o = json_pack("{s:i, s:I, s:s, s:o}", "VERSION", 1, "TTL", (json_int_t)((s->ttl + DUR_S - 1) / DUR_S), "RELOAD-URI", reload,
	              "PATHWAY-PRIORITY", priority);
	if (json_array_size(clones) > 0)
		json_object_set(o, "PATHWAY-CLONES", clones);
	text = json_dumps(o, JSON_COMPACT);
	serve_reply(req, 200, "application/json", blob_copy(text, strlen(text)), &no_store, 1);
	free(text);
	free(reload);
	json_decref(clones);
	json_decref(o);
}

/* --- the question ------------------------------------------------------------------------ */

static bool is_list_of_names(const char *s)
{
	while (*s != '\0') {
		size_t n = strcspn(s, ",");

		if (!str_is_name(s, n))
			return false;
		s += n + (s[n] == ',');
	}
	return true;
}

static const char *name_param(struct serve_request *req, const char *name, bool list)
{
	const char *v = serve_param(req, name);

	return v != NULL && *v != '\0' && strlen(v) < 1000 && (list ? is_list_of_names(v) : str_is_name(v, strlen(v))) ? v : NULL;
}

/* Does this session ask too often? */
static bool asks_too_often(struct steering *s, const char *session)
{
	uint64_t window = steer_client_key(session) ^ (uint64_t)(clock_mono() / s->ttl) * UINT64_C(0x9e3779b97f4a7c15);
	struct asker *a = &s->askers[steer_client_key(session) % N_ASKERS];

	if (__atomic_load_n(&a->window, __ATOMIC_RELAXED) != window) {
		__atomic_store_n(&a->window, window, __ATOMIC_RELAXED);
		__atomic_store_n(&a->asks, 0, __ATOMIC_RELAXED);
	}
	return __atomic_add_fetch(&a->asks, 1, __ATOMIC_RELAXED) > ASKS_PER_TTL;
}

static void too_often(const struct steering *s, struct serve_request *req)
{
	char seconds[24];
	struct serve_header field = {"retry-after", seconds};

	snprintf(seconds, sizeof seconds, "%lld", (long long)((s->ttl + DUR_S - 1) / DUR_S));
	serve_reply(req, 429, "application/json", NULL, &field, 1);
}

void steering_answer(struct steering *s, struct library *library, struct serve_request *req)
{
	struct question q = {.title = name_param(req, "title", false), .revision = name_param(req, "revision", false)};
	struct revision *r = NULL;
	size_t n;
	const char *query = serve_query(req, &n);

	if (q.title == NULL) {
		reply_problem(req, 400, "title is missing or no name");
		return;
	}
	if (s->ttl > 0)
		r = library_current(library, q.title, strlen(q.title));
	if (r == NULL) { /* TS 103 998, RFC 8216bis 7.1: the player shall ask no more */
		reply_problem(req, 410, s->ttl > 0 ? "there is no such title" : "steering is off here");
		return;
	}
	q.revision = q.revision != NULL ? q.revision : r->revision;
	snprintf(q.key, sizeof q.key, "%s/%s", q.title, q.revision);
	q.listed = name_param(req, "in", true);
	q.session = name_param(req, "sid", false);
	q.was = name_param(req, "was", false);
	steer_report_read(query, n, &q.report);
	if (q.session != NULL && asks_too_often(s, q.session))
		too_often(s, req);
	else
		answer(s, &q, req);
	revision_unref(&r);
}
