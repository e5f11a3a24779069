/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Times in logarithmic buckets, 1 us to 100 s, about 0.45 % a bucket.
 */
#ifndef RIBERA_T_BENCH_TIMES_H
#define RIBERA_T_BENCH_TIMES_H

#include <stddef.h>
#include <stdint.h>

#define TIMES_BUCKETS 4096

struct times {
	uint64_t buckets[TIMES_BUCKETS], n;
};

static inline void times_note(struct times *t, double seconds)
{
	double at = seconds > 1e-6 ? __builtin_log(seconds / 1e-6) / __builtin_log(1e8) * TIMES_BUCKETS : 0;

	t->buckets[at < TIMES_BUCKETS ? (size_t)at : TIMES_BUCKETS - 1]++;
	t->n++;
}

/* In milliseconds; 0 when there are none. */
static inline double times_quantile(const struct times *t, double q)
{
	uint64_t seen = 0;

	for (size_t i = 0; t->n > 0 && i < TIMES_BUCKETS; i++) {
		seen += t->buckets[i];
		if ((double)seen >= q * (double)t->n)
			return 1e-6 * __builtin_exp((double)(i + 1) / TIMES_BUCKETS * __builtin_log(1e8)) * 1e3;
	}
	return 0;
}

#endif
