/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Values of MPD attributes.  Nothing here depends on the locale, and no value
 * overflows silently.
 */
#include "dash/mpd_values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/err.h"
#include "base/str.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void trim(const char **s, size_t *n)
{
	while (*n > 0 && is_space((*s)[*n - 1]))
		--*n;
	while (*n > 0 && is_space(**s)) {
		++*s;
		--*n;
	}
}

/* "2000000.0", as floating-point packagers write whole numbers: the size without ".0". */
static size_t without_zeros(const char *s, size_t n)
{
	const char *dot = memchr(s, '.', n);

	for (size_t i = dot != NULL ? (size_t)(dot - s) + 1 : n; i < n; i++)
		if (s[i] != '0')
			return n;
	return dot != NULL && dot + 1 < s + n ? (size_t)(dot - s) : n;
}

int mpd_value_uint(const char *s, size_t n, uint64_t max, uint64_t *ret_v)
{
	uint64_t v;
	int r;

	trim(&s, &n);
	if (n > 0 && *s == '+') {
		s++;
		n--;
	}
	n = without_zeros(s, n);
	r = str_parse_u64(s, n, &v);
	if (r != 0)
		return r;
	if (v > max)
		return ERR_OUT_OF_RANGE;
	*ret_v = v;
	return 0;
}

int mpd_value_int(const char *s, size_t n, int64_t *ret_v)
{
	trim(&s, &n);
	if (n > 0 && *s == '+') {
		s++;
		n--;
	}
	return str_parse_i64(s, n, ret_v);
}

static bool is_word(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(s, word, n) == 0;
}

int mpd_value_bool(const char *s, size_t n, bool *ret_v)
{
	trim(&s, &n);
	if (is_word(s, n, "true") || is_word(s, n, "1"))
		*ret_v = true;
	else if (is_word(s, n, "false") || is_word(s, n, "0"))
		*ret_v = false;
	else
		return ERR_SYNTAX;
	return 0;
}

int mpd_value_flag(const char *s, size_t n, bool *ret_v)
{
	uint64_t v;

	if (mpd_value_bool(s, n, ret_v) == 0)
		return 0;
	if (mpd_value_uint(s, n, UINT32_MAX, &v) != 0)
		return ERR_SYNTAX;
	*ret_v = v != 0;
	return 0;
}

int mpd_value_double(const char *s, size_t n, double *ret_v)
{
	trim(&s, &n);
	if (is_word(s, n, "INF")) {
		*ret_v = INFINITY;
		return 0;
	}
	return str_parse_double(s, n, ret_v);
}

int mpd_value_last_uint(const char *s, size_t n, uint64_t max, uint64_t *ret_v)
{
	size_t from;

	trim(&s, &n);
	for (from = n; from > 0 && !is_space(s[from - 1]); from--)
		;
	return mpd_value_uint(s + from, n - from, max, ret_v);
}

/* Digits with a fraction, in millionths; digits behind the sixth round. */
static int read_micro(const char **s, const char *end, uint64_t *ret_micro, bool *ret_fraction)
{
	const char *p = *s;
	uint64_t whole, micro = 0, unit = 100000;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	if (str_parse_u64(*s, (size_t)(p - *s), &whole) != 0)
		return ERR_SYNTAX;
	*ret_fraction = p < end && (*p == '.' || *p == ',');
	if (*ret_fraction) {
		const char *first = ++p;

		for (; p < end && *p >= '0' && *p <= '9'; p++, unit /= 10) {
			micro += unit * (uint64_t)(*p - '0');
			if (p - first == 6 && *p >= '5')
				micro++;
		}
		if (p == first)
			return ERR_SYNTAX;
	}
	if (whole > (uint64_t)INT64_MAX / DUR_S - 1)
		return ERR_OUT_OF_RANGE;
	*ret_micro = whole * DUR_S + micro;
	*s = p;
	return 0;
}

struct duration_unit {
	char letter;
	int64_t seconds;
};

/* One "12.5X" of a duration; the units must come in the order of the table. */
static int read_part(const char **s, const char *end, const struct duration_unit *units, size_t *next, dur_us *sum)
{
	uint64_t micro;
	bool fraction;
	dur_us part;
	int r = read_micro(s, end, &micro, &fraction);

	if (r != 0)
		return r;
	if (*s == end)
		return ERR_SYNTAX;
	while (units[*next].letter != '\0' && units[*next].letter != **s)
		++*next;
	if (units[*next].letter == '\0' || (fraction && **s != 'S'))
		return ERR_SYNTAX;
	++*s;
	if (__builtin_mul_overflow((dur_us)micro, units[*next].seconds, &part) ||
	    __builtin_add_overflow(*sum, part, sum) || *sum > MPD_MAX_TIME)
		return ERR_OUT_OF_RANGE;
	++*next;
	return 0;
}

int mpd_value_duration(const char *s, size_t n, dur_us *ret_d)
{
	static const struct duration_unit date[] = {{'Y', 365 * 86400}, {'M', 30 * 86400}, {'D', 86400}, {'\0', 0}};
	static const struct duration_unit clock[] = {{'H', 3600}, {'M', 60}, {'S', 1}, {'\0', 0}};
	const char *end;
	dur_us sum = 0;
	size_t next = 0;
	bool in_time = false, any = false;

	trim(&s, &n);
	end = s + n;
	if (n < 2 || *s++ != 'P')
		return ERR_SYNTAX;
	while (s < end) {
		int r;

		if (*s == 'T' && !in_time) {
			in_time = true;
			any = false;
			next = 0;
			s++;
			continue;
		}
		r = read_part(&s, end, in_time ? clock : date, &next, &sum);
		if (r != 0)
			return r;
		any = true;
	}
	if (!any)
		return ERR_SYNTAX;
	*ret_d = sum;
	return 0;
}

static int read_digits(const char **s, const char *end, int n, int max, int *ret_v)
{
	int v = 0;

	for (int i = 0; i < n; i++, ++*s) {
		if (*s == end || **s < '0' || **s > '9')
			return ERR_SYNTAX;
		v = v * 10 + (**s - '0');
	}
	if (v > max)
		return ERR_OUT_OF_RANGE;
	*ret_v = v;
	return 0;
}

static int read_char(const char **s, const char *end, char c)
{
	if (*s == end || **s != c)
		return ERR_SYNTAX;
	++*s;
	return 0;
}

/* "Z", "+01:00" or nothing, which is read as UTC. */
static int read_zone(const char **s, const char *end, int *ret_minutes)
{
	int hours, minutes, sign;

	*ret_minutes = 0;
	if (*s == end)
		return 0;
	if (**s == 'Z') {
		++*s;
		return 0;
	}
	sign = **s == '+' ? 1 : -1;
	if (**s != '+' && **s != '-')
		return ERR_SYNTAX;
	++*s;
	if (read_digits(s, end, 2, 14, &hours) != 0 || read_char(s, end, ':') != 0 ||
	    read_digits(s, end, 2, 59, &minutes) != 0)
		return ERR_SYNTAX;
	*ret_minutes = sign * (hours * 60 + minutes);
	return 0;
}

static int read_fraction(const char **s, const char *end, int64_t *ret_us)
{
	int64_t unit = 100000;

	*ret_us = 0;
	if (*s == end || **s != '.')
		return 0;
	if (++*s == end || **s < '0' || **s > '9')
		return ERR_SYNTAX;
	for (; *s < end && **s >= '0' && **s <= '9'; ++*s, unit /= 10)
		*ret_us += unit * (**s - '0');
	return 0;
}

#define YEAR_1 (-62135596800)
#define YEAR_10000 253402300800

int mpd_value_date(const char *s, size_t n, wall_us *ret_t)
{
	struct tm tm = {0};
	const char *end;
	int zone;
	int64_t us, seconds;

	trim(&s, &n);
	end = s + n;
	if (read_digits(&s, end, 4, 9999, &tm.tm_year) != 0 || read_char(&s, end, '-') != 0 ||
	    read_digits(&s, end, 2, 12, &tm.tm_mon) != 0 || read_char(&s, end, '-') != 0 ||
	    read_digits(&s, end, 2, 31, &tm.tm_mday) != 0 || read_char(&s, end, 'T') != 0 ||
	    read_digits(&s, end, 2, 24, &tm.tm_hour) != 0 || read_char(&s, end, ':') != 0 ||
	    read_digits(&s, end, 2, 59, &tm.tm_min) != 0 || read_char(&s, end, ':') != 0 ||
	    read_digits(&s, end, 2, 60, &tm.tm_sec) != 0 || read_fraction(&s, end, &us) != 0 ||
	    read_zone(&s, end, &zone) != 0 || s != end || tm.tm_mon < 1 || tm.tm_mday < 1)
		return ERR_SYNTAX;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	seconds = (int64_t)timegm(&tm) - (int64_t)zone * 60;
	if (seconds < YEAR_1 || seconds >= YEAR_10000)
		return ERR_OUT_OF_RANGE;
	*ret_t = seconds * DUR_S + us;
	return 0;
}

/* "29.97" as 2997/100: what some packagers write for a rate. */
static int read_decimal(const char *s, size_t n, struct mpd_ratio *ret_ratio)
{
	const char *dot = memchr(s, '.', n);
	uint64_t whole, part = 0, den = 1;
	size_t n_part = dot != NULL ? n - (size_t)(dot - s) - 1 : 0;

	if (n_part > 6 || mpd_value_uint(s, n - n_part - (dot != NULL), UINT32_MAX, &whole) != 0)
		return ERR_SYNTAX;
	if (n_part > 0 && str_parse_u64(dot + 1, n_part, &part) != 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < n_part; i++)
		den *= 10;
	whole = whole * den + part;
	if (whole > UINT32_MAX)
		return ERR_OUT_OF_RANGE;
	*ret_ratio = (struct mpd_ratio){.num = (uint32_t)whole, .den = (uint32_t)den};
	return 0;
}

int mpd_value_ratio(const char *s, size_t n, struct mpd_ratio *ret_ratio)
{
	const char *mark;
	uint64_t num, den;

	trim(&s, &n);
	mark = memchr(s, '/', n);
	if (mark == NULL)
		mark = memchr(s, ':', n);
	if (mark == NULL)
		return read_decimal(s, n, ret_ratio);
	if (mpd_value_uint(s, (size_t)(mark - s), UINT32_MAX, &num) != 0 ||
	    mpd_value_uint(mark + 1, (size_t)(s + n - mark - 1), UINT32_MAX, &den) != 0)
		return ERR_SYNTAX;
	if (den == 0)
		return ERR_OUT_OF_RANGE;
	*ret_ratio = (struct mpd_ratio){.num = (uint32_t)num, .den = (uint32_t)den};
	return 0;
}

int mpd_value_range(const char *s, size_t n, struct mpd_range *ret_range)
{
	const char *dash;
	struct mpd_range range = {.last = UINT64_MAX};
	size_t rest;

	trim(&s, &n);
	/* The schema lets the "-" be left out. */
	dash = memchr(s, '-', n);
	if (str_parse_u64(s, dash != NULL ? (size_t)(dash - s) : n, &range.first) != 0)
		return ERR_SYNTAX;
	rest = dash != NULL ? (size_t)(s + n - dash - 1) : 0;
	if (rest > 0 && str_parse_u64(dash + 1, rest, &range.last) != 0)
		return ERR_SYNTAX;
	if (range.last < range.first)
		return ERR_OUT_OF_RANGE;
	*ret_range = range;
	return 0;
}

/* Ends `text` with ".5" for half a second and nothing for a whole one. */
static void put_fraction(char *text, size_t size, int64_t us)
{
	size_t n = strlen(text);

	if (us == 0)
		return;
	snprintf(text + n, size - n, ".%06" PRId64, us);
	for (n = strlen(text); text[n - 1] == '0'; n--)
		text[n - 1] = '\0';
}

void mpd_value_from_duration(dur_us d, char ret_text[static MPD_VALUE_SIZE])
{
	int64_t seconds = d / DUR_S;
	size_t n = 0;

	n += (size_t)snprintf(ret_text, MPD_VALUE_SIZE, "PT");
	if (seconds >= 3600)
		n += (size_t)snprintf(ret_text + n, MPD_VALUE_SIZE - n, "%" PRId64 "H", seconds / 3600);
	if (seconds >= 60 && seconds / 60 % 60 != 0)
		n += (size_t)snprintf(ret_text + n, MPD_VALUE_SIZE - n, "%" PRId64 "M", seconds / 60 % 60);
	if (d % (60 * DUR_S) == 0 && d != 0)
		return;
	snprintf(ret_text + n, MPD_VALUE_SIZE - n, "%" PRId64, seconds % 60);
	put_fraction(ret_text, MPD_VALUE_SIZE - 1, d % DUR_S);
	n = strlen(ret_text);
	ret_text[n] = 'S';
	ret_text[n + 1] = '\0';
}

void mpd_value_from_date(wall_us t, char ret_text[static MPD_VALUE_SIZE])
{
	int64_t us = (t % DUR_S + DUR_S) % DUR_S;
	time_t seconds = (time_t)((t - us) / DUR_S);
	struct tm tm = {0};
	size_t n;

	gmtime_r(&seconds, &tm);
	snprintf(ret_text, MPD_VALUE_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	         tm.tm_hour, tm.tm_min, tm.tm_sec);
	put_fraction(ret_text, MPD_VALUE_SIZE - 1, us);
	n = strlen(ret_text);
	ret_text[n] = 'Z';
	ret_text[n + 1] = '\0';
}

/* Six decimals are a microsecond of a second; printed by hand, as a locale has a say in printf's "%f". */
void mpd_value_from_double(double v, char ret_text[static MPD_VALUE_SIZE])
{
	int64_t micro;

	if (!(fabs(v) < 9e12)) {
		snprintf(ret_text, MPD_VALUE_SIZE, "%s", v > 0 ? "INF" : "0");
		return;
	}
	micro = llround(fabs(v) * 1e6);
	snprintf(ret_text, MPD_VALUE_SIZE, "%s%" PRId64, v < 0 && micro != 0 ? "-" : "", micro / 1000000);
	put_fraction(ret_text, MPD_VALUE_SIZE, micro % 1000000);
}
