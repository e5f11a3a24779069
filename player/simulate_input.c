/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Traces and ladders: read once, checked, then only looked at.  A trace is kept
 * as sums, so that "when have so many bits come" is one binary search.
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/words.h"
#include "player/simulate.h"

#define MAX_FILE ((size_t)64 << 20)
#define MAX_ROWS 1000000
#define MAX_SEGMENTS 100000
#define MAX_RUNGS 64

/* Row i lasts from time[i] to time[i + 1]. */
struct trace {
	size_t n;
	double *time, *bits;    /* n + 1: ms, kbit * 1000 */
	double *rate, *latency; /* n: kbit/s, ms */
};

void trace_free(struct trace **pt)
{
	struct trace *t = *pt;

	if (t == NULL)
		return;
	free(t->time);
	free(t->bits);
	free(t->rate);
	free(t->latency);
	free(t);
	*pt = NULL;
}

static int read_text(const char *path, struct buf *b, struct fault *f)
{
	int r;

	buf_init(b, MAX_FILE);
	r = file_read(path, b);
	if (r == 0)
		buf_putc(b, '\0');
	return r == 0 ? buf_error(b) : fault_set(f, r, "%s: %s", path, words_error(r));
}

/* Three numbers between commas; false when the line is something else. */
static bool parse_row(const char *line, double v[static 3])
{
	for (int i = 0; i < 3; i++) {
		char *end;

		v[i] = strtod(line, &end);
		if (end == line || !isfinite(v[i]) || v[i] < 0 || v[i] > 1e9 || (i < 2 && *end != ','))
			return false;
		line = end + 1;
	}
	return line[-1] == '\0' || line[-1] == '\r' || line[-1] == ' ' || line[-1] == ',';
}

static void add_row(struct trace *t, const double v[static 3])
{
	if (v[0] <= 0)
		return;
	t->rate[t->n] = v[1];
	t->latency[t->n] = v[2];
	t->time[t->n + 1] = t->time[t->n] + 1000 * v[0];
	t->bits[t->n + 1] = t->bits[t->n] + 1000 * v[0] * v[1];
	t->n++;
}

static int read_rows(struct trace *t, const char *path, char *text, struct fault *f)
{
	unsigned number = 1;
	char *rest = strchr(text, '\n'), *line; /* the first line is the header */

	rest = rest != NULL ? rest + 1 : NULL;
	while ((line = strsep(&rest, "\n")) != NULL) {
		double v[3];

		number++;
		if (line[strspn(line, " \t\r")] == '\0')
			continue;
		if (!parse_row(line, v))
			return fault_set(f, ERR_SYNTAX, _("%s:%u: \"%.60s\": want seconds,kbit/s,milliseconds"), path, number, line);
		add_row(t, v);
	}
	if (t->n == 0 || t->bits[t->n] <= 0)
		return fault_set(f, ERR_SYNTAX, _("%s: no byte ever comes over this line"), path);
	return 0;
}

int trace_read(const char *path, struct trace **ret, struct fault *f)
{
	struct trace *t = mem_new(sizeof *t);
	struct buf b;
	int r = read_text(path, &b, f);
	size_t rows = 1;

	for (size_t i = 0; r == 0 && i < b.size; i++)
		rows += b.bytes[i] == '\n';
	if (r == 0 && strlen((char *)b.bytes) + 1 < b.size)
		r = fault_set(f, ERR_SYNTAX, _("%s: has bytes of value 0: want lines of seconds,kbit/s,milliseconds"), path);
	if (r == 0 && rows > MAX_ROWS)
		r = fault_set(f, ERR_SYNTAX, _("%s: more than %d rows"), path, MAX_ROWS);
	if (r == 0) {
		t->time = mem_new_array(rows + 1, sizeof *t->time);
		t->bits = mem_new_array(rows + 1, sizeof *t->bits);
		t->rate = mem_new_array(rows, sizeof *t->rate);
		t->latency = mem_new_array(rows, sizeof *t->latency);
		r = read_rows(t, path, (char *)b.bytes, f);
	}
	buf_fini(&b);
	if (r == 0)
		*ret = t;
	else
		trace_free(&t);
	return r;
}

/* How many of v[1..n] are at most x (or, strictly, less). */
static size_t rank(const double *v, size_t n, double x, bool strict)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high + 1) / 2;

		if (strict ? v[mid] < x : v[mid] <= x)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static size_t row_at(const struct trace *t, double within)
{
	size_t i = rank(t->time, t->n, within, false);

	return i < t->n ? i : t->n - 1;
}

double trace_latency(const struct trace *t, double at)
{
	double period = t->time[t->n];

	return t->latency[row_at(t, at - floor(at / period) * period)];
}

double trace_bits(const struct trace *t, double at)
{
	double rounds = floor(at / t->time[t->n]), within = at - rounds * t->time[t->n];
	size_t i = row_at(t, within);

	return rounds * t->bits[t->n] + t->bits[i] + (within - t->time[i]) * t->rate[i];
}

double trace_time(const struct trace *t, double bits)
{
	double rounds = floor(bits / t->bits[t->n]), within = bits - rounds * t->bits[t->n];
	size_t i;

	if (within <= 0) { /* the last byte came before, not at the end of an outage that ends a round */
		rounds -= 1;
		within += t->bits[t->n];
	}
	i = rank(t->bits, t->n, within, true);
	if (i >= t->n)
		i = t->n - 1;
	return rounds * t->time[t->n] + t->time[i] + (within - t->bits[i]) / t->rate[i];
}

/* --- ladders ------------------------------------------------------------------------------- */

void ladder_free(struct ladder **l)
{
	if (*l != NULL) {
		free((*l)->bitrates);
		free((*l)->sizes);
	}
	free(*l);
	*l = NULL;
}

static int take_bitrates(struct ladder *l, const json_t *list)
{
	l->n_rungs = (unsigned)json_array_size(list);
	if (l->n_rungs < 1 || l->n_rungs > MAX_RUNGS)
		return ERR_SYNTAX;
	l->bitrates = mem_new_array(l->n_rungs, sizeof *l->bitrates);
	for (unsigned i = 0; i < l->n_rungs; i++) {
		double kbps = json_number_value(json_array_get(list, i));

		if (!(kbps >= 1 && kbps < 4e6) || (i > 0 && kbps * 1000 < l->bitrates[i - 1]))
			return ERR_SYNTAX;
		l->bitrates[i] = (uint32_t)(kbps * 1000);
	}
	return 0;
}

/* As many rows as the duration needs, from the beginning again when they run out. */
static int take_sizes(struct ladder *l, const json_t *rows, dur_us length)
{
	size_t n = json_array_size(rows);
	dur_us want = length > 0 ? (length + l->segment - 1) / l->segment : (dur_us)n;

	if (n < 1 || want < 1 || want > MAX_SEGMENTS)
		return ERR_SYNTAX;
	l->n_segments = (unsigned)want;
	l->sizes = mem_new_array((size_t)l->n_segments * l->n_rungs, sizeof *l->sizes);
	for (unsigned i = 0; i < l->n_segments; i++)
		for (unsigned r = 0; r < l->n_rungs; r++) {
			double bytes = json_number_value(json_array_get(json_array_get(rows, i % n), r));

			if (!(bytes >= 1 && bytes < 4e9))
				return ERR_SYNTAX;
			l->sizes[(size_t)i * l->n_rungs + r] = (uint32_t)bytes;
		}
	return 0;
}

int ladder_read(const char *path, dur_us length, struct ladder **ret, struct fault *f)
{
	struct ladder *l = mem_new(sizeof *l);
	json_error_t error;
	json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	double ms = json_number_value(json_object_get(o, "segment_duration_ms"));
	int r = 0;

	if (o == NULL)
		r = fault_set(f, ERR_SYNTAX, "%s:%d: %s", path, error.line, error.text);
	else if (!(ms >= 1 && ms <= 600e3))
		r = fault_set(f, ERR_SYNTAX, _("%s: segment_duration_ms must be from 1 to 600000"), path);
	l->segment = (dur_us)(1000 * (r == 0 ? ms : 1));
	if (r == 0 && take_bitrates(l, json_object_get(o, "bitrates_kbps")) < 0)
		r = fault_set(f, ERR_SYNTAX, _("%s: bitrates_kbps must be 1 to %d ascending numbers"), path, MAX_RUNGS);
	if (r == 0 && take_sizes(l, json_object_get(o, "segment_sizes_bytes"), length) < 0)
		r = fault_set(f, ERR_SYNTAX, _("%s: segment_sizes_bytes must be rows of a size per bitrate, at most %d segments"),
		              path, MAX_SEGMENTS);
	json_decref(o);
	if (r == 0)
		*ret = l;
	else
		ladder_free(&l);
	return r;
}
