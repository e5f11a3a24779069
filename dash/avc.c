/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Field by field up to the last one that anybody here needs.
 */
#include "dash/avc.h"

#include <string.h>

#include "base/bits.h"
#include "base/err.h"

size_t avc_unescape(const uint8_t *nal, size_t n, uint8_t *out, size_t max)
{
	size_t zeros = 0, size = 0;

	for (size_t i = 0; i < n && size < max; i++) {
		if (zeros >= 2 && nal[i] == 3) {
			zeros = 0;
			continue;
		}
		zeros = nal[i] == 0 ? zeros + 1 : 0;
		out[size++] = nal[i];
	}
	return size;
}

static void skip_scaling_lists(struct bits *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int32_t last = 8, next = 8;

		if (bits_get(b, 1) == 0)
			continue;
		for (unsigned k = 0; k < (i < 6 ? 16u : 64u) && !b->bad; k++) {
			if (next != 0)
				next = (last + bits_se(b) + 256) & 255;
			last = next == 0 ? last : next;
		}
	}
}

static bool is_high(uint32_t profile)
{
	static const uint8_t high[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};

	return memchr(high, (int)profile, sizeof high) != NULL;
}

/* 7.3.2.1.1, the part behind the profile that only some profiles have; the chroma format */
static uint32_t read_high(struct bits *b, struct avc_sps *s)
{
	uint32_t chroma = bits_ue(b);

	s->chroma = chroma;
	if (chroma == 3)
		s->separate_planes = bits_get(b, 1);
	bits_ue(b);
	bits_ue(b);
	bits_get(b, 1);
	if (bits_get(b, 1))
		skip_scaling_lists(b, chroma != 3 ? 8 : 12);
	return chroma;
}

static void read_poc(struct bits *b, struct avc_sps *s)
{
	s->poc_type = bits_ue(b);
	if (s->poc_type == 0) {
		s->poc_bits = bits_ue(b) + 4;
	} else if (s->poc_type == 1) {
		bits_get(b, 1);
		bits_se(b);
		bits_se(b);
		for (uint32_t n = bits_ue(b); n > 0 && !b->bad; n--)
			bits_se(b);
	}
}

static void read_size(struct bits *b, struct avc_sps *s, uint32_t chroma)
{
	uint32_t width = bits_ue(b) + 1, height = bits_ue(b) + 1, crop[4] = {0};
	uint32_t step_x = chroma == 1 || chroma == 2 ? 2 : 1, step_y = chroma == 1 ? 2 : 1;

	s->frames_only = bits_get(b, 1);
	if (!s->frames_only) {
		bits_get(b, 1);
		step_y *= 2;
		height *= 2;
	}
	bits_get(b, 1);
	if (bits_get(b, 1))
		for (size_t i = 0; i < 4; i++)
			crop[i] = bits_ue(b);
	s->width = width * 16 - step_x * (crop[0] + crop[1]);
	s->height = height * 16 - step_y * (crop[2] + crop[3]);
}

/* 7.3.2.1.1 */
static int read_sps(struct avc_sets *a, const uint8_t *nal, size_t n)
{
	uint8_t plain[1024];
	struct bits b = {.bytes = plain, .n = avc_unescape(nal, n, plain, sizeof plain)};
	uint32_t profile, id, chroma;
	struct avc_sps s = {.present = true, .chroma = 1};

	if (bits_get(&b, 8) % 32 != 7)
		return ERR_CORRUPT;
	profile = bits_get(&b, 8);
	bits_get(&b, 16);
	id = bits_ue(&b);
	chroma = is_high(profile) ? read_high(&b, &s) : 1;
	s.frame_num_bits = bits_ue(&b) + 4;
	read_poc(&b, &s);
	s.ref_frames = bits_ue(&b);
	s.gaps_allowed = bits_get(&b, 1);
	read_size(&b, &s, chroma);
	if (b.bad || id >= AVC_SPS_MAX || s.frame_num_bits > 16 || s.poc_bits > 16)
		return ERR_CORRUPT;
	a->sps[id] = s;
	return 0;
}

/* 7.3.2.2, the part behind the numbers */
static void read_defaults(struct bits *b, struct avc_pps *p)
{
	p->cabac = bits_get(b, 1);
	p->bottom_order = bits_get(b, 1);
	if (bits_ue(b) != 0)
		return;
	p->active[0] = bits_ue(b) + 1;
	p->active[1] = bits_ue(b) + 1;
	p->weighted = bits_get(b, 1);
	p->bipred = bits_get(b, 2);
	bits_se(b);
	bits_se(b);
	bits_se(b);
	bits_get(b, 2);
	p->redundant = bits_get(b, 1);
	p->whole = !b->bad;
}

static int read_pps(struct avc_sets *a, const uint8_t *nal, size_t n)
{
	uint8_t plain[64]; /* more than what is read */
	struct bits b = {.bytes = plain, .n = avc_unescape(nal, n, plain, sizeof plain)};
	uint32_t type = bits_get(&b, 8) % 32, id = bits_ue(&b), sps = bits_ue(&b);
	struct avc_pps p = {.present = true, .sps = sps};

	if (b.bad || type != 8 || id >= AVC_PPS_MAX || sps >= AVC_SPS_MAX || !a->sps[sps].present)
		return ERR_CORRUPT;
	read_defaults(&b, &p);
	a->pps[id] = p;
	return 0;
}

/* ISO/IEC 14496-15 5.3.3.1: `count` sets of 16-bit length at *at */
static int read_sets(struct avc_sets *a, const uint8_t *c, size_t n, size_t *at, unsigned count, int (*read)(struct avc_sets *, const uint8_t *, size_t))
{
	for (; count > 0; count--) {
		size_t size = *at + 2 <= n ? (size_t)c[*at] << 8 | c[*at + 1] : n;

		*at += 2;
		if (*at > n || size > n - *at || read(a, c + *at, size) != 0)
			return ERR_CORRUPT;
		*at += size;
	}
	return 0;
}

int avc_read(const uint8_t *c, size_t n, struct avc_sets *a)
{
	size_t at = 6;

	*a = (struct avc_sets){0};
	if (n < 7 || c[0] != 1 || (c[5] & 31) == 0 || read_sets(a, c, n, &at, c[5] & 31, read_sps) != 0)
		return ERR_CORRUPT;
	a->length_size = (c[4] & 3) + 1u;
	if (at >= n || c[at] == 0)
		return ERR_CORRUPT;
	at++;
	return read_sets(a, c, n, &at, c[at - 1], read_pps);
}
