/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * H.264 (ITU-T H.264, ISO/IEC 14496-15): a segment begins with an IDR picture, after
 * which nothing before it can be referred to; every sample is one whole picture;
 * frame_num tells whether a reference picture is missing; the picture order count
 * must agree with the times in the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/words.h"
#include "ingest/verify_bits.h"
#include "ingest/verify_pictures.h"

#define HEADER_BYTES 64 /* more than what is read of a slice header */
#define SETS_MAX 32

struct sps {
	bool present, separate_planes, frames_only, gaps_allowed;
	unsigned frame_num_bits, poc_type, poc_bits;
	uint32_t width, height;
};

struct pps {
	bool present;
	uint32_t sps;
};

struct avc {
	unsigned length_size;
	struct sps sps[SETS_MAX];
	struct pps pps[256];
};

struct slice {
	bool idr, first_of_picture, reference;
	uint32_t frame_num, poc_lsb;
	const struct sps *sps;
};

struct order { /* of presentation */
	uint32_t idr;    /* how many IDR pictures came before */
	int64_t poc, time;
};

/* 7.4.1: the bytes of a NAL without the emulation prevention in them; at most `max` */
static size_t unescape(const uint8_t *nal, size_t n, uint8_t *out, size_t max)
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

/* --- parameter sets ----------------------------------------------------------------------- */

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
static uint32_t read_high(struct bits *b, struct sps *s)
{
	uint32_t chroma = bits_ue(b);

	if (chroma == 3)
		s->separate_planes = bits_get(b, 1);
	bits_ue(b);
	bits_ue(b);
	bits_get(b, 1);
	if (bits_get(b, 1))
		skip_scaling_lists(b, chroma != 3 ? 8 : 12);
	return chroma;
}

static void read_poc(struct bits *b, struct sps *s)
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

static void read_size(struct bits *b, struct sps *s, uint32_t chroma)
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
static int read_sps(struct avc *a, const uint8_t *nal, size_t n)
{
	uint8_t plain[1024];
	struct bits b = {.bytes = plain, .n = unescape(nal, n, plain, sizeof plain)};
	uint32_t profile, id, chroma;
	struct sps s = {.present = true};

	if (bits_get(&b, 8) % 32 != 7)
		return ERR_CORRUPT;
	profile = bits_get(&b, 8);
	bits_get(&b, 16);
	id = bits_ue(&b);
	chroma = is_high(profile) ? read_high(&b, &s) : 1;
	s.frame_num_bits = bits_ue(&b) + 4;
	read_poc(&b, &s);
	bits_ue(&b);
	s.gaps_allowed = bits_get(&b, 1);
	read_size(&b, &s, chroma);
	if (b.bad || id >= SETS_MAX || s.frame_num_bits > 16 || s.poc_bits > 16)
		return ERR_CORRUPT;
	a->sps[id] = s;
	return 0;
}

/* 7.3.2.2 */
static int read_pps(struct avc *a, const uint8_t *nal, size_t n)
{
	uint8_t plain[HEADER_BYTES];
	struct bits b = {.bytes = plain, .n = unescape(nal, n, plain, sizeof plain)};
	uint32_t type = bits_get(&b, 8) % 32, id = bits_ue(&b), sps = bits_ue(&b);

	if (b.bad || type != 8 || id >= 256 || sps >= SETS_MAX || !a->sps[sps].present)
		return ERR_CORRUPT;
	a->pps[id] = (struct pps){true, sps};
	return 0;
}

/* ISO/IEC 14496-15 5.3.3.1: `count` sets of 16-bit length at *at */
static int read_sets(struct avc *a, const uint8_t *c, size_t n, size_t *at, unsigned count, int (*read)(struct avc *, const uint8_t *, size_t))
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

static int read_configuration(struct avc *a, const uint8_t *c, size_t n)
{
	size_t at = 6;

	if (n < 7 || c[0] != 1 || (c[5] & 31) == 0 || read_sets(a, c, n, &at, c[5] & 31, read_sps) != 0)
		return ERR_CORRUPT;
	a->length_size = (c[4] & 3) + 1u;
	if (at >= n || c[at] == 0)
		return ERR_CORRUPT;
	at++;
	return read_sets(a, c, n, &at, c[at - 1], read_pps);
}

int avc_new(const struct bmff_track *t, struct avc **ret, char why[static PICTURES_WHY])
{
	struct avc *a = mem_new(sizeof *a);
	const char *what = NULL;

	if (read_configuration(a, t->config, t->n_config) != 0)
		what = _("no readable parameter sets in avcC");
	for (size_t i = 0; what == NULL && i < SETS_MAX; i++)
		if (a->sps[i].present && (a->sps[i].width != t->width || a->sps[i].height != t->height))
			what = _("another picture size than the sample entry");
	if (what == NULL) {
		*ret = a;
		return 0;
	}
	snprintf(why, PICTURES_WHY, "%s", what);
	avc_free(&a);
	return ERR_CORRUPT;
}

void avc_free(struct avc **pa)
{
	free(*pa);
	*pa = NULL;
}

/* --- samples --------------------------------------------------------------------------------- */

/* 7.3.3, as far as the picture order count */
static int read_slice(const struct avc *a, const uint8_t *nal, size_t n, struct slice *s)
{
	uint8_t plain[HEADER_BYTES];
	struct bits b = {.bytes = plain, .n = unescape(nal, n < 2 * HEADER_BYTES ? n : 2 * HEADER_BYTES, plain, sizeof plain)};
	uint32_t head = bits_get(&b, 8), pps;

	*s = (struct slice){.idr = head % 32 == 5, .reference = (head >> 5 & 3) != 0};
	s->first_of_picture = bits_ue(&b) == 0;
	bits_ue(&b);
	pps = bits_ue(&b);
	if (b.bad || pps >= 256 || !a->pps[pps].present)
		return ERR_CORRUPT;
	s->sps = &a->sps[a->pps[pps].sps];
	if (s->sps->separate_planes)
		bits_get(&b, 2);
	s->frame_num = bits_get(&b, s->sps->frame_num_bits);
	if (!s->sps->frames_only && bits_get(&b, 1))
		bits_get(&b, 1);
	if (s->idr)
		bits_ue(&b);
	if (s->sps->poc_type == 0)
		s->poc_lsb = bits_get(&b, s->sps->poc_bits);
	return b.bad ? ERR_CORRUPT : 0;
}

static const char *check_unit(const struct avc *a, const uint8_t *nal, size_t n, struct slice *first, unsigned *pictures)
{
	unsigned type = nal[0] & 31;
	struct slice s;

	if (nal[0] & 0x80)
		return _("a NAL with the forbidden bit");
	if (type == 7 || type == 8)
		return _("parameter sets among the pictures, which avc1 does not allow");
	if (type == 2 || type == 3 || type == 4)
		return _("a data partition, which no player reads");
	if (type != 1 && type != 5)
		return NULL;
	if (read_slice(a, nal, n, &s) != 0)
		return _("a slice whose header cannot be read");
	if (*pictures == 0 && !s.first_of_picture)
		return _("its first slice is missing");
	if (s.first_of_picture && (*pictures)++ == 0)
		*first = s;
	else if (s.idr != first->idr || s.frame_num != first->frame_num)
		return _("slices of several pictures in one sample");
	return NULL;
}

/* One sample: its NALs fill it and are one picture (a frame, or two fields). */
static const char *check_sample(const struct avc *a, const uint8_t *p, size_t n, struct slice *first)
{
	unsigned pictures = 0;
	size_t at = 0;

	while (at < n) {
		const char *bad;
		size_t size = 0;

		if (n - at < a->length_size)
			return _("its NAL lengths do not fill it");
		for (unsigned i = 0; i < a->length_size; i++)
			size = size << 8 | p[at++];
		if (size == 0 || size > n - at)
			return _("its NAL lengths do not fill it");
		bad = check_unit(a, p + at, size, first, &pictures);
		if (bad != NULL)
			return bad;
		at += size;
	}
	if (pictures == 0)
		return _("holds no picture");
	return pictures > (first->sps->frames_only ? 1u : 2u) ? _("holds more than one picture") : NULL;
}

/* --- the order of pictures ---------------------------------------------------------------------- */

struct chain {
	uint32_t n_idr, reference_num; /* frame_num of the last reference picture */
	int64_t msb;                   /* 8.2.1.1 */
	uint32_t lsb;
	uint32_t decoded;
};

/* 8.2.1.1 and 8.2.1.3 */
static int64_t order_count(struct chain *c, const struct slice *s)
{
	int64_t half = (int64_t)1 << (s->sps->poc_bits > 0 ? s->sps->poc_bits - 1 : 0), msb = c->msb;

	if (s->sps->poc_type != 0)
		return c->decoded;
	if ((int64_t)s->poc_lsb < c->lsb && (int64_t)c->lsb - s->poc_lsb >= half)
		msb += 2 * half;
	else if ((int64_t)s->poc_lsb > c->lsb && (int64_t)s->poc_lsb - c->lsb > half)
		msb -= 2 * half;
	if (s->reference) {
		c->msb = msb;
		c->lsb = s->poc_lsb;
	}
	return msb + s->poc_lsb;
}

/* 7.4.3: without gaps, a picture counts one on from the last reference picture. */
static const char *follow(struct chain *c, const struct slice *s, int64_t *ret_poc)
{
	uint32_t mask = ((uint32_t)1 << s->sps->frame_num_bits) - 1;

	if (s->idr) {
		*c = (struct chain){.n_idr = c->n_idr + 1};
		if (s->frame_num != 0)
			return _("an IDR picture whose frame_num is not 0");
	} else if (s->sps->frames_only && !s->sps->gaps_allowed && s->frame_num != ((c->reference_num + 1) & mask)) {
		return _("a picture that it refers to is missing (frame_num)");
	}
	*ret_poc = order_count(c, s);
	c->decoded++;
	if (s->reference)
		c->reference_num = s->frame_num;
	return NULL;
}

static int compare_order(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->idr != y->idr)
		return x->idr < y->idr ? -1 : 1;
	return (x->poc > y->poc) - (x->poc < y->poc);
}

static const char *check_order(struct order *order, size_t n, size_t *ret_at)
{
	qsort(order, n, sizeof *order, compare_order);
	for (size_t i = 1; i < n; i++)
		if (order[i].time <= order[i - 1].time) {
			*ret_at = i;
			return _("its time is not in the order in which the encoder counts its pictures (composition offsets)");
		}
	return NULL;
}

static const char *check_samples(const struct avc *a, const uint8_t *bytes, size_t n, uint64_t offset, const struct bmff_fragment *f,
                                 struct order *order, size_t *ret_at)
{
	struct chain chain = {0};

	for (size_t i = 0; i < f->n_samples; i++) {
		const struct bmff_sample *s = &f->samples[i];
		struct slice slice = {0};
		const char *bad;

		*ret_at = i;
		if (s->offset < offset || s->offset - offset > n || s->size > n - (s->offset - offset))
			return _("its bytes are not in the segment");
		bad = check_sample(a, bytes + (s->offset - offset), s->size, &slice);
		if (bad != NULL)
			return bad;
		if (i == 0 && !slice.idr)
			return _("the segment does not begin with an IDR picture");
		if (slice.idr == ((s->flags & BMFF_FLAG_IS_NON_SYNC) != 0))
			return slice.idr ? _("an IDR picture that is not marked as one") : _("marked as a sync sample and not an IDR picture");
		bad = follow(&chain, &slice, &order[i].poc);
		if (bad != NULL)
			return bad;
		order[i].idr = chain.n_idr;
		order[i].time = (int64_t)s->time + s->composition;
		if (slice.sps->poc_type == 1) /* 8.2.1.2: nobody's encoder here, and not worth its arithmetic */
			order[i].poc = order[i].time;
	}
	return check_order(order, f->n_samples, ret_at);
}

int avc_check(struct avc *a, const uint8_t *bytes, size_t n, uint64_t offset, const struct bmff_fragment *f, size_t *ret_at,
              char why[static PICTURES_WHY])
{
	struct order *order = mem_new_array(f->n_samples, sizeof *order);
	const char *bad = check_samples(a, bytes, n, offset, f, order, ret_at);

	free(order);
	if (bad == NULL)
		return 0;
	snprintf(why, PICTURES_WHY, "%s", bad);
	return ERR_CORRUPT;
}
