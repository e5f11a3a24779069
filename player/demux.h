/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One segment's packets out of its bytes: a libavformat context over the
 * initialisation segment and the media segment laid end to end in memory.  The
 * demuxer applies the track's edit list.  One thread.
 */
#ifndef RIBERA_PLAYER_DEMUX_H
#define RIBERA_PLAYER_DEMUX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct AVFormatContext;
struct AVPacket;
struct AVStream;
struct blob;
struct demux; /* hidden */
struct feed;

/* `init` may be NULL; both are referenced.  `audio` chooses the stream kind.
 * ERR_MEDIA with the reason. */
int demux_new(struct blob *init, struct blob *body, int audio, struct demux **ret_demux, struct fault *);
/* The same with a body that is still coming: reading waits for it, and ends when `generation` is over (feed.h). */
int demux_new_feed(struct blob *init, struct feed *, int lane, unsigned generation, struct demux **ret_demux, struct fault *);
void demux_free(struct demux **);
const struct AVStream *demux_stream(const struct demux *);
/* 0 with a packet; ERR_NOT_FOUND at the end; FFmpeg's code otherwise. */
int demux_read(struct demux *, struct AVPacket *);

/* A cheap look before a segment is believed: whole boxes from the first to the
 * last byte, a moof (or moov) and an mdat among them.  ERR_CORRUPT.  Other containers pass. */
int demux_check(const struct blob *body, const char *mime_type);
/* The decode time of the first fragment (ISO/IEC 14496-12 8.8.12), in the track's timescale; false without one. */
bool demux_time(const struct blob *body, uint64_t *ret_time);
/* Ticks a second of the track an initialisation segment is of; 0: it does not say. */
uint32_t demux_timescale(const struct blob *init);

#endif
