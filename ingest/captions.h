/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One subtitle stream: packets in, cues out.  What libavcodec reads as text:
 * SRT, WebVTT, mov_text, ASS and SSA, and others.  A stream belongs to one thread at a time.
 */
#ifndef RIBERA_INGEST_CAPTIONS_H
#define RIBERA_INGEST_CAPTIONS_H

#include <libavcodec/avcodec.h>
#include <stdbool.h>

#include "base/err.h"
#include "ingest/cue.h"

struct captions; /* hidden */

/* Can it become text?  Pictures (PGS, DVB, VobSub) cannot, and TTML has no decoder. */
bool captions_can_read(const AVCodecParameters *);

/* ERR_UNSUPPORTED, ERR_MEDIA. */
int captions_new(const AVCodecParameters *, AVRational time_base, struct captions **ret_captions, struct fault *);
void captions_free(struct captions **);

/* A packet that cannot be read is counted and passed over.  ERR_LIMIT when they are more than any film has. */
int captions_take(struct captions *, const AVPacket *, struct fault *);

struct captions_found {
	const struct cue *cues; /* until captions_free */
	size_t n;
	size_t outside;         /* cues that lay outside the film */
	uint64_t bad;           /* packets that could not be read */
};

/* No more packets: the cues of a film that begins at `zero` in the packets' time and lasts `length`, microseconds. */
void captions_end(struct captions *, int64_t zero, int64_t length, struct captions_found *ret_found);

/* All of a file with subtitles alone, moved into *ret_captions (time 0 is the film's beginning).  It must be UTF-8, or
 * UTF-16 with a byte order mark.  ERR_SYNTAX, ERR_MEDIA, -errno; the fault has the cure. */
int captions_read_file(const char *path, struct captions **ret_captions, struct fault *);

#endif
