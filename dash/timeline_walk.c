/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A SegmentTimeline as runs of equal segments (ISO/IEC 23009-1 5.3.9.6): where
 * each S starts, how many it makes, what a Pattern gives, where the live edge is.
 * Nothing is made here, so a run of a thousand million costs nothing.
 */
#include <math.h>

#include "base/words.h"
#include "dash/timeline_build.h"

typedef timeline_wide wide;

static int fault_at(struct timeline_layout *l, unsigned line, int code, const char *text)
{
	return fault_set(l->build->fault, code, _("line %u: %s"), line, text);
}

static int charge(struct timeline_layout *l, unsigned line, size_t steps)
{
	l->build->n_steps += steps;
	return l->build->n_steps <= TIMELINE_MAX_STEPS
	               ? 0
	               : fault_at(l, line, ERR_LIMIT, _("the SegmentTimelines are too long for so many Representations and Patterns"));
}

wide timeline_period_end(const struct timeline_layout *l)
{
	if (l->period->duration < 0)
		return TIMELINE_WIDE_MAX;
	return timeline_cut(l->period->duration, l->rendition->timescale);
}

/* Period time now, for a dynamic MPD. */
static wide edge_with(const struct timeline_layout *l, double offset)
{
	wide us = (wide)l->build->now - l->build->mpd->availability_start - l->period->start;

	/* Segments that are "always" there are still made only up to now. */
	if (isfinite(offset) && fabs(offset) < 1e9)
		us += llround(offset * 1e6);
	if (us > INT64_MAX)
		us = INT64_MAX;
	if (us < INT64_MIN)
		us = INT64_MIN;
	return timeline_ticks((dur_us)us, l->rendition->timescale);
}

wide timeline_live_edge(const struct timeline_layout *l)
{
	return edge_with(l, l->availability_offset);
}

wide timeline_early_edge(const struct timeline_layout *l)
{
	return edge_with(l, l->partial_offset);
}

/* Where an S with r="-1" ends: the next S@t, the Period's end or now (5.3.9.6.2). */
static int open_end(const struct timeline_layout *l, size_t i, wide *ret_end)
{
	const struct mpd_segments *m = &l->segments;
	wide end = timeline_period_end(l);

	if (i + 1 < m->n_timeline && m->timeline[i + 1].has_t)
		end = (wide)m->timeline[i + 1].t - l->rendition->pto;
	else if (l->build->mpd->dynamic && timeline_early_edge(l) < end)
		end = timeline_early_edge(l);
	if (end >= TIMELINE_WIDE_MAX)
		return fault_set(l->build->fault, ERR_UNSUPPORTED,
		                 _("line %u: S@r is negative and neither the next S@t nor a duration says where it ends"),
		                 m->timeline[i].line);
	*ret_end = end;
	return 0;
}

static bool is_live_end(const struct timeline_layout *l, wide end)
{
	return l->build->mpd->dynamic && end == timeline_early_edge(l);
}

/* How many segments an S makes.  With r="-1" a live stream has whole ones only. */
static int count_s(const struct timeline_layout *l, size_t i, wide start, uint64_t *ret_count)
{
	const struct mpd_s *s = &l->segments.timeline[i];
	wide end = 0;
	int e;

	if (s->r >= 0) {
		*ret_count = (uint64_t)s->r + 1;
		return 0;
	}
	e = open_end(l, i, &end);
	if (e != 0)
		return e;
	end = end > start ? (end - start + (is_live_end(l, end) ? 0 : (wide)s->d - 1)) / s->d : 0;
	*ret_count = end > INT64_MAX ? INT64_MAX : (uint64_t)end;
	return 0;
}

static int check_s(struct timeline_layout *l, const struct mpd_s *s, wide start, wide former_start)
{
	if (!s->has_pattern && (s->d == 0 || s->d > INT64_MAX))
		return fault_at(l, s->line, ERR_SYNTAX, _("S@d is missing, 0 or past 63 bits, expected a duration"));
	if (start > TIMELINE_WIDE_MAX / 2)
		return fault_at(l, s->line, ERR_OUT_OF_RANGE, _("the times of the SegmentTimeline do not fit 63 bits"));
	if (s->k == 0 || (!s->has_pattern && s->k > s->d))
		return fault_at(l, s->line, ERR_SYNTAX, _("S@k is impossible, expected 1 up to S@d"));
	if (start <= former_start)
		return fault_at(l, s->line, ERR_SYNTAX, _("S@t is not behind the segment before it"));
	return 0;
}

/* A run that goes past the next S@t, as some packagers' do, ends there. */
static uint64_t count_before_next(const struct timeline_layout *l, size_t i, const struct timeline_run *run)
{
	const struct mpd_segments *m = &l->segments;
	wide gap, n;

	if (i + 1 >= m->n_timeline || !m->timeline[i + 1].has_t)
		return run->count;
	gap = (wide)m->timeline[i + 1].t - l->rendition->pto - run->start;
	n = gap > 0 ? (gap + run->duration - 1) / run->duration : 1;
	return n < (wide)run->count ? (uint64_t)n : run->count;
}

/* The run's count when its last number may be `end` at most. */
static uint64_t count_up_to(const struct timeline_run *run, uint64_t end)
{
	if (run->number > end)
		return 0;
	return run->count > 0 && run->count - 1 > end - run->number ? end - run->number + 1 : run->count;
}

/* Where a walk along the S is. */
struct walk {
	timeline_run_f *each;
	void *ctx;
	wide next, former; /* end of the last run; start of its last segment */
	uint64_t number;   /* of the next segment */
};

/* S number i makes (among others) this run. */
static int take_run(struct timeline_layout *l, struct walk *w, size_t i, struct timeline_run *run)
{
	const struct mpd_segments *m = &l->segments;
	int e = 0;

	if (m->has_end_number)
		run->count = count_up_to(run, m->end_number);
	w->number = run->number + run->count;
	run->count = count_before_next(l, i, run);
	if (w->each != NULL && run->count > 0)
		e = w->each(w->ctx, run);
	w->next = run->start + (wide)run->count * run->duration;
	if (run->count > 0)
		w->former = w->next - run->duration;
	return e;
}

static const struct mpd_pattern *find_pattern(const struct mpd_segments *m, uint64_t id)
{
	for (size_t i = 0; i < m->n_patterns; i++)
		if (m->patterns[i].id == id && m->patterns[i].n > 0)
			return &m->patterns[i];
	return NULL;
}

/* Where the first segment of an S stands in its Pattern: P number *ret_p, after *ret_skip of its segments. */
static int find_entry(struct timeline_layout *l, const struct mpd_s *s, const struct mpd_pattern *pattern, size_t *ret_p,
                      uint64_t *ret_skip)
{
	wide total = 0, at;

	for (size_t i = 0; i < pattern->n; i++) {
		const struct mpd_p *p = &pattern->v[i];

		if (p->d == 0 || p->d > INT64_MAX || s->k > p->d)
			return fault_at(l, s->line, ERR_SYNTAX, _("P@d of its Pattern is missing, 0 or past 63 bits"));
		total += (wide)p->r + 1;
	}
	at = s->pattern_entry % total;
	for (*ret_p = 0; at > (wide)pattern->v[*ret_p].r; ++*ret_p)
		at -= (wide)pattern->v[*ret_p].r + 1;
	*ret_skip = (uint64_t)at;
	return 0;
}

/* The durations of an S from its Pattern, again and again (5.3.9.6.5 of the 6th edition). */
static int walk_pattern(struct timeline_layout *l, struct walk *w, size_t i, struct timeline_run *run)
{
	const struct mpd_s *s = &l->segments.timeline[i];
	const struct mpd_pattern *pattern = find_pattern(&l->segments, s->pattern);
	wide left = s->r >= 0 ? (wide)s->r + 1 : TIMELINE_WIDE_MAX, end = TIMELINE_WIDE_MAX;
	uint64_t skip = 0;
	size_t p = 0, n = 0;
	int e = charge(l, s->line, l->segments.n_patterns + (pattern != NULL ? pattern->n : 0));

	if (e == 0)
		e = pattern != NULL ? find_entry(l, s, pattern, &p, &skip)
		                    : fault_at(l, s->line, ERR_SYNTAX, _("S@p names no Pattern of its SegmentTimeline"));

	if (e == 0 && s->r < 0)
		e = open_end(l, i, &end);
	else if (i + 1 < l->segments.n_timeline && s[1].has_t)
		end = (wide)s[1].t - l->rendition->pto;
	for (; e == 0 && left > 0 && run->start < end; p = (p + 1) % pattern->n) {
		wide part = is_live_end(l, end) ? 0 : (wide)pattern->v[p].d - 1;
		wide fit = s->r < 0 ? (end - run->start + part) / pattern->v[p].d : left;

		if (n++ > TIMELINE_MAX_SEGMENTS)
			return fault_at(l, s->line, ERR_LIMIT, _("S@p repeats its Pattern too often"));
		run->duration = pattern->v[p].d;
		run->count = pattern->v[p].r + 1 - skip;
		if (fit < (wide)run->count)
			run->count = (uint64_t)fit;
		if (left < (wide)run->count)
			run->count = (uint64_t)left;
		if (run->count == 0)
			break;
		left -= run->count;
		skip = 0;
		e = charge(l, s->line, 1);
		if (e == 0)
			e = take_run(l, w, i, run);
		run->start = w->next;
		run->number = w->number;
	}
	return e;
}

int timeline_walk(struct timeline_layout *l, timeline_run_f *each, void *ctx, wide *ret_end)
{
	const struct mpd_segments *m = &l->segments;
	struct walk w = {.each = each, .ctx = ctx, .next = -(wide)l->rendition->pto, .former = -TIMELINE_WIDE_MAX,
		.number = m->has_start_number ? m->start_number : 1};
	int e;

	if ((e = charge(l, m->line, m->n_timeline)) != 0)
		return e;
	for (size_t i = 0; i < m->n_timeline; i++) {
		const struct mpd_s *s = &m->timeline[i];
		struct timeline_run run = {.duration = s->d, .parts = s->k, .line = s->line,
			.start = s->has_t ? (wide)s->t - l->rendition->pto : w.next, .number = s->has_n ? s->n : w.number};

		e = check_s(l, s, run.start, w.former);
		if (e == 0 && s->has_pattern) {
			e = walk_pattern(l, &w, i, &run);
		} else if (e == 0) {
			e = count_s(l, i, run.start, &run.count);
			if (e == 0)
				e = take_run(l, &w, i, &run);
		}
		if (e != 0)
			return e;
	}
	*ret_end = w.next;
	return 0;
}
