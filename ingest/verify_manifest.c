/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The MPD against the tracks it describes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/mpd.h"
#include "dash/package.h"
#include "ingest/verify_seen.h"


static int mismatch(struct verify *v, const struct mpd_representation *m, const char *what)
{
	return verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: %s is not that of %s"), PACKAGE_MANIFEST, m->line, what, m->base_urls.v[0].url);
}

/* ISO/IEC 23009-1 5.3.5.2: read at @bandwidth and started @minBufferTime after any
 * segment's first bit, no segment comes late.  `full` counts the bits
 * asked for and not yet come. */
static int check_bandwidth(struct verify *v, const struct seen *t, const struct mpd_representation *m, dur_us buffer)
{
	/* the MPD writes its times rounded */
	double rate = (double)m->bandwidth, room = rate * ((double)buffer / DUR_S + 0.001), full = 0;

	for (size_t i = 0; i < t->n_cuts; i++) {
		if (i > 0)
			full -= rate * (double)(t->cuts[i].start - t->cuts[i - 1].start) / t->timescale;
		full = (full > 0 ? full : 0) + 8.0 * t->cuts[i].size;
		if (full > room)
			return verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: segment %zu of %s comes late at @bandwidth %llu and @minBufferTime %.3f s"), PACKAGE_MANIFEST,
			                 m->line, i, t->name, (unsigned long long)m->bandwidth, (double)buffer / DUR_S);
	}
	return 0;
}

static int check_described(struct verify *v, const struct seen *t, const struct mpd_set *set, const struct mpd_representation *m, dur_us buffer)
{
	const struct mpd_segments *s = &m->segments;
	const char *codecs = m->common.codecs != NULL ? m->common.codecs : set->common.codecs;
	uint32_t width = m->common.width > 0 ? m->common.width : set->common.width;
	uint32_t height = m->common.height > 0 ? m->common.height : set->common.height;

	if (s->initialization.range.first != 0 || s->initialization.range.last + 1 != t->header_end || s->index_range.first != t->header_end ||
	    s->index_range.last + 1 != t->index_end)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: the ranges of %s are not those of the file"), PACKAGE_MANIFEST, m->line, t->name);
	if (codecs == NULL || strcmp(codecs, t->track->codecs) != 0)
		return verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: %s holds %s, the MPD says \"%s\""), PACKAGE_MANIFEST, m->line, t->name, t->track->codecs,
		                 codecs != NULL ? codecs : "");
	if (t->handler == VERIFY_VIDEO && (width != t->track->width || height != t->track->height))
		return mismatch(v, m, _("the picture's size"));
	if (s->has_timescale && s->timescale != t->timescale)
		return mismatch(v, m, _("the timescale"));
	return check_bandwidth(v, t, m, buffer);
}

/* Thumbnails and subtitles: what is named must be there. */
static int check_beside(struct verify *v, const struct mpd_representation *m, const char *file)
{
	char *path = path_join(v->folder, file);
	bool there = str_is_name(file, strlen(file)) && file_exists(path);

	free(path);
	for (size_t i = 0; i < v->n_texts; i++)
		v->texts[i].n_described += strcmp(v->texts[i].name, file) == 0;
	return there ? 0 : verify_wrong(v->fault, ERR_NOT_FOUND, _("%s:%u: names \"%s\", which is not in the package"), PACKAGE_MANIFEST, m->line, file);
}

static bool is_beside(const struct mpd_set *set, const struct mpd_representation *m)
{
	const char *mime = m->common.mime_type != NULL ? m->common.mime_type : set->common.mime_type;

	return mime != NULL && (str_starts(mime, "text/") || str_starts(mime, "image/"));
}

static int check_representation(struct verify *v, const struct mpd *mpd, const struct mpd_set *set, const struct mpd_representation *m)
{
	const char *file = m->base_urls.n == 1 ? m->base_urls.v[0].url : "";

	if (is_beside(set, m))
		return m->base_urls.n == 1 ? check_beside(v, m, file) : 0; /* sheets of thumbnails: verify_tiles() */
	for (size_t i = 0; i < v->n_tracks; i++)
		if (strcmp(v->tracks[i].name, file) == 0) {
			v->tracks[i].n_described++;
			return check_described(v, &v->tracks[i], set, m, mpd->min_buffer_time);
		}
	return verify_wrong(v->fault, ERR_CORRUPT, _("%s:%u: names \"%s\", which is no track of the package"), PACKAGE_MANIFEST, m->line, file);
}

/* Each track once, and the whole of them as long as the MPD says. */
static int check_whole(struct verify *v, const struct mpd *mpd)
{
	const struct seen *t;

	for (size_t i = 0; i < v->n_tracks; i++) {
		t = &v->tracks[i];
		if (t->n_described != 1)
			return verify_wrong(v->fault, ERR_CORRUPT, _("%s: names %s %u times, not once"), PACKAGE_MANIFEST, t->name, t->n_described);
		/* sound is held to the picture's end by verify_across() */
		if (t->handler == VERIFY_VIDEO &&
		    (!mpd->has_duration || !verify_within(mpd->duration, DUR_S, verify_end_of(t), t->timescale, t->unit, t->timescale)))
			return verify_wrong(v->fault, ERR_CORRUPT, _("%s: says %.3f s, %s lasts %.3f s"), PACKAGE_MANIFEST, (double)mpd->duration / DUR_S,
			                 t->name, (double)verify_end_of(t) / t->timescale);
	}
	return 0;
}

int verify_manifest(struct verify *v)
{
	struct buf text;
	struct mpd *mpd;
	int r = verify_read_file(v, PACKAGE_MANIFEST, MPD_MAX_BYTES, &text);

	if (r != 0)
		return r;
	r = mpd_read(text.bytes, text.size, PACKAGE_MANIFEST, &mpd, v->fault);
	if (r == 0 && v->settings->schema != NULL) {
		r = mpd_check_schema(text.bytes, text.size, PACKAGE_MANIFEST, v->settings->schema, v->fault);
		if (r != 0)
			mpd_free(&mpd);
	}
	buf_fini(&text);
	if (r != 0)
		return r;
	for (size_t p = 0; p < mpd->n_periods; p++)
		for (size_t s = 0; s < mpd->periods[p].n_sets; s++)
			for (size_t i = 0; r == 0 && i < mpd->periods[p].sets[s].n_representations; i++)
				r = check_representation(v, mpd, &mpd->periods[p].sets[s], &mpd->periods[p].sets[s].representations[i]);
	if (r == 0)
		r = check_whole(v, mpd);
	if (r == 0)
		r = verify_tiles(v, mpd);
	mpd_free(&mpd);
	return r;
}

