/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Writes moof (14496-12 8.8) as CMAF's brand cmf2 wants it (23000-19 7.7): what
 * all samples share stands in tfhd, so that a fragment can be read without trex;
 * the rest in one trun of version 1.
 *
 *   moof: mfhd | traf: tfhd tfdt [sbgp] trun      mdat header
 */
#include "dash/bmff_fragment.h"

#include "base/buf.h"

#define T(a, b, c, d) BMFF_TYPE(a, b, c, d)

struct layout {
	bool durations, sizes, flags, first_flags, compositions; /* one by one in trun */
	uint32_t rest_flags; /* of all samples, or of all but the first */
	uint64_t tfhd, tfdt, sbgp, trun, moof, data;
};

static uint64_t run_row(const struct layout *l)
{
	return 4 * ((uint64_t)l->durations + l->sizes + l->flags + l->compositions);
}

static int lay_out(const struct bmff_fragment_head *h, struct layout *l)
{
	const struct bmff_sample *s = h->samples;
	size_t n = h->n_samples;

	if (n == 0 || n > BMFF_MAX_SAMPLES)
		return ERR_LIMIT;
	l->rest_flags = s[n - 1].flags;
	for (size_t i = 0; i < n; i++) {
		if (s[i].composition < INT32_MIN || s[i].composition > INT32_MAX)
			return ERR_OUT_OF_RANGE;
		l->durations |= s[i].duration != s[0].duration;
		l->sizes |= s[i].size != s[0].size;
		l->compositions |= s[i].composition != 0;
		l->flags |= i > 0 && s[i].flags != l->rest_flags;
		l->data += s[i].size;
	}
	l->first_flags = !l->flags && s[0].flags != l->rest_flags;
	l->tfhd = 8 + 4 + 4 + (l->durations ? 0 : 4) + (l->sizes ? 0 : 4) + 4;
	l->tfdt = 8 + 4 + 8;
	l->sbgp = h->rolls ? 8 + 4 + 4 + 4 + 8 : 0;
	l->trun = 8 + 4 + 4 + 4 + (l->first_flags ? 4 : 0) + run_row(l) * n;
	l->moof = 8 + 16 + 8 + l->tfhd + l->tfdt + l->sbgp + l->trun;
	return 0;
}

static void put_box(struct buf *out, uint64_t size, uint32_t type)
{
	buf_be(out, size, 4);
	buf_be(out, type, 4);
}

static void put_tfhd(const struct bmff_fragment_head *h, const struct layout *l, struct buf *out)
{
	/* default-base-is-moof, default flags always, duration and size when shared */
	uint32_t flags = 0x020020u | (l->durations ? 0 : 0x8) | (l->sizes ? 0 : 0x10);

	put_box(out, l->tfhd, T('t', 'f', 'h', 'd'));
	buf_be(out, flags, 4);
	buf_be(out, h->track_id, 4);
	if (!l->durations)
		buf_be(out, h->samples[0].duration, 4);
	if (!l->sizes)
		buf_be(out, h->samples[0].size, 4);
	buf_be(out, l->rest_flags, 4);
}

/* 8.9.2: all samples in the first group described in the header's stbl */
static void put_sbgp(const struct bmff_fragment_head *h, const struct layout *l, struct buf *out)
{
	if (!h->rolls)
		return;
	put_box(out, l->sbgp, T('s', 'b', 'g', 'p'));
	buf_be(out, 0, 4);
	buf_be(out, T('r', 'o', 'l', 'l'), 4);
	buf_be(out, 1, 4);
	buf_be(out, h->n_samples, 4);
	buf_be(out, 1, 4);
}

static void put_trun(const struct bmff_fragment_head *h, const struct layout *l, uint64_t data_offset, struct buf *out)
{
	uint32_t flags = 0x1 | (l->first_flags ? 0x4 : 0) | (l->durations ? 0x100 : 0) | (l->sizes ? 0x200 : 0) |
	                 (l->flags ? 0x400 : 0) | (l->compositions ? 0x800 : 0);

	put_box(out, l->trun, T('t', 'r', 'u', 'n'));
	buf_be(out, 0x01000000 | flags, 4);
	buf_be(out, h->n_samples, 4);
	buf_be(out, data_offset, 4);
	if (l->first_flags)
		buf_be(out, h->samples[0].flags, 4);
	for (size_t i = 0; i < h->n_samples; i++) {
		const struct bmff_sample *s = &h->samples[i];

		if (l->durations)
			buf_be(out, s->duration, 4);
		if (l->sizes)
			buf_be(out, s->size, 4);
		if (l->flags)
			buf_be(out, s->flags, 4);
		if (l->compositions)
			buf_be(out, (uint32_t)(int32_t)s->composition, 4);
	}
}

int bmff_fragment_write(const struct bmff_fragment_head *h, struct buf *out)
{
	struct layout l = {0};
	int r = lay_out(h, &l);
	bool large;

	if (r < 0)
		return r;
	large = l.data > UINT32_MAX - 8;
	put_box(out, l.moof, T('m', 'o', 'o', 'f'));
	put_box(out, 16, T('m', 'f', 'h', 'd'));
	buf_be(out, 0, 4);
	buf_be(out, h->sequence, 4);
	put_box(out, l.moof - 24, T('t', 'r', 'a', 'f'));
	put_tfhd(h, &l, out);
	put_box(out, l.tfdt, T('t', 'f', 'd', 't'));
	buf_be(out, 0x01000000, 4);
	buf_be(out, h->tfdt, 8);
	put_sbgp(h, &l, out);
	put_trun(h, &l, l.moof + (large ? 16 : 8), out);
	put_box(out, large ? 1 : 8 + l.data, T('m', 'd', 'a', 't'));
	if (large)
		buf_be(out, 16 + l.data, 8);
	return buf_error(out);
}
