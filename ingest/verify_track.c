/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One track file: boxes, index, times, and the headers of its pictures.  Segments
 * are read one by one, so that a film of any length needs the memory of its
 * largest segment.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/words.h"
#include "ingest/verify_pictures.h"
#include "ingest/verify_seen.h"

#define HEAD_LEAST ((size_t)64 << 10)
#define HEAD_MAX ((size_t)16 << 20)
#define SEGMENT_MAX ((size_t)1 << 30)
#define MOST_TIME ((uint64_t)1 << 56)

int verify_wrong(struct fault *f, int code, const char *what, ...)
{
	char text[600];
	va_list args;

	va_start(args, what);
	vsnprintf(text, sizeof text, what, args);
	va_end(args);
	return fault_set(f, code, _("%s; make the package again with ribera-ingest"), text);
}

int verify_bad(struct seen *t, size_t segment, const char *what, ...)
{
	char text[400], when[48] = "";
	va_list args;

	va_start(args, what);
	vsnprintf(text, sizeof text, what, args);
	va_end(args);
	if (segment < t->n_cuts && t->timescale > 0)
		snprintf(when, sizeof when, " (%.3f s)", (double)t->cuts[segment].start / t->timescale);
	return verify_wrong(&t->fault, ERR_CORRUPT, _("%s: segment %zu%s: %s"), t->name, segment, when, text);
}

int verify_segment_read(struct seen *t, size_t i, struct buf *room, struct bmff_fragment **ret_fragment)
{
	const struct cut *cut = &t->cuts[i];
	struct fault why = {0};
	uint8_t *bytes;
	size_t pos = 0;
	ssize_t n;

	buf_clear(room);
	bytes = buf_reserve(room, cut->size);
	if (bytes == NULL)
		return verify_bad(t, i, _("its %u bytes are more than a segment may have"), cut->size);
	n = file_pread_all(t->fd, bytes, cut->size, cut->offset);
	if (n < 0)
		return fault_set(&t->fault, (int)n, _("%s: segment %zu: cannot be read: %s"), t->name, i, words_error((int)n));
	if ((size_t)n < cut->size)
		return verify_bad(t, i, _("the file ends in it"));
	buf_commit(room, cut->size);
	if (bmff_fragment_read(bytes, cut->size, cut->offset, &pos, t->movie, t->track->id, ret_fragment, &why) != 0)
		return verify_bad(t, i, _("has no readable moof (%s)"), fault_text(&why));
	return 0;
}

/* --- segments -------------------------------------------------------------------------------- */

struct reading {
	struct verify *v;
	struct seen *t;
	const struct bmff_sidx *sidx;
	struct pictures *pictures; /* NULL: a codec whose headers are not looked into */
	uint64_t end_time;   /* decode time behind the last fragment */
	uint64_t presented;  /* of the edit list, 0: all */
	int64_t next_start;  /* presentation time the index gives to the next segment */
	uint32_t sequence;   /* of the last fragment */
};

static int check_shape(struct reading *r, size_t i, const struct bmff_fragment *f)
{
	if (f->n_trafs != 1 || f->n_truns != 1 || !f->base_is_moof || f->has_base_data_offset || !f->has_tfdt)
		return verify_bad(r->t, i, _("is not one CMAF fragment (one traf, one trun, tfdt, default-base-is-moof)"));
	if (!f->data_in_mdat || f->n_samples == 0)
		return verify_bad(r->t, i, _("its samples do not lie in its mdat"));
	if (!f->starts_with_sync || !f->first_is_earliest)
		return verify_bad(r->t, i, _("does not start with a picture that can be decoded alone (SAP 1)"));
	if (f->tfdt != r->end_time)
		return verify_bad(r->t, i, _("its tfdt does not follow on the samples before"));
	if (i > 0 && f->sequence <= r->sequence)
		return verify_bad(r->t, i, _("its sequence number %u does not follow on %u: segments changed places"), f->sequence, r->sequence);
	return 0;
}

/* What the index says of the segment against what was found in it. */
static int check_entry(struct reading *r, size_t i)
{
	const struct bmff_sidx_entry *e = &r->sidx->entries[i];
	const struct cut *cut = &r->t->cuts[i];

	if (e->to_index || !e->starts_with_sap || e->sap_type < 1 || e->sap_type > 2 || e->sap_delta != 0)
		return verify_bad(r->t, i, _("the index does not say that it starts with an access point (SAP 1 or 2)"));
	if (cut->start != r->next_start)
		return verify_bad(r->t, i, _("starts at another time than the index says (%.3f s)"), (double)r->next_start / r->t->timescale);
	if (cut->duration != e->duration)
		return verify_bad(r->t, i, _("lasts otherwise than the index says"));
	r->next_start = cut->start + (int64_t)cut->duration;
	return 0;
}

static void note_times(struct reading *r, struct cut *cut, const struct bmff_fragment *f)
{
	int64_t end = f->latest - r->t->shift;

	cut->start = f->earliest - r->t->shift < 0 ? 0 : f->earliest - r->t->shift;
	if (r->presented > 0 && end > (int64_t)r->presented)
		end = (int64_t)r->presented;
	cut->duration = end > cut->start ? (uint64_t)(end - cut->start) : 0;
	cut->n_samples = (uint32_t)f->n_samples;
	for (size_t s = 0; s < f->n_samples; s++)
		if (f->samples[s].duration > r->t->unit)
			r->t->unit = f->samples[s].duration;
	r->t->samples += f->n_samples;
	r->end_time = f->tfdt + f->duration;
	r->sequence = f->sequence;
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Pictures: each as long as every other, and, in the order of presentation, one behind the other without gap. */
static int check_grid(struct reading *r, size_t i, const struct bmff_fragment *f)
{
	int64_t *times = mem_new_array(f->n_samples, sizeof *times);
	int q = 0;

	for (size_t s = 0; s < f->n_samples; s++)
		times[s] = (int64_t)f->samples[s].time + f->samples[s].composition;
	qsort(times, f->n_samples, sizeof *times, compare_times);
	for (size_t s = 0; q == 0 && s < f->n_samples; s++)
		if (f->samples[s].duration != r->t->unit || times[s] - times[0] != (int64_t)s * r->t->unit)
			q = verify_bad(r->t, i, _("picture %zu stands at %.4f s, not in its place at %.4f s"), s, (double)(times[s] - r->t->shift) / r->t->timescale,
			               (double)(times[0] - r->t->shift + (int64_t)s * r->t->unit) / r->t->timescale);
	free(times);
	return q;
}

static int check_pictures(struct reading *r, size_t i, const struct buf *room, const struct bmff_fragment *f)
{
	char why[160];
	size_t at = 0;

	if (r->pictures == NULL || pictures_check(r->pictures, room->bytes, room->size, r->t->cuts[i].offset, f, &at, why) == 0)
		return 0;
	return verify_bad(r->t, i, _("picture %zu in the order of decoding: %s"), at, why);
}

static int check_segment(struct reading *r, size_t i, uint64_t *offset, struct buf *room)
{
	const struct bmff_sidx_entry *e = &r->sidx->entries[i];
	struct cut *cut = &r->t->cuts[i];
	struct bmff_fragment *f;
	int q;

	cut->start = r->next_start; /* until it is known better */
	if (*offset > r->t->size || e->size > r->t->size - *offset)
		return verify_bad(r->t, i, _("the index points behind the end of the file"));
	cut->offset = *offset;
	cut->size = e->size;
	q = verify_segment_read(r->t, i, room, &f);
	if (q != 0)
		return q;
	q = check_shape(r, i, f);
	if (q == 0 && (f->moof != *offset || f->mdat_end != *offset + e->size))
		q = verify_bad(r->t, i, _("the index does not fall on its moof and mdat"));
	note_times(r, cut, f);
	if (q == 0)
		q = check_entry(r, i);
	if (q == 0 && r->t->handler == VERIFY_VIDEO)
		q = check_grid(r, i, f);
	if (q == 0)
		q = check_pictures(r, i, room, f);
	*offset += e->size;
	bmff_fragment_free(&f);
	return q;
}

static int check_segments(struct reading *r)
{
	uint64_t offset = r->sidx->anchor + r->sidx->first_offset;
	struct seen *t = r->t;
	struct buf room;
	int q = 0;

	/* the limit keeps comparisons between timescales within 128 bits */
	if (r->sidx->earliest_time > MOST_TIME)
		return verify_wrong(&t->fault, ERR_OUT_OF_RANGE, _("%s: its index begins at an impossible time"), t->name);
	if (t->shift > (int64_t)MOST_TIME || t->shift < -(int64_t)MOST_TIME)
		return verify_wrong(&t->fault, ERR_OUT_OF_RANGE, _("%s: its edit list puts it at an impossible time"), t->name);
	if (r->sidx->timescale != t->timescale || r->sidx->reference_id != t->track->id || r->sidx->n_entries == 0)
		return verify_wrong(&t->fault, ERR_CORRUPT, _("%s: its index is of another track or timescale, or empty"), t->name);
	r->next_start = (int64_t)r->sidx->earliest_time;
	t->cuts = mem_new_array(r->sidx->n_entries, sizeof *t->cuts);
	t->n_cuts = r->sidx->n_entries;
	buf_init(&room, SEGMENT_MAX);
	for (size_t i = 0; q == 0 && i < t->n_cuts; i++)
		q = verify_stopped(r->v) ? fault_set(&t->fault, ERR_CANCELLED, _("stopped")) : check_segment(r, i, &offset, &room);
	buf_fini(&room);
	if (q == 0 && offset != t->size)
		q = verify_bad(t, t->n_cuts, _("the index does not reach the end of the file"));
	return q;
}

/* --- the head ---------------------------------------------------------------------------------- */

/* ftyp moov sidx, in this order and nothing between.  ERR_TRUNCATED: more bytes are needed. */
static int find_head(const struct buf *head, uint64_t *ret_header_end, uint64_t *ret_index_end)
{
	static const uint32_t order[] = {BMFF_TYPE('f', 't', 'y', 'p'), BMFF_TYPE('m', 'o', 'o', 'v'), BMFF_TYPE('s', 'i', 'd', 'x')};
	struct bmff_box box = {0};
	uint64_t header_end = 0;
	size_t pos = 0;

	for (size_t i = 0; i < 3; i++) {
		int r = bmff_next(head->bytes, head->size, &pos, &box);

		if (r != 0)
			return r;
		if (box.type != order[i])
			return ERR_SYNTAX;
		if (i == 1)
			header_end = box.end;
	}
	*ret_header_end = header_end;
	*ret_index_end = box.end;
	return 0;
}

static int read_head(struct seen *t, struct buf *head)
{
	int q = ERR_TRUNCATED;

	for (size_t n = HEAD_LEAST; q == ERR_TRUNCATED && n <= HEAD_MAX; n *= 16) {
		size_t want = t->size < n ? (size_t)t->size : n;
		uint8_t *bytes;
		ssize_t got;

		buf_clear(head);
		bytes = buf_reserve(head, want);
		got = bytes != NULL ? file_pread_all(t->fd, bytes, want, 0) : -ENOMEM;
		if (got < 0)
			return fault_set(&t->fault, (int)got, _("%s: cannot be read: %s"), t->name, words_error((int)got));
		buf_commit(head, (size_t)got);
		q = find_head(head, &t->header_end, &t->index_end);
		if (want == t->size)
			break;
	}
	return q == 0 ? 0 : verify_wrong(&t->fault, ERR_CORRUPT, _("%s: does not begin with ftyp, moov, sidx"), t->name);
}

static int check_body(struct reading *r)
{
	const struct bmff_track *t = r->t->track;
	char why[160];
	int q = 0;

	if (r->t->handler == VERIFY_VIDEO && pictures_new(t, &r->pictures, why) != 0)
		return verify_wrong(&r->t->fault, ERR_CORRUPT, _("%s: its decoder configuration is wrong: %s"), r->t->name, why);
	r->presented = t->n_edits > 0 && r->t->movie->timescale == t->timescale ? t->edits[t->n_edits - 1].duration : 0;
	q = check_segments(r);
	pictures_free(&r->pictures);
	return q;
}

static int check_head(struct reading *r, const struct buf *head)
{
	struct seen *t = r->t;
	struct bmff_sidx *sidx = NULL;
	int q = bmff_movie_read(head->bytes, (size_t)t->header_end, &t->movie, &t->fault);

	if (q != 0)
		return fault_prefix(&t->fault, "%s", t->name);
	q = t->movie->n_tracks == 1 ? bmff_sidx_read(head->bytes, head->size, 0, &sidx) : ERR_CORRUPT;
	if (q != 0)
		return verify_wrong(&t->fault, q, _("%s: has no readable index, or not one track"), t->name);
	t->track = &t->movie->tracks[0];
	t->shift = bmff_track_shift(t->track, t->movie->timescale);
	t->timescale = t->track->timescale;
	t->handler = t->track->handler;
	r->sidx = sidx;
	q = check_body(r);
	bmff_sidx_free(&sidx);
	return q;
}

int verify_track(struct verify *v, struct seen *t)
{
	struct reading r = {.v = v, .t = t};
	struct buf head;
	int q;

	buf_init(&head, HEAD_MAX);
	q = read_head(t, &head);
	if (q == 0)
		q = check_head(&r, &head);
	buf_fini(&head);
	return q;
}
