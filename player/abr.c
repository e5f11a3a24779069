/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The door: numbers are checked and turned into the units of the rules here, and
 * the first pick is made.
 */
#include "player/abr.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "player/abr_rule.h"

#define FIRST_MBPS 2.5   /* what an unknown line is trusted with */
#define KNOWN_SHARE 0.6  /* and a known one: it may have a bad day */
#define FIRST_WAIT 0.5   /* seconds for the first body: the viewer waits */

struct abr {
	struct abr_film film;
	const struct abr_rule *rule;
	alignas(max_align_t) unsigned char state[];
};

static const struct abr_rule *const rules[] = {&abr_ribera, &abr_rate, &abr_bola_e, &abr_dynamic, &abr_robustmpc};
#define N_RULES (sizeof rules / sizeof rules[0])

const char *const abr_algorithms[] = {"ribera", "rate", "bola-e", "dynamic", "robustmpc", NULL};

static const struct abr_rule *find(const char *name)
{
	for (size_t i = 0; i < N_RULES; i++)
		if (name == NULL || strcmp(rules[i]->name, name) == 0)
			return rules[i];
	return NULL;
}

static void copy_film(struct abr_film *f, const struct abr_setup *s)
{
	size_t n = (size_t)s->n_segments * s->n_rungs;

	f->n_rungs = s->n_rungs;
	f->n_segments = s->n_segments;
	f->segment = abr_seconds(s->segment);
	f->cap = abr_seconds(s->buffer_cap > s->segment ? s->buffer_cap : s->segment);
	f->start_mbps = (double)s->start_bps / 1e6;
	for (unsigned i = 0; i < s->n_rungs; i++)
		f->mbps[i] = s->bitrates[i] / 1e6;
	f->sizes = s->sizes != NULL && n > 0 ? mem_try(n, sizeof *f->sizes) : NULL;
	if (f->sizes != NULL)
		memcpy(f->sizes, s->sizes, n * sizeof *f->sizes);
}

static bool possible(const struct abr_setup *s)
{
	if (s->n_rungs < 1 || s->n_rungs > ABR_MAX_RUNGS || s->segment <= 0 || s->buffer_cap <= 0 || s->bitrates[0] == 0)
		return false;
	for (unsigned i = 1; i < s->n_rungs; i++)
		if (s->bitrates[i] < s->bitrates[i - 1])
			return false;
	return true;
}

struct abr *abr_new(const struct abr_setup *s)
{
	const struct abr_rule *rule = find(s->algorithm);
	struct abr *a;

	if (rule == NULL || !possible(s))
		return NULL;
	a = mem_new(sizeof *a + rule->size);
	a->rule = rule;
	copy_film(&a->film, s);
	rule->init(a->state, &a->film);
	return a;
}

void abr_free(struct abr **a)
{
	if (*a != NULL)
		free((*a)->film.sizes);
	free(*a);
	*a = NULL;
}

double abr_film_mbit(const struct abr_film *f, unsigned segment, unsigned rung)
{
	uint32_t bytes = f->sizes != NULL && segment < f->n_segments ? f->sizes[(size_t)segment * f->n_rungs + rung] : 0;

	return bytes > 0 ? 8e-6 * bytes : f->mbps[rung] * f->segment;
}

unsigned abr_film_rung_at(const struct abr_film *f, double mbps)
{
	unsigned r = 0;

	while (r + 1 < f->n_rungs && f->mbps[r + 1] <= mbps)
		r++;
	return r;
}

void abr_add_sample(struct abr *a, const struct abr_sample *s)
{
	if (s->rung < a->film.n_rungs && s->total > 0 && s->first_byte >= 0 && s->bytes > 0)
		a->rule->add_sample(a->state, &a->film, s);
}

/* The best that is here soon. */
static unsigned first_pick(const struct abr *a, unsigned segment)
{
	double mbit = FIRST_WAIT * (a->film.start_mbps > 0 ? KNOWN_SHARE * a->film.start_mbps : FIRST_MBPS);
	unsigned r = 0;

	while (r + 1 < a->film.n_rungs && abr_film_mbit(&a->film, segment, r + 1) <= mbit)
		r++;
	return r;
}

struct abr_decision abr_next(struct abr *a, const struct abr_state *s)
{
	struct abr_decision d = {0, 0};

	if (s->last_rung >= 0 && (unsigned)s->last_rung < a->film.n_rungs && a->rule->forecast(a->state) > 0)
		d = a->rule->next(a->state, &a->film, s);
	else
		d.rung = first_pick(a, s->segment);
	return d;
}

int abr_abandon(struct abr *a, const struct abr_progress *p)
{
	if (a->rule->abandon == NULL || p->rung == 0 || p->rung >= a->film.n_rungs || p->got == 0 || p->got >= p->size)
		return -1;
	return a->rule->abandon(a->state, &a->film, p);
}

uint64_t abr_forecast(const struct abr *a)
{
	double mbps = a->rule->forecast(a->state);

	return (uint64_t)(1e6 * (mbps > 0 ? mbps : a->film.start_mbps));
}
