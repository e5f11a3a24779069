/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * By the letter of the grammar: where a reader in front of us sees a line or the body end elsewhere, one request becomes
 * two.  Extensions and trailers are read past.
 */
#include "serve/chunks.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	LINE, /* of trailers, or the empty one behind them */
	NAME,
	VALUE,
	VALUE_LF,
	END_LF,
	END,
	WRONG,
};

#define MAX_DIGITS 15 /* what fits in 60 bits */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* RFC 9110 5.6.2. */
static bool is_name(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* RFC 9110 5.5: visible, or a blank. */
static bool is_text(char c)
{
	return ((uint8_t)c >= 0x20 && c != 0x7f) || c == '\t';
}

static int in_size(struct chunks *k, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0 && k->n_digits < MAX_DIGITS) {
		k->left = k->left << 4 | (size_t)digit;
		k->n_digits++;
		return SIZE;
	}
	if (k->n_digits == 0 || digit >= 0)
		return WRONG;
	return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION : WRONG;
}

/* The size is read. */
static int begin_data(struct chunks *k)
{
	k->n_digits = 0;
	return k->left > 0 ? DATA : LINE;
}

static int step(struct chunks *k, char c)
{
	switch (k->state) {
	case SIZE:
		return in_size(k, c);
	case EXTENSION:
		return c == '\r' ? SIZE_LF : is_text(c) ? EXTENSION : WRONG;
	case SIZE_LF:
		return c == '\n' ? begin_data(k) : WRONG;
	case DATA_CR:
		return c == '\r' ? DATA_LF : WRONG;
	case DATA_LF:
		return c == '\n' ? SIZE : WRONG;
	case LINE:
		return c == '\r' ? END_LF : is_name(c) ? NAME : WRONG;
	case NAME:
		return c == ':' ? VALUE : is_name(c) ? NAME : WRONG;
	case VALUE:
		return c == '\r' ? VALUE_LF : is_text(c) ? VALUE : WRONG;
	case VALUE_LF:
		return c == '\n' ? LINE : WRONG;
	case END_LF:
		return c == '\n' ? END : WRONG;
	default:
		return WRONG;
	}
}

/* Moves what is here of the chunk to `to`; how much. */
static size_t take_data(struct chunks *k, char *to, const char *from, size_t n)
{
	if (n > k->left)
		n = k->left;
	memmove(to, from, n);
	k->left -= n;
	if (k->left == 0)
		k->state = DATA_CR;
	return n;
}

ssize_t chunks_decode(struct chunks *k, char *bytes, size_t *n)
{
	size_t at = 0, made = 0, size = *n;

	while (at < size && k->state != END && k->state != WRONG) {
		if (k->state == DATA) {
			size_t taken = take_data(k, bytes + made, bytes + at, size - at);

			at += taken;
			made += taken;
		} else {
			k->state = (char)step(k, bytes[at++]);
		}
	}
	*n = made;
	if (k->state == WRONG)
		return -1;
	if (k->state != END)
		return -2;
	memmove(bytes + made, bytes + at, size - at);
	return (ssize_t)(size - at);
}
