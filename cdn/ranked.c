/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Decayed plays are kept forward: log2(sum of 2^(second / half-life)), so that
 * time passing changes no order, and a play costs one heap move per shadow.
 *
 * The credit for youth divides by the part of its memory that an item has lived
 * through, 1 - 2^(-age / half-life), never less than the rung's floor: with a
 * floor of 1 nothing is credited.  That part grows with time, so all keys are
 * made anew once a day.
 *
 * The shadows see all items while these are few, and of many only a sample, chosen
 * by a hash of the number, in stores as much smaller: what a store keeps and misses
 * of a random part of its items is what it keeps and misses of all (SHARDS,
 * Waldspurger et al., FAST 2015).  So the price of trying all rungs has a bound.
 */
#include "cdn/ranked.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#define HOUR 3600.0
#define DAY 86400.0
#define N_MEMORIES 12
#define N_FLOORS 3
#define N_RUNGS (N_MEMORIES * N_FLOORS)
#define FIRST_RUNG 6 /* in use while nothing is known: 9 days */
#define JUDGED_OVER (14 * DAY) /* half-life of what the shadows' hits count */
#define SAVED_NIGHTS 3 /* of budget, at most */
#define SERVED_SHARE 0.055 /* of the bytes played may be brought */
#define FREE_NIGHTS 14 /* a first fill is exempt for so long */

static const double half_lives[N_MEMORIES] = {
	2 * HOUR, 6 * HOUR, 12 * HOUR, 1 * DAY, 2 * DAY, 4 * DAY, 9 * DAY, 20 * DAY, 45 * DAY, 90 * DAY, 200 * DAY, 500 * DAY,
};
static const double floors[N_FLOORS] = {1, 0.3, 0.1};

#define NO_SLOT UINT32_MAX

struct shadow {
	double *keys; /* by slot */
	struct tier tier;
	double hits;  /* bytes, fading */
};

/* The items that the shadows see, each in a slot. */
struct sample {
	uint32_t *slots;  /* by item; NO_SLOT: not seen */
	uint32_t *items;  /* by slot */
	uint64_t *bytes;  /* by slot */
	size_t n, cap;
	unsigned halvings; /* one of 2^halvings items is seen */
};

struct ranked {
	struct ranked_settings s;
	uint64_t *bytes;               /* by item; 0: not known */
	double *first;                 /* by item: second of its first play */
	double *plays[N_MEMORIES];     /* by item: forward-decayed, log2; -INFINITY: none */
	double *keys;                  /* by item, on the rung in use */
	struct sample sample;
	size_t n, cap;
	int64_t now, aged_at;
	struct shadow shadows[N_RUNGS];
	unsigned rung;                 /* in use */
	struct tier tier;
	struct ranked_state state;     /* saved: budget carried over from nights; earned: from plays */
	struct tier_changes changes, dreams; /* what is answered; what the shadows did */
};

struct ranked *ranked_new(const struct ranked_settings *s)
{
	struct ranked *r = mem_new(sizeof *r);

	r->s = *s;
	if (r->s.sample == 0)
		r->s.sample = RANKED_SAMPLE;
	r->rung = FIRST_RUNG;
	r->now = r->aged_at = INT64_MIN;
	return r;
}

void ranked_free(struct ranked **pr)
{
	struct ranked *r = *pr;

	if (r == NULL)
		return;
	for (unsigned k = 0; k < N_RUNGS; k++) {
		free(r->shadows[k].keys);
		tier_fini(&r->shadows[k].tier);
	}
	for (unsigned k = 0; k < N_MEMORIES; k++)
		free(r->plays[k]);
	free(r->sample.slots);
	free(r->sample.items);
	free(r->sample.bytes);
	free(r->keys);
	tier_fini(&r->tier);
	free(r->bytes);
	free(r->first);
	free(r->changes.v);
	free(r->dreams.v);
	free(r);
	*pr = NULL;
}

static struct tier_items all_items(const struct ranked *r)
{
	return (struct tier_items){r->bytes, r->keys, r->n, r->s.capacity};
}

static struct tier_items seen_by(const struct ranked *r, unsigned rung)
{
	return (struct tier_items){r->sample.bytes, r->shadows[rung].keys, r->sample.n, r->s.capacity >> r->sample.halvings};
}

static void grow_to(struct ranked *r, size_t n)
{
	size_t cap = r->cap > 0 ? r->cap : 64;

	while (cap < n)
		cap *= 2;
	if (cap == r->cap)
		return;
	r->bytes = mem_resize(r->bytes, cap, sizeof *r->bytes);
	r->first = mem_resize(r->first, cap, sizeof *r->first);
	r->keys = mem_resize(r->keys, cap, sizeof *r->keys);
	r->sample.slots = mem_resize(r->sample.slots, cap, sizeof *r->sample.slots);
	for (unsigned k = 0; k < N_MEMORIES; k++)
		r->plays[k] = mem_resize(r->plays[k], cap, sizeof *r->plays[k]);
	r->cap = cap;
}

static void begin_item(struct ranked *r, size_t i)
{
	uint32_t slot = r->sample.slots[i];

	r->bytes[i] = 0;
	r->first[i] = NAN;
	r->keys[i] = -INFINITY;
	for (unsigned k = 0; k < N_MEMORIES; k++)
		r->plays[k][i] = -INFINITY;
	for (unsigned k = 0; k < N_RUNGS && slot != NO_SLOT; k++)
		r->shadows[k].keys[slot] = -INFINITY;
}

/* --- the sample ------------------------------------------------------------------------ */

static bool is_seen(uint32_t item, unsigned halvings)
{
	uint32_t h = item * UINT32_C(0x9e3779b1);

	h = (h ^ (h >> 15)) * UINT32_C(0x85ebca77);
	return halvings == 0 || (h ^ (h >> 13)) >> (32 - halvings) == 0;
}

static void give_slot(struct ranked *r, uint32_t item)
{
	struct sample *s = &r->sample;

	s->slots[item] = NO_SLOT;
	if (!is_seen(item, s->halvings))
		return;
	if (s->n == s->cap) {
		s->cap = s->cap > 0 ? 2 * s->cap : 64;
		s->items = mem_resize(s->items, s->cap, sizeof *s->items);
		s->bytes = mem_resize(s->bytes, s->cap, sizeof *s->bytes);
		for (unsigned k = 0; k < N_RUNGS; k++)
			r->shadows[k].keys = mem_resize(r->shadows[k].keys, s->cap, sizeof *r->shadows[k].keys);
	}
	s->bytes[s->n] = 0;
	s->items[s->n] = item;
	s->slots[item] = (uint32_t)s->n++;
}

/* One shadow's part of halve(): what it holds of those that stay, in their new slots. */
static void thin_out(struct ranked *r, struct shadow *shadow, unsigned halvings)
{
	const struct sample *s = &r->sample;
	bool *held = mem_new_array(s->n + 1, sizeof *held);
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		held[i] = heap_has(&shadow->tier.held, (uint32_t)i);
	heap_clear(&shadow->tier.held);
	shadow->tier.used = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (!is_seen(s->items[i], halvings))
			continue;
		shadow->keys[n] = shadow->keys[i];
		if (held[i]) {
			heap_put(&shadow->tier.held, (uint32_t)n, shadow->keys[n]);
			shadow->tier.used += s->bytes[i];
		}
		n++;
	}
	free(held);
}

static void halve(struct ranked *r)
{
	struct sample *s = &r->sample;
	unsigned halvings = s->halvings + 1;
	size_t n = 0;

	for (unsigned k = 0; k < N_RUNGS; k++)
		thin_out(r, &r->shadows[k], halvings);
	for (size_t i = 0; i < s->n; i++) {
		uint32_t item = s->items[i];

		s->slots[item] = is_seen(item, halvings) ? (uint32_t)n : NO_SLOT;
		if (s->slots[item] == NO_SLOT)
			continue;
		s->items[n] = item;
		s->bytes[n++] = s->bytes[i];
	}
	s->n = n;
	s->halvings = halvings;
}

static void resize_in_shadows(struct ranked *r, uint32_t slot, uint64_t bytes)
{
	for (unsigned k = 0; k < N_RUNGS && slot != NO_SLOT; k++) {
		struct tier_items seen = seen_by(r, k);

		tier_drop(&r->shadows[k].tier, &seen, slot);
	}
	if (slot != NO_SLOT)
		r->sample.bytes[slot] = bytes;
}

void ranked_know(struct ranked *r, uint32_t item, uint64_t bytes)
{
	struct tier_items items;
	bool held;

	grow_to(r, (size_t)item + 1);
	while (r->n <= item) {
		give_slot(r, (uint32_t)r->n);
		begin_item(r, r->n++);
		if (r->sample.n > r->s.sample)
			halve(r);
	}
	if (r->bytes[item] == bytes)
		return;
	items = all_items(r);
	held = ranked_holds(r, item);
	tier_drop(&r->tier, &items, item);
	resize_in_shadows(r, r->sample.slots[item], bytes);
	r->bytes[item] = bytes;
	if (held && bytes > 0)
		tier_put(&r->tier, &items, item);
}

void ranked_forget(struct ranked *r, uint32_t item)
{
	if (item >= r->n)
		return;
	ranked_know(r, item, 0);
	begin_item(r, item);
}

void ranked_set_capacity(struct ranked *r, uint64_t bytes)
{
	r->s.capacity = bytes;
}

bool ranked_knows(const struct ranked *r, uint32_t item)
{
	return item < r->n && r->bytes[item] > 0;
}

/* --- worth ---------------------------------------------------------------------------- */

/* log2(2^sum + plays * 2^at) */
static double add_play(double sum, double at, double plays)
{
	double fresh = at + log2(plays);
	double high = sum > fresh ? sum : fresh, low = sum > fresh ? fresh : sum;

	return low == -INFINITY ? high : high + log2(1 + exp2(low - high));
}

static double key_of(const struct ranked *r, unsigned rung, size_t item)
{
	double half_life = half_lives[rung % N_MEMORIES], least = floors[rung / N_MEMORIES];
	double plays = r->plays[rung % N_MEMORIES][item];

	if (least == 1 || plays == -INFINITY)
		return plays;
	return plays - log2(1 - exp2(-((double)r->now - r->first[item]) / half_life) * (1 - least));
}

/* Gives everything held its present key. */
static void reorder(struct tier *t, const double *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (heap_has(&t->held, (uint32_t)i))
			heap_put(&t->held, (uint32_t)i, keys[i]);
}

static void find_keys(struct ranked *r)
{
	for (size_t i = 0; i < r->n; i++)
		r->keys[i] = key_of(r, r->rung, i);
	reorder(&r->tier, r->keys, r->n);
}

static void age(struct ranked *r)
{
	for (unsigned k = N_MEMORIES; k < N_RUNGS; k++) { /* the first floor is 1: time changes nothing */
		for (size_t i = 0; i < r->sample.n; i++)
			r->shadows[k].keys[i] = key_of(r, k, r->sample.items[i]);
		reorder(&r->shadows[k].tier, r->shadows[k].keys, r->sample.n);
	}
	if (floors[r->rung / N_MEMORIES] < 1)
		find_keys(r);
	r->aged_at = r->now;
}

static void pass_time(struct ranked *r, int64_t second)
{
	double fade;

	if (r->now == INT64_MIN)
		r->now = r->aged_at = second;
	if (second <= r->now)
		return;
	fade = exp2(-(double)(second - r->now) / JUDGED_OVER);
	for (unsigned k = 0; k < N_RUNGS; k++)
		r->shadows[k].hits *= fade;
	r->now = second;
	if (r->now - r->aged_at >= (int64_t)DAY)
		age(r);
}

static void choose_rung(struct ranked *r)
{
	unsigned best = r->rung;

	for (unsigned k = 0; k < N_RUNGS; k++)
		if (r->shadows[k].hits > r->shadows[best].hits)
			best = k;
	if (best == r->rung)
		return;
	r->rung = best;
	find_keys(r);
}

static void play_in_shadow(struct ranked *r, unsigned k, uint32_t slot, uint64_t bytes)
{
	struct shadow *s = &r->shadows[k];
	struct tier_items seen = seen_by(r, k);

	s->keys[slot] = key_of(r, k, r->sample.items[slot]);
	if (heap_has(&s->tier.held, slot)) {
		s->hits += (double)bytes;
		tier_put(&s->tier, &seen, slot);
	} else if (r->s.admits) {
		r->dreams.n = 0;
		tier_admit(&s->tier, &seen, slot, &r->dreams);
	}
}

void ranked_played(struct ranked *r, uint32_t item, uint64_t bytes, int64_t second)
{
	double plays;

	if (item >= r->n || r->bytes[item] == 0 || bytes == 0)
		return;
	pass_time(r, second);
	r->state.earned += SERVED_SHARE * (double)bytes;
	plays = (double)bytes / (double)r->bytes[item];
	if (isnan(r->first[item]))
		r->first[item] = (double)r->now;
	for (unsigned k = 0; k < N_MEMORIES; k++)
		r->plays[k][item] = add_play(r->plays[k][item], (double)r->now / half_lives[k], plays);
	for (unsigned k = 0; k < N_RUNGS && r->sample.slots[item] != NO_SLOT; k++)
		play_in_shadow(r, k, r->sample.slots[item], bytes);
	r->keys[item] = key_of(r, r->rung, item);
	if (ranked_holds(r, item))
		heap_put(&r->tier.held, item, r->keys[item]);
	if (r->s.admits)
		choose_rung(r);
}

double ranked_half_life(const struct ranked *r)
{
	return half_lives[r->rung % N_MEMORIES];
}

double ranked_worth(const struct ranked *r, uint32_t item, int64_t second)
{
	return item < r->n ? exp2(r->keys[item] - (double)second / ranked_half_life(r)) : 0;
}

void ranked_state(const struct ranked *r, struct ranked_state *ret)
{
	*ret = r->state;
}

void ranked_resume(struct ranked *r, const struct ranked_state *state)
{
	heap_clear(&r->tier.held);
	r->tier.used = 0;
	r->state = *state;
}

/* --- what is held --------------------------------------------------------------------- */

bool ranked_holds(const struct ranked *r, uint32_t item)
{
	return heap_has(&r->tier.held, item);
}

void ranked_set_held(struct ranked *r, uint32_t item, bool held)
{
	struct tier_items items = all_items(r);

	if (item >= r->n || r->bytes[item] == 0)
		return;
	if (held)
		tier_put(&r->tier, &items, item);
	else
		tier_drop(&r->tier, &items, item);
}

const struct tier_changes *ranked_admit(struct ranked *r, uint32_t item)
{
	struct tier_items items = all_items(r);

	r->changes.n = 0;
	if (item < r->n && !ranked_holds(r, item))
		tier_admit(&r->tier, &items, item, &r->changes);
	return &r->changes;
}

static double capped(double a, double most)
{
	return a < most ? a : most;
}

static bool first_fill(const struct ranked *r)
{
	return !r->state.filled && r->state.nights < FREE_NIGHTS;
}

/* What tonight may bring.  What was not used is saved, up to a few nights' or one
 * largest item, so that a budget smaller than an item delays it and no more.  A
 * store that is little used earns little: it brings no more than a part of what is
 * played from it, or filling would cost the lines more than it spares them.  The
 * first fill is exempt. */
static uint64_t budget(struct ranked *r)
{
	double share = r->s.night_budget > 0 ? (double)r->s.night_budget : RANKED_NIGHT_SHARE * (double)r->s.capacity;
	double largest = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->bytes[i] <= r->s.capacity && (double)r->bytes[i] > largest)
			largest = (double)r->bytes[i];
	r->state.saved = capped(r->state.saved + share, largest > SAVED_NIGHTS * share ? largest : SAVED_NIGHTS * share);
	r->state.earned = capped(r->state.earned, largest > share ? largest : share);
	if (first_fill(r))
		return r->s.night_budget > 0 ? r->s.night_budget : UINT64_MAX;
	return (uint64_t)capped(r->state.earned, r->s.night_budget > 0 ? share : r->state.saved);
}

/* What this night would bring on every rung; the answer: on the one in use, bytes. */
static double dream(struct ranked *r, uint64_t may)
{
	double brought = 0;

	for (unsigned k = 0; k < N_RUNGS && !r->s.admits; k++) {
		struct tier_items seen = seen_by(r, k);
		uint64_t bytes;

		r->dreams.n = 0;
		bytes = tier_night(&r->shadows[k].tier, &seen, may >> r->sample.halvings, &r->dreams);
		brought = k == r->rung ? (double)bytes * exp2(r->sample.halvings) : brought;
	}
	if (!r->s.admits)
		choose_rung(r);
	return brought;
}

static void pay(struct ranked *r, double brought, double used)
{
	if (!first_fill(r)) {
		r->state.saved -= brought;
		r->state.earned -= brought;
	}
	r->state.nights++;
	r->state.filled |= used > 0.9 * (double)r->s.capacity;
}

const struct tier_changes *ranked_night(struct ranked *r, int64_t second)
{
	struct tier_items items;
	uint64_t may;
	double brought;

	pass_time(r, second);
	may = budget(r);
	age(r);
	dream(r, may);
	items = all_items(r);
	r->changes.n = 0;
	brought = (double)tier_night(&r->tier, &items, may, &r->changes);
	pay(r, brought, (double)r->tier.used);
	return &r->changes;
}

void ranked_night_past(struct ranked *r, int64_t second)
{
	uint64_t may;
	double brought;

	pass_time(r, second);
	may = budget(r);
	age(r);
	brought = dream(r, may);
	pay(r, brought, (double)r->shadows[r->rung].tier.used * exp2(r->sample.halvings));
}
