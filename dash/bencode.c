/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Canonical bencode: keys sorted and unique, no leading zeros, no "-0".
 */
#include "dash/bencode.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define DEPTH_MAX 32

int bencode_int(struct bencode *b, int64_t *ret_v)
{
	const char *s = (const char *)b->bytes + b->pos + 1;
	const char *end;
	size_t n, digits;

	if (b->pos >= b->n || b->bytes[b->pos] != 'i')
		return ERR_SYNTAX;
	end = memchr(s, 'e', b->n - b->pos - 1);
	if (end == NULL)
		return ERR_SYNTAX;
	n = (size_t)(end - s);
	digits = n - (n > 0 && s[0] == '-');
	if (digits > 1 && s[n - digits] == '0')
		return ERR_SYNTAX;
	if (digits != n && s[1] == '0')
		return ERR_SYNTAX;
	if (str_parse_i64(s, n, ret_v) != 0)
		return ERR_SYNTAX;
	b->pos += n + 2;
	return 0;
}

int bencode_text(struct bencode *b, struct bencode_text *ret_text)
{
	const uint8_t *s = b->bytes + b->pos;
	size_t left = b->n - b->pos;
	const uint8_t *colon = left > 0 ? memchr(s, ':', left < 12 ? left : 12) : NULL;
	uint64_t n;

	if (colon == NULL || (s[0] == '0' && colon != s + 1))
		return ERR_SYNTAX;
	if (str_parse_u64((const char *)s, (size_t)(colon - s), &n) != 0 || n > left - (size_t)(colon - s) - 1)
		return ERR_SYNTAX;
	*ret_text = (struct bencode_text){colon + 1, (size_t)n};
	b->pos += (size_t)(colon - s) + 1 + (size_t)n;
	return 0;
}

int bencode_open(struct bencode *b, char kind)
{
	if (b->pos >= b->n || b->bytes[b->pos] != (uint8_t)kind)
		return ERR_SYNTAX;
	b->pos++;
	return 0;
}

bool bencode_close(struct bencode *b)
{
	if (b->pos >= b->n || b->bytes[b->pos] != 'e')
		return false;
	b->pos++;
	return true;
}

static int compare(const struct bencode_text *a, const struct bencode_text *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int c = n > 0 ? memcmp(a->bytes, b->bytes, n) : 0;

	return c != 0 ? c : (a->n > b->n) - (a->n < b->n);
}

int bencode_key(struct bencode *b, struct bencode_text *last)
{
	struct bencode_text key;
	int r = bencode_text(b, &key);

	if (r != 0)
		return r;
	if (last->bytes != NULL && compare(last, &key) >= 0)
		return ERR_SYNTAX;
	*last = key;
	return 0;
}

static int skip(struct bencode *b, int depth)
{
	struct bencode_text text, last = {NULL, 0};
	int64_t v;
	bool map;
	int r = 0;

	if (depth > DEPTH_MAX || b->pos >= b->n)
		return ERR_SYNTAX;
	switch (b->bytes[b->pos]) {
	case 'i':
		return bencode_int(b, &v);
	case 'd':
	case 'l':
		map = b->bytes[b->pos++] == 'd';
		while (r == 0 && !bencode_close(b)) {
			if (map)
				r = bencode_key(b, &last);
			if (r == 0)
				r = skip(b, depth + 1);
		}
		return r;
	default:
		return bencode_text(b, &text);
	}
}

int bencode_skip(struct bencode *b)
{
	return skip(b, 0);
}

bool bencode_is(const struct bencode_text *t, const char *word)
{
	return t->n == strlen(word) && memcmp(t->bytes, word, t->n) == 0;
}

void bencode_put_int(struct buf *b, int64_t v)
{
	buf_printf(b, "i%llde", (long long)v);
}

void bencode_put_text(struct buf *b, const void *bytes, size_t n)
{
	buf_printf(b, "%zu:", n);
	buf_append(b, bytes, n);
}

void bencode_put_word(struct buf *b, const char *word)
{
	bencode_put_text(b, word, strlen(word));
}
