/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a moov box (ISO/IEC 14496-12 8.2) says about its tracks: enough for a
 * packager, a verifier and a player of CMAF.  Sample tables of files that are
 * not fragmented are counted, not read.
 */
#ifndef RIBERA_DASH_BMFF_TRACK_H
#define RIBERA_DASH_BMFF_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dash/bmff.h"

#define BMFF_MAX_TRACKS 256

/* 8.6.6: one entry of the edit list */
struct bmff_edit {
	uint64_t duration;  /* movie timescale; 0 in a fragmented file: to the end */
	int64_t media_time; /* track timescale; -1: an empty edit */
	int16_t rate;       /* 1, or 0 for a dwell */
};

/* 8.8.3 */
struct bmff_trex {
	bool present;
	uint32_t description_index, duration, size, flags;
};

/* 12.1.5, type nclx or nclc; code points of ISO/IEC 23091-2 */
struct bmff_colr {
	bool present;
	uint16_t primaries, transfer, matrix;
	bool full_range;
};

struct bmff_track {
	uint32_t id;
	uint32_t handler;         /* 'vide', 'soun', 'text', 'subt', ... */
	uint32_t timescale;       /* never 0 */
	uint64_t duration;        /* mdhd, track timescale */
	char language[4];         /* ISO 639-2/T; "und" when it says none */
	uint32_t display_width, display_height; /* tkhd, whole pixels */
	uint32_t entry;           /* type of the first sample entry; for encv/enca the original format */
	bool encrypted;
	size_t n_entries;         /* sample entries */
	char codecs[72];          /* RFC 6381; the sample entry's type when nothing more is known of it */
	uint8_t *config;          /* owned; the decoder configuration: avcC, hvcC, av1C, vpcC, dOps, dac3, dec3, dfLa payload, or the AudioSpecificConfig */
	size_t n_config;
	uint8_t profile, level;   /* of avc, hevc, av1; 0 for others */
	/* pictures */
	uint32_t width, height;   /* of the sample entry */
	uint32_t par_num, par_den; /* pasp; 1/1 when absent */
	bool has_pasp;
	struct bmff_colr colr;
	/* sound */
	uint32_t channels, sample_rate; /* from the decoder configuration where it says so */
	uint32_t pre_skip;        /* Opus, 48 kHz samples */
	/* timing */
	struct bmff_edit *edits;  /* owned */
	size_t n_edits;
	bool has_roll;
	int16_t roll_distance;    /* first `roll` sample group description in stbl */
	uint64_t n_samples;       /* in the moov itself; 0 in a CMAF header */
	struct bmff_trex trex;
};

struct bmff_movie {
	uint32_t major_brand;     /* 0 without ftyp */
	uint32_t *brands;         /* owned; compatible brands */
	size_t n_brands;
	uint32_t timescale;       /* mvhd; never 0 */
	uint64_t duration;        /* mvhd */
	bool fragmented;          /* has mvex */
	bool has_fragment_duration;
	uint64_t fragment_duration; /* mehd, movie timescale */
	struct bmff_track *tracks; /* owned */
	size_t n_tracks;
};

/* Finds ftyp (if any) and moov at the top level and reads them.
 * ERR_NOT_FOUND: no moov.  ERR_TRUNCATED: a box ends early.  ERR_SYNTAX: an
 * impossible value.  ERR_LIMIT: more than BMFF_MAX_TRACKS tracks.  The fault
 * (may be NULL) names the box. */
int bmff_movie_read(const uint8_t *bytes, size_t n, struct bmff_movie **ret_movie, struct fault *);
void bmff_movie_free(struct bmff_movie **);

/* NULL when there is no such track; id 0 is the first. */
const struct bmff_track *bmff_movie_track(const struct bmff_movie *, uint32_t id);
bool bmff_movie_has_brand(const struct bmff_movie *, uint32_t brand);

/* Media time (track timescale) that the edit list shows at presentation time 0:
 * presentation time = media time - this.  0 without an edit list; negative when
 * an empty edit puts the track later. */
int64_t bmff_track_shift(const struct bmff_track *, uint32_t movie_timescale);

#endif
