/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A reader line by line: a log may be larger than what is kept of it.
 */
#include "origin/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/words.h"

#define MAX_REQUESTS 100000000
#define FAR (INT64_C(1) << 48)          /* seconds that can be reckoned with */
#define CENTURY (INT64_C(36525) * 86400) /* each of its nights is gone through */

void numbers_fini(struct numbers *n)
{
	free(n->values);
	free(n->slots);
	*n = (struct numbers){0};
}

static uint32_t *slot_of(const struct numbers *n, uint64_t value)
{
	size_t at = (value * UINT64_C(0x9e3779b97f4a7c15)) >> 20;

	for (;; at++) {
		uint32_t *slot = &n->slots[at & (n->n_slots - 1)];

		if (*slot == 0 || n->values[*slot - 1] == value)
			return slot;
	}
}

static void make_slots(struct numbers *n)
{
	if (n->n * 2 < n->n_slots)
		return;
	free(n->slots);
	n->n_slots = n->n_slots > 0 ? n->n_slots * 2 : 64;
	n->slots = mem_new_array(n->n_slots, sizeof *n->slots);
	for (size_t i = 0; i < n->n; i++)
		*slot_of(n, n->values[i]) = (uint32_t)i + 1;
}

uint32_t numbers_get(struct numbers *n, uint64_t value)
{
	uint32_t *slot;

	make_slots(n);
	slot = slot_of(n, value);
	if (*slot == 0) {
		MEM_GROW(n->values, n->cap, n->n);
		n->values[n->n++] = value;
		*slot = (uint32_t)n->n;
	}
	return *slot - 1;
}

void trace_free(struct trace **pt)
{
	if (*pt == NULL)
		return;
	free((*pt)->requests);
	free((*pt)->bytes);
	free(*pt);
	*pt = NULL;
}

struct reader {
	struct trace *trace;
	struct numbers numbers;
	size_t cap, cap_bytes;
	const char *path;
	size_t line;
};

static int add(struct reader *r, int64_t second, uint64_t item, uint64_t bytes, struct fault *f)
{
	struct trace *t = r->trace;
	uint32_t i;

	if (t->n >= MAX_REQUESTS)
		return fault_set(f, ERR_LIMIT, _("%s: more than %d requests"), r->path, MAX_REQUESTS);
	if (second < -FAR || second > FAR || (t->n > 0 && second - t->requests[0].second > CENTURY))
		return fault_set(f, ERR_OUT_OF_RANGE, _("%s line %zu: found second %lld, expected seconds since 1970 of a century at most"), r->path, r->line,
		                 (long long)second);
	if (t->n > 0 && second < t->requests[t->n - 1].second)
		return fault_set(f, ERR_SYNTAX, _("%s line %zu: goes back in time: sort it by its first column"), r->path, r->line);
	i = numbers_get(&r->numbers, item);
	if (i == t->n_items) {
		MEM_GROW(t->bytes, r->cap_bytes, t->n_items);
		t->bytes[t->n_items++] = bytes;
		t->catalogue += bytes;
	}
	MEM_GROW(t->requests, r->cap, t->n);
	t->requests[t->n++] = (struct trace_request){second, i};
	return 0;
}

static int read_line(struct reader *r, const char *line, struct fault *f)
{
	int64_t second;
	uint64_t item, bytes;
	int end = 0;

	if (line[0] == '\n' || line[0] == '\r' || line[0] == '\0')
		return 0;
	if (sscanf(line, "%" SCNd64 ",%" SCNu64 ",%" SCNu64 "%n", &second, &item, &bytes, &end) != 3 || end == 0) {
		if (r->line == 1)
			return 0;
		return fault_set(f, ERR_SYNTAX, _("%s line %zu: expected second,item,bytes"), r->path, r->line);
	}
	if (bytes == 0 || bytes > INT64_MAX / 1000000)
		return fault_set(f, ERR_OUT_OF_RANGE, _("%s line %zu: an item of %llu bytes"), r->path, r->line, (unsigned long long)bytes);
	return add(r, second, item, bytes, f);
}

int trace_read(const char *path, struct trace **ret_trace, struct fault *f)
{
	FILE *file = fopen(path, "re");
	struct reader r = {.path = path};
	char line[256];
	int e = 0;

	if (file == NULL)
		return fault_set(f, -errno, _("cannot read %s: %s"), path, words_error(-errno));
	r.trace = mem_new(sizeof *r.trace);
	while (e == 0 && fgets(line, sizeof line, file) != NULL) {
		r.line++;
		e = read_line(&r, line, f);
	}
	if (e == 0 && ferror(file))
		e = fault_set(f, -EIO, _("cannot read %s"), path);
	if (e == 0 && r.trace->n == 0)
		e = fault_set(f, ERR_SYNTAX, _("%s: no requests in it"), path);
	fclose(file);
	numbers_fini(&r.numbers);
	if (e != 0)
		trace_free(&r.trace);
	else
		*ret_trace = r.trace;
	return e;
}
