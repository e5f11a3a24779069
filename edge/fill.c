/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Each title has a cursor over its pieces; what fails is met again when the
 * cursor has been through and the title's pause is over.  A title is begun only
 * when all of it fits.
 */
#include "edge/fill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cdn/bucket.h"
#include "edge/counts.h"
#include "edge/swarm.h"

#define WHERE "edge/fill"
#define LOOK_AGAIN (10 * DUR_S)
#define PAUSE_MAX (60 * DUR_S)
#define WAIT_FOR_LEAVES (5 * DUR_S) /* with them a cut piece goes on from its last good block */
#define WAIT_FOR_OTHERS (DUR_S / 2) /* at most; their news come earlier */
#define PAUSE_NO_ROOM (30 * DUR_S)

struct title {
	struct package *package;
	size_t file, piece;  /* the cursor */
	bool urgent; /* by the plan */
	bool fits, full_said, complete_said;
	mono_us known_since; /* 0: the next look notes it */
	unsigned failures;   /* in a row */
	mono_us paused_until;
};

struct fill {
	struct fill_settings s;
	struct bucket bucket;
	struct title *titles; /* in the plan's order */
	size_t n, cap;
	int was_open; /* -1: not known */
};

struct fill *fill_new(const struct fill_settings *settings, mono_us now)
{
	struct fill *f = mem_new(sizeof *f);

	f->s = *settings;
	f->was_open = -1;
	bucket_init(&f->bucket, f->s.rates.otherwise, DIGEST_PIECE, now);
	return f;
}

void fill_free(struct fill **pf)
{
	if (*pf == NULL)
		return;
	free((*pf)->titles);
	free(*pf);
	*pf = NULL;
}

/* A package knows its place in the list; one that stands elsewhere, or nowhere, points to another's. */
static struct title *find(struct title *titles, size_t n, const struct package *p)
{
	return p->fill_at < n && titles[p->fill_at].package == p ? &titles[p->fill_at] : NULL;
}

void fill_set_plan(struct fill *f, const struct plan *plan)
{
	struct title *old = f->titles;
	size_t n_old = f->n;

	f->titles = NULL;
	f->n = f->cap = 0;
	for (size_t i = 0; i < plan->n_titles; i++) {
		const struct plan_title *t = &plan->titles[i];
		struct package *p = t->hold ? store_find(f->s.store, t->title, t->revision) : NULL;
		const struct title *known = p != NULL ? find(old, n_old, p) : NULL;

		if (p == NULL || find(f->titles, f->n, p) != NULL) /* named twice */
			continue;
		MEM_GROW(f->titles, f->cap, f->n);
		f->titles[f->n] = known != NULL ? *known : (struct title){.package = p};
		f->titles[f->n].urgent = t->urgent;
		f->titles[f->n].fits = false; /* asked again: others may have come before it */
		p->fill_at = f->n++;
	}
	free(old);
}

void fill_forget(struct fill *f, const struct package *p)
{
	struct title *t = find(f->titles, f->n, p);

	if (t == NULL)
		return;
	memmove(t, t + 1, (size_t)(f->titles + f->n - t - 1) * sizeof *t);
	f->n--;
	for (; t < f->titles + f->n; t++)
		t->package->fill_at = (size_t)(t - f->titles);
}

/* Of what the plan wants of it. */
static uint64_t left(const struct title *t)
{
	const struct package *p = t->package;
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->digest->n_files; i++)
		if (package_keeps(p, i))
			bytes += p->copies[i]->object.size - __atomic_load_n(&p->copies[i]->held, __ATOMIC_RELAXED);
	return bytes;
}

void fill_landed(struct fill *f, const struct copy *c, bool fill, int error, mono_us now)
{
	struct title *t = find(f->titles, f->n, c->package);

	if (t == NULL)
		return;
	if (error == 0) {
		t->failures = 0;
		if (left(t) == 0 && !t->complete_said) {
			t->complete_said = true;
			log_info(WHERE, "complete title=%s revision=%s bytes=%llu", t->package->title,
			         t->package->revision, (unsigned long long)t->package->digest->size);
		}
	} else if (fill) {
		dur_us pause = DUR_S << (t->failures < 6 ? t->failures : 6);

		if (error == -ENOSPC || error == -EDQUOT)
			pause = PAUSE_NO_ROOM;
		t->failures++;
		t->fits = false;
		t->paused_until = now + (pause < PAUSE_MAX ? pause : PAUSE_MAX);
	}
}

/* --- the next piece -------------------------------------------------------------------- */

static bool fits(struct fill *f, struct title *t, mono_us now)
{
	if (t->fits)
		return true;
	if (space_for_fill(f->s.space, left(t))) {
		t->fits = true;
		t->full_said = false;
		return true;
	}
	if (!t->full_said)
		log_warn(WHERE, "no room for a title of the plan: give the store more room or the edge less to hold "
		         "title=%s needs=%llu available=%llu", t->package->title, (unsigned long long)left(t),
		         (unsigned long long)store_available(f->s.store));
	t->full_said = true;
	t->paused_until = now + PAUSE_NO_ROOM;
	counters_add(f->s.counters, COUNT_NO_SPACE, 1);
	return false;
}

static bool has_leaves(struct title *t, mono_us now, mono_us *wake)
{
	mono_us until;

	if (t->package->copies[PACKAGE_LEAVES_AT(t->package)] != NULL)
		return true;
	if (t->known_since == 0)
		t->known_since = now;
	until = t->known_since + WAIT_FOR_LEAVES;
	if (until > now && until < *wake)
		*wake = until;
	return until <= now;
}

/* Moves the cursor to a piece that is neither here nor on its way here; one that another edge was to fetch (edge/swarm.h) is
 * waited for: WAIT_FOR_OTHERS, then it is looked at anew. */
static struct copy *next_piece(struct fill *f, struct title *t, mono_us now, mono_us *wake)
{
	struct digest *d = t->package->digest;
	bool waits = false;

	for (; t->file < d->n_files; t->file++, t->piece = 0) {
		struct copy *c = t->package->copies[t->file];

		if (copy_is_whole(c) || !package_keeps(t->package, t->file))
			continue;
		for (; t->piece < c->n_pieces; t->piece++)
			if (!copy_has_piece(c, t->piece) && !flights_has(f->s.flights, c, t->piece)) {
				if (swarm_advice(f->s.swarm, t->package, t->file, t->piece, now) == SWARM_TAKE)
					return c;
				waits = true;
			}
	}
	t->file = t->piece = 0;
	if (waits && now + WAIT_FOR_OTHERS < *wake)
		*wake = now + WAIT_FOR_OTHERS;
	return NULL;
}

/* The first title of the plan (of the urgent ones) that has something to fetch now.  *wake: when a pause ends. */
static struct copy *next(struct fill *f, bool urgent, mono_us now, struct title **ret_title, mono_us *wake)
{
	for (size_t i = 0; i < f->n; i++) {
		struct title *t = &f->titles[i];
		struct copy *c;

		if (left(t) == 0 || (urgent && !t->urgent))
			continue;
		if (t->paused_until <= now && has_leaves(t, now, wake) && fits(f, t, now)) {
			c = next_piece(f, t, now, wake);
			if (c != NULL) {
				*ret_title = t;
				return c;
			}
		}
		if (t->paused_until > now && t->paused_until < *wake)
			*wake = t->paused_until;
	}
	return NULL;
}

static void say_window(struct fill *f, const struct window_state *state)
{
	counters_set(f->s.counters, COUNT_WINDOW_OPEN, state->open);
	if (f->was_open != state->open)
		log_info(WHERE, "the fill window is %s", state->open ? "open" : "closed");
	f->was_open = state->open;
}

static void count_left(struct fill *f)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < f->n; i++)
		bytes += left(&f->titles[i]);
	counters_set(f->s.counters, COUNT_FILL_LEFT, (int64_t)bytes);
}

static mono_us start_some(struct fill *f, bool urgent, mono_us now, mono_us wake)
{
	while (flights_filling(f->s.flights) < f->s.parallel) {
		struct title *t = NULL;
		struct copy *c = next(f, urgent, now, &t, &wake);
		uint64_t size;
		size_t piece;
		dur_us wait;

		if (c == NULL)
			break;
		piece = t->piece;
		size = copy_piece_size(c, piece);
		wait = bucket_take(&f->bucket, size, now);
		if (wait > 0)
			return now + wait < wake ? now + wait : wake;
		t->piece++; /* t may be gone, or paused, when the piece fails at once */
		if (flights_fill(f->s.flights, c, piece) != 0) {
			bucket_return(&f->bucket, size);
			break;
		}
	}
	return wake;
}

static void set_rate(struct fill *f, mono_us now, wall_us wall)
{
	uint64_t rate = rates_at(&f->s.rates, wall);

	if (rate == f->bucket.rate)
		return;
	log_info(WHERE, "the fill's rate is %llu bytes per second%s", (unsigned long long)rate, rate == 0 ? " (no cap)" : "");
	bucket_set_rate(&f->bucket, rate, now);
}

void fill_set_hours(struct fill *f, const struct window *window, const struct rates *rates)
{
	f->s.window = *window;
	f->s.rates = *rates;
}

mono_us fill_step(struct fill *f, mono_us now, wall_us wall)
{
	struct window_state state;
	mono_us wake = now + LOOK_AGAIN; /* the wall clock may be set meanwhile */

	window_at(&f->s.window, wall, &state);
	say_window(f, &state);
	count_left(f);
	if (disk_reads_only(store_disk(f->s.store)))
		return wake; /* looked at again as soon as it is well */
	set_rate(f, now, wall);
	if (!state.open && state.changes - wall < LOOK_AGAIN)
		wake = now + (state.changes - wall);
	return start_some(f, !state.open, now, wake);
}
