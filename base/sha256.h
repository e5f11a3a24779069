/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SHA-256 (FIPS 180-4) through OpenSSL, which uses the processor's own
 * instructions where there are any.
 */
#ifndef RIBERA_BASE_SHA256_H
#define RIBERA_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint8_t bytes[32];
};

#define SHA256_HEX_SIZE 65 /* 64 digits and a NUL */

struct sha256_state; /* hidden: a running hash */

struct sha256_state *sha256_new(void);
void sha256_free(struct sha256_state **);
void sha256_update(struct sha256_state *, const void *bytes, size_t n);
void sha256_final(struct sha256_state *, struct sha256 *ret_hash); /* ready for a new message afterwards */

void sha256_of(const void *bytes, size_t n, struct sha256 *ret_hash);
void sha256_of_pair(const struct sha256 *left, const struct sha256 *right, struct sha256 *ret_hash);
bool sha256_equal(const struct sha256 *, const struct sha256 *); /* constant time */

void sha256_to_hex(const struct sha256 *, char ret_hex[static SHA256_HEX_SIZE]);
int sha256_from_hex(const char *hex, size_t n, struct sha256 *ret_hash); /* ERR_SYNTAX unless 64 hex digits */

#endif
