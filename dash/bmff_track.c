/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reads moov.  Each box type has a row in the table of its container; a reader
 * sees only the payload of its box.  Invariant: nothing is allocated whose size
 * the bytes do not bear out.
 */
#include "dash/bmff_track.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "dash/bmff_entry.h"
#include "dash/bmff_in.h"

#define T(a, b, c, d) BMFF_TYPE(a, b, c, d)

/* What the box readers share. */
struct reading {
	struct bmff_movie *movie;
	struct bmff_track *track; /* the trak being read */
	struct bmff_trex *trex;   /* owned by bmff_movie_read; mvex may stand before trak */
	uint32_t *trex_ids;
	size_t n_trex;
	int error;
	struct fault *fault;
};

typedef void (*read_f)(struct reading *, struct bmff_in *);

struct row {
	uint32_t type;
	read_f read;
};

static void fail(struct reading *r, int code, const char *what)
{
	if (r->error == 0)
		r->error = fault_set(r->fault, code, "%s", what);
}

static void read_children(struct reading *r, struct bmff_in *in, const struct row *rows, size_t n_rows)
{
	struct bmff_box box;
	char name[BMFF_TYPE_SIZE];

	while (r->error == 0 && bmff_in_child(in, &box)) {
		for (size_t i = 0; i < n_rows; i++) {
			struct bmff_in body = bmff_in_box(in->p, &box);

			if (rows[i].type != box.type)
				continue;
			rows[i].read(r, &body);
			bmff_type_text(box.type, name);
			if (body.bad && r->error == 0)
				r->error = fault_set(r->fault, ERR_TRUNCATED, _("the %s box or one inside it ends early"), name);
		}
	}
}
#define READ_CHILDREN(r, in, rows) read_children(r, in, rows, sizeof(rows) / sizeof *(rows))

/* 8.2.2 */
static void read_mvhd(struct reading *r, struct bmff_in *in)
{
	uint32_t flags;
	bool wide = bmff_in_full(in, &flags) == 1;

	bmff_in_skip(in, wide ? 16 : 8);
	r->movie->timescale = bmff_in_u32(in);
	r->movie->duration = bmff_in_be(in, wide ? 8 : 4);
	if (!in->bad && r->movie->timescale == 0)
		fail(r, ERR_SYNTAX, _("mvhd has the timescale 0"));
}

/* 8.3.2 */
static void read_tkhd(struct reading *r, struct bmff_in *in)
{
	uint32_t flags;
	bool wide = bmff_in_full(in, &flags) == 1;

	bmff_in_skip(in, wide ? 16 : 8);
	r->track->id = bmff_in_u32(in);
	bmff_in_skip(in, (wide ? 12 : 8) + 16 + 36);
	r->track->display_width = bmff_in_u32(in) >> 16;
	r->track->display_height = bmff_in_u32(in) >> 16;
}

/* 8.6.6 */
static void read_elst(struct reading *r, struct bmff_in *in)
{
	uint32_t flags;
	bool wide = bmff_in_full(in, &flags) == 1;
	uint32_t n = bmff_in_u32(in);

	if (!bmff_in_need(in, (uint64_t)n * (wide ? 20 : 12)) || r->track->edits != NULL)
		return;
	r->track->edits = mem_try((size_t)n + 1, sizeof *r->track->edits);
	if (r->track->edits == NULL) {
		fail(r, ERR_LIMIT, _("elst has too many entries"));
		return;
	}
	r->track->n_edits = n;
	for (uint32_t i = 0; i < n; i++) {
		struct bmff_edit *e = &r->track->edits[i];

		e->duration = bmff_in_be(in, wide ? 8 : 4);
		e->media_time = wide ? (int64_t)bmff_in_u64(in) : (int32_t)bmff_in_u32(in);
		e->rate = (int16_t)bmff_in_u16(in);
		bmff_in_skip(in, 2);
	}
}

static void read_edts(struct reading *r, struct bmff_in *in)
{
	static const struct row rows[] = {{T('e', 'l', 's', 't'), read_elst}};

	READ_CHILDREN(r, in, rows);
}

/* 8.4.2 */
static void read_mdhd(struct reading *r, struct bmff_in *in)
{
	struct bmff_track *t = r->track;
	uint32_t flags;
	bool wide = bmff_in_full(in, &flags) == 1;
	uint16_t language;

	bmff_in_skip(in, wide ? 16 : 8);
	t->timescale = bmff_in_u32(in);
	t->duration = bmff_in_be(in, wide ? 8 : 4);
	language = bmff_in_u16(in);
	for (unsigned i = 0; i < 3; i++) {
		unsigned c = language >> (10 - 5 * i) & 31;

		if (c < 1 || c > 26) {
			memcpy(t->language, "und", 4);
			break;
		}
		t->language[i] = (char)(c + 0x60);
	}
	if (!in->bad && t->timescale == 0)
		fail(r, ERR_SYNTAX, _("mdhd has the timescale 0"));
}

/* 8.4.3 */
static void read_hdlr(struct reading *r, struct bmff_in *in)
{
	bmff_in_skip(in, 8);
	r->track->handler = bmff_in_u32(in);
}

static void read_stsd(struct reading *r, struct bmff_in *in)
{
	if (r->track->entry == 0)
		bmff_entry_read(in, r->track);
}

/* 8.7.3; stz2 has its count at the same place */
static void read_stsz(struct reading *r, struct bmff_in *in)
{
	bmff_in_skip(in, 8);
	r->track->n_samples = bmff_in_u32(in);
}

/* 8.9.3 and 10.1.1 */
static void read_sgpd(struct reading *r, struct bmff_in *in)
{
	uint32_t flags;
	uint8_t version = bmff_in_full(in, &flags);
	uint32_t grouping = bmff_in_u32(in), length = 0;

	if (grouping != T('r', 'o', 'l', 'l') || r->track->has_roll)
		return;
	if (version >= 1)
		length = bmff_in_u32(in);
	if (version >= 2)
		bmff_in_skip(in, 4);
	if (bmff_in_u32(in) == 0)
		return;
	if (version >= 1 && length == 0)
		bmff_in_skip(in, 4); /* the entry's own length */
	r->track->roll_distance = (int16_t)bmff_in_u16(in);
	r->track->has_roll = !in->bad;
}

static void read_stbl(struct reading *r, struct bmff_in *in)
{
	static const struct row rows[] = {
		{T('s', 't', 's', 'd'), read_stsd},
		{T('s', 't', 's', 'z'), read_stsz},
		{T('s', 't', 'z', '2'), read_stsz},
		{T('s', 'g', 'p', 'd'), read_sgpd},
	};

	READ_CHILDREN(r, in, rows);
}

static void read_minf(struct reading *r, struct bmff_in *in)
{
	static const struct row rows[] = {{T('s', 't', 'b', 'l'), read_stbl}};

	READ_CHILDREN(r, in, rows);
}

static void read_mdia(struct reading *r, struct bmff_in *in)
{
	/* the handler tells how to read the sample entry, wherever hdlr stands */
	static const struct row first[] = {{T('m', 'd', 'h', 'd'), read_mdhd}, {T('h', 'd', 'l', 'r'), read_hdlr}};
	static const struct row second[] = {{T('m', 'i', 'n', 'f'), read_minf}};
	struct bmff_in again = *in;

	READ_CHILDREN(r, in, first);
	READ_CHILDREN(r, &again, second);
}

static void read_trak(struct reading *r, struct bmff_in *in)
{
	static const struct row rows[] = {
		{T('t', 'k', 'h', 'd'), read_tkhd},
		{T('e', 'd', 't', 's'), read_edts},
		{T('m', 'd', 'i', 'a'), read_mdia},
	};
	struct bmff_movie *m = r->movie;

	if (m->n_tracks == BMFF_MAX_TRACKS) {
		fail(r, ERR_LIMIT, _("moov has more than 256 tracks"));
		return;
	}
	m->tracks = mem_resize(m->tracks, m->n_tracks + 1, sizeof *m->tracks);
	r->track = &m->tracks[m->n_tracks++];
	*r->track = (struct bmff_track){.par_num = 1, .par_den = 1, .language = "und"};
	READ_CHILDREN(r, in, rows);
	if (r->error == 0 && !in->bad && r->track->timescale == 0)
		fail(r, ERR_SYNTAX, _("a track has no mdhd"));
}

static void read_mehd(struct reading *r, struct bmff_in *in)
{
	uint32_t flags;
	bool wide = bmff_in_full(in, &flags) == 1;

	r->movie->fragment_duration = bmff_in_be(in, wide ? 8 : 4);
	r->movie->has_fragment_duration = !in->bad;
}

static void read_trex(struct reading *r, struct bmff_in *in)
{
	struct bmff_trex *x;

	if (r->n_trex == BMFF_MAX_TRACKS) {
		fail(r, ERR_LIMIT, _("mvex has more than 256 trex"));
		return;
	}
	bmff_in_skip(in, 4);
	r->trex_ids[r->n_trex] = bmff_in_u32(in);
	x = &r->trex[r->n_trex++];
	x->description_index = bmff_in_u32(in);
	x->duration = bmff_in_u32(in);
	x->size = bmff_in_u32(in);
	x->flags = bmff_in_u32(in);
	x->present = true;
}

static void read_mvex(struct reading *r, struct bmff_in *in)
{
	static const struct row rows[] = {{T('m', 'e', 'h', 'd'), read_mehd}, {T('t', 'r', 'e', 'x'), read_trex}};

	r->movie->fragmented = true;
	READ_CHILDREN(r, in, rows);
}

static void read_moov(struct reading *r, struct bmff_in *in)
{
	static const struct row rows[] = {
		{T('m', 'v', 'h', 'd'), read_mvhd},
		{T('t', 'r', 'a', 'k'), read_trak},
		{T('m', 'v', 'e', 'x'), read_mvex},
	};

	READ_CHILDREN(r, in, rows);
	if (r->error == 0 && !in->bad && r->movie->timescale == 0)
		fail(r, ERR_SYNTAX, _("moov has no mvhd"));
	for (size_t i = 0; i < r->n_trex; i++) {
		for (size_t k = 0; k < r->movie->n_tracks; k++) {
			if (r->movie->tracks[k].id == r->trex_ids[i])
				r->movie->tracks[k].trex = r->trex[i];
		}
	}
}

/* 4.3 */
static void read_ftyp(struct reading *r, struct bmff_in *in)
{
	size_t n = in->n >= 8 ? (in->n - 8) / 4 : 0;

	r->movie->major_brand = bmff_in_u32(in);
	bmff_in_skip(in, 4);
	if (in->bad || r->movie->brands != NULL)
		return;
	r->movie->brands = mem_try(n + 1, sizeof *r->movie->brands);
	if (r->movie->brands == NULL) {
		fail(r, ERR_LIMIT, _("ftyp has too many brands"));
		return;
	}
	r->movie->n_brands = n;
	for (size_t i = 0; i < n; i++)
		r->movie->brands[i] = bmff_in_u32(in);
}

static int read_top(struct reading *r, const uint8_t *bytes, size_t n)
{
	static const struct row ftyp = {T('f', 't', 'y', 'p'), read_ftyp}, moov = {T('m', 'o', 'o', 'v'), read_moov};
	struct bmff_box box;
	size_t pos = 0;
	int e;

	while ((e = bmff_next(bytes, n, &pos, &box)) == 0) {
		struct bmff_in in = {.p = bytes + box.start, .n = box.end - box.start};

		if (box.type == ftyp.type)
			read_children(r, &in, &ftyp, 1);
		else if (box.type == moov.type)
			read_children(r, &in, &moov, 1);
		if (r->error < 0 || box.type == moov.type)
			return r->error;
	}
	return fault_set(r->fault, e, e == ERR_NOT_FOUND ? _("no moov box") : _("no moov box before byte %zu, where a box is damaged"), pos);
}

int bmff_movie_read(const uint8_t *bytes, size_t n, struct bmff_movie **ret_movie, struct fault *f)
{
	struct reading r = {.movie = mem_new(sizeof *r.movie), .fault = f};
	int e;

	r.trex = mem_new_array(BMFF_MAX_TRACKS, sizeof *r.trex);
	r.trex_ids = mem_new_array(BMFF_MAX_TRACKS, sizeof *r.trex_ids);
	e = read_top(&r, bytes, n);
	free(r.trex);
	free(r.trex_ids);
	if (e < 0) {
		bmff_movie_free(&r.movie);
		return e;
	}
	*ret_movie = r.movie;
	return 0;
}

void bmff_movie_free(struct bmff_movie **pm)
{
	struct bmff_movie *m = *pm;

	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n_tracks; i++) {
		free(m->tracks[i].edits);
		free(m->tracks[i].config);
	}
	free(m->tracks);
	free(m->brands);
	free(m);
	*pm = NULL;
}

const struct bmff_track *bmff_movie_track(const struct bmff_movie *m, uint32_t id)
{
	for (size_t i = 0; i < m->n_tracks; i++) {
		if (id == 0 || m->tracks[i].id == id)
			return &m->tracks[i];
	}
	return NULL;
}

bool bmff_movie_has_brand(const struct bmff_movie *m, uint32_t brand)
{
	for (size_t i = 0; i < m->n_brands; i++) {
		if (m->brands[i] == brand)
			return true;
	}
	return m->major_brand == brand;
}

/* Only leading empty edits and the first real one move the start. */
int64_t bmff_track_shift(const struct bmff_track *t, uint32_t movie_timescale)
{
	uint64_t empty = 0;

	for (size_t i = 0; i < t->n_edits; i++) {
		const struct bmff_edit *e = &t->edits[i];
		__int128 late = (__int128)empty * t->timescale / movie_timescale;

		if (e->media_time < 0) {
			if (e->duration > UINT64_MAX - empty)
				return 0;
			empty += e->duration;
			continue;
		}
		return late > INT64_MAX ? e->media_time : e->media_time - (int64_t)late;
	}
	return 0;
}
