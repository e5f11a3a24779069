/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Fields of tus.
 */
#include "origin/tus.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
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

int tus_check(const struct serve_request *req, const void *bytes, size_t n)
{
	uint8_t want[256], have[32];
	size_t field_n, have_n;
	const char *field = serve_field(req, "upload-checksum", &field_n), *space;
	struct sha256 hash;
	int got;

	if (field == NULL)
		return 0;
	space = memchr(field, ' ', field_n);
	if (space == NULL || field_n > sizeof want)
		return ERR_SYNTAX;
	if (space - field == 4 && memcmp(field, "sha1", 4) == 0) {
		SHA1(bytes, n, have);
		have_n = SHA_DIGEST_LENGTH;
	} else if (space - field == 6 && memcmp(field, "sha256", 6) == 0) {
		sha256_of(bytes, n, &hash);
		memcpy(have, hash.bytes, sizeof hash.bytes);
		have_n = sizeof hash.bytes;
	} else {
		return ERR_UNSUPPORTED;
	}
	got = tus_base64(space + 1, field_n - (size_t)(space + 1 - field), want);
	return got < 0 ? ERR_SYNTAX : (size_t)got == have_n && memcmp(want, have, have_n) == 0 ? 0 : ERR_HASH;
}
