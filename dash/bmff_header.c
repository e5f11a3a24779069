/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Copies a moov and changes on the way what a CMAF header wants otherwise.  Each
 * container that is entered writes its header with size 0 and fills it in when
 * its children are through; every other box goes over as it is.
 */
#include "dash/bmff_header.h"

#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "base/words.h"
#include "dash/bmff_in.h"
#include "dash/bmff_track.h"

#define T(a, b, c, d) BMFF_TYPE(a, b, c, d)

struct making {
	const struct bmff_header_settings *settings;
	const struct bmff_track *track;
	struct buf *out;
};

/* 23000-19 tables A.1 and B.1; annexes of 23000-19 for the rest */
static uint32_t avc_brand(const struct bmff_track *t)
{
	bool sdr = !t->colr.present || t->colr.transfer == 1 || t->colr.transfer == 6;
	uint8_t profile = t->profile;

	if (!sdr || (profile != 66 && profile != 77 && profile != 100))
		return 0;
	if (t->level <= 31 && t->width <= 864 && t->height <= 576)
		return T('c', 'f', 's', 'd');
	if (t->width > 1920 || t->height > 1080 || t->level > 42)
		return 0;
	return t->level <= 40 ? T('c', 'f', 'h', 'd') : T('c', 'h', 'd', 'f');
}

static uint32_t hevc_brand(const struct bmff_track *t)
{
	bool hd = t->width <= 1920 && t->height <= 1080 && t->level <= 123;
	bool main8 = t->profile == 1;

	if (t->profile > 2 || t->profile == 0 || t->width > 3840 || t->height > 2160 || t->level > 153)
		return 0;
	if (t->colr.present && t->colr.transfer == 18)
		return main8 ? 0 : T('c', 'l', 'g', '1');
	if (t->colr.present && t->colr.transfer == 16)
		return main8 ? 0 : T('c', 'h', 'd', '1');
	if (hd)
		return main8 ? T('c', 'h', 'h', 'd') : T('c', 'h', 'h', '1');
	return main8 ? T('c', 'u', 'd', '8') : T('c', 'u', 'd', '1');
}

uint32_t bmff_media_brand(const struct bmff_track *t)
{
	switch (t->entry) {
	case T('a', 'v', 'c', '1'):
	case T('a', 'v', 'c', '3'):
		return avc_brand(t);
	case T('h', 'v', 'c', '1'):
	case T('h', 'e', 'v', '1'):
		return hevc_brand(t);
	case T('a', 'v', '0', '1'):
		return T('a', 'v', '0', '1');
	case T('m', 'p', '4', 'a'):
		if (strncmp(t->codecs, "mp4a.40.", 8) != 0 || t->sample_rate > 48000)
			return 0;
		return t->channels <= 2 ? T('c', 'a', 'a', 'c') : T('c', 'a', 'm', 'c');
	case T('e', 'c', '-', '3'):
	case T('a', 'c', '-', '3'):
		return T('c', 'e', 'a', 'c');
	case T('w', 'v', 't', 't'):
		return T('c', 'w', 'v', 't');
	case T('s', 't', 'p', 'p'):
		return strstr(t->codecs, "im1t") != NULL ? T('i', 'm', '1', 't') : 0;
	default:
		return 0;
	}
}

static size_t open_box(struct buf *out, uint32_t type)
{
	size_t start = out->size;

	buf_be(out, 0, 4);
	buf_be(out, type, 4);
	return start;
}

static void patch(struct buf *out, size_t at, uint64_t value, unsigned n)
{
	for (unsigned i = 0; i < n && buf_error(out) == 0; i++)
		out->bytes[at + i] = (uint8_t)(value >> (8 * (n - 1 - i)));
}

static void close_box(struct buf *out, size_t start)
{
	patch(out, start, out->size - start, 4);
}

static void copy(struct making *m, const uint8_t *p, const struct bmff_box *box)
{
	buf_append(m->out, p + box->start, box->end - box->start);
}

/* mvhd, tkhd, mdhd: nothing is in the moov itself, so its duration is 0
 * (23000-19 7.5.1).  `at` is from the payload: of the duration in version 0. */
static void copy_without_duration(struct making *m, const uint8_t *p, const struct bmff_box *box, size_t at)
{
	bool wide = box->payload < box->end && p[box->payload] == 1;
	size_t start = m->out->size, head = box->payload - box->start;

	copy(m, p, box);
	at += wide ? 8 : 0;
	if (buf_error(m->out) == 0 && box->payload + at + 8 <= box->end)
		patch(m->out, start + head + at, 0, wide ? 8 : 4);
}

/* cmf2 forbids an edit list on pictures (23000-19 7.7.2). */
static void put_ftyp(struct making *m)
{
	uint32_t media = bmff_media_brand(m->track);
	bool cmf2 = !(m->settings->has_edit && m->track->handler == T('v', 'i', 'd', 'e'));
	size_t start = open_box(m->out, T('f', 't', 'y', 'p'));

	buf_be(m->out, cmf2 ? T('c', 'm', 'f', '2') : T('c', 'm', 'f', 'c'), 4);
	buf_be(m->out, 0, 4);
	if (cmf2)
		buf_be(m->out, T('c', 'm', 'f', '2'), 4);
	buf_be(m->out, T('c', 'm', 'f', 'c'), 4);
	buf_be(m->out, T('i', 's', 'o', '6'), 4);
	buf_be(m->out, T('d', 'a', 's', 'h'), 4);
	if (media != 0)
		buf_be(m->out, media, 4);
	close_box(m->out, start);
}

/* 8.6.5, 8.6.6; the movie timescale is the track's */
static void put_edts(struct making *m)
{
	const struct bmff_header_settings *s = m->settings;
	bool wide = s->edit_duration > UINT32_MAX || s->edit_start > INT32_MAX;
	size_t edts, elst;

	if (!s->has_edit)
		return;
	edts = open_box(m->out, T('e', 'd', 't', 's'));
	elst = open_box(m->out, T('e', 'l', 's', 't'));
	buf_be(m->out, wide ? 0x01000000 : 0, 4);
	buf_be(m->out, 1, 4);
	buf_be(m->out, s->edit_duration, wide ? 8 : 4);
	buf_be(m->out, (uint64_t)s->edit_start, wide ? 8 : 4);
	buf_be(m->out, 0x00010000, 4);
	close_box(m->out, elst);
	close_box(m->out, edts);
}

/* 10.1.1 AudioRollRecoveryEntry */
static void put_sgpd(struct making *m)
{
	size_t start;

	if (m->settings->roll_distance == 0)
		return;
	start = open_box(m->out, T('s', 'g', 'p', 'd'));
	buf_be(m->out, 0x01000000, 4);
	buf_be(m->out, T('r', 'o', 'l', 'l'), 4);
	buf_be(m->out, 2, 4);
	buf_be(m->out, 1, 4);
	buf_be(m->out, (uint16_t)m->settings->roll_distance, 2);
	close_box(m->out, start);
}

static void put_mehd(struct making *m)
{
	bool wide = m->settings->duration > UINT32_MAX;
	size_t start;

	if (m->settings->duration == 0)
		return;
	start = open_box(m->out, T('m', 'e', 'h', 'd'));
	buf_be(m->out, wide ? 0x01000000 : 0, 4);
	buf_be(m->out, m->settings->duration, wide ? 8 : 4);
	close_box(m->out, start);
}

static bool is_roll_group(const uint8_t *p, const struct bmff_box *box)
{
	return (box->type == T('s', 'g', 'p', 'd') || box->type == T('s', 'b', 'g', 'p')) && box->end - box->payload >= 8 &&
	       memcmp(p + box->payload + 4, "roll", 4) == 0;
}

static void copy_mvhd(struct making *m, const uint8_t *p, const struct bmff_box *box)
{
	size_t start = m->out->size, head = box->payload - box->start;
	size_t at = box->payload < box->end && p[box->payload] == 1 ? 20 : 12;

	copy_without_duration(m, p, box, 16);
	if (box->payload + at + 4 <= box->end)
		patch(m->out, start + head + at, m->track->timescale, 4);
}

static void copy_container(struct making *m, const uint8_t *p, const struct bmff_box *box);

/* bmff_movie_read has been over these bytes: boxes are whole and mvhd, tkhd and
 * mdhd as long as they must be. */
static void copy_child(struct making *m, const uint8_t *p, const struct bmff_box *box)
{
	switch (box->type) {
	case T('m', 'v', 'h', 'd'):
		copy_mvhd(m, p, box);
		break;
	case T('t', 'k', 'h', 'd'):
		copy_without_duration(m, p, box, 20);
		put_edts(m);
		break;
	case T('m', 'd', 'h', 'd'):
		copy_without_duration(m, p, box, 16);
		break;
	case T('t', 'r', 'a', 'k'):
	case T('m', 'd', 'i', 'a'):
	case T('m', 'i', 'n', 'f'):
	case T('s', 't', 'b', 'l'):
	case T('m', 'v', 'e', 'x'):
		copy_container(m, p, box);
		break;
	case T('e', 'd', 't', 's'):
	case T('m', 'e', 'h', 'd'):
		break;
	default:
		if (!is_roll_group(p, box))
			copy(m, p, box);
	}
}

static void copy_container(struct making *m, const uint8_t *p, const struct bmff_box *box)
{
	struct bmff_in in = bmff_in_box(p, box);
	size_t start = open_box(m->out, box->type);
	struct bmff_box child;

	if (box->type == T('m', 'v', 'e', 'x'))
		put_mehd(m);
	while (bmff_in_child(&in, &child))
		copy_child(m, in.p, &child);
	if (box->type == T('s', 't', 'b', 'l'))
		put_sgpd(m);
	close_box(m->out, start);
}

static int check(const struct bmff_movie *movie, struct fault *f)
{
	if (movie->n_tracks != 1)
		return fault_set(f, ERR_UNSUPPORTED, _("a CMAF header has one track, not %zu"), movie->n_tracks);
	if (!movie->fragmented)
		return fault_set(f, ERR_UNSUPPORTED, _("the moov has no mvex: let the muxer write a fragmented file"));
	if (movie->tracks[0].n_samples != 0)
		return fault_set(f, ERR_UNSUPPORTED, _("the moov has samples of its own: let the muxer write an empty moov"));
	return 0;
}

int bmff_header_make(const uint8_t *init, size_t n, const struct bmff_header_settings *settings, struct buf *out,
                     struct fault *f)
{
	struct bmff_movie *movie;
	struct bmff_box moov = {0};
	struct making m = {.settings = settings, .out = out};
	int r;

	MUST(settings->edit_start >= 0);
	r = bmff_movie_read(init, n, &movie, f);
	if (r < 0)
		return r;
	r = check(movie, f);
	if (r == 0)
		r = bmff_find(init, n, T('m', 'o', 'o', 'v'), &moov);
	if (r == 0) {
		m.track = &movie->tracks[0];
		put_ftyp(&m);
		copy_container(&m, init, &moov);
		r = buf_error(out);
	}
	bmff_movie_free(&movie);
	return r;
}
