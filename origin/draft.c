/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: a site's decision is made once a local day and is in the catalogue
 * before any plan is made of it, unless the catalogue cannot be written.
 */
#include "origin/draft.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cdn/zone.h"
#include "origin/catalogue.h"
#include "origin/library.h"
#include "origin/registry.h"

#define WHERE "origin/draft"
#define MAX_NIGHTS REGISTRY_MAX_EDGES
#define ZONE_MAX_BYTES ((size_t)1 << 20)
#define DAY 86400

void drafter_forget(struct drafter *d)
{
	for (size_t i = 0; i < DRAFT_KEPT; i++) {
		arrangement_fini(&d->kept[i].arrangement);
		d->kept[i].decision = 0;
	}
}

static void forget_nights(struct drafter *d)
{
	drafter_forget(d); /* they point to what nights say */
	for (size_t i = 0; i < d->n_nights; i++) {
		free(d->nights[i].site);
		night_fini(&d->nights[i].night);
	}
	d->n_nights = 0;
}

void drafter_fini(struct drafter *d)
{
	drafter_forget(d);
	night_everywhere_fini(&d->everywhere);
	stock_fini(&d->stock);
	library_view_unref(&d->view);
	forget_nights(d);
	free(d->nights);
	for (size_t i = 0; i < d->n_zones; i++) {
		free(d->zones[i].name);
		zone_free(&d->zones[i].zone);
	}
	free(d->zones);
	rules_free(&d->rules);
}

/* --- the local day --- */

static struct zone *read_zone(const char *name)
{
	char *path = mem_printf("/usr/share/zoneinfo/%s", name);
	struct zone *zone = NULL;
	struct fault f = {0};
	struct buf b;
	int e;

	buf_init(&b, ZONE_MAX_BYTES);
	e = file_read(path, &b);
	if (e == 0)
		e = zone_read(b.bytes, b.size, path, &zone, &f);
	if (e != 0)
		log_warn(WHERE, "no such time zone, its edges have UTC's days: %s path=\"%s\"", err_text(e), path);
	buf_fini(&b);
	free(path);
	return e == 0 ? zone : zone_utc();
}

static const struct zone *find_zone(struct drafter *d, const char *name)
{
	for (size_t i = 0; i < d->n_zones; i++)
		if (strcmp(d->zones[i].name, name) == 0)
			return d->zones[i].zone;
	MEM_GROW(d->zones, d->cap_zones, d->n_zones);
	d->zones[d->n_zones] = (struct named_zone){mem_dup(name), read_zone(name)};
	return d->zones[d->n_zones++].zone;
}

static int64_t day_of(struct drafter *d, const struct place *place, wall_us now, int64_t *ret_east)
{
	*ret_east = place->zone != NULL ? zone_offset(find_zone(d, place->zone), now / DUR_S, NULL) : 0;
	return (now / DUR_S + *ret_east) / DAY;
}

/* --- one edge's surroundings --- */

static bool is_near(const struct around *a, const struct place *place)
{
	return a->place.region != NULL && place->region != NULL && strcmp(a->place.region, place->region) == 0;
}

static bool take_edge(void *ctx, const struct registry_edge *e)
{
	struct around *a = ctx;
	bool self = strcmp(e->name, a->self) == 0, here;
	struct place place;

	rules_place(a->drafter->rules, e->name, &place);
	here = strcmp(place.site, a->place.site) == 0 && (self || a->n_here + !a->found < SITE_MAX_EDGES);
	if (!here && !is_near(a, &place))
		return true;
	MEM_GROW(a->edges, a->cap, a->n);
	a->edges[a->n++] = (struct arrange_edge){
		.name = mem_dup(e->name),
		.region = mem_dup(place.region),
		.capacity = e->capacity / 100 * place.share + e->capacity % 100 * place.share / 100,
		.mirror = place.mirror,
		.here = here,
	};
	a->found |= self;
	if (self)
		a->self_here = a->n_here;
	a->n_here += here;
	return true;
}

static void around_fini(struct around *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->edges[i].name);
		free(a->edges[i].region);
	}
	free(a->edges);
}

static int look_around(struct drafter *d, const char *edge, struct around *ret, struct fault *f)
{
	*ret = (struct around){.drafter = d, .self = edge};
	rules_place(d->rules, edge, &ret->place);
	registry_each(d->registry, NULL, take_edge, ret);
	if (ret->found)
		return 0;
	around_fini(ret);
	return fault_set(f, ERR_NOT_FOUND, "there is no edge \"%s\": register it first", edge);
}

/* --- what its site decided --- */

static struct site_night *find_night(struct drafter *d, const char *site)
{
	for (size_t i = 0; i < d->n_nights; i++)
		if (strcmp(d->nights[i].site, site) == 0)
			return &d->nights[i];
	if (d->n_nights == MAX_NIGHTS)
		forget_nights(d);
	MEM_GROW(d->nights, d->cap_nights, d->n_nights);
	d->nights[d->n_nights] = (struct site_night){.site = mem_dup(site), .decisions = ++d->decisions, .night = {.day = -1, .blind = true}};
	return &d->nights[d->n_nights++];
}

static void take_night(void *ctx, int64_t day, const char *decided)
{
	struct site_night *n = ctx;
	struct fault f = {0};
	struct night night;

	(void)day;
	if (night_from_json(decided, &night, &f) != 0) {
		log_warn(WHERE, "%s, it begins anew site=%s", fault_text(&f), n->site);
		return;
	}
	night_fini(&n->night);
	n->night = night;
}

/* Arrangements point into it. */
static void new_decision(struct drafter *d, struct site_night *n)
{
	for (size_t i = 0; i < DRAFT_KEPT; i++)
		if (d->kept[i].decision == n->decisions) {
			arrangement_fini(&d->kept[i].arrangement);
			d->kept[i].decision = 0;
		}
	n->decisions = ++d->decisions;
}

static int decide(struct drafter *d, const struct around *a, const struct stock *stock, struct site_night *n, int64_t day,
                  int64_t east, struct fault *f)
{
	const char *names[SITE_MAX_EDGES];
	struct night_site site = {.edges = names, .day = day, .east = east, .now = clock_wall()};
	struct night night;
	char *text;
	int e;

	for (size_t i = 0; i < a->n; i++) {
		if (!a->edges[i].here)
			continue;
		names[site.n_edges++] = a->edges[i].name;
		site.capacity += a->edges[i].capacity;
	}
	n->demand_version = catalogue_demand_version(d->catalogue); /* before: what comes meanwhile is read the next time */
	e = night_decide(d->catalogue, stock, &site, n->night.blind ? NULL : &n->night, &d->everywhere, &night, f);
	if (e != 0)
		return e;
	new_decision(d, n);
	night_fini(&n->night);
	n->night = night;
	if (night.blind)
		return 0;
	text = night_to_json(&night);
	e = catalogue_put_night(d->catalogue, n->site, day, text, f);
	free(text);
	return e;
}

/* The day's decision: known, kept in the catalogue, or made now.  While there is no demand at all it is made with
 * every batch that comes.  Without a catalogue the last one goes on. */
static struct site_night *night_of(struct drafter *d, const struct around *a, const struct stock *stock, int64_t day, int64_t east)
{
	struct site_night *n = find_night(d, a->place.site);
	struct fault f = {0};
	int e = 0;

	if (n->night.day < 0)
		new_decision(d, n);
	if (n->night.day < 0)
		e = catalogue_get_night(d->catalogue, a->place.site, take_night, n, &f);
	if (e == 0 && (n->night.day < day || n->night.blind))
		e = decide(d, a, stock, n, day, east, &f);
	if (e != 0)
		log_warn(WHERE, "planning with what was decided last: %s site=%s", fault_text(&f), n->site);
	return n;
}

/* --- the titles --- */

void draft_fini(struct draft *d)
{
	around_fini(&d->around);
	free(d->mine);
}

int64_t drafter_day(struct drafter *d, const char *edge, int64_t *ret_east)
{
	struct place place;

	rules_place(d->rules, edge, &place);
	return day_of(d, &place, clock_wall(), ret_east);
}

static void take_view(struct drafter *d, struct library_view *v)
{
	if (d->view == v)
		return;
	drafter_forget(d);
	night_everywhere_fini(&d->everywhere);
	stock_fini(&d->stock);
	library_view_unref(&d->view);
	d->view = library_view_ref(v);
	stock_new(v, &d->stock);
}

static uint64_t add_text(uint64_t h, const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return (h ^ (s != NULL)) * UINT64_C(0x100000001b3);
}

/* Of all that an arrangement depends on beside stock, rules and night. */
static uint64_t hash_surroundings(const struct around *a)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < a->n; i++) {
		const struct arrange_edge *e = &a->edges[i];

		h = add_text(add_text(h, e->name), e->region);
		h = (h ^ e->capacity) * UINT64_C(0x9e3779b97f4a7c15);
		h = (h ^ (h >> 31) ^ (unsigned)(e->mirror * 2 + e->here)) * UINT64_C(0x100000001b3);
	}
	return h;
}

/* The edges of a site ask one after the other, and get parts of one arrangement. */
static const struct arrangement *arrange_site(struct drafter *d, const struct around *a, const struct site_night *n)
{
	uint64_t surroundings = hash_surroundings(a);
	struct arranged *k;

	for (size_t i = 0; i < DRAFT_KEPT; i++)
		if (d->kept[i].decision == n->decisions && d->kept[i].surroundings == surroundings)
			return &d->kept[i].arrangement;
	k = &d->kept[d->next_kept++ % DRAFT_KEPT];
	arrangement_fini(&k->arrangement);
	arrange(&d->stock, &n->night, d->rules, a->edges, a->n, &k->arrangement);
	k->decision = n->decisions;
	k->surroundings = surroundings;
	return &k->arrangement;
}

int draft_plan(struct drafter *drafter, struct library_view *v, const char *edge, struct draft *ret, struct fault *f)
{
	struct draft d = {.stock = &drafter->stock};
	int64_t east;
	int e = look_around(drafter, edge, &d.around, f);

	if (e != 0)
		return e;
	take_view(drafter, v);
	d.day = day_of(drafter, &d.around.place, clock_wall(), &east);
	d.night = night_of(drafter, &d.around, d.stock, d.day, east);
	d.arrangement = arrange_site(drafter, &d.around, d.night);
	d.mine = mem_new_array(d.stock->n + 1, sizeof *d.mine);
	for (size_t i = 0; i < d.arrangement->n_copies; i++) {
		const struct site_copy *c = &d.arrangement->copies[i];

		if (c->edge != d.around.self_here)
			continue;
		d.mine[c->item] = true;
		d.held_bytes += d.stock->items[c->item].bytes;
		d.held_files++;
	}
	*ret = d;
	return 0;
}

static void title_range(const struct stock *s, size_t i, size_t *ret_first, size_t *ret_end)
{
	*ret_first = *ret_end = i;
	while (*ret_first > 0 && s->items[*ret_first - 1].of == s->items[i].of)
		--*ret_first;
	while (*ret_end < s->n && s->items[*ret_end].of == s->items[i].of)
		++*ret_end;
}

void draft_each_title(const struct draft *d, const struct library_view *v, bool others, draft_each_f each, void *ctx)
{
	bool *done = mem_new_array(d->stock->n + 1, sizeof *done); /* by a title's first item */
	size_t first, end;

	for (size_t i = 0; i < d->arrangement->n_copies; i++) {
		const struct site_copy *c = &d->arrangement->copies[i];

		if (c->edge != d->around.self_here)
			continue;
		title_range(d->stock, c->item, &first, &end);
		if (!done[first])
			each(ctx, d, d->stock->items[first].of, first, end, true);
		done[first] = true;
	}
	for (size_t i = 0; others && i < d->stock->n; i = end) {
		title_range(d->stock, i, &first, &end);
		if (!done[first])
			each(ctx, d, d->stock->items[first].of, first, end, false);
	}
	for (size_t i = 0; others && i < v->n_titles; i++)
		for (size_t k = 1; k < v->titles[i].n_revisions; k++)
			each(ctx, d, v->titles[i].revisions[k], 0, 0, false);
	free(done);
}

double draft_offload(const struct draft *d)
{
	double all = 0, held = 0;

	for (size_t i = 0; i < d->stock->n; i++) {
		const struct night_item *known = d->arrangement->known[i];
		double bytes = known != NULL ? known->plays * (double)d->stock->items[i].bytes : 0;

		all += bytes;
		held += d->arrangement->placed[i] ? bytes : 0;
	}
	return all > 0 ? held / all : 0;
}

