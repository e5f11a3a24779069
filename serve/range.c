/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading a Range field.  Invariant: what is returned is within the resource and
 * free of overlap, whatever the field says, so a reply is never larger than the
 * resource and its part headers.
 */
#include "serve/range.h"

#include <stdbool.h>
#include <strings.h>

struct cursor {
	const char *p, *end;
};

static void skip_blanks(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
}

/* 1*DIGIT; a number too large for us is larger than any resource, so it saturates. */
static bool read_number(struct cursor *c, uint64_t *ret_v)
{
	const char *start = c->p;
	uint64_t v = 0;

	for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
		unsigned digit = (unsigned)(*c->p - '0');

		v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
	}
	*ret_v = v;
	return c->p > start;
}

/* One range-spec.  false: bad syntax.  *ret_ok: it has bytes of the resource. */
static bool read_spec(struct cursor *c, uint64_t size, struct range *ret_range, bool *ret_ok)
{
	uint64_t first, last;

	if (c->p < c->end && *c->p == '-') { /* suffix-range */
		c->p++;
		if (!read_number(c, &last))
			return false;
		*ret_ok = last > 0 && size > 0;
		*ret_range = (struct range){last >= size ? 0 : size - last, size - 1};
		return true;
	}
	if (!read_number(c, &first) || c->p == c->end || *c->p++ != '-')
		return false;
	if (!read_number(c, &last))
		last = UINT64_MAX;
	else if (last < first)
		return false; /* RFC 9110 14.1.1: invalid */
	*ret_ok = first < size;
	*ret_range = (struct range){first, last >= size ? size - 1 : last};
	return true;
}

static bool starts_near(const struct range *a, const struct range *b)
{
	return a->first <= b->last || a->first - b->last <= RANGE_GAP;
}

static bool near(const struct range *a, const struct range *b)
{
	return starts_near(a, b) && starts_near(b, a);
}

/* Adds `r`, merging it with all that it touches. */
static void add(struct range *ranges, size_t *n, struct range r)
{
	size_t i = 0, at = *n;

	while (i < *n) {
		if (!near(&ranges[i], &r)) {
			i++;
			continue;
		}
		r.first = ranges[i].first < r.first ? ranges[i].first : r.first;
		r.last = ranges[i].last > r.last ? ranges[i].last : r.last;
		if (i < at)
			at = i;
		for (size_t k = i; k + 1 < *n; k++)
			ranges[k] = ranges[k + 1];
		--*n;
		i = 0; /* the larger one may touch others */
	}
	if (at > *n)
		at = *n;
	for (size_t k = *n; k > at; k--)
		ranges[k] = ranges[k - 1];
	ranges[at] = r;
	++*n;
}

enum range_verdict range_parse(const char *field, size_t n, uint64_t size, struct range ret_ranges[static RANGE_MAX],
                               size_t *ret_n)
{
	struct range ranges[RANGE_MAX];
	struct cursor c = {field, field + n};
	size_t n_ranges = 0, n_specs = 0;

	if (n < 6 || strncasecmp(field, "bytes=", 6) != 0)
		return RANGE_IGNORE;
	c.p += 6;
	for (;;) {
		struct range r;
		bool ok;

		skip_blanks(&c);
		if (c.p < c.end && *c.p != ',') { /* empty list elements are skipped (RFC 9110 5.6.1.2) */
			if (++n_specs > RANGE_MAX || !read_spec(&c, size, &r, &ok))
				return RANGE_IGNORE;
			if (ok)
				add(ranges, &n_ranges, r);
			skip_blanks(&c);
		}
		if (c.p == c.end)
			break;
		if (*c.p++ != ',')
			return RANGE_IGNORE;
	}
	if (n_specs == 0)
		return RANGE_IGNORE;
	if (n_ranges == 0)
		return RANGE_UNSATISFIABLE;
	for (size_t i = 0; i < n_ranges; i++)
		ret_ranges[i] = ranges[i];
	*ret_n = n_ranges;
	return RANGE_SOME;
}
