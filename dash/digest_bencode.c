/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bencode.  Invariant: one document has one meaning; what could be written in
 * two ways is refused in all but the canonical one.
 */
#include "dash/digest_bencode.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/words.h"

#define MAX_DEPTH 32

void bencode_fail(struct bencode *b, int error, const char *what)
{
	if (b->error == 0) {
		b->error = error;
		b->what = what;
	}
}

bool bencode_peek(const struct bencode *b, uint8_t c)
{
	return b->error == 0 && b->pos < b->n && b->p[b->pos] == c;
}

static bool take(struct bencode *b, uint8_t c)
{
	if (b->error == 0 && b->pos >= b->n)
		bencode_fail(b, ERR_TRUNCATED, _("it ends too early"));
	if (!bencode_peek(b, c))
		return false;
	b->pos++;
	return true;
}

static uint64_t digits(struct bencode *b)
{
	size_t start = b->pos;
	uint64_t v = 0;

	while (b->error == 0 && b->pos < b->n && b->p[b->pos] >= '0' && b->p[b->pos] <= '9') {
		unsigned d = b->p[b->pos++] - '0';

		if (v > (UINT64_MAX - d) / 10)
			bencode_fail(b, ERR_LIMIT, _("a number is too large"));
		v = v * 10 + d;
	}
	if (b->pos == start)
		bencode_fail(b, b->pos >= b->n ? ERR_TRUNCATED : ERR_SYNTAX, _("a number has no digits"));
	else if (b->p[start] == '0' && b->pos - start > 1)
		bencode_fail(b, ERR_SYNTAX, _("a number has leading zeros"));
	return b->error == 0 ? v : 0;
}

uint64_t bencode_uint(struct bencode *b)
{
	uint64_t v;

	if (!take(b, 'i'))
		bencode_fail(b, ERR_SYNTAX, _("expected a number"));
	v = digits(b);
	if (!take(b, 'e'))
		bencode_fail(b, ERR_SYNTAX, _("a number does not end"));
	return b->error == 0 ? v : 0;
}

struct bencode_text bencode_string(struct bencode *b)
{
	struct bencode_text t = {(const uint8_t *)"", 0};
	uint64_t n = digits(b);

	if (!take(b, ':'))
		bencode_fail(b, ERR_SYNTAX, _("expected a string"));
	if (b->error == 0 && n > b->n - b->pos)
		bencode_fail(b, ERR_TRUNCATED, _("a string goes past the end"));
	if (b->error != 0)
		return t;
	t = (struct bencode_text){b->p + b->pos, (size_t)n};
	b->pos += (size_t)n;
	return t;
}

void bencode_open(struct bencode *b, uint8_t c)
{
	if (!take(b, c))
		bencode_fail(b, ERR_SYNTAX, c == 'd' ? _("expected a dictionary") : _("expected a list"));
}

static int compare(struct bencode_text a, struct bencode_text b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return r != 0 ? r : (a.n > b.n) - (a.n < b.n);
}

bool bencode_key(struct bencode *b, struct bencode_keys *keys)
{
	struct bencode_text key;

	if (take(b, 'e') || b->error != 0)
		return false;
	key = bencode_string(b);
	if (b->error == 0 && keys->any && compare(keys->key, key) >= 0)
		bencode_fail(b, ERR_SYNTAX, _("keys are not ascending"));
	*keys = (struct bencode_keys){key, true};
	return b->error == 0;
}

bool bencode_item(struct bencode *b)
{
	return !take(b, 'e') && b->error == 0;
}

static void skip_signed(struct bencode *b)
{
	size_t at = b->pos + 1;

	if (at + 1 < b->n && b->p[at] == '-') {
		if (b->p[at + 1] == '0')
			bencode_fail(b, ERR_SYNTAX, _("minus zero"));
		b->pos = at + 1;
		digits(b);
		if (!take(b, 'e'))
			bencode_fail(b, ERR_SYNTAX, _("a number does not end"));
		return;
	}
	bencode_uint(b);
}

static void skip(struct bencode *b, unsigned depth)
{
	struct bencode_keys keys = {0};

	if (depth > MAX_DEPTH) {
		bencode_fail(b, ERR_LIMIT, _("nested too deep"));
	} else if (bencode_peek(b, 'i')) {
		skip_signed(b);
	} else if (bencode_peek(b, 'l')) {
		bencode_open(b, 'l');
		while (bencode_item(b))
			skip(b, depth + 1);
	} else if (bencode_peek(b, 'd')) {
		bencode_open(b, 'd');
		while (bencode_key(b, &keys))
			skip(b, depth + 1);
	} else {
		bencode_string(b);
	}
}

void bencode_skip(struct bencode *b)
{
	skip(b, 0);
}

bool bencode_is(struct bencode_text t, const char *s)
{
	return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

void bencode_put_string(struct buf *out, const void *p, size_t n)
{
	buf_printf(out, "%zu:", n);
	buf_append(out, p, n);
}

void bencode_put_text(struct buf *out, const char *s)
{
	bencode_put_string(out, s, strlen(s));
}

void bencode_put_uint(struct buf *out, uint64_t v)
{
	buf_printf(out, "i%llue", (unsigned long long)v);
}
