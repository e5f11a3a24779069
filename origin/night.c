/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plays at other sites count a tenth: they are all that is known of a title that
 * nobody asked for here yet.
 */
#include "origin/night.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/catalogue.h"

#define DAY 86400
#define FROM_ELSEWHERE 0.1
#define FADE (9.0 * DAY)
#define NIGHT_SAMPLE 4096 /* ninety nights are replayed for every plan of a day */
#define EARNED 0.055 /* as cdn/ranked: what was played pays for so much fill */

struct row {
	int64_t day;
	uint32_t item;
	double bytes;
};

struct reading {
	const struct stock *stock;
	struct row *rows;
	size_t n, cap;
};

static void take_row(void *ctx, int64_t day, const char *name, uint64_t bytes)
{
	struct reading *r = ctx;
	size_t first, n = stock_find(r->stock, name, &first);
	double all = 0;

	for (size_t i = 0; i < n; i++)
		all += (double)r->stock->items[first + i].bytes;
	for (size_t i = 0; i < n; i++) {
		MEM_GROW(r->rows, r->cap, r->n);
		r->rows[r->n++] = (struct row){day, (uint32_t)(first + i), (double)bytes * (double)r->stock->items[first + i].bytes / all};
	}
}

static int by_day(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->day != y->day)
		return x->day < y->day ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

struct summing {
	const struct stock *stock;
	double *sums;
	int64_t now;
};

static void take_sum(void *ctx, int64_t day, const char *name, uint64_t bytes)
{
	struct summing *s = ctx;
	size_t first, n = stock_find(s->stock, name, &first);

	for (size_t i = 0; i < n; i++)
		s->sums[first + i] += (double)bytes / (double)n * exp2(-(double)(s->now - day * DAY) / FADE);
}

void night_everywhere_fini(struct night_everywhere *e)
{
	free(e->sums);
	*e = (struct night_everywhere){0};
}

/* A site that has decided before can do without what came in the last minutes; one that knows nothing wants all there is. */
static bool is_fresh(const struct night_everywhere *e, int64_t to, uint64_t version, wall_us now, bool decided_before)
{
	if (e->sums == NULL || e->to != to)
		return false;
	return e->demand_version == version || (decided_before && now >= e->made && now - e->made < NIGHT_TOGETHER);
}

static int ask_everywhere(struct catalogue *c, const struct stock *stock, const struct night_site *site, bool decided_before,
                          struct night_everywhere *e, struct fault *f)
{
	int64_t to = site->day * DAY - site->east;
	uint64_t version = catalogue_demand_version(c); /* before: what comes meanwhile is read the next time */
	struct summing s = {stock, NULL, to};
	int r;

	if (is_fresh(e, to, version, site->now, decided_before))
		return 0;
	s.sums = mem_new_array(stock->n + 1, sizeof *s.sums);
	r = catalogue_each_day(c, NULL, to - NIGHT_DAYS_BACK * DAY, to, 0, take_sum, &s, f);
	if (r != 0) {
		free(s.sums);
		return r;
	}
	night_everywhere_fini(e);
	*e = (struct night_everywhere){s.sums, to, version, site->now};
	return 0;
}

static int read_rows(struct catalogue *c, const struct night_site *site, struct reading *r, struct fault *f)
{
	int64_t to = site->day * DAY - site->east, from = to - NIGHT_DAYS_BACK * DAY;
	int e = 0;

	for (size_t i = 0; e == 0 && i < site->n_edges; i++)
		e = catalogue_each_day(c, site->edges[i], from, to, site->east, take_row, r, f);
	for (size_t i = 0; e == 0 && r->n == 0 && i < site->n_edges; i++)
		e = catalogue_each_day(c, site->edges[i], to, site->now / DUR_S + 1, site->east, take_row, r, f);
	if (r->n > 0)
		qsort(r->rows, r->n, sizeof *r->rows, by_day);
	return e;
}

/* The rule sees the days as they came, each with its night. */
static void replay(struct ranked *rule, const struct reading *r, const struct night_site *site)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct row *row = &r->rows[i];

		if (i > 0)
			for (int64_t d = r->rows[i - 1].day; d < row->day; d++)
				ranked_night_past(rule, (d + 1) * DAY - site->east);
		ranked_played(rule, row->item, (uint64_t)row->bytes, row->day * DAY + DAY / 2 - site->east);
	}
}

static void add_elsewhere(struct ranked *rule, const struct reading *r, const struct night_site *site, const double *everywhere)
{
	double *here = mem_new_array(r->stock->n + 1, sizeof *here);
	int64_t now = site->day * DAY - site->east;

	for (size_t i = 0; i < r->n; i++)
		here[r->rows[i].item] += r->rows[i].bytes * exp2(-(double)(now - r->rows[i].day * DAY) / FADE);
	for (size_t i = 0; i < r->stock->n; i++)
		if (everywhere[i] - here[i] > 1)
			ranked_played(rule, (uint32_t)i, (uint64_t)(FROM_ELSEWHERE * (everywhere[i] - here[i])), now);
	free(here);
}

/* `before` NULL: an empty store, whose first fill is exempt. */
static void resume(struct ranked *rule, const struct reading *r, const struct night *before)
{
	struct ranked_state state = before != NULL ? before->state : (struct ranked_state){0};
	const struct night_item **known;

	if (before == NULL) {
		ranked_resume(rule, &state);
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		state.earned += r->rows[i].day >= before->day ? EARNED * r->rows[i].bytes : 0;
	ranked_resume(rule, &state);
	known = night_join(before, r->stock);
	for (size_t i = 0; i < r->stock->n; i++)
		if (known[i] != NULL && known[i]->chosen)
			ranked_set_held(rule, (uint32_t)i, true);
	free(known);
}

static void write_down(const struct ranked *rule, const struct reading *r, const struct night_site *site, struct night *ret)
{
	int64_t now = site->day * DAY - site->east;

	*ret = (struct night){.day = site->day, .half_life = ranked_half_life(rule), .items = mem_new_array(r->stock->n + 1, sizeof *ret->items)};
	ranked_state(rule, &ret->state);
	for (size_t i = 0; i < r->stock->n; i++) {
		double plays = ranked_worth(rule, (uint32_t)i, now);
		bool chosen = ranked_holds(rule, (uint32_t)i);

		if (chosen || plays > 0)
			ret->items[ret->n++] = (struct night_item){mem_dup(r->stock->items[i].name), plays, chosen};
	}
	ret->blind = ret->n == 0;
}

int night_decide(struct catalogue *c, const struct stock *stock, const struct night_site *site,
                 const struct night *before, struct night_everywhere *everywhere, struct night *ret, struct fault *f)
{
	struct reading r = {.stock = stock};
	int e = read_rows(c, site, &r, f);

	if (e == 0)
		e = ask_everywhere(c, stock, site, before != NULL, everywhere, f);
	if (e == 0) {
		struct ranked *rule = ranked_new(&(struct ranked_settings){.capacity = site->capacity, .sample = NIGHT_SAMPLE});

		for (size_t i = 0; i < stock->n; i++)
			ranked_know(rule, (uint32_t)i, stock->items[i].bytes);
		replay(rule, &r, site);
		add_elsewhere(rule, &r, site, everywhere->sums);
		resume(rule, &r, before);
		ranked_night(rule, site->day * DAY - site->east);
		write_down(rule, &r, site, ret);
		ranked_free(&rule);
	}
	free(r.rows);
	return e;
}

void night_fini(struct night *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->items[i].name);
	free(n->items);
	*n = (struct night){0};
}

const struct night_item *night_find(const struct night *n, const char *name)
{
	size_t low = 0, high = n->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(n->items[middle].name, name);

		if (r == 0)
			return &n->items[middle];
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct night_item **night_join(const struct night *n, const struct stock *s)
{
	const struct night_item **known = mem_new_array(s->n + 1, sizeof *known);
	size_t k = 0;

	for (size_t i = 0; i < s->n; i++) { /* both are sorted by name */
		int order = 1;

		while (k < n->n && (order = strcmp(n->items[k].name, s->items[i].name)) < 0)
			k++;
		known[i] = k < n->n && order == 0 ? &n->items[k] : NULL;
	}
	return known;
}

/* --- as text --- */

char *night_to_json(const struct night *n)
{
	json_t *chosen = json_object(), *others = json_object();
	json_t *root = json_pack("{s:I, s:f, s:f, s:f, s:i, s:b, s:o, s:o}", "day", (json_int_t)n->day, "half_life", n->half_life, "saved",
	                         n->state.saved, "earned", n->state.earned, "nights", (int)n->state.nights, "filled",
	                         (int)n->state.filled, "chosen", chosen, "others", others);
	char *text;

	for (size_t i = 0; i < n->n; i++)
		json_object_set_new(n->items[i].chosen ? chosen : others, n->items[i].name, json_real(n->items[i].plays));
	text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(root);
	return text;
}

static void take_items(struct night *n, const json_t *list, bool chosen)
{
	const char *name;
	json_t *plays;

	json_object_foreach((json_t *)list, name, plays)
		n->items[n->n++] = (struct night_item){mem_dup(name), json_number_value(plays), chosen};
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct night_item *)a)->name, ((const struct night_item *)b)->name);
}

int night_from_json(const char *json, struct night *ret, struct fault *f)
{
	json_error_t e;
	json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &e);
	const json_t *chosen = json_object_get(root, "chosen"), *others = json_object_get(root, "others");
	struct night n = {
		.day = json_integer_value(json_object_get(root, "day")),
		.half_life = json_number_value(json_object_get(root, "half_life")),
		.state = {json_number_value(json_object_get(root, "saved")), json_number_value(json_object_get(root, "earned")),
		          (unsigned)json_integer_value(json_object_get(root, "nights")), json_is_true(json_object_get(root, "filled"))},
	};

	if (!json_is_object(chosen) || !json_is_object(others)) {
		json_decref(root);
		return fault_set(f, ERR_SYNTAX, "what was decided last night cannot be read");
	}
	n.items = mem_new_array(json_object_size(chosen) + json_object_size(others) + 1, sizeof *n.items);
	take_items(&n, chosen, true);
	take_items(&n, others, false);
	if (n.n > 0)
		qsort(n.items, n.n, sizeof *n.items, by_name);
	n.blind = n.n == 0;
	*ret = n;
	json_decref(root);
	return 0;
}
