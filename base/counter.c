/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Per-thread counter slots.  Every thread gets a small number on its first use;
 * threads beyond the number of slots share one, with atomic adds, so nothing is
 * ever lost.
 */
#include "base/counter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"

#define N_SLOTS 64 /* threads with a slot of their own, the last one shared */
#define N_BOUNDS 15

/* Upper bounds in microseconds; the last bucket is +Inf. */
static const dur_us bounds[N_BOUNDS] = {100,    250,    500,     1000,    2500,    5000,     10000,   25000,
                                        50000,  100000, 250000,  1000000, 5000000, 15000000, 60000000};
static const char *const bound_names[N_BOUNDS] = {"0.0001", "0.00025", "0.0005", "0.001", "0.0025",
                                                  "0.005",  "0.01",    "0.025",  "0.05",  "0.1",
                                                  "0.25",   "1",       "5",      "15",    "60"};
#define HIST_CELLS (N_BOUNDS + 2) /* buckets, +Inf, sum */

struct counters {
	const struct counter_row *rows;
	size_t n_rows;
	unsigned *cell; /* of each row: its first cell in a slot */
	size_t n_cells;
	size_t stride;  /* cells per slot, a multiple of a cache line */
	uint64_t *slots;
};

static unsigned next_thread;
static _Thread_local unsigned my_thread; /* 0: none yet */

static unsigned thread_slot(void)
{
	if (my_thread == 0)
		my_thread = __atomic_add_fetch(&next_thread, 1, __ATOMIC_RELAXED);
	return my_thread < N_SLOTS ? my_thread - 1 : N_SLOTS - 1;
}

struct counters *counters_new(const struct counter_row *rows, size_t n_rows)
{
	struct counters *c = mem_new(sizeof *c);

	c->rows = rows;
	c->n_rows = n_rows;
	c->cell = mem_new_array(n_rows, sizeof *c->cell);
	for (size_t i = 0; i < n_rows; i++) {
		c->cell[i] = (unsigned)c->n_cells;
		c->n_cells += rows[i].kind == COUNTER_SECONDS ? HIST_CELLS : 1;
	}
	c->stride = (c->n_cells + 15) / 16 * 16;
	c->slots = aligned_alloc(128, N_SLOTS * c->stride * sizeof *c->slots + 128);
	MUST(c->slots != NULL);
	memset(c->slots, 0, N_SLOTS * c->stride * sizeof *c->slots);
	return c;
}

void counters_free(struct counters **pc)
{
	if (*pc == NULL)
		return;
	free((*pc)->cell);
	free((*pc)->slots);
	free(*pc);
	*pc = NULL;
}

static void add(struct counters *c, unsigned cell, uint64_t n)
{
	unsigned slot = thread_slot();
	uint64_t *p = &c->slots[slot * c->stride + cell];

	if (slot == N_SLOTS - 1)
		__atomic_fetch_add(p, n, __ATOMIC_RELAXED);
	else /* one writer: no locked instruction */
		__atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

void counters_add(struct counters *c, unsigned row, uint64_t n)
{
	MUST(row < c->n_rows && c->rows[row].kind == COUNTER_TOTAL);
	add(c, c->cell[row], n);
}

void counters_set(struct counters *c, unsigned row, int64_t value)
{
	MUST(row < c->n_rows && (c->rows[row].kind == COUNTER_GAUGE || c->rows[row].kind == COUNTER_MILLI));
	__atomic_store_n(&c->slots[c->cell[row]], (uint64_t)value, __ATOMIC_RELAXED);
}

void counters_observe(struct counters *c, unsigned row, dur_us d)
{
	unsigned b = 0;

	MUST(row < c->n_rows && c->rows[row].kind == COUNTER_SECONDS);
	while (b < N_BOUNDS && d > bounds[b])
		b++;
	add(c, c->cell[row] + b, 1);
	add(c, c->cell[row] + N_BOUNDS + 1, d > 0 ? (uint64_t)d : 0);
}

static uint64_t sum(const struct counters *c, unsigned cell)
{
	uint64_t total = 0;

	for (size_t s = 0; s < N_SLOTS; s++)
		total += __atomic_load_n(&c->slots[s * c->stride + cell], __ATOMIC_RELAXED);
	return total;
}

int64_t counters_read(const struct counters *c, unsigned row)
{
	uint64_t n = 0;

	MUST(row < c->n_rows);
	if (c->rows[row].kind != COUNTER_SECONDS)
		return (int64_t)sum(c, c->cell[row]);
	for (unsigned b = 0; b <= N_BOUNDS; b++)
		n += sum(c, c->cell[row] + b);
	return (int64_t)n;
}

static void write_histogram(const struct counters *c, size_t row, struct buf *out)
{
	const struct counter_row *r = &c->rows[row];
	const char *labels = r->labels != NULL ? r->labels : "";
	const char *comma = r->labels != NULL ? "," : "";
	const char *open = r->labels != NULL ? "{" : "", *close = r->labels != NULL ? "}" : "";
	uint64_t n = 0;

	for (unsigned b = 0; b <= N_BOUNDS; b++) {
		n += sum(c, c->cell[row] + b);
		buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", r->name, labels, comma,
		           b < N_BOUNDS ? bound_names[b] : "+Inf", (unsigned long long)n);
	}
	buf_printf(out, "%s_sum%s%s%s %.6f\n", r->name, open, labels, close,
	           (double)sum(c, c->cell[row] + N_BOUNDS + 1) / 1e6);
	buf_printf(out, "%s_count%s%s%s %llu\n", r->name, open, labels, close, (unsigned long long)n);
}

static void write_milli(const char *name, int64_t v, struct buf *out)
{
	uint64_t size = v < 0 ? -(uint64_t)v : (uint64_t)v;

	buf_printf(out, "%s %s%llu.%03u\n", name, v < 0 ? "-" : "", (unsigned long long)(size / 1000), (unsigned)(size % 1000));
}

static void write_row(const struct counters *c, size_t row, struct buf *out)
{
	const struct counter_row *r = &c->rows[row];

	if (r->kind == COUNTER_SECONDS)
		write_histogram(c, row, out);
	else if (r->kind == COUNTER_MILLI)
		write_milli(r->name, counters_read(c, (unsigned)row), out);
	else if (r->labels != NULL)
		buf_printf(out, "%s{%s} %lld\n", r->name, r->labels,
		           (long long)counters_read(c, (unsigned)row));
	else
		buf_printf(out, "%s %lld\n", r->name, (long long)counters_read(c, (unsigned)row));
}

void counters_write(const struct counters *c, struct buf *out)
{
	static const char *const kinds[] = {"counter", "gauge", "gauge", "histogram"};

	for (size_t i = 0; i < c->n_rows; i++) {
		bool first = i == 0 || strcmp(c->rows[i - 1].name, c->rows[i].name) != 0;

		if (first)
			buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", c->rows[i].name, c->rows[i].help,
			           c->rows[i].name, kinds[c->rows[i].kind]);
		write_row(c, i, out);
	}
}
