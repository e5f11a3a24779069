/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A line chart over time as an SVG element for an HTML page: one line a series,
 * stepped (a segment's value holds for all of it), named at its right end; the values
 * of a moment are shown by the browser as a hint, without scripts.  Colours come from
 * the page's style: classes `s0` to `s9`.
 */
#ifndef RIBERA_INGEST_SVG_H
#define RIBERA_INGEST_SVG_H

#include <stddef.h>

struct buf;

#define SVG_MAX_SERIES 32

struct svg_series {
	const char *name;
	const double *values; /* one a step; NAN: none */
	size_t n;
};

struct svg_chart {
	const char *id;       /* unique in the page */
	const char *title, *description; /* for those who do not see it */
	int decimals;
	const char *unit;     /* behind each number: " dB" */
	const double *times;  /* start of each step, and the end of the last: n_steps + 1 seconds */
	size_t n_steps;
	const struct svg_series *series;
	size_t n_series;
	double least, most;   /* of the scale; equal: taken from the values */
};

/* Appends the element; nothing when there are no steps or values. */
void svg_chart(const struct svg_chart *, struct buf *out);

/* "&", "<", ">", "\"" and control characters made harmless. */
void svg_text(const char *text, struct buf *out);

#endif
