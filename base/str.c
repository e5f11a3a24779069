/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Text to numbers and back, independent of the locale.
 */
#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

int str_parse_u64(const char *s, size_t n, uint64_t *ret_v)
{
	uint64_t v = 0;

	if (n == 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned)(s[i] - '0');

		if (d > 9)
			return ERR_SYNTAX;
		if (v > (UINT64_MAX - d) / 10)
			return ERR_OUT_OF_RANGE;
		v = v * 10 + d;
	}
	*ret_v = v;
	return 0;
}

int str_parse_i64(const char *s, size_t n, int64_t *ret_v)
{
	bool negative = n > 0 && s[0] == '-';
	uint64_t v;
	int r = str_parse_u64(s + negative, n - negative, &v);

	if (r != 0)
		return r;
	if (v > (uint64_t)INT64_MAX)
		return ERR_OUT_OF_RANGE;
	*ret_v = negative ? -(int64_t)v : (int64_t)v;
	return 0;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Reads a number at the start of s; *ret_used tells how many bytes it took. */
static int leading_double(const char *s, size_t n, double *ret_v, size_t *ret_used)
{
	char text[64];
	char *end;
	double v;

	if (n == 0 || n >= sizeof text || !(s[0] == '-' || s[0] == '.' || (s[0] >= '0' && s[0] <= '9')))
		return ERR_SYNTAX;
	memcpy(text, s, n);
	text[n] = '\0';
	if (strpbrk(text, "xXpP") != NULL)
		return ERR_SYNTAX;
	pthread_once(&c_locale_once, make_c_locale);
	errno = 0;
	v = strtod_l(text, &end, c_locale);
	if (end == text)
		return ERR_SYNTAX;
	if (!isfinite(v) || errno == ERANGE)
		return ERR_OUT_OF_RANGE;
	*ret_v = v;
	*ret_used = (size_t)(end - text);
	return 0;
}

int str_parse_double(const char *s, size_t n, double *ret_v)
{
	size_t used;
	double v;
	int r = leading_double(s, n, &v, &used);

	if (r != 0)
		return r;
	if (used != n)
		return ERR_SYNTAX;
	*ret_v = v;
	return 0;
}

struct unit {
	const char *name;
	double factor;
};

static int parse_with_unit(const char *s, size_t n, const struct unit *units, double *ret_v)
{
	size_t used;
	double v;
	int r = leading_double(s, n, &v, &used);

	if (r != 0)
		return r;
	while (used < n && s[used] == ' ')
		used++;
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strlen(u->name) == n - used && strncmp(u->name, s + used, n - used) == 0) {
			v *= u->factor;
			if (v < 0 || v >= 9.2e18)
				return ERR_OUT_OF_RANGE;
			*ret_v = v;
			return 0;
		}
	}
	return ERR_SYNTAX;
}

int str_parse_bytes(const char *s, size_t n, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{"", 1},     {"B", 1},      {"k", 1e3},          {"kB", 1e3},          {"K", 1e3},
		{"KB", 1e3}, {"M", 1e6},    {"MB", 1e6},         {"G", 1e9},           {"GB", 1e9},
		{"T", 1e12}, {"TB", 1e12},  {"Ki", 1024},        {"KiB", 1024},        {"Mi", 1048576},
		{"MiB", 1048576},           {"Gi", 1073741824.}, {"GiB", 1073741824.},
		{"Ti", 1099511627776.},     {"TiB", 1099511627776.}, {NULL, 0}};
	double v;
	int r = parse_with_unit(s, n, units, &v);

	if (r == 0)
		*ret_bytes = (uint64_t)llround(v);
	return r;
}

int str_parse_duration(const char *s, size_t n, dur_us *ret_d)
{
	static const struct unit units[] = {{"", 1e6},     {"us", 1},     {"ms", 1e3},
	                                    {"s", 1e6},    {"min", 6e7},  {"m", 6e7},
	                                    {"h", 3.6e9},  {"d", 8.64e10}, {NULL, 0}};
	double v;
	int r = parse_with_unit(s, n, units, &v);

	if (r == 0)
		*ret_d = (dur_us)llround(v);
	return r;
}

void str_format_bytes(uint64_t bytes, char ret_text[static STR_BYTES_SIZE])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u < 6) {
		v /= 1024;
		u++;
	}
	snprintf(ret_text, STR_BYTES_SIZE, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[u]);
}

void str_format_duration(dur_us d, char ret_text[static STR_BYTES_SIZE])
{
	int64_t s = (d < 0 ? 0 : d + DUR_S / 2) / DUR_S;

	if (s >= 3600)
		snprintf(ret_text, STR_BYTES_SIZE, "%lld:%02d:%02d", (long long)(s / 3600),
		         (int)(s / 60 % 60), (int)(s % 60));
	else
		snprintf(ret_text, STR_BYTES_SIZE, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

void str_plain(char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)s[0], next = (unsigned char)s[1];

		if (c == 0xc2 && next >= 0x80 && next < 0xa0) /* C1 in UTF-8 */
			s[0] = s[1] = '?';
		else if (c < 0x20 || c == 0x7f)
			s[0] = '?';
	}
}

void str_drop_half(char *s)
{
	size_t n = strlen(s), i = n;
	unsigned char lead;

	while (i > 0 && ((unsigned char)s[i - 1] & 0xc0) == 0x80)
		i--;
	if (i == 0)
		return;
	lead = (unsigned char)s[--i];
	if (lead >= 0xc0 && n - i < (lead >= 0xf0 ? 4u : lead >= 0xe0 ? 3u : 2u))
		s[i] = '\0';
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool str_is_name(const char *s, size_t n)
{
	static const bool good[256] = {['-'] = true, ['.'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['_'] = true, ['a' ... 'z'] = true};

	if (n == 0 || n > 128 || s[0] == '.' || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!good[(unsigned char)s[i]])
			return false;
	return true;
}

char *str_slug(const char *s)
{
	char out[65];
	size_t n = 0;

	for (; *s != '\0' && n < 64; s++) {
		char c = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;

		if (is_alnum(c))
			out[n++] = c;
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	return n > 0 ? mem_dup_n(out, n) : mem_dup("title");
}
