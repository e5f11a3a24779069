/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Movie fragments (ISO/IEC 14496-12 8.8): one moof with the mdat behind it, read
 * for one track, and written as CMAF (ISO/IEC 23000-19 7.5.15) wants them: one
 * traf, one trun, every default repeated in the traf.
 */
#ifndef RIBERA_DASH_BMFF_FRAGMENT_H
#define RIBERA_DASH_BMFF_FRAGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dash/bmff.h"
#include "dash/bmff_track.h"

#define BMFF_MAX_SAMPLES ((size_t)1 << 20) /* of one fragment */

/* sample_flags, 8.8.3.1 */
#define BMFF_FLAGS_SYNC 0x02000000u       /* depends on no other */
#define BMFF_FLAGS_NON_SYNC 0x01010000u   /* depends on others, not sync */
#define BMFF_FLAGS_DISPOSABLE 0x00800000u /* no other depends on it; to be added to the above */
#define BMFF_FLAG_IS_NON_SYNC 0x00010000u

struct bmff_sample {
	uint64_t offset;     /* of its bytes in the file; the writer does not look at it */
	uint64_t time;       /* decode time, track timescale; the writer does not look at it */
	int64_t composition; /* added to `time`: presentation time before the edit list */
	uint32_t size, duration, flags;
};

struct bmff_fragment {
	/* all offsets are of the file */
	uint64_t moof, moof_end;
	uint64_t mdat, mdat_end;   /* the box; equal to moof_end when there is none */
	uint32_t sequence;         /* mfhd */
	bool has_track;            /* a traf of the track was there; else there are no samples */
	bool has_tfdt;
	uint64_t tfdt;             /* track timescale; 0 when absent */
	unsigned n_trafs;          /* of all tracks */
	unsigned n_truns;          /* of the track */
	uint8_t trun_version;      /* of the last one */
	bool base_is_moof, has_base_data_offset; /* tfhd */
	struct bmff_sample *samples; /* owned */
	size_t n_samples;
	uint64_t duration;         /* sum over the samples */
	int64_t earliest, latest;  /* first presentation time and end of the last, before the edit list */
	bool starts_with_sync;     /* the first sample is a sync sample */
	bool first_is_earliest;    /* and no sample is presented before it (SAP type 1) */
	bool data_in_mdat;         /* every sample's bytes lie in the mdat's payload */
};

/* Reads the next moof at or behind *pos of `bytes`, which stand at `offset` of
 * their file, and the header of the mdat behind it; *pos moves behind the mdat.
 * The mdat's bytes need not be there (*pos is then n).  `track_id` 0 means the
 * only or first track.  ERR_NOT_FOUND: no moof left.  ERR_TRUNCATED, ERR_SYNTAX,
 * ERR_LIMIT, -ENOMEM.  The fault (may be NULL) names box and file offset. */
int bmff_fragment_read(const uint8_t *bytes, size_t n, uint64_t offset, size_t *pos, const struct bmff_movie *,
                       uint32_t track_id, struct bmff_fragment **ret_fragment, struct fault *);
void bmff_fragment_free(struct bmff_fragment **);

/* What the writer is told; everything stays the caller's. */
struct bmff_fragment_head {
	uint32_t sequence, track_id;
	uint64_t tfdt;
	const struct bmff_sample *samples;
	size_t n_samples;  /* at least 1, at most BMFF_MAX_SAMPLES */
	bool rolls;        /* put the samples in the header's `roll` group (bmff_header_settings.roll_distance) */
};

/* Appends moof and the mdat's header; the samples' bytes shall follow in order.
 * ERR_LIMIT, ERR_OUT_OF_RANGE (a composition offset that is not 32 bits), or the
 * buffer's error. */
int bmff_fragment_write(const struct bmff_fragment_head *, struct buf *out);

#endif
