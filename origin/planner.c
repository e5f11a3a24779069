/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plans.  Invariant: a plan's version is a hash of all that it says, so equal
 * plans have equal versions, also after a restart.
 */
#include "origin/planner.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/log.h"
#include "cdn/placement.h"
#include "origin/catalogue.h"
#include "origin/library.h"
#include "origin/registry.h"

#define VERSION_SIZE 33 /* 128 bits in hex and a NUL */
#define NEW_SHARE 5 /* a fifth of the capacity is for new titles, if there are any */
#define MAX_KEPT REGISTRY_MAX_EDGES

/* What is wanted of a title at an edge, in plays of the whole title. */
struct want {
	char *title;
	double here, elsewhere;
};

/* What the operator wants of a title. */
struct policy {
	char *title;
	bool pinned;  /* else banned */
};

struct kept {
	char *edge;
	int64_t day;          /* UTC, whose demand this is; 0: none yet */
	uint64_t demand_version; /* of what was read */
	struct want *wants;   /* by title */
	size_t n_wants, cap_wants;
	uint64_t library_version, registry_version, policy_version;
	struct blob *json;
	char version[VERSION_SIZE];
};

struct planner {
	struct registry *registry;
	struct catalogue *catalogue;
	char *origin_url, *steering_url; /* steering_url NULL: none */
	struct policy *policies; /* by title */
	size_t n_policies, cap_policies;
	uint64_t policy_version; /* of what was read; 0: nothing yet */
	struct kept *kept;
	size_t n_kept, cap_kept;
};

struct planner *planner_new(struct registry *r, struct catalogue *c, const char *origin_url, const char *steering_url)
{
	struct planner *p = mem_new(sizeof *p);

	*p = (struct planner){.registry = r, .catalogue = c, .origin_url = mem_dup(origin_url),
	                      .steering_url = mem_dup(steering_url)};
	return p;
}

static void drop_wants(struct kept *k)
{
	for (size_t i = 0; i < k->n_wants; i++)
		free(k->wants[i].title);
	k->n_wants = 0;
}

static void drop_policies(struct planner *p)
{
	for (size_t i = 0; i < p->n_policies; i++)
		free(p->policies[i].title);
	p->n_policies = 0;
}

static void kept_clear(struct planner *p)
{
	for (size_t i = 0; i < p->n_kept; i++) {
		free(p->kept[i].edge);
		blob_unref(&p->kept[i].json);
		drop_wants(&p->kept[i]);
		free(p->kept[i].wants);
	}
	p->n_kept = 0;
}

void planner_free(struct planner **pp)
{
	struct planner *p = *pp;

	if (p == NULL)
		return;
	kept_clear(p);
	drop_policies(p);
	free(p->policies);
	free(p->kept);
	free(p->origin_url);
	free(p->steering_url);
	free(p);
	*pp = NULL;
}

/* --- what is wanted --- */

#define HOURS_BACK (90 * 24)
#define HALF_LIFE_HOURS (9.0 * 24) /* what ranked stores settle on for films most of the time */
#define MOST_ROWS 20000000
#define FROM_ELSEWHERE 0.1 /* what a play at another edge counts here */

struct reading {
	struct kept *kept;
	int64_t now; /* seconds */
};

/* Rows come by name, so a title's are together. */
static void take_count(void *ctx, const struct catalogue_count *c)
{
	struct reading *r = ctx;
	struct kept *k = r->kept;
	size_t n = strcspn(c->name, "/");
	double bytes = (double)c->bytes * exp2(-(double)(r->now - c->hour) / 3600 / HALF_LIFE_HOURS);
	struct want *w = k->n_wants > 0 ? &k->wants[k->n_wants - 1] : NULL;

	if (w == NULL || strncmp(w->title, c->name, n) != 0 || w->title[n] != '\0') {
		MEM_GROW(k->wants, k->cap_wants, k->n_wants);
		w = &k->wants[k->n_wants++];
		*w = (struct want){.title = mem_dup_n(c->name, n)};
	}
	*(strcmp(c->edge, k->edge) == 0 ? &w->here : &w->elsewhere) += bytes;
}

static int by_title(const void *a, const void *b)
{
	return strcmp(((const struct want *)a)->title, ((const struct want *)b)->title);
}

static bool stale_wants(const struct planner *p, const struct kept *k)
{
	return (k->n_wants == 0 && k->demand_version != catalogue_demand_version(p->catalogue)) ||
	       k->day != clock_wall() / DUR_HOUR / 24;
}

/* The demand a plan stands on is read once a UTC day, so that plans of a day agree
 * with each other; while there is none, with
 * every batch that comes. */
static void read_wants(struct planner *p, struct kept *k)
{
	wall_us now = clock_wall();
	int64_t day = now / DUR_HOUR / 24, hour = now / DUR_HOUR * 3600;
	struct reading r = {k, now / DUR_S};
	struct catalogue_demand_query q = {CATALOGUE_EACH, hour - HOURS_BACK * 3600, hour, NULL, NULL, MOST_ROWS};
	struct fault f = {0};

	if (!stale_wants(p, k))
		return;
	drop_wants(k);
	k->demand_version = catalogue_demand_version(p->catalogue); /* before: what comes meanwhile is read the next time */
	if (catalogue_each_demand(p->catalogue, &q, take_count, &r, &f) != 0)
		log_warn("origin/planner", "planning without demand: %s", fault_text(&f));
	else
		k->day = day;
	if (k->n_wants > 0)
		qsort(k->wants, k->n_wants, sizeof *k->wants, by_title); /* '/' does not sort where a name's end does */
}

static double plays(const struct kept *k, const struct revision *r)
{
	struct want *w = k->n_wants == 0 ? NULL : bsearch(&(struct want){.title = (char *)r->title}, k->wants, k->n_wants, sizeof *k->wants, by_title);

	return w == NULL || r->bytes == 0 ? 0 : (w->here + FROM_ELSEWHERE * w->elsewhere) / (double)r->bytes;
}

/* --- policies --- */

static void take_policy(void *ctx, const char *title, const char *policy)
{
	struct planner *p = ctx;

	MEM_GROW(p->policies, p->cap_policies, p->n_policies);
	p->policies[p->n_policies++] = (struct policy){mem_dup(title), strcmp(policy, "pin") == 0};
}

static void read_policies(struct planner *p)
{
	uint64_t version = catalogue_policy_version(p->catalogue);
	struct fault f = {0};

	if (p->policy_version == version)
		return;
	drop_policies(p);
	if (catalogue_each_policy(p->catalogue, take_policy, p, &f) != 0)
		log_warn("origin/planner", "planning without pins and bans: %s", fault_text(&f));
	else
		p->policy_version = version;
}

static int policy_by_title(const void *a, const void *b)
{
	return strcmp(((const struct policy *)a)->title, ((const struct policy *)b)->title);
}

static const struct policy *policy_of(const struct planner *p, const char *title)
{
	return p->n_policies == 0 ? NULL : bsearch(&(struct policy){.title = (char *)title}, p->policies, p->n_policies, sizeof *p->policies, policy_by_title);
}

/* --- the titles --- */

struct listing {
	const struct revision **revisions;
	struct placement_item *items;
	double *plays; /* expected, without favours */
	bool *fresh;   /* favoured as new */
	size_t n;
	uint64_t capacity;
};

static void listing_fini(struct listing *l)
{
	free(l->revisions);
	free(l->items);
	free(l->plays);
	free(l->fresh);
}

static void list_revisions(struct listing *l, const struct planner *p, const struct kept *k, const struct library_view *v)
{
	l->revisions = mem_new_array(v->n_revisions + 1, sizeof *l->revisions);
	l->items = mem_new_array(v->n_revisions + 1, sizeof *l->items);
	l->plays = mem_new_array(v->n_revisions + 1, sizeof *l->plays);
	l->fresh = mem_new_array(v->n_revisions + 1, sizeof *l->fresh);
	for (size_t i = 0; i < v->n_titles; i++) {
		const struct policy *policy = policy_of(p, v->titles[i].name);

		for (size_t j = 0; j < v->titles[i].n_revisions; j++) {
			const struct revision *r = v->titles[i].revisions[j];

			l->revisions[l->n] = r;
			l->plays[l->n] = j == 0 ? plays(k, r) : 0;
			l->items[l->n] = (struct placement_item){
				.title = r->title,
				.revision = r->revision,
				.bytes = r->bytes,
				.published = r->published,
				.current = j == 0,
				.pinned = policy != NULL && policy->pinned,
				.banned = policy != NULL && !policy->pinned,
				.demand = l->plays[l->n],
			};
			l->n++;
		}
	}
}

static const struct placement_item *newest_first; /* the control thread's */

static int by_newness(const void *a, const void *b)
{
	const struct placement_item *x = &newest_first[*(const size_t *)a], *y = &newest_first[*(const size_t *)b];

	return x->published != y->published ? (x->published > y->published ? -1 : 1) : strcmp(x->title, y->title);
}

/* Nobody has asked for a new title because nobody could: the newest of those without
 * demand get a share of the edge before others are ranked. */
static void favour_new(struct listing *l)
{
	uint64_t room = l->capacity / NEW_SHARE;
	size_t *order = mem_new_array(l->n + 1, sizeof *order), n = 0;
	double most = 0;

	for (size_t i = 0; i < l->n; i++) {
		most = l->items[i].demand > most ? l->items[i].demand : most;
		if (l->items[i].current && !l->items[i].banned && l->items[i].demand == 0)
			order[n++] = i;
	}
	newest_first = l->items;
	qsort(order, n, sizeof *order, by_newness);
	for (size_t i = 0; most > 0 && i < n && l->items[order[i]].bytes <= room; i++) {
		l->items[order[i]].demand = most;
		l->fresh[order[i]] = true;
		room -= l->items[order[i]].bytes;
	}
	free(order);
}

static bool take_edge(void *ctx, const struct registry_edge *e)
{
	struct listing *l = ctx;

	l->capacity = e->capacity;
	for (size_t i = 0; i < l->n; i++)
		l->items[i].held = registry_edge_holds(e, l->revisions[i]->key);
	return true;
}

static json_t *title_json(const struct revision *r, bool hold)
{
	char digest[SHA256_HEX_SIZE];

	sha256_to_hex(&r->digest, digest);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:b}", "title", r->title, "revision", r->revision, "digest", digest,
	                 "digest_bytes", (json_int_t)r->digest_bytes, "bytes", (json_int_t)r->bytes, "hold", (int)hold);
}

/* What an operator wants to know of a plan, beside what the edge gets. */
static json_t *explained_json(struct listing *l, double *ret_offload)
{
	struct placement_choice *choices = mem_new_array(l->n + 1, sizeof *choices);
	double all = 0, held = 0;
	json_t *titles = json_array();

	placement_plan(l->items, l->n, l->capacity, choices);
	for (size_t i = 0; i < l->n; i++) {
		const struct placement_item *item = &l->items[choices[i].item];
		json_t *o = title_json(l->revisions[choices[i].item], choices[i].hold);
		double bytes = l->plays[choices[i].item] * (double)item->bytes;

		json_object_set_new(o, "why", json_string(l->fresh[choices[i].item] && choices[i].hold ? "new" : placement_why_text(choices[i].why)));
		json_object_set_new(o, "plays", json_real(l->plays[choices[i].item]));
		json_object_set_new(o, "held", json_boolean(item->held));
		json_array_append_new(titles, o);
		all += bytes;
		held += choices[i].hold ? bytes : 0;
	}
	*ret_offload = all > 0 ? held / all : 0;
	free(choices);
	return titles;
}

static json_t *titles_json(const struct listing *l)
{
	struct placement_choice *choices = mem_new_array(l->n + 1, sizeof *choices);
	json_t *titles = json_array();

	placement_plan(l->items, l->n, l->capacity, choices);
	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(titles, title_json(l->revisions[choices[i].item], choices[i].hold));
	free(choices);
	return titles;
}

/* --- the peers --- */

struct peers {
	const char *self;
	json_t *array;
};

static bool add_peer(void *ctx, const struct registry_edge *e)
{
	struct peers *p = ctx;
	json_t *holds;

	if (!e->up || strcmp(e->name, p->self) == 0)
		return true;
	holds = json_array();
	for (size_t i = 0; i < e->n_holds; i++)
		json_array_append_new(holds, json_string(e->holds[i]));
	json_array_append_new(p->array, json_pack("{s:s, s:s, s:o}", "name", e->name, "url", e->url, "holds", holds));
	return true;
}

/* --- the plan --- */

static void hash_json(json_t *j, char ret_version[static VERSION_SIZE])
{
	char *text = json_dumps(j, JSON_COMPACT);
	char hex[SHA256_HEX_SIZE];
	struct sha256 h;

	sha256_of(text, strlen(text), &h);
	sha256_to_hex(&h, hex);
	snprintf(ret_version, VERSION_SIZE, "%.32s", hex);
	free(text);
}

static int make(struct planner *p, const struct library_view *v, struct kept *k, struct fault *f)
{
	struct peers peers = {.self = k->edge, .array = json_array()};
	struct listing l = {0};
	json_t *plan;
	char *text;

	read_wants(p, k);
	read_policies(p);
	list_revisions(&l, p, k, v);
	if (registry_with(p->registry, k->edge, take_edge, &l) != 0) {
		json_decref(peers.array);
		listing_fini(&l);
		return fault_set(f, ERR_NOT_FOUND, "there is no edge \"%s\": register it first", k->edge);
	}
	favour_new(&l);
	registry_each(p->registry, NULL, add_peer, &peers);
	plan = json_pack("{s:s, s:o, s:o}", "origin", p->origin_url, "titles", titles_json(&l), "peers", peers.array);
	if (p->steering_url != NULL)
		json_object_set_new(plan, "steering", json_string(p->steering_url));
	hash_json(plan, k->version);
	json_object_set_new(plan, "version", json_string(k->version));
	text = json_dumps(plan, JSON_COMPACT);
	k->json = blob_copy(text, strlen(text));
	free(text);
	json_decref(plan);
	listing_fini(&l);
	return k->json != NULL ? 0 : fault_set(f, -ENOMEM, "no memory for a plan");
}

static struct kept *find_kept(struct planner *p, const char *edge)
{
	for (size_t i = 0; i < p->n_kept; i++)
		if (strcmp(p->kept[i].edge, edge) == 0)
			return &p->kept[i];
	if (p->n_kept == MAX_KEPT)
		kept_clear(p);
	MEM_GROW(p->kept, p->cap_kept, p->n_kept);
	p->kept[p->n_kept] = (struct kept){.edge = mem_dup(edge)};
	return &p->kept[p->n_kept++];
}

int planner_plan(struct planner *p, const struct library_view *v, const char *edge, struct blob **ret_json,
                 char ret_version[static SHA256_HEX_SIZE], struct fault *f)
{
	struct kept *k = find_kept(p, edge);
	uint64_t version = registry_version(p->registry);
	int e = 0;

	if (k->json == NULL || stale_wants(p, k) || k->policy_version != catalogue_policy_version(p->catalogue) || k->library_version != v->version || k->registry_version != version) {
		blob_unref(&k->json);
		k->policy_version = catalogue_policy_version(p->catalogue);
		e = make(p, v, k, f);
		k->library_version = v->version;
		k->registry_version = version; /* read before: a change since then makes it stale, not wrong */
	}
	if (e == 0) {
		*ret_json = blob_ref(k->json);
		snprintf(ret_version, SHA256_HEX_SIZE, "%s", k->version);
	}
	return e;
}

int planner_explain(struct planner *p, const struct library_view *v, const char *edge, json_t **ret_json, struct fault *f)
{
	struct kept *k;
	struct blob *plan;
	char version[SHA256_HEX_SIZE];
	struct listing l = {0};
	double offload = 0;
	json_t *titles;
	int e = planner_plan(p, v, edge, &plan, version, f);

	if (e != 0)
		return e;
	blob_unref(&plan);
	k = find_kept(p, edge);
	list_revisions(&l, p, k, v);
	e = registry_with(p->registry, edge, take_edge, &l);
	if (e == 0) {
		favour_new(&l);
		titles = explained_json(&l, &offload);
		*ret_json = json_pack("{s:s, s:s, s:s, s:I, s:f, s:o}", "edge", edge, "version", version, "origin", p->origin_url, "capacity",
		                      (json_int_t)l.capacity, "offload", offload, "titles", titles);
	}
	listing_fini(&l);
	return e;
}
