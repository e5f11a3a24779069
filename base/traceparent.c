/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Trace Context.  What peers send is copied only when every byte of it is one
 * that the recommendation allows, so it can be logged and sent on unquoted.
 */
#include "base/traceparent.h"

#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/must.h"

#define MAX_MEMBERS 32

static bool is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

/* An id: hex digits that are not all zero (3.2.2.3, 3.2.2.4). */
static bool is_id(const char *s, size_t n)
{
	return is_hex(s, n) && strspn(s, "0") < n;
}

static unsigned digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

int traceparent_parse(const char *s, size_t n, struct traceparent *ret)
{
	const size_t least = TRACEPARENT_SIZE - 1;

	if (n < least || !is_hex(s, 2) || memcmp(s, "ff", 2) == 0)
		return ERR_SYNTAX;
	if (memcmp(s, "00", 2) == 0 ? n != least : n > least && s[least] != '-') /* 4.3, 4.4: what a later version adds stands behind a '-' */
		return ERR_SYNTAX;
	if (s[2] != '-' || s[35] != '-' || s[52] != '-' || !is_id(s + 3, 32) || !is_id(s + 36, 16) || !is_hex(s + 53, 2))
		return ERR_SYNTAX;
	memcpy(ret->trace, s + 3, 32);
	ret->trace[32] = '\0';
	memcpy(ret->span, s + 36, 16);
	ret->span[16] = '\0';
	ret->flags = digit(s[54]) & TRACEPARENT_SAMPLED;
	return 0;
}

void traceparent_format(const struct traceparent *t, char value[static TRACEPARENT_SIZE])
{
	memcpy(value, "00-", 3);
	memcpy(value + 3, t->trace, 32);
	value[35] = '-';
	memcpy(value + 36, t->span, 16);
	memcpy(value + 52, t->flags & TRACEPARENT_SAMPLED ? "-01" : "-00", 4);
}

static void put_random(char *text, size_t digits)
{
	uint8_t bytes[16];

	MUST(getrandom(bytes, digits / 2, 0) == (ssize_t)(digits / 2)); /* so few come whole (getrandom(2)) */
	bytes[0] |= 1; /* never all zeros */
	for (size_t i = 0; i < digits; i++)
		text[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15];
	text[digits] = '\0';
}

void traceparent_new(struct traceparent *t)
{
	put_random(t->trace, 32);
	t->flags = 0;
	traceparent_step(t);
}

void traceparent_step(struct traceparent *t)
{
	put_random(t->span, 16);
}

/* --- tracestate ------------------------------------------------------------------------ */

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_decimal(char c)
{
	return c >= '0' && c <= '9';
}

/* 3.3.1.3.1: a letter and at most 255 more, or TENANT@SYSTEM of at most 241 and 14. */
static bool is_key(const char *s, size_t n)
{
	const char *at = memchr(s, '@', n);
	size_t tenant = at != NULL ? (size_t)(at - s) : n, system = at != NULL ? n - tenant - 1 : 0;

	if (tenant == 0 || tenant > (at != NULL ? 241 : 256) || !(is_lower(s[0]) || (at != NULL && is_decimal(s[0]))))
		return false;
	if (at != NULL && (system == 0 || system > 14 || !is_lower(at[1])))
		return false;
	for (size_t i = 0; i < n; i++)
		if (s + i != at && !is_lower(s[i]) && !is_decimal(s[i]) && (s[i] == '\0' || strchr("_-*/", s[i]) == NULL))
			return false;
	return true;
}

/* 3.3.1.3.2: 1 to 256 printable characters without ',' and '=', the last one no blank. */
static bool is_value(const char *s, size_t n)
{
	if (n == 0 || n > 256 || s[n - 1] == ' ')
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~' || s[i] == '=')
			return false;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* One member without the blanks around it: 1 when it is one, 0 for an empty one (allowed), -1 for neither. */
static int judge_member(const char *s, size_t n)
{
	const char *equals;

	while (n > 0 && is_blank(*s))
		s++, n--;
	while (n > 0 && is_blank(s[n - 1]))
		n--;
	if (n == 0)
		return 0;
	equals = memchr(s, '=', n);
	if (equals == NULL || !is_key(s, (size_t)(equals - s)) || !is_value(equals + 1, n - (size_t)(equals - s) - 1))
		return -1;
	return 1;
}

bool tracestate_is_good(const char *s, size_t n)
{
	const char *end = s + n;
	int members = 0;

	if (n > TRACESTATE_MAX)
		return false;
	while (s < end) {
		const char *comma = memchr(s, ',', (size_t)(end - s)), *stop = comma != NULL ? comma : end;
		int one = judge_member(s, (size_t)(stop - s));

		members += one;
		if (one < 0 || members > MAX_MEMBERS)
			return false;
		s = stop + 1;
	}
	return members > 0;
}

bool request_id_is_good(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_lower(s[i]) && !is_decimal(s[i]) && !(s[i] >= 'A' && s[i] <= 'Z') && (s[i] == '\0' || strchr("._-", s[i]) == NULL))
			return false;
	return n > 0 && n <= 64;
}
