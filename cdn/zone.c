/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every count in a TZif header comes from a file, so every read is checked
 * against the end.  Invariant after reading: `at` ascends, `offset` has one
 * entry more than `at` (the first holds before the first transition).
 */
#include "cdn/zone.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"

#define DAY 86400

enum rule_kind { RULE_JULIAN, RULE_DAY, RULE_MONTH };

/* When in a year the clocks change (POSIX.1 8.3, "TZ"). */
struct rule {
	enum rule_kind kind;
	int month, week, day; /* RULE_MONTH; else only day */
	int32_t time;         /* seconds after local midnight, may be negative or past a day (RFC 8536 3.3.1) */
};

struct zone {
	int64_t *at;
	int32_t *offset;
	size_t n;
	bool has_rule; /* the footer knows summer time */
	int32_t std_offset, dst_offset;
	struct rule to_dst, to_std;
};

void zone_free(struct zone **pz)
{
	if (*pz == NULL)
		return;
	free((*pz)->at);
	free((*pz)->offset);
	free(*pz);
	*pz = NULL;
}

struct zone *zone_utc(void)
{
	struct zone *z = mem_new(sizeof *z);

	z->offset = mem_new_array(1, sizeof *z->offset);
	return z;
}

bool zone_name_is_good(const char *name)
{
	const char *part = name;

	if (name[0] == '\0' || strlen(name) > 64)
		return false;
	for (const char *p = name;; p++) {
		if (*p == '/' || *p == '\0') {
			if (p == part || part[0] == '.')
				return false;
			part = p + 1;
			if (*p == '\0')
				return true;
		} else if (strchr("+-_.", *p) == NULL && !(*p >= '0' && *p <= '9') && !(*p >= 'A' && *p <= 'Z') &&
		           !(*p >= 'a' && *p <= 'z')) {
			return false;
		}
	}
}

/* --- calendar ------------------------------------------------------------------------ */

/* Days from 1970-01-01 to the first of a month; proleptic Gregorian. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t year_of(int64_t t)
{
	int64_t days = t / DAY - (t % DAY < 0);
	int64_t y = 1970 + days * 400 / 146097;

	while (days < days_from_civil(y, 1, 1))
		y--;
	while (days >= days_from_civil(y + 1, 1, 1))
		y++;
	return y;
}

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int month_days(int64_t y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

/* The rule's day in a year, in days since 1970. */
static int64_t rule_day(const struct rule *r, int64_t year)
{
	int64_t first;
	int day;

	switch (r->kind) {
	case RULE_JULIAN: /* 1 to 365, 29 February is never counted */
		return days_from_civil(year, 1, 1) + r->day - 1 + (is_leap(year) && r->day >= 60);
	case RULE_DAY: /* 0 to 365 */
		return days_from_civil(year, 1, 1) + r->day;
	case RULE_MONTH:
		break;
	}
	first = days_from_civil(year, r->month, 1);
	/* 1970-01-01 was a Thursday (4) */
	day = (int)(((r->day - (first + 4)) % 7 + 7) % 7) + (r->week - 1) * 7;
	while (day >= month_days(year, r->month)) /* week 5 is the last one */
		day -= 7;
	return first + day;
}

static int64_t rule_instant(const struct rule *r, int64_t year, int32_t offset_before)
{
	return rule_day(r, year) * DAY + r->time - offset_before;
}

/* --- the footer ---------------------------------------------------------------------- */

struct text {
	const char *p, *end;
};

static bool eat(struct text *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool eat_number(struct text *s, int min, int max, int *ret_v)
{
	int v = 0, digits = 0;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9' && digits < 4) {
		v = v * 10 + (*s->p++ - '0');
		digits++;
	}
	if (digits == 0 || v < min || v > max)
		return false;
	*ret_v = v;
	return true;
}

/* [+-]hh[:mm[:ss]], in seconds */
static bool eat_time(struct text *s, int max_hours, int32_t *ret_seconds)
{
	bool negative = eat(s, '-');
	int h, m = 0, sec = 0;

	if (!negative)
		eat(s, '+');
	if (!eat_number(s, 0, max_hours, &h))
		return false;
	if (eat(s, ':') && !eat_number(s, 0, 59, &m))
		return false;
	if (m >= 0 && eat(s, ':') && !eat_number(s, 0, 59, &sec))
		return false;
	*ret_seconds = (h * 3600 + m * 60 + sec) * (negative ? -1 : 1);
	return true;
}

/* "CET" or "<+0330>" */
static bool eat_name(struct text *s)
{
	const char *start = s->p;

	if (eat(s, '<')) {
		while (s->p < s->end && *s->p != '>')
			s->p++;
		return eat(s, '>');
	}
	while (s->p < s->end && ((*s->p >= 'A' && *s->p <= 'Z') || (*s->p >= 'a' && *s->p <= 'z')))
		s->p++;
	return s->p - start >= 3;
}

static bool eat_rule(struct text *s, struct rule *ret)
{
	struct rule r = {.time = 2 * 3600};
	bool good;

	if (!eat(s, ','))
		return false;
	if (eat(s, 'M')) {
		r.kind = RULE_MONTH;
		good = eat_number(s, 1, 12, &r.month) && eat(s, '.') && eat_number(s, 1, 5, &r.week) &&
		       eat(s, '.') && eat_number(s, 0, 6, &r.day);
	} else if (eat(s, 'J')) {
		r.kind = RULE_JULIAN;
		good = eat_number(s, 1, 365, &r.day);
	} else {
		r.kind = RULE_DAY;
		good = eat_number(s, 0, 365, &r.day);
	}
	if (!good || (eat(s, '/') && !eat_time(s, 167, &r.time)))
		return false;
	*ret = r;
	return true;
}

/* "CET-1CEST,M3.5.0,M10.5.0/3": POSIX counts offsets westwards. */
static bool read_footer(struct zone *z, struct text s)
{
	int32_t west;

	if (s.p == s.end)
		return true; /* no rule: the last offset holds for ever */
	if (!eat_name(&s) || !eat_time(&s, 24, &west))
		return false;
	z->std_offset = -west;
	if (s.p == s.end)
		return true;
	if (!eat_name(&s))
		return false;
	z->dst_offset = z->std_offset + 3600;
	if (s.p < s.end && *s.p != ',') {
		if (!eat_time(&s, 24, &west))
			return false;
		z->dst_offset = -west;
	}
	if (!eat_rule(&s, &z->to_dst) || !eat_rule(&s, &z->to_std) || s.p != s.end)
		return false;
	z->has_rule = true;
	return true;
}

/* --- the file ------------------------------------------------------------------------ */

struct header {
	uint8_t version;
	uint32_t isut, isstd, leap, time, type, chars;
};

static uint64_t be(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static int read_header(const uint8_t *p, size_t n, struct header *ret)
{
	if (n < 44)
		return ERR_TRUNCATED;
	if (memcmp(p, "TZif", 4) != 0)
		return ERR_SYNTAX;
	*ret = (struct header){p[4],
	                       (uint32_t)be(p + 20, 4),
	                       (uint32_t)be(p + 24, 4),
	                       (uint32_t)be(p + 28, 4),
	                       (uint32_t)be(p + 32, 4),
	                       (uint32_t)be(p + 36, 4),
	                       (uint32_t)be(p + 40, 4)};
	return ret->type == 0 || ret->type > 256 ? ERR_SYNTAX : 0;
}

static uint64_t block_size(const struct header *h, unsigned time_size)
{
	return (uint64_t)h->time * (time_size + 1) + (uint64_t)h->type * 6 + h->chars +
	       (uint64_t)h->leap * (time_size + 4) + h->isstd + h->isut;
}

/* RFC 8536 3.2: transition times, their types, the types. */
static int read_block(const uint8_t *p, const struct header *h, unsigned time_size, struct zone *z)
{
	const uint8_t *types = p + (size_t)h->time * time_size;
	const uint8_t *infos = types + h->time;

	z->n = h->time;
	z->at = mem_new_array(z->n + 1, sizeof *z->at);
	z->offset = mem_new_array(z->n + 1, sizeof *z->offset);
	z->offset[0] = (int32_t)be(infos, 4);
	for (size_t i = 0; i < z->n; i++) {
		uint64_t raw = be(p + i * time_size, time_size);

		z->at[i] = time_size == 8 ? (int64_t)raw : (int32_t)raw;
		if (types[i] >= h->type || (i > 0 && z->at[i] <= z->at[i - 1]))
			return ERR_SYNTAX;
		z->offset[i + 1] = (int32_t)be(infos + (size_t)types[i] * 6, 4);
	}
	for (size_t i = 0; i <= z->n; i++)
		if (z->offset[i] < -DAY * 7 || z->offset[i] > DAY * 7)
			return ERR_SYNTAX;
	z->std_offset = z->offset[z->n];
	return 0;
}

/* Version 2 and later: a second header and block with 64-bit times, then the footer. */
static int read_second(const uint8_t *p, size_t n, struct zone *z)
{
	const uint8_t *newline;
	struct header h;
	uint64_t size;
	int r = read_header(p, n, &h);

	if (r != 0)
		return r;
	p += 44;
	n -= 44;
	size = block_size(&h, 8);
	if (size + 2 > n)
		return ERR_TRUNCATED;
	r = read_block(p, &h, 8, z);
	if (r != 0)
		return r;
	p += size;
	n -= size;
	newline = p[0] == '\n' ? memchr(p + 1, '\n', n - 1) : NULL;
	if (newline == NULL)
		return ERR_TRUNCATED;
	return read_footer(z, (struct text){(const char *)p + 1, (const char *)newline}) ? 0 : ERR_SYNTAX;
}

int zone_read(const void *bytes, size_t n, const char *name, struct zone **ret_zone, struct fault *f)
{
	struct zone *z = mem_new(sizeof *z);
	const uint8_t *p = bytes;
	struct header h;
	int r = read_header(p, n, &h);

	if (r == 0 && block_size(&h, 4) > n - 44)
		r = ERR_TRUNCATED;
	if (r == 0 && h.version >= '2')
		r = read_second(p + 44 + block_size(&h, 4), n - 44 - (size_t)block_size(&h, 4), z);
	else if (r == 0)
		r = read_block(p + 44, &h, 4, z);
	if (r != 0) {
		zone_free(&z);
		return fault_set(f, r, _("%s is not a time zone file (TZif): %s"), name, words_error(r));
	}
	*ret_zone = z;
	return 0;
}

/* --- asking -------------------------------------------------------------------------- */

/* Behind the last transition: the rule decides.  The two changes of the years
 * around t, in order, are looked through. */
static int32_t rule_offset(const struct zone *z, int64_t t, int64_t *ret_next)
{
	int64_t year = year_of(t);
	int64_t best = INT64_MIN, next = INT64_MAX;
	int32_t offset = z->std_offset;

	for (int64_t y = year - 1; y <= year + 1; y++) {
		int64_t to_dst = rule_instant(&z->to_dst, y, z->std_offset);
		int64_t to_std = rule_instant(&z->to_std, y, z->dst_offset);

		if (to_dst <= t && to_dst > best) {
			best = to_dst;
			offset = z->dst_offset;
		}
		if (to_std <= t && to_std >= best) {
			best = to_std;
			offset = z->std_offset;
		}
		if (to_dst > t && to_dst < next)
			next = to_dst;
		if (to_std > t && to_std < next)
			next = to_std;
	}
	*ret_next = next;
	return offset;
}

int32_t zone_offset(const struct zone *z, int64_t t, int64_t *ret_next)
{
	size_t low = 0, high = z->n; /* the first transition after t is in [low, high] */
	int64_t ignored;

	if (ret_next == NULL)
		ret_next = &ignored;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (z->at[mid] <= t)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == z->n && z->has_rule)
		return rule_offset(z, t, ret_next);
	*ret_next = low < z->n ? z->at[low] : INT64_MAX;
	return z->offset[low];
}

int64_t zone_from_local(const struct zone *z, int64_t local)
{
	int64_t from = local - 2 * DAY, next;

	for (;;) { /* stretches of constant offset, in order */
		int64_t t = local - zone_offset(z, from, &next);

		if (t < from) /* the clock jumped over it when this stretch began */
			return from;
		if (t < next)
			return t;
		from = next;
	}
}
