/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Range fields: whatever comes out lies within the resource and does not overlap.
 */
#include <string.h>

#include "base/must.h"
#include "serve/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct range r[RANGE_MAX];
	uint64_t size, sum = 0;
	size_t n_ranges = 0;

	if (n < sizeof size)
		return 0;
	memcpy(&size, data, sizeof size);
	if (range_parse((const char *)data + sizeof size, n - sizeof size, size, r, &n_ranges) != RANGE_SOME)
		return 0;
	MUST(n_ranges > 0 && n_ranges <= RANGE_MAX);
	for (size_t i = 0; i < n_ranges; i++) {
		MUST(r[i].first <= r[i].last && r[i].last < size);
		sum += r[i].last - r[i].first + 1;
		for (size_t k = 0; k < i; k++)
			MUST(r[i].last < r[k].first || r[k].last < r[i].first);
	}
	MUST(sum <= size);
	return 0;
}
