/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How long the player's adaptation thinks about one segment, on one core: what came is told, what comes is asked.
 *
 *   make t/bench/decide && t/bench/decide
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "player/abr.h"

#define SEGMENTS 400

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Rungs from 300 kbit/s to 16 Mbit/s, a line that swings about the middle of them. */
static void measure(const char *algorithm, unsigned n_rungs, dur_us segment, dur_us cap)
{
	uint32_t bitrates[64], *sizes = mem_new_array((size_t)SEGMENTS * n_rungs, sizeof *sizes);
	struct abr_setup set = {.algorithm = algorithm, .n_rungs = n_rungs, .bitrates = bitrates, .n_segments = SEGMENTS, .sizes = sizes,
		.segment = segment, .buffer_cap = cap};
	struct abr_state s = {.last_rung = -1};
	double took[SEGMENTS];
	struct abr *a;

	srand(8);
	for (unsigned r = 0; r < n_rungs; r++)
		bitrates[r] = 300000 + (uint32_t)(15.7e6 * (r + 1.0) * r / (n_rungs * n_rungs));
	for (unsigned i = 0; i < SEGMENTS * n_rungs; i++)
		sizes[i] = (uint32_t)((double)bitrates[i % n_rungs] / 8e6 * (double)segment * (0.6 + 0.8 * rand() / RAND_MAX));
	a = abr_new(&set);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		double begin = cpu_ms();
		unsigned rung = abr_next(a, &s).rung;
		struct abr_sample x = {.segment = i, .rung = rung, .bytes = sizes[i * n_rungs + rung], .first_byte = 40 * DUR_MS};

		x.total = x.first_byte + (dur_us)((double)x.bytes * 8 / (1 + 7.0 * rand() / RAND_MAX));
		abr_add_sample(a, &x);
		took[i] = cpu_ms() - begin;
		s = (struct abr_state){i + 1, (int)rung, cap / 4 + rand() % (cap / 2), 0};
	}
	abr_free(&a);
	qsort(took, SEGMENTS, sizeof *took, by_value);
	printf("| %s | %u | %.0f s | %.0f s | %.3f | %.3f |\n", algorithm, n_rungs, (double)segment / 1e6, (double)cap / 1e6, took[SEGMENTS / 2],
	       took[SEGMENTS * 99 / 100]);
	free(sizes);
}

int main(void)
{
	static const unsigned rungs[] = {1, 6, 10, 12, 20, 64};

	printf("| rule | rungs | segment | buffer | ms of CPU, median | 99 of 100 |\n|---|---|---|---|---|---|\n");
	for (unsigned i = 0; i < sizeof rungs / sizeof rungs[0]; i++) {
		measure("ribera", rungs[i], 2 * DUR_S, 25 * DUR_S);
		measure("ribera", rungs[i], 4 * DUR_S, 60 * DUR_S);
		measure("ribera", rungs[i], 2 * DUR_S, 120 * DUR_S);
	}
	return 0;
}
