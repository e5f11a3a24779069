/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tracks against each other: every rendition of the picture cut at exactly
 * the same times, sound within one access unit, all of one length; and how far sound
 * stands from the picture.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/words.h"
#include "ingest/verify_seen.h"

#define MOST_OFFSET_MS 1.0 /* the ear takes 15 or more; what we make is exact to the sample */

int64_t verify_end_of(const struct seen *t)
{
	const struct cut *last = &t->cuts[t->n_cuts - 1];

	return last->start + (int64_t)last->duration;
}

bool verify_within(int64_t a, uint32_t a_scale, int64_t b, uint32_t b_scale, uint32_t most, uint32_t most_scale)
{
	__int128 apart = (__int128)a * b_scale - (__int128)b * a_scale;
	__int128 room = (__int128)most * a_scale * b_scale;

	return (apart < 0 ? -apart : apart) * most_scale <= room;
}

static double seconds(const struct seen *t, int64_t time)
{
	return (double)time / t->timescale;
}

static int compare_cuts(struct verify *v, const struct seen *first, const struct seen *t)
{
	uint32_t room = t->handler == VERIFY_AUDIO ? t->unit : 0;

	if (t->handler == VERIFY_VIDEO && t->n_cuts != first->n_cuts)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s: has %zu segments, %s has %zu"), t->name, t->n_cuts, first->name, first->n_cuts);
	for (size_t i = 0; i < t->n_cuts && i < first->n_cuts; i++)
		if (!verify_within(t->cuts[i].start, t->timescale, first->cuts[i].start, first->timescale, room, t->timescale))
			return verify_wrong(v->fault, ERR_CORRUPT, _("%s: segment %zu starts at %.4f s, in %s at %.4f s"), t->name, i,
			                 seconds(t, t->cuts[i].start), first->name, seconds(first, first->cuts[i].start));
	return 0;
}

static int compare_ends(struct verify *v, const struct seen *first, const struct seen *t)
{
	int64_t end = verify_end_of(t), want = verify_end_of(first);
	uint32_t room = t->handler == VERIFY_VIDEO ? 0 : t->unit;

	if (verify_within(end, t->timescale, want, first->timescale, room, t->timescale) ||
	    (room > 0 && verify_within(end, t->timescale, want, first->timescale, first->unit, first->timescale)))
		return 0;
	return verify_wrong(v->fault, ERR_CORRUPT, _("%s: ends at %.3f s, %s at %.3f s"), t->name, seconds(t, end), first->name, seconds(first, want));
}

/* The index of a sound track begins where the edit list puts its first sample to be heard. */
static int note_sound(struct verify *v, const struct seen *first, const struct seen *t)
{
	struct verify_sound s = {
		.start_ms = 1000 * (seconds(t, t->cuts[0].start) - seconds(first, first->cuts[0].start)),
		.end_ms = 1000 * (seconds(t, verify_end_of(t)) - seconds(first, verify_end_of(first))),
	};

	snprintf(s.file, sizeof s.file, "%s", t->name);
	if (v->facts.n_sounds < VERIFY_MAX_SOUNDS)
		v->facts.sounds[v->facts.n_sounds++] = s;
	if (fabs(s.start_ms) <= MOST_OFFSET_MS && fabs(s.end_ms) <= MOST_OFFSET_MS)
		return 0;
	return verify_wrong(v->fault, ERR_CORRUPT, _("%s: sound stands %+.1f ms from the picture at the start (segment 0, 0.000 s), %+.1f ms at the end"),
	                 t->name, s.start_ms, s.end_ms);
}

int verify_across(struct verify *v)
{
	const struct seen *first = NULL;
	int r = 0;

	for (size_t i = 0; first == NULL && i < v->n_tracks; i++)
		if (v->tracks[i].handler == VERIFY_VIDEO)
			first = &v->tracks[i];
	if (first == NULL)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s: has no picture track"), v->folder);
	for (size_t i = 0; r == 0 && i < v->n_tracks; i++) {
		if (v->tracks[i].handler != VERIFY_VIDEO && v->tracks[i].handler != VERIFY_AUDIO)
			continue; /* text: its cues say when */
		r = compare_cuts(v, first, &v->tracks[i]);
		if (r == 0)
			r = compare_ends(v, first, &v->tracks[i]);
		if (r == 0 && v->tracks[i].handler == VERIFY_AUDIO)
			r = note_sound(v, first, &v->tracks[i]);
	}
	return r;
}
