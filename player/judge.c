/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sizes come from the index of every rendition that has one here; where they
 * are not known the bitrate stands for them.
 */
#include "player/judge.h"

#include <stdlib.h>

#include "base/mem.h"
#include "player/rung.h"

#define UNKNOWN_PAY 400000 /* bit/s for sound on a line nobody knows */

static const struct timeline_rendition *first_ready(const struct rung *rungs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (rungs[i].state == RUNG_READY)
			return rungs[i].r;
	return NULL;
}

static void fill_sizes(const struct rung *rungs, unsigned n, unsigned n_segments, uint32_t *sizes)
{
	for (unsigned i = 0; i < n; i++) {
		const struct timeline_rendition *r = rungs[i].r;

		for (unsigned k = 0; k < n_segments && k < r->n_segments; k++)
			if (r->segments[k].has_range)
				sizes[(size_t)k * n + i] = (uint32_t)(r->segments[k].range.last - r->segments[k].range.first + 1);
	}
}

void judge_enter(struct judge *j, const struct rung *rungs, unsigned n, unsigned n_ready, const uint32_t *bitrates, dur_us segment,
                 bool live)
{
	const struct timeline_rendition *first = first_ready(rungs, n);
	uint64_t before = judge_forecast(j);
	struct abr_setup s = {.algorithm = j->algorithm, .n_rungs = n, .bitrates = bitrates, .buffer_cap = j->buffer,
		.segment = segment, .n_segments = first != NULL && !live ? (unsigned)first->n_segments : 0,
		.start_bps = before > 0 ? before : j->start_bps};
	uint32_t *sizes = s.n_segments > 0 ? mem_try((size_t)s.n_segments * n, sizeof *sizes) : NULL;

	if (sizes != NULL)
		fill_sizes(rungs, n, s.n_segments, sizes);
	s.sizes = sizes;
	abr_free(&j->abr);
	j->abr = abr_new(&s);
	for (unsigned i = j->n_samples > JUDGE_SAMPLES ? j->n_samples - JUDGE_SAMPLES : 0; j->abr != NULL && i < j->n_samples; i++)
		abr_add_sample(j->abr, &j->samples[i % JUDGE_SAMPLES]);
	j->n_ready = n_ready;
	free(sizes);
}

void judge_leave(struct judge *j)
{
	uint64_t line = judge_forecast(j);

	if (line > 0)
		j->start_bps = line;
	abr_free(&j->abr);
}

void judge_add(struct judge *j, const struct abr_sample *s)
{
	j->samples[j->n_samples++ % JUDGE_SAMPLES] = *s;
	if (j->abr != NULL)
		abr_add_sample(j->abr, s);
}

uint64_t judge_forecast(const struct judge *j)
{
	return j->abr != NULL ? abr_forecast(j->abr) : 0;
}

unsigned judge_sound(const uint32_t *bitrates, unsigned n, int last, uint64_t line)
{
	uint64_t pay = line > 0 ? line / 100 * 15 : UNKNOWN_PAY;
	unsigned best = 0;

	if (last >= 0 && (line == 0 || bitrates[last] <= line / 4))
		best = (unsigned)last;
	for (unsigned i = best; i < n; i++)
		if (bitrates[i] <= pay)
			best = i;
	return best;
}
