/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Conditional fields and dates: any bytes; what must follow from RFC 9110 13 holds.
 */
#include <stdint.h>
#include <string.h>

#include "base/must.h"
#include "serve/condition.h"

#define ETAG "\"0123\""
#define MODIFIED (1700000000 * DUR_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct condition_field f = {(const char *)data, n};
	struct condition_fields only[4] = {{.if_match = f}, {.if_unmodified_since = f}, {.if_none_match = f}, {.if_modified_since = f}};
	char text[CLOCK_RFC3339_SIZE];
	wall_us t, again;

	if (n == 0)
		return 0;
	for (int i = 0; i < 4; i++) {
		enum condition c = condition_judge(&only[i], ETAG, MODIFIED);

		MUST(c == CONDITION_PASSED || c == (i < 2 ? CONDITION_FAILED : CONDITION_NOT_MODIFIED));
	}
	if (condition_if_range(&f, ETAG, MODIFIED, MODIFIED + DUR_HOUR) && data[0] == '"')
		MUST(n == strlen(ETAG) && memcmp(data, ETAG, n) == 0);
	if (clock_from_http(f.text, n, &t) == 0) {
		clock_to_http(t, text);
		MUST(text[0] == '-' || (clock_from_http(text, strlen(text), &again) == 0 && again == t));
	}
	return 0;
}
