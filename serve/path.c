/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Request targets.  Invariant: a decoded path starts with '/', is UTF-8 without
 * control characters, and no two accepted spellings differ in their segments.
 */
#include "serve/path.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

/* Of an absolute-form; NULL: it is none. */
static const char *authority_of(const char *target, size_t n)
{
	if (n > 0 && *target == '/') /* as nearly all are */
		return NULL;
	if (n >= 7 && strncasecmp(target, "http://", 7) == 0)
		return target + 7;
	return n >= 8 && strncasecmp(target, "https://", 8) == 0 ? target + 8 : NULL;
}

/* What stands behind the authority, which has to name a host. */
static int split_absolute(struct path_target *ret, const char *end)
{
	const char *stop = ret->authority;

	while (stop < end && *stop != '/' && *stop != '?' && *stop != '#')
		stop++;
	if (stop == ret->authority || *ret->authority == ':')
		return ERR_SYNTAX;
	ret->authority_n = (size_t)(stop - ret->authority);
	ret->path = stop;
	return 0;
}

int path_split(const char *target, size_t n, struct path_target *ret)
{
	const char *end = target + n, *query;
	struct path_target t = {.path = target};

	if (n > PATH_MAX_TARGET)
		return ERR_LIMIT;
	t.authority = authority_of(target, n);
	if (t.authority != NULL && split_absolute(&t, end) != 0)
		return ERR_SYNTAX;
	query = memchr(t.path, '?', (size_t)(end - t.path));
	t.path_n = (size_t)((query != NULL ? query : end) - t.path);
	t.query = query != NULL ? query + 1 : end;
	t.query_n = (size_t)(end - t.query);
	if (t.path_n == 0 && t.authority != NULL) {
		t.path = "/";
		t.path_n = 1;
	}
	if (t.path_n == 0 || t.path[0] != '/')
		return ERR_SYNTAX;
	*ret = t;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* The byte behind a '%', or -1. */
static int escape(const char *p, const char *end)
{
	int high, low;

	if (end - p < 3 || (high = hex_digit(p[1])) < 0 || (low = hex_digit(p[2])) < 0)
		return -1;
	return high * 16 + low;
}

/* UTF-8 of RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
static bool is_utf8(const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint8_t c = s[i];
		size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 4;

		if (more == 4 || n - i <= more)
			return false;
		for (size_t k = 1; k <= more; k++)
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
		if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] > 0x9f) ||
		    (c == 0xf0 && s[i + 1] < 0x90) || (c == 0xf4 && s[i + 1] > 0x8f))
			return false;
		i += more + 1;
	}
	return true;
}

/* The segment that ends at `end` and starts behind the last '/': not empty, "." or "..". */
static bool is_segment(const char *start, const char *end)
{
	size_t n = (size_t)(end - start);

	return n > 0 && !(start[0] == '.' && (n == 1 || (n == 2 && start[1] == '.')));
}

/* Bytes of a path that stand for themselves and end nothing. */
static const bool is_plain[256] = {[0x20 ... 0x22] = true, [0x24] = true, [0x26 ... 0x2e] = true, [0x30 ... 0x5b] = true, [0x5d ... 0x7e] = true};

int path_decode(const char *path, size_t n, char *out, size_t *ret_n)
{
	const char *p = path, *end = path + n;
	char *o = out, *segment = out + 1;
	bool high = false;

	if (n == 0 || path[0] != '/')
		return ERR_SYNTAX;
	*o++ = *p++;
	for (;; p++) {
		const char *from = p;
		int c;

		while (p < end && is_plain[(uint8_t)*p])
			p++;
		memcpy(o, from, (size_t)(p - from));
		o += p - from;
		if (p == end)
			break;
		c = (uint8_t)*p;
		if (c == '/') {
			if (!is_segment(segment, o))
				return ERR_SYNTAX;
			segment = o + 1;
		} else if (c == '%') {
			c = escape(p, end);
			if (c < 0 || c == '/')
				return ERR_SYNTAX;
			high |= c >= 0x80;
			p += 2;
		} else if (c >= 0x80 || c == '#') {
			return ERR_SYNTAX; /* RFC 3986 2: to be escaped */
		}
		if (c < 0x20 || c == 0x7f || c == '\\')
			return ERR_SYNTAX;
		*o++ = (char)c;
	}
	if (o > segment && !is_segment(segment, o)) /* nothing behind the last '/' is a folder's name */
		return ERR_SYNTAX;
	if (high && !is_utf8((uint8_t *)out, (size_t)(o - out)))
		return ERR_SYNTAX;
	*o = '\0';
	*ret_n = (size_t)(o - out);
	return 0;
}

const char *path_param(const char *query, size_t n, const char *name, size_t *ret_n)
{
	const char *p = query, *end;
	size_t name_n = strlen(name);

	if (n == 0) /* also a request refused before its target was read: no pointer either */
		return NULL;
	end = query + n;
	while (p < end) {
		const char *stop = memchr(p, '&', (size_t)(end - p)), *value = p + name_n;

		if (stop == NULL)
			stop = end;
		if ((size_t)(stop - p) >= name_n && memcmp(p, name, name_n) == 0 && (value == stop || *value == '=')) {
			value += value < stop;
			*ret_n = (size_t)(stop - value);
			return value;
		}
		p = stop + 1;
	}
	return NULL;
}

int path_decode_param(const char *value, size_t n, char *out, size_t *ret_n)
{
	const char *end = value + n;
	char *o = out;

	for (const char *p = value; p < end; p++) {
		int c = *p == '+' ? ' ' : (uint8_t)*p;

		if (c == '%') {
			c = escape(p, end);
			p += 2;
		}
		if (c <= 0)
			return ERR_SYNTAX;
		*o++ = (char)c;
	}
	*o = '\0';
	*ret_n = (size_t)(o - out);
	return 0;
}
