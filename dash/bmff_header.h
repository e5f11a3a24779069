/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Makes a CMAF header (ISO/IEC 23000-19 7.3.1, brand cmf2) of the initialisation
 * segment that a muxer wrote: brands, edit list, roll group and durations are
 * set, everything else of the moov is kept byte for byte.
 */
#ifndef RIBERA_DASH_BMFF_HEADER_H
#define RIBERA_DASH_BMFF_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;
struct bmff_track;

struct bmff_header_settings {
	/* Sound: the media time that is heard first (the encoder's priming) and for
	 * how long, both in the track's timescale; length 0: to the end.  No edit
	 * list is written when has_edit is false. */
	bool has_edit;
	int64_t edit_start;
	uint64_t edit_duration;
	/* 0: none.  -1 for AAC; for Opus 80 ms in packets, -4 at 20 ms (Opus in
	 * ISOBMFF 4.3.6.2).  Fragments then say `rolls`. */
	int16_t roll_distance;
	/* Of all fragments together, in the track's timescale (mehd); 0: unknown. */
	uint64_t duration;
};

/* `init` holds ftyp and moov with one track.  Appends ftyp and moov.  The movie
 * timescale becomes the track's, so that the edit list is exact.  ERR_NOT_FOUND,
 * ERR_TRUNCATED, ERR_SYNTAX for a bad `init`, ERR_UNSUPPORTED when it has not
 * exactly one track or has samples of its own, or the buffer's error. */
int bmff_header_make(const uint8_t *init, size_t n, const struct bmff_header_settings *, struct buf *out,
                     struct fault *);

/* The media profile's brand (23000-19 annexes A to K, AV1-ISOBMFF 2.1), or 0 when
 * the track fits none. */
uint32_t bmff_media_brand(const struct bmff_track *);

#endif
