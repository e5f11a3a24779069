/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Between the files that make a timeline: what is inherited down the levels, and
 * the laying out of one rendition's segments.
 */
#ifndef RIBERA_DASH_TIMELINE_BUILD_H
#define RIBERA_DASH_TIMELINE_BUILD_H

#include "base/buf.h"
#include "dash/timeline.h"

/* One timeline in the making. */
struct timeline_build {
	const struct mpd *mpd;
	const char *url; /* the MPD's own, absolute */
	wall_us now;
	struct fault *fault;
	size_t n_segments, n_url_bytes; /* so far, against the limits */
};

/* One rendition in the making.  `segments` is the inherited whole, its pointers borrowed from the mpd. */
struct timeline_layout {
	struct timeline_build *build;
	const struct timeline_period *period;
	struct timeline_rendition *rendition;
	struct mpd_segments segments;
	double availability_offset; /* seconds; of the base URLs and of the segments */
};

/* Fills the segments, the initialisation and the index of layout->rendition. */
int timeline_lay_out(struct timeline_layout *);

/* ISO/IEC 23009-1 5.3.9.4.4 */
struct timeline_names {
	const char *id;
	uint64_t bandwidth, number, sub_number, time;
};
/* Appends the template with its identifiers replaced and "$$" as "$"; anything
 * else between dollars stays as it is.  The buffer's errors stick. */
void timeline_expand(const char *template, const struct timeline_names *, struct buf *out);

/* Microseconds in units of the timescale, rounded down; the product may pass 64 bits. */
__extension__ typedef __int128 timeline_wide;
timeline_wide timeline_ticks(dur_us us, uint32_t timescale);

/* Where a period of that length cuts segments, in timescale units: one that
 * starts there or later is not played.  A millisecond before its end, as
 * durations are rounded to milliseconds and no segment is that short. */
timeline_wide timeline_cut(dur_us period_duration, uint32_t timescale);

#endif
