/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What travels through the queues: segments as bytes, frames as pictures and
 * sound.  Presentation times are microseconds since the start of the title.
 */
#ifndef RIBERA_PLAYER_MEDIA_H
#define RIBERA_PLAYER_MEDIA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct AVFrame;
struct blob;
struct feed;

struct media_segment {
	unsigned generation;
	unsigned rendition;  /* another number: another decoder */
	unsigned index;
	bool skipped;        /* bytes could not be had: a hole of this segment's duration */
	struct blob *init;   /* NULL: the body stands alone */
	struct blob *body;
	struct feed *feed;   /* or NULL: in place of the body, which is still coming */
	dur_us offset;       /* presentation time = track time + offset */
	dur_us from, to;     /* frames outside are decoded, not shown */
	dur_us first;        /* `from` may go back to here: the start of its period */
	dur_us start, end;   /* nominal */
	uint32_t sar_num, sar_den; /* shape of a pixel as the MPD has it; 0: it does not say */
};
/* Another with the same bytes; not of one with a feed. */
struct media_segment *media_segment_copy(const struct media_segment *);
void media_segment_free(struct media_segment **);

struct media_frame {
	unsigned generation;
	struct AVFrame *av;
	dur_us pts, duration;
};
void media_frame_free(struct media_frame **);

#endif
