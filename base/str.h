/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Numbers, sizes and durations in text, and back.  Nothing here depends on the
 * locale; every parser takes a length, reads the whole of it or fails.
 */
#ifndef RIBERA_BASE_STR_H
#define RIBERA_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* Decimal digits only.  ERR_SYNTAX, ERR_OUT_OF_RANGE. */
int str_parse_u64(const char *s, size_t n, uint64_t *ret_v);
/* As above with an optional leading '-'. */
int str_parse_i64(const char *s, size_t n, int64_t *ret_v);
/* "123", "1.5 MiB", "4GB", "64k": bytes; k M G T are 1000s, Ki Mi Gi Ti 1024s, an ending B is allowed. */
int str_parse_bytes(const char *s, size_t n, uint64_t *ret_bytes);
/* "1.5s", "250ms", "10 min", "6h", "2d", "90" (seconds): non-negative. */
int str_parse_duration(const char *s, size_t n, dur_us *ret_d);
/* A finite decimal number as C prints it ("1.5", "-2", "1e3"). */
int str_parse_double(const char *s, size_t n, double *ret_v);

#define STR_BYTES_SIZE 24
/* "1.5 MiB"; for people. */
void str_format_bytes(uint64_t bytes, char ret_text[static STR_BYTES_SIZE]);
/* "1:02:03" or "2:03"; for people. */
void str_format_duration(dur_us d, char ret_text[static STR_BYTES_SIZE]);

/* Control characters (of Unicode, C0 and C1) become question marks: what others wrote may stand in a line for people and moves no
 * terminal.  In place; the length stays. */
void str_plain(char *s);
/* Of UTF-8 that was cut at its end, what is left of the last character goes. */
void str_drop_half(char *s);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* A name that may stand as one path segment in our URLs and libraries:
 * 1 to 128 of [a-z A-Z 0-9 . _ -], not starting with '.' or '-'. */
bool str_is_name(const char *s, size_t n);

/* A name made of any text: lower case, runs of anything else than [a-z0-9] as
 * one '-', at most 64 bytes, "title" when nothing is left.  Caller frees. */
char *str_slug(const char *s);

#endif
