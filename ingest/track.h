/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One CMAF track file (ISO/IEC 23000-19): encoded samples come in in decode
 * order, `ftyp moov sidx (moof mdat)*` comes out, one fragment a segment.
 * A track belongs to one thread at a time.
 */
#ifndef RIBERA_INGEST_TRACK_H
#define RIBERA_INGEST_TRACK_H

#include <libavcodec/avcodec.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ingest/quality.h"

struct digest_builder;
struct light;

struct track_setup {
	const char *folder;      /* of the package in work */
	const char *name;        /* without ".mp4" */
	const AVCodecParameters *parameters; /* with extradata */
	uint32_t timescale;
	int64_t edit_start;      /* media time presented at 0: the encoder's priming, or its reordering delay */
	int64_t lead;            /* presentation of a segment's first sample behind its decode time: the delay; sound: 0 */
	int16_t roll_distance;   /* sound; 0: none */
	AVRational frame_rate;   /* pictures; 0/1 for sound */
	const struct light *light; /* pictures of HDR: for mdcv and clli; NULL: none; must stay */
};

struct track_segment {
	uint64_t size;           /* bytes of moof and mdat */
	int64_t start;           /* presentation time, after the edit list */
	uint64_t duration;       /* presented */
	bool sync;
	double psnr, ssim;       /* of its pictures (ingest/quality.h): of their mean error, and the mean; 0: not known */
};

struct track;                    /* hidden */

int track_new(const struct track_setup *, struct track **ret_track, struct fault *);
void track_free(struct track **); /* removes what is unfinished */

struct track_sample {
	const void *bytes;       /* copied */
	size_t size;
	uint32_t duration;
	int64_t composition;     /* presentation (before the edit list) minus decode time */
	bool sync;
	bool starts_segment;
	struct quality quality;  /* pictures */
};
int track_add(struct track *, const struct track_sample *, struct fault *);

/* Closes the last segment and writes NAME.mp4. `presented` is the sound's length behind
 * the priming, in the timescale; 0: all. */
int track_finish(struct track *, uint64_t presented, struct fault *);

/* What was made; valid after track_finish, until track_free. */
struct track_facts {
	char file[64];           /* "video-1080p-5800k.mp4" */
	uint64_t size;
	uint64_t header_size;    /* ftyp + moov */
	uint64_t index_size;     /* sidx, right behind */
	uint32_t timescale;
	uint64_t samples;
	uint64_t duration;       /* presented, timescale units */
	const struct track_segment *segments;
	size_t n_segments;
	char codecs[72];
};
const struct track_facts *track_facts(const struct track *);

/* The least rate (bit/s) at which playing from any segment on, `buffer_seconds` after its first byte was
 * asked for, never waits (ISO/IEC 23009-1 5.3.5.2, @bandwidth). */
uint64_t track_bandwidth(const struct track_facts *, double buffer_seconds);
uint64_t track_average(const struct track_facts *);
uint64_t track_peak(const struct track_facts *); /* of the densest segment */

#endif
