/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names come from the plan and the digests alone: what a client sends is looked
 * up, never passed on.  A name that is not known costs a search in memory.
 */
#include "edge/viewers_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "base/str.h"
#include "cdn/steer.h"
#include "dash/package.h"
#include "edge/ahead.h"
#include "edge/counts.h"
#include "edge/demand.h"
#include "edge/manifest.h"
#include "edge/nearby.h"
#include "edge/store.h"
#include "edge/swarm.h"


struct viewers *viewers_new(const struct viewers_settings *settings)
{
	struct viewers *v = mem_new(sizeof *v);

	v->s = *settings;
	v->name = mem_dup(settings->name);
	return v;
}

void viewers_free(struct viewers **pv)
{
	if (*pv == NULL)
		return;
	viewers_publish(*pv, NULL);
	free((*pv)->name);
	free((*pv)->url);
	free(*pv);
	*pv = NULL;
}

void viewers_set_url(struct viewers *v, const char *url)
{
	free(v->url);
	v->url = mem_dup(url);
}

void viewers_publish(struct viewers *v, struct view *view)
{
	struct view *old = RCU_SWAP(&v->view, view);

	rcu_synchronize();
	view_free(&old);
}

static size_t count_packages(const struct view *view)
{
	size_t n = 0;

	for (size_t i = 0; view != NULL && i < view->n; i++)
		for (size_t k = 0; k < view->titles[i].n; k++)
			n += view->titles[i].revisions[k].package != NULL;
	return n;
}

struct package **viewers_packages(struct viewers *v, size_t *ret_n)
{
	struct package **packages;
	struct view *view;
	size_t n = 0;

	rcu_read_begin();
	view = RCU_LOAD(&v->view);
	packages = mem_new_array(count_packages(view) + 1, sizeof *packages);
	for (size_t i = 0; view != NULL && i < view->n; i++)
		for (size_t k = 0; k < view->titles[i].n; k++)
			if (view->titles[i].revisions[k].package != NULL)
				packages[n++] = package_ref(view->titles[i].revisions[k].package);
	rcu_read_end();
	*ret_n = n;
	return packages;
}

/* --- answers --------------------------------------------------------------------------- */

static void not_found(struct viewers *v, struct serve_found *found)
{
	counters_add(v->s.counters, COUNT_UNKNOWN, 1);
	found->status = 404;
	found->cache = "fwd=uri-miss;detail=unknown";
}

/* The origin has it: where nothing can be fetched to, that is better than an error. */
static void send_to_origin(struct viewers *v, char *location, const char *cache, struct serve_found *found)
{
	counters_add(v->s.counters, COUNT_SENT_TO_ORIGIN, 1);
	found->status = 302;
	found->location = location;
	found->cache = cache;
}

/* --- files ----------------------------------------------------------------------------- */

/* What was found of a name, outside the RCU section. */
struct looked {
	struct copy *copy;     /* one reference, or NULL */
	bool listed, hold;     /* the revision, by the plan */
	bool prepared;         /* its digest is here */
	bool known;            /* the file is one of the package's, or may be */
	char *at_origin;       /* its URL there; owned; NULL unless needed */
};

static void look_in_package(const struct view_revision *r, const struct package_path *path, struct looked *l)
{
	int i = r->package != NULL ? package_find(r->package, path->file, path->file_n) : 0;

	l->listed = r->listed;
	l->hold = r->package != NULL && i >= 0 ? package_keeps(r->package, (size_t)i) : r->hold;
	l->prepared = r->package != NULL;
	l->known = i >= 0;
	if (r->package == NULL || i < 0)
		return;
	l->copy = RCU_LOAD(&r->package->copies[i]);
	if (l->copy != NULL)
		copy_ref(l->copy);
}

static void look(struct viewers *v, const struct package_path *path, const char *whole, size_t n,
                 const struct serve_request *req, struct looked *l)
{
	size_t prefix_n;
	const char *prefix = serve_prefix(req, &prefix_n);
	struct view *view;
	const struct view_title *t;
	const struct view_revision *r = NULL;

	*l = (struct looked){.known = false};
	rcu_read_begin();
	view = RCU_LOAD(&v->view);
	t = view != NULL ? view_find(view, path->title, path->title_n) : NULL;
	if (t != NULL)
		r = view_find_revision(t, path->revision);
	if (r != NULL)
		look_in_package(r, path, l);
	if (l->known && l->listed && (l->copy == NULL || !copy_is_whole(l->copy)))
		l->at_origin = mem_printf("%s%.*s%.*s", view->plan->origin, (int)prefix_n, prefix, (int)n, whole);
	rcu_read_end();
}

/* The bytes a request is after, near enough to say hit or miss:
 * one range of RFC 9110 14.1.2, else everything. */
static void wanted(const struct serve_request *req, uint64_t size, uint64_t *ret_first, uint64_t *ret_length)
{
	size_t n;
	const char *s = serve_field(req, "range", &n), *dash, *end;
	uint64_t first, last = size;

	*ret_first = 0;
	*ret_length = size;
	if (s == NULL || n < 7 || memcmp(s, "bytes=", 6) != 0)
		return;
	end = s + n;
	s += 6;
	dash = memchr(s, '-', (size_t)(end - s));
	if (dash == NULL)
		return;
	if (dash == s) { /* the last bytes */
		if (str_parse_u64(dash + 1, (size_t)(end - dash - 1), &last) != 0 || last > size)
			return;
		*ret_first = size - last;
		*ret_length = last;
		return;
	}
	if (str_parse_u64(s, (size_t)(dash - s), &first) != 0 || first >= size)
		return;
	if (dash + 1 < end && str_parse_u64(dash + 1, (size_t)(end - dash - 1), &last) != 0)
		return;
	if (last < first)
		return;
	*ret_first = first;
	*ret_length = (last < size ? last + 1 : size) - first;
}

static bool only_if_cached(const struct serve_request *req)
{
	static const char word[] = "only-if-cached";
	size_t n;
	const char *s = serve_field(req, "cache-control", &n);

	return s != NULL && memmem(s, n, word, sizeof word - 1) != NULL;
}

static const char *count_miss(struct viewers *v, const struct looked *l)
{
	if (disk_reads_only(store_disk(v->s.store))) {
		counters_add(v->s.counters, COUNT_MISS_READ_ONLY, 1);
		return "fwd=uri-miss;detail=read-only"; /* through memory */
	}
	if (__atomic_load_n(&l->copy->evicted, __ATOMIC_RELAXED)) {
		counters_add(v->s.counters, COUNT_MISS_EVICTED, 1);
		return "fwd=uri-miss;detail=evicted";
	}
	counters_add(v->s.counters, l->hold ? COUNT_MISS_NOT_FILLED : COUNT_MISS_NOT_PLANNED, 1);
	return l->hold ? "fwd=uri-miss;detail=planned-not-filled" : "fwd=uri-miss;detail=not-planned";
}

/* It cannot come here: who knows the origin is sent there. */
static void elsewhere(struct viewers *v, struct looked *l, const char *cache, struct serve_found *found)
{
	if (l->at_origin != NULL) {
		send_to_origin(v, l->at_origin, cache, found);
		l->at_origin = NULL;
	} else {
		found->status = 503;
		found->cache = cache;
	}
}

static void overloaded(struct viewers *v, struct looked *l, struct serve_found *found)
{
	if (disk_reads_only(store_disk(v->s.store))) {
		counters_add(v->s.counters, COUNT_MISS_READ_ONLY, 1);
		elsewhere(v, l, "fwd=uri-miss;detail=read-only", found);
	} else {
		counters_add(v->s.counters, COUNT_MISS_OVERLOADED, 1);
		elsewhere(v, l, "fwd=uri-miss;detail=node-overloaded", found);
	}
}

/* Known by the plan, but its digest (or that file) is not here yet. */
static void not_prepared(struct viewers *v, struct looked *l, struct serve_found *found)
{
	if (!l->known || l->at_origin == NULL) {
		not_found(v, found);
		return;
	}
	counters_add(v->s.counters, l->hold ? COUNT_MISS_NOT_FILLED : COUNT_MISS_NOT_PLANNED, 1);
	send_to_origin(v, l->at_origin,
	               l->hold ? "fwd=uri-miss;detail=planned-not-filled" : "fwd=uri-miss;detail=not-planned", found);
	l->at_origin = NULL;
}

/* Other edges are not viewers: what they ask for is their viewers' demand.  Nor is what somebody asked for and did not take: who wants
 * a file to be kept, here or by tomorrow's plan, has to pay for it with as many bytes as viewers do. */
void viewers_sent(struct serve_object *o, struct serve_request *req, uint64_t bytes, bool first)
{
	struct copy *c = copy_of_object(o);

	if (only_if_cached(req))
		return;
	if (first) {
		demand_see(c, req);
		__atomic_add_fetch(&c->requests, 1, __ATOMIC_RELAXED);
	}
	__atomic_add_fetch(&c->bytes, bytes, __ATOMIC_RELAXED);
}

static void give(struct copy **copy, const char *cache, struct serve_found *found)
{
	found->object = &(*copy)->object;
	found->cache = cache;
	*copy = NULL;
}

/* Nothing can be taken in, not even in memory: seen a moment ago. */
static bool is_full(const struct copy *c)
{
	int failure = copy_failure(c, clock_mono());

	return failure < 0 && failure > -1000; /* an errno: of the disk, not of a source */
}

/* The reader that was to open its file said so a moment ago. */
static bool cannot_be_opened(const struct copy *c)
{
	return __atomic_load_n(&c->object.fd, __ATOMIC_RELAXED) < 0 && __atomic_load_n(&c->held, __ATOMIC_RELAXED) > 0 && is_full(c);
}

static void look_ahead(struct viewers *v, struct copy *c, struct serve_request *req, uint64_t first, uint64_t length)
{
	if (!only_if_cached(req) && strcmp(serve_method(req), "GET") == 0 && !disk_reads_only(store_disk(v->s.store)))
		ahead_of(v->s.flights, c, req, first, length);
}

static void answer(struct viewers *v, struct serve_request *req, struct looked *l, struct serve_found *found)
{
	struct copy *c = l->copy;
	uint64_t first, length;

	wanted(req, c->object.size, &first, &length);
	if (cannot_be_opened(c)) {
		overloaded(v, l, found);
		return;
	}
	if (l->listed && !copy_is_whole(c) && length < c->object.size)
		look_ahead(v, c, req, first, length);
	if (copy_ready(c, first, length) == length) {
		counters_add(v->s.counters, COUNT_HITS, 1);
		give(&l->copy, "hit", found);
	} else if (only_if_cached(req)) {
		counters_add(v->s.counters, COUNT_REFUSED_LOOP, 1);
		found->status = 504; /* RFC 9111 5.2.1.7 */
		found->cache = "fwd=uri-miss;detail=only-if-cached";
	} else if (!l->listed) {
		not_found(v, found);
	} else if (is_full(c)) {
		overloaded(v, l, found);
	} else {
		give(&l->copy, count_miss(v, l), found);
	}
}

static void find_file(struct viewers *v, const struct package_path *path, const char *whole, size_t n,
                      struct serve_request *req, struct serve_found *found)
{
	struct looked l;

	look(v, path, whole, n, req, &l);
	if (l.copy != NULL)
		answer(v, req, &l, found);
	else
		not_prepared(v, &l, found);
	copy_unref(&l.copy);
	free(l.at_origin);
}

/* --- a drained edge --------------------------------------------------------------------- */

#define MAX_ELSEWHERE 4 /* of the plan's peers; the manifest lists no more either */
#define SENT_AWAY "sent-away=1" /* who is sent on once is served, also where he was sent to an edge that is drained too */

/* Which of the peers that hold it this viewer is sent to, the same one each time; NULL: none holds it. */
static const struct plan_peer *pick_peer(const struct plan *plan, const char *self, const struct package_path *path, const char *client)
{
	struct steer_edge edges[MAX_ELSEWHERE];
	const struct plan_peer *peers[MAX_ELSEWHERE];
	char title[256], revision[PACKAGE_REVISION_SIZE];
	size_t n = 0, order[2];

	snprintf(title, sizeof title, "%.*s", (int)path->title_n, path->title);
	snprintf(revision, sizeof revision, "%.*s", (int)path->revision_n, path->revision);
	for (size_t i = 0; i < plan->n_peers && n < MAX_ELSEWHERE; i++) {
		const struct plan_peer *p = &plan->peers[i];

		if (strcmp(p->name, self) == 0 || !plan_peer_holds(p, title, revision))
			continue;
		edges[n] = (struct steer_edge){.name = p->name, .up = true, .holds = true};
		peers[n++] = p;
	}
	return steer_order(steer_client_key(client), edges, n, 1, order) == 1 ? peers[order[0]] : NULL;
}

/* Where a viewer goes who is here although this edge is being drained: not every player moves when steering tells it to.
 * NULL: he stays, for no other edge has it, or he was sent here. */
static char *away(struct viewers *v, const struct package_path *path, const char *whole, size_t n, struct serve_request *req)
{
	size_t query_n, prefix_n;
	const char *query = serve_query(req, &query_n), *prefix = serve_prefix(req, &prefix_n);
	const struct plan_peer *peer;
	struct view *view;
	char *location = NULL;

	if (memmem(query, query_n, SENT_AWAY, strlen(SENT_AWAY)) != NULL)
		return NULL;
	rcu_read_begin();
	view = RCU_LOAD(&v->view);
	peer = view != NULL ? pick_peer(view->plan, v->name, path, serve_peer(req)) : NULL;
	if (peer != NULL)
		location = mem_printf("%s%.*s%.*s?" SENT_AWAY "%s%.*s", peer->url, (int)prefix_n, prefix, (int)n, whole, query_n > 0 ? "&" : "",
		                      (int)query_n, query);
	rcu_read_end();
	return location;
}

static bool send_away(struct viewers *v, const struct package_path *path, const char *whole, size_t n, struct serve_request *req,
                      struct serve_found *found)
{
	if (!v->s.send_away(v->s.ctx) || only_if_cached(req))
		return false;
	found->location = away(v, path, whole, n, req);
	if (found->location == NULL)
		return false;
	counters_add(v->s.counters, COUNT_SENT_AWAY, 1);
	found->status = 302;
	found->cache = "fwd=request;detail=drained";
	return true;
}

/* --- the short forms ------------------------------------------------------------------- */

/* What a manifest is made of, with references. */
struct current {
	struct plan *plan;
	struct package *package;
	struct copy *copy;       /* of the manifest or playlist */
	struct serve_object *made;
	char revision[PACKAGE_REVISION_SIZE];
	bool has;                /* the package is known and has such a file */
};

/* Where what is made of PACKAGE_MANIFEST or PACKAGE_PLAYLIST is kept. */
static struct serve_object **made_of(struct view_title *t, const char *file)
{
	return strcmp(file, PACKAGE_PLAYLIST) == 0 ? &t->playlist : &t->manifest;
}

static bool look_current(struct viewers *v, const struct package_path *path, const char *file, struct current *ret)
{
	struct view *view;
	struct view_title *t;

	*ret = (struct current){.plan = NULL};
	rcu_read_begin();
	view = RCU_LOAD(&v->view);
	t = view != NULL ? view_find(view, path->title, path->title_n) : NULL;
	if (t != NULL) {
		struct view_revision *r = &t->revisions[0];
		int i = r->package != NULL ? package_find(r->package, file, strlen(file)) : -1;

		memcpy(ret->revision, r->revision, sizeof ret->revision);
		ret->plan = plan_ref(view->plan);
		ret->package = r->package != NULL ? package_ref(r->package) : NULL;
		ret->copy = i >= 0 ? RCU_LOAD(&r->package->copies[i]) : NULL;
		if (ret->copy != NULL)
			copy_ref(ret->copy);
		ret->has = i >= 0;
		ret->made = __atomic_load_n(made_of(t, file), __ATOMIC_ACQUIRE);
		if (ret->made != NULL)
			serve_object_ref(ret->made);
	}
	rcu_read_end();
	return t != NULL;
}

static void drop_current(struct current *c)
{
	plan_unref(&c->plan);
	package_unref(&c->package);
	copy_unref(&c->copy);
	serve_object_unref(&c->made);
}

/* Keeps it for the next who asks, unless the view has changed meanwhile. */
static void keep_made(struct viewers *v, const struct package_path *path, const char *file, const struct plan *plan,
                      struct serve_object *made)
{
	struct serve_object *none = NULL;
	struct view *view;
	struct view_title *t;

	rcu_read_begin();
	view = RCU_LOAD(&v->view);
	t = view != NULL && view->plan == plan ? view_find(view, path->title, path->title_n) : NULL;
	if (t != NULL && t->revisions[0].package != NULL) {
		serve_object_ref(made);
		if (!__atomic_compare_exchange_n(made_of(t, file), &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			serve_object_unref(&(struct serve_object *){made});
	}
	rcu_read_end();
}

/* A playlist that nothing can be made of is still good as it is, or as it will come; a package may have none. */
static void send_to_plain_playlist(const struct package_path *path, const struct current *c, const char *prefix, size_t prefix_n,
                                   struct serve_found *found)
{
	found->status = 302;
	found->location = mem_printf("%.*s/v/%.*s/%s/" PACKAGE_PLAYLIST, (int)prefix_n, prefix, (int)path->title_n, path->title,
	                             c->revision);
	found->cache = "hit";
}

/* The current revision's manifest or playlist for viewers: `file` is its name. */
static void find_made(struct viewers *v, const struct package_path *path, const char *file, const char *whole, size_t n,
                      struct serve_request *req, struct serve_found *found)
{
	struct current c;
	size_t prefix_n;
	const char *prefix = serve_prefix(req, &prefix_n);
	bool whole_here;

	if (!look_current(v, path, file, &c)) {
		not_found(v, found);
		return;
	}
	if (v->s.send_away(v->s.ctx)) { /* the origin knows who is to be first instead */
		send_to_origin(v, mem_printf("%s%.*s%.*s", c.plan->origin, (int)prefix_n, prefix, (int)n, whole), "fwd=request;detail=drained", found);
		drop_current(&c);
		return;
	}
	if (prefix_n > 0)
		serve_object_unref(&c.made); /* one viewer's own is made for it alone */
	whole_here = c.copy != NULL && copy_is_whole(c.copy);
	if (whole_here && c.made == NULL) {
		c.made = manifest_new(c.copy, file, c.plan, v->name, v->url, prefix, prefix_n);
		if (prefix_n == 0)
			keep_made(v, path, file, c.plan, c.made);
	}
	if (c.made != NULL && !manifest_failed(c.made, clock_mono())) {
		found->object = c.made;
		found->cache = "hit";
		c.made = NULL;
	} else if (strcmp(file, PACKAGE_PLAYLIST) == 0 && (whole_here || (c.package != NULL && !c.has))) {
		send_to_plain_playlist(path, &c, prefix, prefix_n, found);
	} else {
		send_to_origin(v, mem_printf("%s%.*s%.*s", c.plan->origin, (int)prefix_n, prefix, (int)n, whole),
		               "fwd=uri-miss;detail=planned-not-filled", found);
	}
	drop_current(&c);
}

static bool is(const char *s, size_t n, const char *name)
{
	return strlen(name) == n && memcmp(s, name, n) == 0;
}

/* Some of what comes; the round trip of a connection is a system call. */
static void measure(struct viewers *v, const struct serve_request *req)
{
	static _Thread_local mono_us next;
	mono_us now = v->s.nearby != NULL ? clock_mono() : 0;

	if (v->s.nearby == NULL || now < next)
		return;
	next = now + 2 * DUR_MS;
	nearby_saw(v->s.nearby, serve_peer(req), serve_round_trip(req), now);
}

static void find(void *ctx, const char *path, size_t n, struct serve_request *req, struct serve_found *found)
{
	struct viewers *v = ctx;
	struct package_path p;

	measure(v, req);
	*found = (struct serve_found){.status = 404};
	if (package_path_parse(path, n, &p) != 0)
		not_found(v, found);
	else if (p.revision_n > 0 && send_away(v, &p, path, n, req, found))
		;
	else if (p.revision_n > 0)
		find_file(v, &p, path, n, req, found);
	else if (is(p.file, p.file_n, PACKAGE_MANIFEST))
		find_made(v, &p, PACKAGE_MANIFEST, path, n, req, found);
	else if (is(p.file, p.file_n, PACKAGE_PLAYLIST))
		find_made(v, &p, PACKAGE_PLAYLIST, path, n, req, found);
	else
		not_found(v, found);
}

void viewers_add_routes(struct viewers *v, struct serve *s)
{
	v->serve = s;
	serve_route_objects(s, "/v/", find, v);
	viewers_add_texts(v, s);
}
