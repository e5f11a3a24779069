/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Quality of what an encoder makes that does not measure by itself: one picture in
 * JUDGE_EVERY is kept until its packet has been decoded, and compared.  Decoding is some 5 % of
 * what AV1 takes to encode.  A judge belongs to one thread.
 */
#ifndef RIBERA_INGEST_JUDGE_H
#define RIBERA_INGEST_JUDGE_H

#include <libavcodec/avcodec.h>

#include "ingest/chunk.h"

#define JUDGE_EVERY 7 /* no power of two: pictures of all layers of an encoder's pyramid come by */

struct judge; /* hidden */

/* For what `encoder`, which is open, makes of a chunk whose pictures leave in the order in which they come.  NULL: this
 * FFmpeg cannot decode it, and nothing is known of its quality. */
struct judge *judge_new(const AVCodecContext *encoder);
void judge_free(struct judge **);

/* A frame on its way in; pts counts from 0 within the chunk.  A reference is taken of some. */
void judge_frame(struct judge *, const AVFrame *);

/* A packet on its way out; NULL: there are no more.  Samples of `chunk` get their quality, later than they are added. */
void judge_packet(struct judge *, const AVPacket *, struct chunk *);

#endif
