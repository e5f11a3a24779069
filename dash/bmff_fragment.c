/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reads and writes moof.  Invariant of the reader: sample times and offsets
 * never wrap; a fragment whose sums do not fit in 63 bits is an error.
 */
#include "dash/bmff_fragment.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "dash/bmff_in.h"

#define T(a, b, c, d) BMFF_TYPE(a, b, c, d)

enum {
	TFHD_BASE_DATA_OFFSET = 0x1,
	TFHD_DESCRIPTION_INDEX = 0x2,
	TFHD_DURATION = 0x8,
	TFHD_SIZE = 0x10,
	TFHD_FLAGS = 0x20,
	TFHD_BASE_IS_MOOF = 0x20000,
	TRUN_DATA_OFFSET = 0x1,
	TRUN_FIRST_FLAGS = 0x4,
	TRUN_DURATION = 0x100,
	TRUN_SIZE = 0x200,
	TRUN_FLAGS = 0x400,
	TRUN_COMPOSITION = 0x800,
};

#define TIME_MAX ((uint64_t)INT64_MAX / 2)
#define MAX_EMPTY 4096 /* samples of a run that take no byte, neither in the moof nor in the mdat */

struct reading {
	const struct bmff_movie *movie;
	struct bmff_fragment *fragment;
	uint32_t track_id;
	bool is_track;     /* the traf being read is the wanted track's */
	struct bmff_trex defaults; /* of this traf: trex, then tfhd */
	uint64_t base, data; /* file offsets: of this traf, and of the next run without a data offset */
	uint64_t time;     /* decode time of the next sample */
	uint32_t sequence;
	size_t cap;
	int error;
	const char *what;
};

static void fail(struct reading *r, int code, const char *what)
{
	if (r->error == 0) {
		r->error = code;
		r->what = what;
	}
}

/* 8.8.7 */
static void read_tfhd(struct reading *r, struct bmff_in *in)
{
	uint32_t flags, id;
	const struct bmff_track *track;

	bmff_in_full(in, &flags);
	id = bmff_in_u32(in);
	track = id != 0 ? bmff_movie_track(r->movie, id) : NULL;
	r->is_track = !in->bad && id == r->track_id;
	r->defaults = track != NULL ? track->trex : (struct bmff_trex){0};
	if ((flags & TFHD_BASE_DATA_OFFSET) != 0)
		r->base = bmff_in_u64(in);
	else if ((flags & TFHD_BASE_IS_MOOF) != 0 || r->fragment->n_trafs == 1)
		r->base = r->fragment->moof;
	else
		r->base = r->data; /* behind the data of the traf before */
	if ((flags & TFHD_DESCRIPTION_INDEX) != 0)
		r->defaults.description_index = bmff_in_u32(in);
	if ((flags & TFHD_DURATION) != 0)
		r->defaults.duration = bmff_in_u32(in);
	if ((flags & TFHD_SIZE) != 0)
		r->defaults.size = bmff_in_u32(in);
	if ((flags & TFHD_FLAGS) != 0)
		r->defaults.flags = bmff_in_u32(in);
	r->data = r->base;
	if (r->is_track) {
		r->fragment->has_track = true;
		r->fragment->base_is_moof = (flags & TFHD_BASE_IS_MOOF) != 0;
		r->fragment->has_base_data_offset = (flags & TFHD_BASE_DATA_OFFSET) != 0;
	}
}

/* 8.8.12 */
static void read_tfdt(struct reading *r, struct bmff_in *in)
{
	uint32_t flags;
	bool wide = bmff_in_full(in, &flags) == 1;
	uint64_t t = bmff_in_be(in, wide ? 8 : 4);

	if (!r->is_track || r->fragment->has_tfdt)
		return;
	if (t > TIME_MAX) {
		fail(r, ERR_SYNTAX, _("tfdt has an impossible time"));
		return;
	}
	r->fragment->has_tfdt = true;
	r->fragment->tfdt = r->time = t;
}

static void add_sample(struct reading *r, const struct bmff_sample *s)
{
	struct bmff_fragment *f = r->fragment;

	if (s->size > UINT64_MAX - s->offset || r->time > TIME_MAX) {
		fail(r, ERR_SYNTAX, _("trun has samples at impossible places"));
		return;
	}
	r->data = s->offset + s->size;
	if (!r->is_track)
		return;
	MEM_GROW(f->samples, r->cap, f->n_samples); /* at most BMFF_MAX_SAMPLES */
	f->samples[f->n_samples++] = *s;
	r->time += s->duration;
	f->duration += s->duration;
}

struct run {
	uint32_t flags, first_flags, count;
	uint8_t version;
	uint64_t row; /* bytes of one sample */
};

static void read_run(struct reading *r, struct bmff_in *in, const struct run *run)
{
	for (uint32_t i = 0; i < run->count && r->error == 0; i++) {
		struct bmff_sample s = {.offset = r->data, .time = r->time};

		s.duration = (run->flags & TRUN_DURATION) != 0 ? bmff_in_u32(in) : r->defaults.duration;
		s.size = (run->flags & TRUN_SIZE) != 0 ? bmff_in_u32(in) : r->defaults.size;
		s.flags = (run->flags & TRUN_FLAGS) != 0 ? bmff_in_u32(in) : r->defaults.flags;
		if (i == 0 && (run->flags & TRUN_FIRST_FLAGS) != 0)
			s.flags = run->first_flags;
		if ((run->flags & TRUN_COMPOSITION) != 0) {
			uint32_t v = bmff_in_u32(in);

			s.composition = run->version == 0 ? (int64_t)v : (int32_t)v;
		}
		add_sample(r, &s);
	}
}

/* Of another track only their place counts, and where they are all of one size it is not counted one by one. */
static bool pass_run(struct reading *r, const struct run *run)
{
	uint64_t size = (uint64_t)run->count * r->defaults.size;

	if (r->is_track || (run->flags & TRUN_SIZE) != 0)
		return false;
	if (size > UINT64_MAX - r->data)
		fail(r, ERR_SYNTAX, _("trun has samples at impossible places"));
	else
		r->data += size;
	return true;
}

static bool place_run(struct reading *r, int32_t data_offset)
{
	if (data_offset < 0 ? (uint64_t)-(int64_t)data_offset > r->base : (uint32_t)data_offset > UINT64_MAX - r->base)
		return false;
	r->data = r->base + (uint64_t)(int64_t)data_offset;
	return true;
}

/* 8.8.8 */
static void read_trun(struct reading *r, struct bmff_in *in)
{
	struct run run = {0};

	run.version = bmff_in_full(in, &run.flags);
	run.count = bmff_in_u32(in);
	if ((run.flags & TRUN_DATA_OFFSET) != 0 && !place_run(r, (int32_t)bmff_in_u32(in)))
		fail(r, ERR_SYNTAX, _("trun's data offset lies before the file"));
	if ((run.flags & TRUN_FIRST_FLAGS) != 0)
		run.first_flags = bmff_in_u32(in);
	for (uint32_t bit = TRUN_DURATION; bit <= TRUN_COMPOSITION; bit <<= 1)
		run.row += (run.flags & bit) != 0 ? 4 : 0;
	if (!bmff_in_need(in, run.row * run.count))
		return;
	if (run.count > BMFF_MAX_SAMPLES || (r->is_track && r->fragment->n_samples + run.count > BMFF_MAX_SAMPLES)) {
		fail(r, ERR_LIMIT, _("a fragment has more than 1048576 samples"));
		return;
	}
	if (pass_run(r, &run))
		return;
	if (run.row == 0 && r->defaults.size == 0 && run.count > MAX_EMPTY) {
		fail(r, ERR_LIMIT, _("trun has more than 4096 samples for which there is no byte anywhere"));
		return;
	}
	if (r->is_track) {
		r->fragment->n_truns++;
		r->fragment->trun_version = run.version;
	}
	read_run(r, in, &run);
}

static void read_traf(struct reading *r, struct bmff_in *in)
{
	struct bmff_in again = *in;
	struct bmff_box box;
	bool has_tfhd = false;

	r->fragment->n_trafs++;
	r->is_track = false;
	while (bmff_in_child(in, &box)) { /* tfdt may stand behind tfhd only, but be lenient about order */
		struct bmff_in body = bmff_in_box(in->p, &box);

		if (box.type == T('t', 'f', 'h', 'd') && !has_tfhd) {
			read_tfhd(r, &body);
			has_tfhd = true;
		} else if (box.type == T('t', 'f', 'd', 't'))
			read_tfdt(r, &body);
		in->bad |= body.bad;
	}
	if (!has_tfhd && !in->bad)
		fail(r, ERR_SYNTAX, _("traf has no tfhd"));
	while (r->error == 0 && !in->bad && bmff_in_child(&again, &box)) {
		struct bmff_in body = bmff_in_box(again.p, &box);

		if (box.type == T('t', 'r', 'u', 'n'))
			read_trun(r, &body);
		in->bad |= body.bad;
	}
}

static void read_moof(struct reading *r, struct bmff_in *in)
{
	struct bmff_box box;

	while (r->error == 0 && bmff_in_child(in, &box)) {
		struct bmff_in body = bmff_in_box(in->p, &box);

		if (box.type == T('m', 'f', 'h', 'd')) {
			bmff_in_skip(&body, 4);
			r->fragment->sequence = bmff_in_u32(&body);
		} else if (box.type == T('t', 'r', 'a', 'f'))
			read_traf(r, &body);
		in->bad |= body.bad;
	}
	if (in->bad)
		fail(r, ERR_TRUNCATED, _("a box inside moof ends early"));
}

static void summarise(struct bmff_fragment *f, uint64_t mdat_payload)
{
	f->data_in_mdat = f->mdat_end > f->mdat || f->n_samples == 0;
	f->starts_with_sync = f->n_samples > 0 && (f->samples[0].flags & BMFF_FLAG_IS_NON_SYNC) == 0;
	for (size_t i = 0; i < f->n_samples; i++) {
		const struct bmff_sample *s = &f->samples[i];
		int64_t shown = (int64_t)s->time + s->composition, end = shown + s->duration;

		if (i == 0 || shown < f->earliest) {
			f->earliest = shown;
			f->first_is_earliest = i == 0;
		}
		if (i == 0 || end > f->latest)
			f->latest = end;
		if (s->offset < mdat_payload || s->offset + s->size > f->mdat_end)
			f->data_in_mdat = false;
	}
}

/* The mdat behind the moof; its payload may go past the bytes that are there. */
static int find_mdat(const uint8_t *bytes, size_t n, uint64_t offset, size_t *pos, struct bmff_fragment *f)
{
	struct bmff_in in = {.p = bytes, .n = n, .pos = *pos};
	uint64_t size = bmff_in_u32(&in);
	uint32_t type = bmff_in_u32(&in);

	f->mdat = f->mdat_end = f->moof_end;
	if (in.bad || type != T('m', 'd', 'a', 't')) {
		summarise(f, 0);
		return 0;
	}
	if (size == 1)
		size = bmff_in_u64(&in);
	else if (size == 0)
		size = n - *pos;
	if (in.bad)
		return ERR_TRUNCATED;
	if (size < in.pos - *pos || size > UINT64_MAX - f->mdat)
		return ERR_SYNTAX;
	f->mdat_end = f->mdat + size;
	*pos = size > n - *pos ? n : *pos + (size_t)size;
	summarise(f, offset + in.pos);
	return 0;
}

static uint32_t wanted(const struct bmff_movie *m, uint32_t track_id)
{
	return track_id == 0 && m->n_tracks > 0 ? m->tracks[0].id : track_id;
}

static int next_moof(const uint8_t *bytes, size_t n, size_t *pos, struct bmff_box *ret_box)
{
	int e;

	do
		e = bmff_next(bytes, n, pos, ret_box);
	while (e == 0 && ret_box->type != T('m', 'o', 'o', 'f'));
	return e;
}

int bmff_fragment_read(const uint8_t *bytes, size_t n, uint64_t offset, size_t *pos, const struct bmff_movie *movie,
                       uint32_t track_id, struct bmff_fragment **ret_fragment, struct fault *fault)
{
	struct reading r = {.movie = movie, .track_id = wanted(movie, track_id)};
	struct bmff_box box = {0};
	struct bmff_in in;
	size_t at = *pos;
	int e = next_moof(bytes, n, &at, &box);

	if (e < 0)
		return e == ERR_NOT_FOUND ? e : fault_set(fault, e, _("the box at byte %llu is damaged"), (unsigned long long)(offset + at));
	if (offset > TIME_MAX)
		return fault_set(fault, ERR_SYNTAX, _("impossible file offset"));
	r.fragment = mem_new(sizeof *r.fragment);
	r.fragment->moof = r.data = offset + box.start;
	r.fragment->moof_end = offset + box.end;
	in = bmff_in_box(bytes, &box);
	read_moof(&r, &in);
	e = r.error;
	if (e == 0 && (e = find_mdat(bytes, n, offset, &at, r.fragment)) < 0)
		r.what = _("the mdat behind it is damaged");
	if (e < 0) {
		bmff_fragment_free(&r.fragment);
		return fault_set(fault, e, _("moof at byte %llu: %s"), (unsigned long long)(offset + box.start), r.what);
	}
	*pos = at;
	*ret_fragment = r.fragment;
	return 0;
}

void bmff_fragment_free(struct bmff_fragment **pf)
{
	if (*pf == NULL)
		return;
	free((*pf)->samples);
	free(*pf);
	*pf = NULL;
}
