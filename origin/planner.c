/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plans.  Invariant: a plan's version is a hash of all that it says, so equal
 * plans have equal versions, also after a restart.
 */
#include "origin/planner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "cdn/plan_text.h"
#include "origin/bookcase.h"
#include "origin/catalogue.h"
#include "origin/draft.h"
#include "origin/library.h"
#include "origin/peers.h"
#include "origin/registry.h"

#define WHERE "origin/planner"
#define VERSION_SIZE 33 /* 128 bits in hex and a NUL */
#define MAX_KEPT REGISTRY_MAX_EDGES
#define DAY 86400
#define MAX_PLAN ((size_t)1 << 30)
#define MAX_KEPT_BYTES ((size_t)64 << 20) /* of plans' text; beyond that a plan that is asked for again is written again */

struct kept {
	char *edge;
	int64_t day;             /* local, that the plan is of */
	uint64_t demand_version; /* while its site had none: of what was read */
	bool blind;
	uint64_t library_version, registry_version;
	mono_us made;
	bool good;               /* the version is that of a plan made of these */
	struct blob *json;       /* short; NULL: not kept */
	char version[VERSION_SIZE], recorded[VERSION_SIZE]; /* recorded: in the history, of that day */
};

enum { C_PLAN, C_PLAN_FAILURES, N_COUNTERS };
static const struct counter_row counter_rows[] = {
	[C_PLAN] = {"ribera_origin_plan_seconds", NULL, COUNTER_SECONDS, "Making one edge's plan, when it is asked for and the last one is old."},
	[C_PLAN_FAILURES] = {"ribera_origin_plan_failures_total", NULL, COUNTER_TOTAL, "Plans that could not be made."},
};

struct planner {
	struct drafter drafter;
	struct counters *counters;
	char *origin_url, *steering_url; /* steering_url NULL: none */
	struct kept *kept;
	size_t n_kept, cap_kept, kept_bytes;
	struct bookcase bookcase;
};

struct planner *planner_new(struct registry *r, struct catalogue *c, const char *origin_url, const char *steering_url)
{
	struct planner *p = mem_new(sizeof *p);

	*p = (struct planner){.drafter = {.registry = r, .catalogue = c, .rules = rules_new()},
	                      .counters = counters_new(counter_rows, N_COUNTERS), .origin_url = mem_dup(origin_url), .steering_url = mem_dup(steering_url)};
	return p;
}

static void forget_kept(struct planner *p)
{
	for (size_t i = 0; i < p->n_kept; i++) {
		free(p->kept[i].edge);
		blob_unref(&p->kept[i].json);
	}
	p->n_kept = p->kept_bytes = 0;
}

void planner_free(struct planner **pp)
{
	struct planner *p = *pp;

	if (p == NULL)
		return;
	forget_kept(p);
	drafter_fini(&p->drafter);
	bookcase_fini(&p->bookcase);
	free(p->kept);
	counters_free(&p->counters);
	free(p->origin_url);
	free(p->steering_url);
	free(p);
	*pp = NULL;
}

/* NULL when all of the title is to be held. */
static json_t *files_json(const struct draft *d, size_t first, size_t end)
{
	const struct revision *r = d->stock->items[first].of;
	json_t *files = json_array();
	size_t n = 0;

	for (size_t i = first; i < end; i++)
		n += d->mine[i];
	if (n == end - first) {
		json_decref(files);
		return NULL;
	}
	for (size_t i = 0; i < r->n_files; i++) {
		size_t k = first;

		while (k < end && strcmp(d->stock->items[k].file, r->files[i].name) != 0)
			k++;
		if (k == end || d->mine[k])
			json_array_append_new(files, json_string(r->files[i].name));
	}
	return files;
}

static json_t *title_json(const struct revision *r, bool hold, json_t *files)
{
	char digest[SHA256_HEX_SIZE];
	json_t *o;

	sha256_to_hex(&r->digest, digest);
	o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:b}", "title", r->title, "revision", r->revision, "digest", digest,
	              "digest_bytes", (json_int_t)r->digest_bytes, "bytes", (json_int_t)r->bytes, "hold", (int)hold);
	if (files != NULL)
		json_object_set_new(o, "files", files);
	return o;
}

struct adding {
	const struct rules *rules;
	struct buf *text;
	bool any;
};

/* A title to hold: its name, or with what is special about it. */
static void add_title(void *ctx, const struct draft *d, const struct revision *r, size_t first, size_t end, bool hold)
{
	struct adding *a = ctx;
	json_t *files = files_json(d, first, end);
	bool urgent = rules_urgent(a->rules, r->title);

	(void)hold; /* only those are told of */
	buf_puts(a->text, a->any ? "," : "");
	a->any = true;
	if (files == NULL && !urgent) {
		buf_printf(a->text, "\"%s\"", r->title);
		return;
	}
	buf_printf(a->text, "{\"title\":\"%s\"", r->title);
	if (files != NULL) {
		buf_puts(a->text, ",\"files\":");
		plan_text_json(a->text, files);
	}
	buf_puts(a->text, urgent ? ",\"urgent\":true}" : "}");
}

/* --- history --- */

static void hash_text(const char *text, char ret_version[static VERSION_SIZE])
{
	char hex[SHA256_HEX_SIZE];
	struct sha256 h;

	sha256_of(text, strlen(text), &h);
	sha256_to_hex(&h, hex);
	snprintf(ret_version, VERSION_SIZE, "%.32s", hex);
}

/* {"TITLE/REVISION": {"FILE": bytes}}; the caller frees */
static char *held_text(const struct draft *d)
{
	const struct revision *last = NULL;
	struct buf b;
	char *text;

	buf_init(&b, MAX_PLAN);
	for (size_t i = 0; i < d->stock->n; i++) {
		const struct stock_item *item = &d->stock->items[i];

		if (!d->mine[i])
			continue;
		if (item->of == last)
			buf_puts(&b, ",");
		else
			buf_printf(&b, "%s\"%s\":{", last == NULL ? "{" : "},", item->of->key);
		buf_printf(&b, "\"%s\":%" PRIu64, item->file, item->bytes);
		last = item->of;
	}
	buf_puts(&b, last == NULL ? "{}" : "}}");
	text = mem_dup(buf_text(&b));
	buf_fini(&b);
	return text;
}

static void record(struct planner *p, const struct draft *d, struct kept *k)
{
	char *files = held_text(d), hash[VERSION_SIZE], *summary;
	json_t *o = json_pack("{s:I, s:I, s:f, s:f}", "files", (json_int_t)d->held_files, "bytes", (json_int_t)d->held_bytes,
	                      "offload", draft_offload(d), "half_life_days", d->night->night.half_life / DAY);
	struct catalogue_plan plan = {d->day, clock_wall(), k->version, NULL, hash, files};
	struct fault f = {0};

	hash_text(files, hash);
	plan.summary = summary = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
	if (k->day == d->day && strcmp(k->recorded, hash) == 0)
		; /* only peers have changed */
	else if (catalogue_put_plan(p->drafter.catalogue, k->edge, &plan, &f) == 0)
		memcpy(k->recorded, hash, sizeof k->recorded);
	else
		log_verbose(WHERE, "a plan is not recorded: %s edge=%s", fault_text(&f), k->edge);
	json_decref(o);
	free(summary);
	free(files);
}

/* --- the plan --- */

/* The version is a hash of all that stands before it, and so of the shelf too. */
static void write_version(struct buf *b, struct kept *k)
{
	hash_text(buf_text(b), k->version);
	buf_printf(b, ",\"version\":\"%s\"}", k->version);
}

static int write_plan(struct planner *p, const struct draft *d, struct library_view *v, struct kept *k, struct fault *f)
{
	struct buf b;
	struct adding adding = {.rules = p->drafter.rules, .text = &b};
	int e = bookcase_take(&p->bookcase, v, MAX_PLAN);

	buf_init(&b, MAX_PLAN);
	if (e == 0) {
		buf_printf(&b, "{\"shelf\":\"%s\",\"origin\":", p->bookcase.shelf.hash);
		plan_text_json(&b, json_string(p->origin_url));
		buf_puts(&b, ",\"hold\":[");
		draft_each_title(d, v, false, add_title, &adding);
		buf_puts(&b, "],\"peers\":");
		peers_write(p->drafter.registry, p->drafter.rules, k->edge, &p->bookcase, &b);
		if (p->steering_url != NULL) {
			buf_puts(&b, ",\"steering\":");
			plan_text_json(&b, json_string(p->steering_url));
		}
		if (buf_error(&b) == 0)
			write_version(&b, k);
	}
	k->json = e == 0 && buf_error(&b) == 0 ? blob_take_buf(&b) : NULL;
	buf_fini(&b);
	return k->json != NULL ? 0 : fault_set(f, -ENOMEM, "no memory for a plan, or it has more than %zu bytes", MAX_PLAN);
}

/* --- as it is sent --- */

static int write_whole(const struct planner *p, const struct blob *plan, struct buf *b, struct fault *f)
{
	json_t *o = json_loadb((const char *)plan->bytes, plan->size, 0, NULL);
	int e;

	MUST(o != NULL);
	e = plan_text_whole(o, &p->bookcase.shelf, b, f);
	json_decref(o);
	return e;
}

/* The same plan for a reader who has the shelf of that hash. */
static int write_for(const struct planner *p, struct blob *plan, const char *shelf, struct blob **ret, struct fault *f)
{
	struct buf b;
	int e = 0;

	if (shelf != NULL && strcmp(shelf, p->bookcase.shelf.hash) == 0) {
		*ret = blob_ref(plan);
		return 0;
	}
	buf_init(&b, MAX_PLAN);
	buf_puts(&b, "{\"changes\":");
	if (shelf != NULL && bookcase_changes(&p->bookcase, shelf, &b)) {
		buf_puts(&b, ",");
		buf_append(&b, plan->bytes + 1, plan->size - 1);
	} else {
		buf_clear(&b);
		e = write_whole(p, plan, &b, f);
	}
	if (e == 0)
		*ret = buf_error(&b) == 0 ? blob_take_buf(&b) : NULL;
	buf_fini(&b);
	return e != 0 || *ret != NULL ? e : fault_set(f, -ENOMEM, "no memory for a plan");
}

static int make(struct planner *p, struct library_view *v, struct kept *k, struct fault *f)
{
	struct draft d;
	int e = draft_plan(&p->drafter, v, k->edge, &d, f);

	if (e != 0)
		return e;
	e = write_plan(p, &d, v, k, f);
	if (e == 0)
		record(p, &d, k);
	k->day = d.day;
	k->blind = d.night->night.blind;
	k->demand_version = d.night->demand_version;
	draft_fini(&d);
	return e;
}

/* The plans of a small network are kept; those of a large one have to be written again if they are asked for again,
 * which their versions, told with every heartbeat, make seldom. */
static void keep_within_bounds(struct planner *p, struct kept *k)
{
	size_t bytes = k->json->size;

	if (p->kept_bytes + bytes <= MAX_KEPT_BYTES) {
		p->kept_bytes += bytes;
		return;
	}
	for (size_t i = 0; i < p->n_kept; i++)
		blob_unref(&p->kept[i].json);
	p->kept_bytes = 0;
}

static void drop_text(struct planner *p, struct kept *k)
{
	if (k->json == NULL)
		return;
	p->kept_bytes -= k->json->size;
	blob_unref(&k->json);
}

static struct kept *find_kept(struct planner *p, const char *edge)
{
	for (size_t i = 0; i < p->n_kept; i++)
		if (strcmp(p->kept[i].edge, edge) == 0)
			return &p->kept[i];
	if (p->n_kept == MAX_KEPT)
		forget_kept(p);
	MEM_GROW(p->kept, p->cap_kept, p->n_kept);
	p->kept[p->n_kept] = (struct kept){.edge = mem_dup(edge)};
	return &p->kept[p->n_kept++];
}

static void read_rules(struct planner *p)
{
	struct fault f = {0};
	bool changed = false;

	if (rules_read(p->drafter.rules, p->drafter.catalogue, &changed, &f) != 0)
		log_warn(WHERE, "planning with the rules that were read last: %s", fault_text(&f));
	if (!changed)
		return;
	drafter_forget(&p->drafter);
	for (size_t i = 0; i < p->n_kept; i++)
		p->kept[i].good = false;
}

/*
 * What edges hold changes with every heartbeat while they fill, and so does what is known of
 * demand on the first day.  In a large network a plan follows that a little later, or the
 * plans of a thousand edges would be made anew for each of them.
 */
#define PATIENCE_PER_EDGE (20 * DUR_MS)

static bool may_follow(struct planner *p, const struct kept *k)
{
	size_t edges, up;

	registry_counts(p->drafter.registry, &edges, &up);
	return up <= PEERS_MAX || clock_mono() - k->made >= (dur_us)up * PATIENCE_PER_EDGE;
}

static bool is_stale(struct planner *p, const struct kept *k, const struct library_view *v, uint64_t registry)
{
	int64_t east;

	if (!k->good || k->library_version != v->version)
		return true;
	if (drafter_day(&p->drafter, k->edge, &east) != k->day)
		return true;
	return (k->registry_version != registry || (k->blind && k->demand_version != catalogue_demand_version(p->drafter.catalogue))) &&
	       may_follow(p, k);
}

const char *planner_current(struct planner *p, const struct library_view *v, const char *edge)
{
	uint64_t version = registry_version(p->drafter.registry);

	for (size_t i = 0; i < p->n_kept; i++)
		if (strcmp(p->kept[i].edge, edge) == 0) {
			read_rules(p);
			return is_stale(p, &p->kept[i], v, version) ? NULL : p->kept[i].version;
		}
	return NULL;
}

int planner_plan(struct planner *p, struct library_view *v, const char *edge, const char *shelf, struct blob **ret_json,
                 char ret_version[static SHA256_HEX_SIZE], struct fault *f)
{
	struct kept *k = find_kept(p, edge);
	uint64_t version = registry_version(p->drafter.registry);
	mono_us begin = clock_mono();
	struct blob *plan = NULL;
	int e = 0;

	read_rules(p);
	if (k->json != NULL && !is_stale(p, k, v, version)) {
		plan = blob_ref(k->json);
		e = bookcase_take(&p->bookcase, v, MAX_PLAN);
	} else {
		drop_text(p, k);
		e = make(p, v, k, f);
		k->good = e == 0;
		k->library_version = v->version;
		k->made = clock_mono();
		counters_observe(p->counters, C_PLAN, k->made - begin);
		counters_add(p->counters, C_PLAN_FAILURES, e != 0);
		k->registry_version = version; /* read before: a change since then makes it stale, not wrong */
		if (e == 0) {
			plan = blob_ref(k->json);
			keep_within_bounds(p, k);
		}
	}
	snprintf(ret_version, SHA256_HEX_SIZE, "%s", k->version);
	if (e == 0 && ret_json != NULL)
		e = write_for(p, plan, shelf, ret_json, f);
	blob_unref(&plan);
	return e;
}

void planner_write_metrics(const struct planner *p, struct buf *out)
{
	counters_write(p->counters, out);
}

/* --- explained --- */

struct explaining {
	const struct planner *planner;
	const struct registry_edge *edge;
	json_t *titles;
	uint64_t in, kept, out;
};

static const char *why(const struct explaining *x, const struct draft *d, const struct revision *r, size_t first, size_t end, bool hold)
{
	enum arrange_class best = ARRANGE_NOT;
	bool placed = false;

	if (first == end)
		return "old revision";
	if (rules_banned(x->planner->drafter.rules, r->title))
		return "banned";
	for (size_t i = first; i < end; i++) {
		if (d->mine[i] && d->arrangement->classes[i] > best)
			best = d->arrangement->classes[i];
		placed |= d->arrangement->placed[i];
	}
	if (!hold)
		return placed ? "another edge of the site" : "no room";
	return best == ARRANGE_NOT ? "copy" : arrange_text(best);
}

static json_t *tracks_json(struct explaining *x, const struct draft *d, const struct revision *r, size_t first, size_t end, double *ret_plays)
{
	json_t *tracks = json_array();
	double bytes = 0;

	*ret_plays = 0;
	for (size_t i = first; i < end; i++) {
		const struct stock_item *item = &d->stock->items[i];
		const struct night_item *known = d->arrangement->known[i];
		double plays = known != NULL ? known->plays : 0;
		bool held = registry_edge_holds_file(x->edge, r->key, item->file);

		json_array_append_new(tracks, json_pack("{s:s, s:I, s:f, s:b, s:b}", "file", item->file, "bytes", (json_int_t)item->bytes,
		                                        "plays", plays, "hold", (int)d->mine[i], "held", (int)held));
		*(d->mine[i] ? held ? &x->kept : &x->in : held ? &x->out : &(uint64_t){0}) += item->bytes;
		*ret_plays += plays * (double)item->bytes;
		bytes += (double)item->bytes;
	}
	if (bytes > 0)
		*ret_plays /= bytes;
	return tracks;
}

static void explain_title(void *ctx, const struct draft *d, const struct revision *r, size_t first, size_t end, bool hold)
{
	struct explaining *x = ctx;
	json_t *o = title_json(r, hold, hold ? files_json(d, first, end) : NULL);
	double plays;

	json_object_set_new(o, "tracks", tracks_json(x, d, r, first, end, &plays));
	json_object_set_new(o, "why", json_string(why(x, d, r, first, end, hold)));
	json_object_set_new(o, "plays", json_real(plays));
	json_object_set_new(o, "held", json_boolean(registry_edge_holds(x->edge, r->key)));
	json_array_append_new(x->titles, o);
}

struct explained {
	struct explaining x;
	const struct draft *draft;
	const struct library_view *view;
	uint64_t capacity;
};

static bool explain_edge(void *ctx, const struct registry_edge *e)
{
	struct explained *x = ctx;

	x->x.edge = e;
	x->capacity = e->capacity;
	draft_each_title(x->draft, x->view, true, explain_title, &x->x);
	return true;
}

int planner_explain(struct planner *p, struct library_view *v, const char *edge, json_t **ret_json, struct fault *f)
{
	char version[SHA256_HEX_SIZE];
	struct draft d;
	struct explained x = {.x = {.planner = p}, .draft = &d, .view = v};
	int e = planner_plan(p, v, edge, NULL, NULL, version, f);

	if (e != 0)
		return e;
	e = draft_plan(&p->drafter, v, edge, &d, f);
	if (e != 0)
		return e;
	x.x.titles = json_array();
	e = registry_with(p->drafter.registry, edge, explain_edge, &x);
	*ret_json = json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:I, s:I, s:I, s:o}", "edge", edge, "site", d.around.place.site, "version",
	                      version, "origin", p->origin_url, "capacity", (json_int_t)x.capacity, "offload", draft_offload(&d), "half_life_days",
	                      d.night->night.half_life / DAY, "bytes_to_fill", (json_int_t)x.x.in, "bytes_kept", (json_int_t)x.x.kept,
	                      "bytes_that_may_go", (json_int_t)x.x.out, "titles", x.x.titles);
	draft_fini(&d);
	return e;
}
