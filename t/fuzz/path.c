/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Request targets: an accepted path has no empty or dot segment and no control byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "serve/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const char *path, size_t n)
{
	MUST(n > 0 && path[0] == '/' && path[n] == '\0' && strlen(path) == n);
	MUST(strstr(path, "//") == NULL && strstr(path, "/../") == NULL && strstr(path, "/./") == NULL && strchr(path, '\\') == NULL);
	MUST(n < 3 || strcmp(path + n - 3, "/..") != 0);
	for (size_t i = 0; i < n; i++)
		MUST((unsigned char)path[i] >= 0x20 && path[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct path_target t;
	char *out = malloc(n + 1);
	const char *value;
	size_t out_n, value_n;

	if (path_split((const char *)data, n, &t) == 0) {
		if (path_decode(t.path, t.path_n, out, &out_n) == 0)
			check(out, out_n);
		value = path_param(t.query, t.query_n, "CMCD", &value_n);
		if (value != NULL && path_decode_param(value, value_n, out, &out_n) == 0)
			MUST(strlen(out) == out_n && out_n <= value_n);
	}
	free(out);
	return 0;
}
