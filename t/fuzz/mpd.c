/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bytes -> model -> timeline; what was read is written and read again;
 * localisation of the same bytes.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/must.h"
#include "dash/timeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Sums of a few times of a timeline fit 63 bits, in ticks and in microseconds. */
static void check_times(const struct timeline_period *p, const struct timeline_rendition *r)
{
	__extension__ const __int128 most = MPD_MAX_TIME;

	MUST(p->start >= 0 && p->start <= MPD_MAX_TIME && p->duration <= MPD_MAX_TIME);
	MUST(timeline_us(r->pto, r->timescale) <= MPD_MAX_TIME && timeline_us(r->pto, r->timescale) >= -MPD_MAX_TIME);
	for (size_t i = 0; i < r->n_segments; i++) {
		__extension__ __int128 start = r->segments[i].start, end = start + r->segments[i].duration;

		MUST(start * DUR_S / r->timescale >= -most && end * DUR_S / r->timescale <= most && end <= INT64_MAX);
	}
}

static void lay_out(const struct mpd *mpd)
{
	struct timeline *t = NULL;

	if (timeline_new(mpd, "http://h/d/x.mpd", (wall_us)1767225600 * DUR_S, &t, NULL) != 0)
		return;
	for (size_t i = 0; i < t->n_periods; i++)
		for (size_t j = 0; j < t->periods[i].n_tracks; j++)
			for (size_t k = 0; k < t->periods[i].tracks[j].n_renditions; k++) {
				struct timeline_rendition *r = &t->periods[i].tracks[j].renditions[k];
				int found = timeline_find(r, 0);

				MUST(found < (int)r->n_segments && r->timescale > 0 && (r->n_bases > 0 || r->fault != NULL));
				check_times(&t->periods[i], r);
				if (found >= 0)
					free(timeline_resolve(r, 0, r->segments[found].url));
			}
	timeline_free(&t);
}

static void write_and_read(const struct mpd *mpd)
{
	struct buf out;
	struct mpd *again = NULL;
	struct fault f = {0};

	buf_init(&out, MPD_MAX_BYTES);
	if (mpd_write(mpd, &out) == 0)
		MUST(mpd_read(out.bytes, out.size, "again", &again, &f) == 0);
	mpd_free(&again);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct mpd_place places[] = {{"http://e/", "e"}, {"http://f/v/", "f"}};
	struct mpd *mpd = NULL;
	struct fault f = {0};
	bool good;
	struct buf out;

	good = mpd_read(bytes, n, "fuzz", &mpd, &f) == 0;
	if (good) {
		write_and_read(mpd);
		lay_out(mpd);
	} else {
		MUST(f.text[0] != '\0');
	}
	mpd_free(&mpd);
	buf_init(&out, MPD_MAX_BYTES);
	mpd_localise(bytes, n, places, 1, &out, &f);
	out.size = 0;
	if (mpd_localise_steered(bytes, n, places, 2, "http://o/steer/x?y=1&z=2", &out, &f) == 0 && good) {
		MUST(mpd_read(out.bytes, out.size, "localised", &mpd, &f) == 0);
		mpd_free(&mpd);
	}
	buf_fini(&out);
	return 0;
}
