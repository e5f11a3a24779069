/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Slice headers on the way to a place: the size of the decoder's configuration (16 bits) and it, then access units
 * behind their sizes (16 bits).  The third of every four and the last are wanted.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "player/refs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A copy of its own, so that a byte too far is seen; NULL: the end. */
static uint8_t *next(const uint8_t *data, size_t n, size_t *at, size_t *ret_size)
{
	size_t size;
	uint8_t *copy;

	if (n - *at < 2)
		return NULL;
	size = (size_t)data[*at] << 8 | data[*at + 1];
	*at += 2;
	size = size < n - *at ? size : n - *at;
	copy = malloc(size > 0 ? size : 1);
	MUST(copy != NULL);
	if (size > 0)
		memcpy(copy, data + *at, size);
	*at += size;
	*ret_size = size;
	return copy;
}

static bool wanted(size_t i)
{
	return i % 4 == 2;
}

static void check_cuts(const struct refs *r, const uint8_t *data, size_t n, size_t at)
{
	uint8_t *unit;
	size_t size;

	for (size_t i = 0; (unit = next(data, n, &at, &size)) != NULL; i++) {
		size_t left = refs_cut(r, i, unit, size);

		MUST(left <= size && (left == size || (left > 0 && !wanted(i))));
		free(unit);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t at = 0, size, first;
	uint8_t *unit = next(data, n, &at, &size);
	struct refs *r;

	if (unit == NULL)
		return 0;
	r = refs_new(unit, size);
	free(unit);
	if (r == NULL)
		return 0;
	first = at;
	for (size_t i = 0; (unit = next(data, n, &at, &size)) != NULL; i++) {
		refs_add(r, unit, size, wanted(i));
		free(unit);
	}
	refs_solve(r);
	check_cuts(r, data, n, first);
	refs_free(&r);
	return 0;
}
