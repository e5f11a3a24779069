/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bencode (BEP 3), canonical only: a cursor that reads one item after the other
 * and refuses what another writer would have written differently.
 */
#ifndef RIBERA_DASH_BENCODE_H
#define RIBERA_DASH_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct bencode {
	const uint8_t *bytes;
	size_t n, pos;
};

struct bencode_text {
	const uint8_t *bytes; /* into the input */
	size_t n;
};

/* Each: 0 or ERR_SYNTAX; the position is unspecified after an error. */
int bencode_int(struct bencode *, int64_t *ret_v);
int bencode_text(struct bencode *, struct bencode_text *ret_text);
int bencode_open(struct bencode *, char kind); /* 'd' or 'l' */
bool bencode_close(struct bencode *);          /* takes the 'e' if it stands here */
int bencode_skip(struct bencode *);            /* one item of any kind, at most 32 deep */

/* The next key of a dictionary; must be greater than *last (n 0 and NULL at first),
 * which is moved. */
int bencode_key(struct bencode *, struct bencode_text *last);
bool bencode_is(const struct bencode_text *, const char *word);

void bencode_put_int(struct buf *, int64_t v);
void bencode_put_text(struct buf *, const void *bytes, size_t n);
void bencode_put_word(struct buf *, const char *word);

#endif
