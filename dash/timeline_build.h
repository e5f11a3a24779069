/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Between the files that make a timeline: what is inherited down the levels, and
 * the laying out of one rendition's segments.
 */
#ifndef RIBERA_DASH_TIMELINE_BUILD_H
#define RIBERA_DASH_TIMELINE_BUILD_H

#include "base/buf.h"
#include "dash/timeline.h"

/* Sums are made in 128 bits: every number of an MPD may be as large as 64 bits. */
__extension__ typedef __int128 timeline_wide;
#define TIMELINE_WIDE_MAX ((timeline_wide)1 << 120)

/* One timeline in the making. */
struct timeline_build {
	const struct mpd *mpd;
	const char *url; /* the MPD's own, absolute */
	wall_us now;
	struct fault *fault;
	size_t n_segments, n_url_bytes, n_steps; /* so far, against the limits; steps are S and what they are looked up in */
	size_t n_good;                  /* renditions */
	struct fault first;             /* of the first bad one */
};

/* One rendition in the making.  `segments` is the inherited whole, its pointers borrowed from the mpd. */
struct timeline_layout {
	struct timeline_build *build;
	const struct timeline_period *period;
	struct timeline_rendition *rendition;
	struct mpd_segments segments;
	double availability_offset; /* seconds; of the base URLs and of the segments */
	double partial_offset;      /* so much earlier they are there in part; >= availability_offset */
};

/* Equal segments in a row, from an S, a P or from @duration. */
struct timeline_run {
	timeline_wide start;     /* Period time, timescale units */
	uint64_t duration, count;
	uint64_t number;         /* of the first */
	uint64_t parts;          /* S@k: segments in each */
	unsigned line;
};
typedef int timeline_run_f(void *ctx, const struct timeline_run *);

/* The inherited SegmentTimeline, each S one run or more, in order; each may be NULL.
 * *ret_end is where the last one ends.  ERR_SYNTAX, ERR_UNSUPPORTED, ERR_LIMIT, ERR_OUT_OF_RANGE. */
int timeline_walk(struct timeline_layout *, timeline_run_f *each, void *ctx, timeline_wide *ret_end);

/* The Period's end as a cut (below); TIMELINE_WIDE_MAX when it is not known. */
timeline_wide timeline_period_end(const struct timeline_layout *);
/* Period time now, for a dynamic MPD, with what is available earlier. */
timeline_wide timeline_live_edge(const struct timeline_layout *);

/* The same with what is available in part. */
timeline_wide timeline_early_edge(const struct timeline_layout *);

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

/* Is this a time that can be reckoned with, in ticks and in microseconds? */
bool timeline_fits(timeline_wide ticks, uint32_t timescale);

/* Microseconds in units of the timescale, rounded down; the product may pass 64 bits. */
timeline_wide timeline_ticks(dur_us us, uint32_t timescale);

/* Where a period of that length cuts segments, in timescale units: one that
 * starts there or later is not played.  A millisecond before its end, as
 * durations are rounded to milliseconds and no segment is that short. */
timeline_wide timeline_cut(dur_us period_duration, uint32_t timescale);

#endif
