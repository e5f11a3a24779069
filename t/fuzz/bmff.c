/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Boxes: whatever the bytes, what is read lies inside them and the sums hold.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/must.h"
#include "dash/bmff.h"
#include "dash/bmff_fragment.h"
#include "dash/bmff_header.h"
#include "dash/bmff_track.h"
#include "dash/timeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_fragments(const uint8_t *data, size_t n, const struct bmff_movie *m)
{
	struct bmff_fragment *g;
	size_t pos = 0, before = 0;

	while (bmff_fragment_read(data, n, 0, &pos, m, 0, &g, NULL) == 0) {
		uint64_t sum = 0;

		MUST(pos > before && pos <= n && g->moof_end <= n && g->mdat_end >= g->mdat);
		for (size_t i = 0; i < g->n_samples; i++)
			sum += g->samples[i].duration;
		MUST(sum == g->duration && g->latest >= g->earliest);
		before = pos;
		bmff_fragment_free(&g);
	}
}

static void check_header(const uint8_t *data, size_t n)
{
	static const struct bmff_header_settings settings = {.has_edit = true, .edit_start = 1024, .roll_distance = -1, .duration = 5};
	struct bmff_movie *m = NULL;
	struct buf out;

	buf_init(&out, (size_t)1 << 24);
	if (bmff_header_make(data, n, &settings, &out, NULL) == 0) {
		MUST(bmff_movie_read(out.bytes, out.size, &m, NULL) == 0);
		MUST(m->n_tracks == 1 && m->timescale == m->tracks[0].timescale);
		bmff_movie_free(&m);
	}
	buf_fini(&out);
}

/* The data as a file whose index is followed wherever it points. */
static void check_index(const uint8_t *data, size_t n)
{
	struct timeline_index *x = timeline_index_new();
	struct timeline_rendition r = {.timescale = 1, .period_duration = -1};
	struct mpd_range want = {0, n};
	int e = timeline_index_read(x, data, n, 0, NULL);

	while (e == 0 && timeline_index_wants(x, &want)) {
		MUST(want.last >= want.first);
		if (want.first >= n)
			break;
		e = timeline_index_read(x, data + want.first, n - (size_t)want.first, want.first, NULL);
	}
	if (e == 0 && timeline_set_index(&r, x, NULL) == 0)
		for (size_t i = 0; i < r.n_segments; i++) {
			const struct timeline_segment *s = &r.segments[i];

			MUST(s->range.last >= s->range.first);
			MUST(i == 0 || s->start >= s[-1].start + (int64_t)s[-1].duration);
		}
	timeline_index_free(&x);
	free(r.segments);
	free(r.urls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct bmff_movie none = {.timescale = 1};
	struct bmff_movie *m = NULL;
	struct bmff_sidx *x = NULL;
	struct buf out;

	bmff_movie_read(data, n, &m, NULL);
	check_fragments(data, n, m != NULL ? m : &none);
	if (bmff_sidx_read(data, n, 0, &x) == 0) {
		buf_init(&out, (size_t)1 << 24);
		MUST(bmff_sidx_write(x, &out) == 0);
		buf_fini(&out);
	}
	check_header(data, n);
	check_index(data, n);
	bmff_sidx_free(&x);
	bmff_movie_free(&m);
	return 0;
}
