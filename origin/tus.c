/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Fields of tus.
 */
#include "origin/tus.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/sha256.h"
#include "base/str.h"
#include "serve/serve.h"

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int tus_base64(const char *text, size_t n, void *ret_bytes)
{
	uint8_t *out = ret_bytes;
	size_t pads = 0, made = 0;
	uint32_t bits = 0;

	if (n % 4 != 0)
		return ERR_SYNTAX;
	while (pads < 2 && n > pads && text[n - 1 - pads] == '=')
		pads++;
	for (size_t i = 0; i < n; i++) {
		int d = i < n - pads ? digit_of(text[i]) : 0;

		if (d < 0)
			return ERR_SYNTAX;
		bits = bits << 6 | (uint32_t)d;
		if (i % 4 == 3) {
			out[made++] = (uint8_t)(bits >> 16);
			out[made++] = (uint8_t)(bits >> 8);
			out[made++] = (uint8_t)bits;
		}
	}
	return (int)(made - pads);
}

int tus_metadata(const char *field, size_t n, const char *key, char **ret_value)
{
	const char *p = field, *end = field + n;
	size_t key_n = strlen(key);

	*ret_value = NULL;
	while (p < end) {
		const char *stop = memchr(p, ',', (size_t)(end - p)), *space;
		int got = 0;

		if (stop == NULL)
			stop = end;
		while (p < stop && *p == ' ')
			p++;
		space = memchr(p, ' ', (size_t)(stop - p));
		if ((size_t)((space != NULL ? space : stop) - p) == key_n && memcmp(p, key, key_n) == 0) {
			char *value = mem_new_array((size_t)(stop - p) + 1, 1);

			if (space != NULL)
				got = tus_base64(space + 1, (size_t)(stop - space - 1), value);
			if (got < 0 || strlen(value) != (size_t)got) {
				free(value);
				return ERR_SYNTAX;
			}
			*ret_value = value;
			return 0;
		}
		p = stop + 1;
	}
	return 0;
}

bool tus_number(const struct serve_request *req, const char *lower_case_name, uint64_t *ret_number)
{
	size_t n;
	const char *field = serve_field(req, lower_case_name, &n);

	return field != NULL && str_parse_u64(field, n, ret_number) == 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

int tus_repr_digest(const struct serve_request *req, struct sha256 *ret_hash)
{
	static const char key[] = "sha-256=";
	const size_t key_n = sizeof key - 1, text_n = (sizeof ret_hash->bytes + 2) / 3 * 4;
	uint8_t bytes[sizeof ret_hash->bytes + 1];
	size_t n;
	const char *field = serve_field(req, "repr-digest", &n), *end = field != NULL ? field + n : NULL;

	for (const char *p = field, *next, *stop; p != NULL && p < end; p = next + 1) {
		next = memchr(p, ',', (size_t)(end - p));
		next = stop = next != NULL ? next : end;
		while (p < stop && is_space(*p))
			p++;
		while (p < stop && is_space(stop[-1]))
			stop--;
		if ((size_t)(stop - p) < key_n || memcmp(p, key, key_n) != 0)
			continue; /* by another algorithm */
		p += key_n; /* a byte sequence (RFC 9651 3.3.5) */
		if ((size_t)(stop - p) != text_n + 2 || *p != ':' || stop[-1] != ':' || tus_base64(p + 1, text_n, bytes) != (int)sizeof ret_hash->bytes)
			return ERR_SYNTAX;
		memcpy(ret_hash->bytes, bytes, sizeof ret_hash->bytes);
		return 1;
	}
	return 0;
}

int tus_sum_begin(const struct serve_request *req, struct tus_sum *ret)
{
	static const struct {
		const char *name;
		const EVP_MD *(*hash)(void);
	} known[] = {{"sha1", EVP_sha1}, {"sha256", EVP_sha256}};
	size_t n;
	const char *field = serve_field(req, "upload-checksum", &n), *space;
	uint8_t want[256];
	int got;

	*ret = (struct tus_sum){0};
	if (field == NULL)
		return 0;
	space = memchr(field, ' ', n);
	if (space == NULL || n > sizeof want)
		return ERR_SYNTAX;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strlen(known[i].name) != (size_t)(space - field) || memcmp(field, known[i].name, (size_t)(space - field)) != 0)
			continue;
		got = tus_base64(space + 1, n - (size_t)(space + 1 - field), want);
		if (got != EVP_MD_size(known[i].hash()))
			return ERR_SYNTAX;
		memcpy(ret->want, want, (size_t)got);
		ret->want_n = (size_t)got;
		ret->hash = EVP_MD_CTX_new();
		MUST(ret->hash != NULL && EVP_DigestInit_ex(ret->hash, known[i].hash(), NULL) == 1);
		return 0;
	}
	return ERR_UNSUPPORTED;
}

void tus_sum_add(struct tus_sum *s, const void *bytes, size_t n)
{
	if (s->hash != NULL)
		MUST(EVP_DigestUpdate(s->hash, bytes, n) == 1);
}

bool tus_sum_fits(struct tus_sum *s)
{
	uint8_t have[EVP_MAX_MD_SIZE];
	unsigned n;

	if (s->hash == NULL)
		return true;
	MUST(EVP_DigestFinal_ex(s->hash, have, &n) == 1);
	return n == s->want_n && memcmp(have, s->want, n) == 0;
}

void tus_sum_fini(struct tus_sum *s)
{
	EVP_MD_CTX_free(s->hash);
	s->hash = NULL;
}
