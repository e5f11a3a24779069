/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What will be made of a master, decided before its first frame: the ladder and
 * the boundaries.  Pure.
 */
#ifndef RIBERA_INGEST_PLAN_H
#define RIBERA_INGEST_PLAN_H

#include <libavutil/rational.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PLAN_MAX_RUNGS 16

/* What is done with interlaced pictures. */
enum plan_fields {
	PLAN_NO_FIELDS,   /* they stay as they are */
	PLAN_TO_FRAMES,   /* two fields make one picture */
	PLAN_TO_PICTURES, /* each field makes one: twice the rate, all of the motion */
	PLAN_AS_FLAGGED,  /* none are expected: pictures that say they have fields become frames */
	PLAN_FLAGGED_TO_PICTURES, /* some have: each field of those makes a picture, all others are shown twice */
};

struct plan_rung {
	int width, height;     /* even */
	uint64_t bitrate;      /* bit/s, the average asked for */
	uint64_t max_rate;     /* bit/s, the VBV's */
	uint64_t vbv;          /* bits */
	double crf;            /* 0: aim at bitrate; else x264's quality, with max_rate as the cap */
	uint32_t chunk_segments; /* that are encoded by themselves */
	char name[48];         /* "video-1080p-5800k" */
};

struct plan {
	int width, height;     /* of the picture upright with square pixels, even */
	AVRational frame_rate;
	enum plan_fields fields;
	uint32_t segment_frames;
	uint32_t video_timescale;
	uint32_t frame_ticks;  /* a frame in the video timescale */
	size_t n_rungs;
	struct plan_rung rungs[PLAN_MAX_RUNGS]; /* ascending */
};

struct plan_input {
	int width, height;     /* as decoded */
	AVRational sar;
	int rotation;          /* clockwise degrees */
	AVRational frame_rate; /* after deinterlacing */
	enum plan_fields fields;
	double segment_seconds; /* 4 */
	int max_height;        /* 0: no limit */
	size_t max_rungs;      /* 0: no limit */
};

/* The fixed ladder.  Never upscales; at least one rung.  ERR_UNSUPPORTED for a picture with no sane shape. */
int plan_make(const struct plan_input *, struct plan *ret_plan, struct fault *);

/* Other rungs instead (ascending): names and chunks are given to them.  `n` is 1 to PLAN_MAX_RUNGS. */
void plan_set_rungs(struct plan *, const struct plan_rung *, size_t n);

/* The sizes of the fixed ladder that this picture has, ascending, the last as the plan's top rung; returns how many. */
size_t plan_sizes(const struct plan_input *, const struct plan *, int ret_widths[static PLAN_MAX_RUNGS], int ret_heights[static PLAN_MAX_RUNGS]);

/* The access unit that starts segment `segment`'s sound: the one whose presentation
 * is nearest to the video boundary.  Access units are `unit` samples, the first
 * `priming` samples are not presented. */
int64_t plan_audio_cut(const struct plan *, uint64_t segment, int sample_rate, int unit, int priming);

#endif
