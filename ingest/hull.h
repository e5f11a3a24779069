/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ladder of one title: what it costs to look how good at which size, measured
 * at a few points, gives the convex hull of rate and quality, and rungs are
 * taken along it.  Pure.
 */
#ifndef RIBERA_INGEST_HULL_H
#define RIBERA_INGEST_HULL_H

#include <stddef.h>

#define HULL_MAX_SIZES 12
#define HULL_MAX_CRFS 4
#define HULL_MAX_RUNGS 16
#define HULL_MAX_POINTS 64

/* Quality is in dB at the size of the display: -10 log10(1 - SSIM). */
struct hull_point {
	size_t size;         /* index in hull_probe.sizes */
	double crf;
	double rate;         /* bit/s */
	double quality;
};

struct hull_size {
	int width, height;
	/* measured, in the order of hull_probe.crfs */
	double rate[HULL_MAX_CRFS], quality[HULL_MAX_CRFS], psnr[HULL_MAX_CRFS]; /* psnr: dB at the size of the display */
};

struct hull_probe {
	size_t n_sizes, n_crfs;
	struct hull_size sizes[HULL_MAX_SIZES]; /* ascending; the last is the display's */
	double crfs[HULL_MAX_CRFS];             /* ascending: the best quality first */
};

struct hull {
	struct hull_point points[HULL_MAX_POINTS]; /* ascending rate: the upper convex line over rate and quality */
	size_t n_points;
	struct hull_point rungs[HULL_MAX_RUNGS];   /* ascending rate */
	size_t n_rungs;
};

/* What one size gives at a crf within the measured ones: rate in logarithms and quality are quadratic (or linear)
 * between what was measured. */
struct hull_point hull_at(const struct hull_probe *, size_t size, double crf);

/* Hull and rungs: from about `floor_rate` to where more bits no longer show, at most max_rungs. */
void hull_make(const struct hull_probe *, double floor_rate, size_t max_rungs, struct hull *ret_hull);

#endif
