/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CMAF header (ISO/IEC 23000-19 7.3.1) out of an initialisation segment: the
 * boxes are copied but for ftyp, the movie timescale, the edit list, mehd and the
 * roll group.
 */
#include "dash/bmff_header.h"

#include <string.h>

#include "base/buf.h"
#include "dash/bmff.h"
#include "dash/bmff_track.h"

#define T(a, b, c, d) BMFF_TYPE(a, b, c, d)
#define DEPTH_MAX 8

struct maker {
	const struct bmff_header_settings *s;
	const struct bmff_track *track;
	const uint8_t *bytes;
	struct buf *out;
};

static void put_be_at(struct buf *b, size_t at, uint64_t v, unsigned n)
{
	if (buf_error(b) == 0)
		for (unsigned i = 0; i < n; i++)
			b->bytes[at + i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static size_t open_box(struct buf *b, uint32_t type)
{
	size_t at = b->size;

	buf_be(b, 0, 4);
	buf_be(b, type, 4);
	return at;
}

static void close_box(struct buf *b, size_t at)
{
	put_be_at(b, at, b->size - at, 4);
}

static void open_full(struct buf *b, uint8_t version, uint32_t flags)
{
	buf_be(b, (uint32_t)version << 24 | flags, 4);
}

uint32_t bmff_media_brand(const struct bmff_track *t)
{
	bool sd = (uint64_t)t->width * t->height <= 864 * 576;

	switch (t->entry) {
	case T('a', 'v', 'c', '1'):
	case T('a', 'v', 'c', '3'): /* annex A.2: SD up to level 3.1, HD up to 4.0, HD high frame rate up to 4.2 */
		return sd && t->level <= 31 ? T('c', 'f', 's', 'd')
		       : t->level <= 40     ? T('c', 'f', 'h', 'd')
		       : t->level <= 42     ? T('c', 'h', 'd', 'f')
		                            : 0;
	case T('a', 'v', '0', '1'):
		return T('a', 'v', '0', '1');
	case T('m', 'p', '4', 'a'):
		return t->channels <= 2 ? T('c', 'a', 'a', 'c') : T('c', 'a', 'm', 'c');
	case T('w', 'v', 't', 't'):
		return T('c', 'w', 'v', 't');
	default:
		return 0;
	}
}

static void put_ftyp(struct maker *m)
{
	bool edit = m->s->has_edit;
	uint32_t media = bmff_media_brand(m->track);
	size_t at = open_box(m->out, T('f', 't', 'y', 'p'));
	uint32_t structural = edit ? T('c', 'm', 'f', 'c') : T('c', 'm', 'f', '2');

	buf_be(m->out, structural, 4);
	buf_be(m->out, 0, 4);
	buf_be(m->out, T('i', 's', 'o', '6'), 4);
	buf_be(m->out, T('c', 'm', 'f', 'c'), 4);
	if (!edit)
		buf_be(m->out, T('c', 'm', 'f', '2'), 4);
	if (media != 0)
		buf_be(m->out, media, 4);
	buf_be(m->out, T('d', 'a', 's', 'h'), 4);
	buf_be(m->out, T('m', 's', 'i', 'x'), 4);
	close_box(m->out, at);
}

/* 14496-12 8.6.5, 8.6.6: one edit from the priming on, version 1 for long films */
static void put_edts(struct maker *m)
{
	size_t edts = open_box(m->out, T('e', 'd', 't', 's')), elst = open_box(m->out, T('e', 'l', 's', 't'));

	open_full(m->out, 1, 0);
	buf_be(m->out, 1, 4);
	buf_be(m->out, m->s->edit_duration, 8);
	buf_be(m->out, (uint64_t)m->s->edit_start, 8);
	buf_be(m->out, 0x00010000, 4); /* media_rate 1 */
	close_box(m->out, elst);
	close_box(m->out, edts);
}

static void put_mehd(struct maker *m)
{
	size_t at = open_box(m->out, T('m', 'e', 'h', 'd'));

	open_full(m->out, 1, 0);
	buf_be(m->out, m->s->duration, 8);
	close_box(m->out, at);
}

/* 8.9.3, version 1; roll_distance is the whole description (10.1) */
static void put_roll(struct maker *m)
{
	size_t at = open_box(m->out, T('s', 'g', 'p', 'd'));

	open_full(m->out, 1, 0);
	buf_be(m->out, T('r', 'o', 'l', 'l'), 4);
	buf_be(m->out, 2, 4);
	buf_be(m->out, 1, 4);
	buf_be(m->out, (uint16_t)m->s->roll_distance, 2);
	close_box(m->out, at);
}

static void copy_box(struct maker *m, const struct bmff_box *box)
{
	buf_append(m->out, m->bytes + box->start, box->end - box->start);
}

/* 8.2.2: timescale behind version, flags and two times of 4 or 8 bytes */
static int copy_mvhd(struct maker *m, const struct bmff_box *box)
{
	size_t at = m->out->size + (box->payload - box->start), wide = m->bytes[box->payload] == 1 ? 8 : 4;

	if (box->end - box->payload < 4 + 2 * wide + 4 + wide)
		return ERR_TRUNCATED;
	copy_box(m, box);
	put_be_at(m->out, at + 4 + 2 * wide, m->track->timescale, 4);
	put_be_at(m->out, at + 4 + 2 * wide + 4, 0, (unsigned)wide);
	return 0;
}

static bool is_container(uint32_t type)
{
	return type == T('m', 'o', 'o', 'v') || type == T('t', 'r', 'a', 'k') || type == T('m', 'd', 'i', 'a') ||
	       type == T('m', 'i', 'n', 'f') || type == T('s', 't', 'b', 'l') || type == T('m', 'v', 'e', 'x');
}

static int copy_container(struct maker *m, const struct bmff_box *box, int depth);

static int copy_child(struct maker *m, const struct bmff_box *box, int depth)
{
	if (box->type == T('e', 'd', 't', 's') || box->type == T('m', 'e', 'h', 'd') || box->type == T('s', 'g', 'p', 'd'))
		return 0; /* ours is written instead */
	if (is_container(box->type))
		return copy_container(m, box, depth + 1);
	if (box->type == T('m', 'v', 'h', 'd'))
		return copy_mvhd(m, box);
	copy_box(m, box);
	if (box->type == T('t', 'k', 'h', 'd') && m->s->has_edit)
		put_edts(m);
	return 0;
}

static int copy_container(struct maker *m, const struct bmff_box *box, int depth)
{
	size_t at = open_box(m->out, box->type), pos = box->payload;
	struct bmff_box child;
	int r;

	if (depth > DEPTH_MAX)
		return ERR_SYNTAX;
	if (box->type == T('m', 'v', 'e', 'x') && m->s->duration > 0)
		put_mehd(m);
	while ((r = bmff_next(m->bytes, box->end, &pos, &child)) == 0) {
		r = copy_child(m, &child, depth);
		if (r != 0)
			return r;
	}
	if (r != ERR_NOT_FOUND)
		return r;
	if (box->type == T('s', 't', 'b', 'l') && m->s->roll_distance != 0)
		put_roll(m);
	close_box(m->out, at);
	return 0;
}

static int make(struct maker *m, size_t n)
{
	struct bmff_box box;
	size_t pos = 0;
	int r;

	put_ftyp(m);
	while ((r = bmff_next(m->bytes, n, &pos, &box)) == 0)
		if (box.type == T('m', 'o', 'o', 'v'))
			return copy_container(m, &box, 0);
	return r;
}

int bmff_header_make(const uint8_t *init, size_t n, const struct bmff_header_settings *s, struct buf *out, struct fault *f)
{
	struct bmff_movie *movie;
	struct maker m = {.s = s, .bytes = init, .out = out};
	int r = bmff_movie_read(init, n, &movie, f);

	if (r != 0)
		return r;
	if (movie->n_tracks != 1 || movie->tracks[0].n_samples > 0) {
		r = fault_set(f, ERR_UNSUPPORTED, "a CMAF header has one track without samples, found %zu tracks", movie->n_tracks);
	} else {
		m.track = &movie->tracks[0];
		r = make(&m, n);
		if (r == 0)
			r = buf_error(out);
		if (r != 0)
			fault_set(f, r, "the track's header cannot be made: %s", err_text(r));
	}
	bmff_movie_free(&movie);
	return r;
}
