/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading the head of a NAL or OBU bit by bit.  Past the end come zeros, and
 * `bad` is set.
 */
#ifndef RIBERA_BASE_BITS_H
#define RIBERA_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bits {
	const uint8_t *bytes;
	size_t n;   /* bytes */
	size_t at;  /* bits */
	bool bad;
};

static inline uint32_t bits_get(struct bits *b, unsigned n)
{
	uint32_t v = 0;

	for (; n > 0; n--, b->at++) {
		if (b->at / 8 >= b->n) {
			b->bad = true;
			return 0;
		}
		v = v << 1 | (b->bytes[b->at / 8] >> (7 - b->at % 8) & 1);
	}
	return v;
}

/* ITU-T H.264 9.1: Exp-Golomb */
static inline uint32_t bits_ue(struct bits *b)
{
	unsigned zeros = 0;

	while (!b->bad && bits_get(b, 1) == 0)
		zeros++;
	if (b->bad || zeros > 31) {
		b->bad = true;
		return 0;
	}
	return (uint32_t)(((uint64_t)1 << zeros) - 1 + bits_get(b, zeros));
}

static inline int32_t bits_se(struct bits *b)
{
	uint32_t k = bits_ue(b);

	return k & 1 ? (int32_t)(k / 2 + 1) : -(int32_t)(k / 2);
}

#endif
