/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tokens and key files: any bytes; nothing but what was signed is good.
 */
#include <stdint.h>
#include <string.h>

#include "base/must.h"
#include "serve/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char text[] = "k1 00112233445566778899aabbccddeeff";
	static struct sign_keys *keys;
	struct sign_keys *read = NULL;
	const uint8_t *slash = n > 0 ? memchr(data, '/', n) : NULL;
	size_t at = slash != NULL ? (size_t)(slash - data) : n;

	if (keys == NULL)
		MUST(sign_keys_read(text, sizeof text - 1, "keys", &keys, NULL) == 0);
	MUST(sign_check(keys, (const char *)data, at, (const char *)data + at, n - at, "192.0.2.1", 0) != SIGN_GOOD);
	if (sign_keys_read((const char *)data, n, "fuzz", &read, NULL) == 0)
		sign_keys_free(&read);
	return 0;
}
