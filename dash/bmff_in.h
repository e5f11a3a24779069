/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A cursor over the bytes of one box.  A read past the end gives zeros and sets
 * `bad`, which sticks: readers read freely and look once, at the end.  Private
 * to the bmff sources.
 */
#ifndef RIBERA_DASH_BMFF_IN_H
#define RIBERA_DASH_BMFF_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dash/bmff.h"

struct bmff_in {
	const uint8_t *p;
	size_t n, pos;
	bool bad;
};

static inline struct bmff_in bmff_in_box(const uint8_t *bytes, const struct bmff_box *box)
{
	return (struct bmff_in){.p = bytes + box->payload, .n = box->end - box->payload};
}

static inline size_t bmff_in_left(const struct bmff_in *in)
{
	return in->n - in->pos;
}

static inline bool bmff_in_need(struct bmff_in *in, uint64_t n)
{
	if (in->bad || n > in->n - in->pos)
		in->bad = true;
	return !in->bad;
}

static inline void bmff_in_skip(struct bmff_in *in, uint64_t n)
{
	if (bmff_in_need(in, n))
		in->pos += (size_t)n;
}

static inline uint64_t bmff_in_be(struct bmff_in *in, unsigned n)
{
	uint64_t v = 0;

	if (!bmff_in_need(in, n))
		return 0;
	for (unsigned i = 0; i < n; i++)
		v = v << 8 | in->p[in->pos++];
	return v;
}

static inline uint8_t bmff_in_u8(struct bmff_in *in)
{
	return (uint8_t)bmff_in_be(in, 1);
}

static inline uint16_t bmff_in_u16(struct bmff_in *in)
{
	return (uint16_t)bmff_in_be(in, 2);
}

static inline uint32_t bmff_in_u32(struct bmff_in *in)
{
	return (uint32_t)bmff_in_be(in, 4);
}

static inline uint64_t bmff_in_u64(struct bmff_in *in)
{
	return bmff_in_be(in, 8);
}

/* Version and flags of a FullBox. */
static inline uint8_t bmff_in_full(struct bmff_in *in, uint32_t *ret_flags)
{
	uint32_t v = bmff_in_u32(in);

	*ret_flags = v & 0xffffff;
	return (uint8_t)(v >> 24);
}

/* The child box at the cursor.  false at the end; sets `bad` when the child is
 * impossible.  Up to 7 trailing bytes that cannot be a box are let pass, as
 * QuickTime ends some containers with a 32-bit zero. */
static inline bool bmff_in_child(struct bmff_in *in, struct bmff_box *ret_box)
{
	if (in->bad || bmff_in_left(in) < 8)
		return false;
	if (bmff_next(in->p, in->n, &in->pos, ret_box) < 0) {
		in->bad = true;
		return false;
	}
	return true;
}

#endif
