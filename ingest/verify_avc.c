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

#include "base/bits.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/words.h"
#include "dash/avc.h"
#include "ingest/verify_pictures.h"

#define HEADER_BYTES 64 /* more than what is read of a slice header */

struct avc {
	struct avc_sets sets;
};

struct slice {
	bool idr, first_of_picture, reference;
	uint32_t frame_num, poc_lsb;
	const struct avc_sps *sps;
};

struct order { /* of presentation */
	uint32_t idr;    /* how many IDR pictures came before */
	int64_t poc, time;
};

int avc_new(const struct bmff_track *t, struct avc **ret, char why[static PICTURES_WHY])
{
	struct avc *a = mem_new(sizeof *a);
	const char *what = NULL;

	if (avc_read(t->config, t->n_config, &a->sets) != 0)
		what = _("no readable parameter sets in avcC");
	for (size_t i = 0; what == NULL && i < AVC_SPS_MAX; i++)
		if (a->sets.sps[i].present && (a->sets.sps[i].width != t->width || a->sets.sps[i].height != t->height))
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
	struct bits b = {.bytes = plain, .n = avc_unescape(nal, n < 2 * HEADER_BYTES ? n : 2 * HEADER_BYTES, plain, sizeof plain)};
	uint32_t head = bits_get(&b, 8), pps;

	*s = (struct slice){.idr = head % 32 == 5, .reference = (head >> 5 & 3) != 0};
	s->first_of_picture = bits_ue(&b) == 0;
	bits_ue(&b);
	pps = bits_ue(&b);
	if (b.bad || pps >= AVC_PPS_MAX || !a->sets.pps[pps].present)
		return ERR_CORRUPT;
	s->sps = &a->sets.sps[a->sets.pps[pps].sps];
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

		if (n - at < a->sets.length_size)
			return _("its NAL lengths do not fill it");
		for (unsigned i = 0; i < a->sets.length_size; i++)
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
