/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bookkeeping that the rule has no hand in: what is servable when, and what counts.
 */
#include "origin/simulate.h"

#include <stdlib.h>

#include "base/mem.h"
#include "cdn/ranked.h"

#define DAY 86400
#define NOT_HERE INT64_MAX

struct run {
	const struct trace *trace;
	const struct simulate_settings *s;
	int64_t judged_from;
	int64_t *here; /* by item: since when it can be served */
	double asked_bytes, hit_bytes, hits, asked, pushed, written, worst_night;
};

static int64_t judged_from(const struct trace *t, const struct simulate_settings *s)
{
	int64_t first = t->requests[0].second, last = t->requests[t->n - 1].second;

	return first + (int64_t)(s->judged_from * (double)(last - first));
}

unsigned simulate_quiet_hour(const struct trace *t, const struct simulate_settings *s)
{
	int64_t until = judged_from(t, s);
	uint64_t hours[24] = {0}, least = UINT64_MAX;
	unsigned best = 0;

	for (size_t i = 0; i < t->n && t->requests[i].second < until; i++)
		hours[(t->requests[i].second / 3600 % 24 + 24) % 24]++;
	for (unsigned h = 0; h < 24; h++) {
		uint64_t sum = 0;

		for (unsigned k = 0; k < s->window_hours; k++)
			sum += hours[(h + k) % 24];
		if (sum < least) {
			least = sum;
			best = h;
		}
	}
	return best;
}

static void count(struct run *run, const struct trace_request *r, bool hit)
{
	double bytes = (double)run->trace->bytes[r->item];

	if (r->second < run->judged_from)
		return;
	run->asked++;
	run->asked_bytes += bytes;
	if (hit) {
		run->hits++;
		run->hit_bytes += bytes;
	}
}

static void result(const struct run *run, struct simulate_result *ret)
{
	const struct trace *t = run->trace;
	double days = (double)(t->requests[t->n - 1].second - run->judged_from) / DAY;

	*ret = (struct simulate_result){
		.byte_hit = run->hit_bytes / run->asked_bytes,
		.request_hit = run->hits / run->asked,
		.fill = run->pushed / run->asked_bytes,
		.writes = days > 0 ? run->written / days / (double)run->s->capacity : 0,
		.worst_night = run->worst_night / (double)run->s->capacity,
	};
}

void simulate_pull(const struct trace *t, const struct simulate_settings *s, enum pull_rule rule,
                   struct simulate_result *ret_result)
{
	struct run run = {.trace = t, .s = s, .judged_from = judged_from(t, s)};
	struct pull *p = pull_new(rule, s->capacity);
	uint64_t before = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct trace_request *r = &t->requests[i];

		if (r->second < run.judged_from)
			before = pull_written(p);
		count(&run, r, pull_ask(p, r->item, t->bytes[r->item]));
		if (r->second < run.judged_from)
			before = pull_written(p);
	}
	run.written = (double)(pull_written(p) - before);
	pull_free(&p);
	result(&run, ret_result);
}

/* --- the rule --------------------------------------------------------------------------- */

static double carry_out(struct run *run, const struct tier_changes *c, int64_t servable)
{
	double bytes = 0;

	for (size_t i = 0; i < c->n; i++) {
		run->here[c->v[i].item] = c->v[i].add ? servable : NOT_HERE;
		if (c->v[i].add)
			bytes += (double)run->trace->bytes[c->v[i].item];
	}
	return bytes;
}

static void one_night(struct run *run, struct ranked *ranked, int64_t second)
{
	int64_t window = (int64_t)run->s->window_hours * 3600;
	double bytes = carry_out(run, ranked_night(ranked, second), second + window);

	if (second < run->judged_from)
		return;
	run->pushed += bytes;
	run->written += bytes;
	if (bytes > run->worst_night)
		run->worst_night = bytes;
}

static void one_request(struct run *run, struct ranked *ranked, const struct trace_request *r, enum simulate_mode mode)
{
	uint64_t bytes = run->trace->bytes[r->item];
	bool hit = run->here[r->item] <= r->second;
	double kept;

	count(run, r, hit);
	ranked_know(ranked, r->item, bytes);
	ranked_played(ranked, r->item, bytes, r->second);
	if (hit || mode != SIMULATE_ADMIT)
		return;
	kept = carry_out(run, ranked_admit(ranked, r->item), r->second);
	if (r->second >= run->judged_from)
		run->written += kept;
}

static int64_t floor_day(int64_t second)
{
	return second - ((second % DAY) + DAY) % DAY;
}

void simulate_ranked(const struct trace *t, const struct simulate_settings *s, enum simulate_mode mode,
                     struct simulate_result *ret_result)
{
	struct run run = {.trace = t, .s = s, .judged_from = judged_from(t, s)};
	struct ranked *ranked = ranked_new(&(struct ranked_settings){.capacity = s->capacity, .night_budget = s->night_budget, .admits = mode == SIMULATE_ADMIT});
	int64_t night = floor_day(t->requests[0].second) + (int64_t)simulate_quiet_hour(t, s) * 3600;

	run.here = mem_new_array(t->n_items, sizeof *run.here);
	for (size_t i = 0; i < t->n_items; i++)
		run.here[i] = NOT_HERE;
	while (night <= t->requests[0].second)
		night += DAY;
	for (size_t i = 0; i < t->n; i++) {
		for (; t->requests[i].second >= night; night += DAY)
			one_night(&run, ranked, night);
		one_request(&run, ranked, &t->requests[i], mode);
	}
	result(&run, ret_result);
	ret_result->half_life = ranked_half_life(ranked) / DAY;
	ranked_free(&ranked);
	free(run.here);
}
