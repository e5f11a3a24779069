/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Canonical bencode (BEP 3), read strictly: no leading zeros, no minus zero,
 * keys ascending.  The first fault sticks in `error`; readers look at it once.
 * Private to the digest.
 */
#ifndef RIBERA_DASH_DIGEST_BENCODE_H
#define RIBERA_DASH_DIGEST_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct bencode {
	const uint8_t *p;
	size_t n, pos;
	int error;        /* 0, ERR_SYNTAX, ERR_TRUNCATED or ERR_LIMIT */
	const char *what; /* for the fault, when error is set */
};

struct bencode_text {
	const uint8_t *p;
	size_t n;
};

/* The key read last in one dictionary; zeroed before its first. */
struct bencode_keys {
	struct bencode_text key;
	bool any;
};

void bencode_fail(struct bencode *, int error, const char *what);
uint64_t bencode_uint(struct bencode *);
struct bencode_text bencode_string(struct bencode *);
bool bencode_peek(const struct bencode *, uint8_t c);
void bencode_open(struct bencode *, uint8_t c); /* 'd' or 'l' */
/* Reads the next key; false behind the 'e' that ends the dictionary, or on error. */
bool bencode_key(struct bencode *, struct bencode_keys *);
/* true while the list goes on; false behind its 'e', or on error. */
bool bencode_item(struct bencode *);
void bencode_skip(struct bencode *); /* any value, nested at most 32 deep */
bool bencode_is(struct bencode_text, const char *s);

void bencode_put_string(struct buf *out, const void *p, size_t n);
void bencode_put_text(struct buf *out, const char *s);
void bencode_put_uint(struct buf *out, uint64_t v);

#endif
