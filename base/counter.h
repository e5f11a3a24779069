/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counters as a table, one row a fact; per-thread slots, summed on read; shown
 * as Prometheus text.
 *
 *   enum { C_REQUESTS, C_BYTES, C_TTFB, N_COUNTERS };
 *   static const struct counter_row rows[] = {
 *       [C_REQUESTS] = {"ribera_edge_requests_total", "code=\"2xx\"", COUNTER_TOTAL, "Requests answered."},
 *
 * Rows of one family (the same name, other labels) stand next to each other.
 * counters_add and counters_observe write only the calling thread's own slot:
 * no lock, no shared cache line.
 */
#ifndef RIBERA_BASE_COUNTER_H
#define RIBERA_BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct buf;

enum counter_kind {
	COUNTER_TOTAL,   /* only grows; the name ends in _total */
	COUNTER_GAUGE,   /* set as a whole by one owner */
	COUNTER_MILLI,   /* a gauge kept in thousandths, told in units: milliseconds become seconds */
	COUNTER_SECONDS, /* histogram of durations, 100 us to 60 s */
};

struct counter_row {
	const char *name;
	const char *labels; /* `a="b",c="d"` or NULL */
	enum counter_kind kind;
	const char *help;
};

struct counters; /* hidden */

/* `rows` must stay; never fails (aborts without memory). */
struct counters *counters_new(const struct counter_row *rows, size_t n_rows);
void counters_free(struct counters **);

void counters_add(struct counters *, unsigned row, uint64_t n);     /* COUNTER_TOTAL; any thread */
void counters_set(struct counters *, unsigned row, int64_t value);  /* COUNTER_GAUGE, COUNTER_MILLI; any thread */
void counters_observe(struct counters *, unsigned row, dur_us d);   /* COUNTER_SECONDS; any thread */

int64_t counters_read(const struct counters *, unsigned row); /* total, gauge, or a histogram's count */

/* Appends all rows in the Prometheus text format 0.0.4. */
void counters_write(const struct counters *, struct buf *out);

#endif
