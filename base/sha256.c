/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SHA-256 over OpenSSL's EVP.  The algorithm is fetched once per process.
 */
#include "base/sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/must.h"

struct sha256_state {
	EVP_MD_CTX *ctx;
};

static EVP_MD *algorithm;
static pthread_once_t algorithm_once = PTHREAD_ONCE_INIT;

static void fetch_algorithm(void)
{
	algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	MUST(algorithm != NULL);
}

struct sha256_state *sha256_new(void)
{
	struct sha256_state *s = mem_new(sizeof *s);

	pthread_once(&algorithm_once, fetch_algorithm);
	s->ctx = EVP_MD_CTX_new();
	MUST(s->ctx != NULL);
	MUST(EVP_DigestInit_ex(s->ctx, algorithm, NULL) == 1);
	return s;
}

void sha256_free(struct sha256_state **ps)
{
	if (*ps == NULL)
		return;
	EVP_MD_CTX_free((*ps)->ctx);
	free(*ps);
	*ps = NULL;
}

void sha256_update(struct sha256_state *s, const void *bytes, size_t n)
{
	MUST(EVP_DigestUpdate(s->ctx, bytes, n) == 1);
}

void sha256_final(struct sha256_state *s, struct sha256 *ret_hash)
{
	unsigned n = 0;

	MUST(EVP_DigestFinal_ex(s->ctx, ret_hash->bytes, &n) == 1 && n == sizeof ret_hash->bytes);
	MUST(EVP_DigestInit_ex(s->ctx, algorithm, NULL) == 1);
}

void sha256_of(const void *bytes, size_t n, struct sha256 *ret_hash)
{
	MUST(SHA256(bytes, n, ret_hash->bytes) != NULL);
}

void sha256_of_pair(const struct sha256 *left, const struct sha256 *right, struct sha256 *ret_hash)
{
	uint8_t both[64];

	memcpy(both, left->bytes, 32);
	memcpy(both + 32, right->bytes, 32);
	sha256_of(both, sizeof both, ret_hash);
}

bool sha256_equal(const struct sha256 *a, const struct sha256 *b)
{
	return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void sha256_to_hex(const struct sha256 *h, char ret_hex[static SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 32; i++) {
		ret_hex[2 * i] = digits[h->bytes[i] >> 4];
		ret_hex[2 * i + 1] = digits[h->bytes[i] & 15];
	}
	ret_hex[64] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int sha256_from_hex(const char *hex, size_t n, struct sha256 *ret_hash)
{
	struct sha256 h;

	if (n != 64)
		return ERR_SYNTAX;
	for (size_t i = 0; i < 32; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return ERR_SYNTAX;
		h.bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret_hash = h;
	return 0;
}
