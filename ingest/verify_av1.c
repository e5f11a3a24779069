/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * AV1 (Bitstream & Decoding Process Specification; AV1 in ISOBMFF 2.4, 2.5): a segment
 * begins with a sequence header and a shown key frame, which resets every
 * reference; every sample shows one frame.
 */
#include <stdio.h>

#include "base/bits.h"
#include "base/err.h"
#include "base/words.h"
#include "ingest/verify_pictures.h"

enum { OBU_SEQUENCE = 1, OBU_FRAME_HEADER = 3, OBU_FRAME = 6 }; /* 6.2.2 */

struct unit { /* what a temporal unit holds */
	bool sequence, key; /* key: its first frame is a shown key frame */
	unsigned headers, shown;
};

/* 5.9.2, as far as show_frame */
static void see_frame(struct unit *u, const uint8_t *p, size_t n, bool is_frame)
{
	struct bits b = {.bytes = p, .n = n};
	bool existing = bits_get(&b, 1), key = bits_get(&b, 2) == 0, show = bits_get(&b, 1);

	if (u->headers++ == 0)
		u->key = !existing && key && show;
	if (existing ? !is_frame : show)
		u->shown++;
}

/* 5.3.1, 4.10.5: one OBU at *at; what it holds begins at *ret_start and has *ret_size bytes.  Its type, or -1. */
static int next_obu(const uint8_t *p, size_t n, size_t *at, size_t *ret_start, size_t *ret_size)
{
	uint8_t head = p[(*at)++];
	uint64_t size = 0;

	if (head & 0x80)
		return -1;
	if (head & 4)
		(*at)++;
	if (*at > n)
		return -1;
	if ((head & 2) == 0) {
		size = n - *at;
	} else {
		for (unsigned i = 0;; i++) {
			if (*at >= n || i == 8)
				return -1;
			size |= (uint64_t)(p[*at] & 127) << (7 * i);
			if ((p[(*at)++] & 128) == 0)
				break;
		}
	}
	if (size > n - *at)
		return -1;
	*ret_start = *at;
	*ret_size = (size_t)size;
	*at += (size_t)size;
	return head >> 3 & 15;
}

static const char *check_sample(const uint8_t *p, size_t n, struct unit *u)
{
	size_t at = 0, start = 0, size = 0;

	while (at < n) {
		int type = next_obu(p, n, &at, &start, &size);

		if (type < 0)
			return _("its OBUs do not fill it");
		if (type == OBU_SEQUENCE)
			u->sequence = true;
		else if (type == OBU_FRAME || type == OBU_FRAME_HEADER)
			see_frame(u, p + start, size, type == OBU_FRAME);
	}
	if (u->shown != 1)
		return _("does not show exactly one frame");
	return NULL;
}

static const char *check_samples(const uint8_t *bytes, size_t n, uint64_t offset, const struct bmff_fragment *f, size_t *ret_at)
{
	for (size_t i = 0; i < f->n_samples; i++) {
		const struct bmff_sample *s = &f->samples[i];
		struct unit unit = {0};
		const char *bad;

		*ret_at = i;
		if (s->offset < offset || s->offset - offset > n || s->size > n - (s->offset - offset))
			return _("its bytes are not in the segment");
		bad = check_sample(bytes + (s->offset - offset), s->size, &unit);
		if (bad != NULL)
			return bad;
		if (i == 0 && !(unit.sequence && unit.key))
			return _("the segment does not begin with a sequence header and a shown key frame");
		if (unit.key == ((s->flags & BMFF_FLAG_IS_NON_SYNC) != 0))
			return unit.key ? _("a key frame that is not marked as one") : _("marked as a sync sample and not a key frame");
	}
	return NULL;
}

int av1_check(const uint8_t *bytes, size_t n, uint64_t offset, const struct bmff_fragment *f, size_t *ret_at, char why[static PICTURES_WHY])
{
	const char *bad = check_samples(bytes, n, offset, f, ret_at);

	if (bad == NULL)
		return 0;
	snprintf(why, PICTURES_WHY, "%s", bad);
	return ERR_CORRUPT;
}
