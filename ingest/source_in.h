/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the parts of a source share: source.c opens, source_look.c looks at the first pictures, source_run.c decodes.
 */
#ifndef RIBERA_INGEST_SOURCE_IN_H
#define RIBERA_INGEST_SOURCE_IN_H

#include "ingest/source.h"

struct decoder {
	int stream;
	int audio;              /* index into info.audio, -1: picture */
	AVCodecContext *ctx;
	AVRational time_base;
	int64_t last;           /* last time stamp given out; AV_NOPTS_VALUE: none yet */
	int64_t guess;          /* for frames without one */
	int64_t shift;          /* what its clock is moved by, AV_TIME_BASE units: one of the source's */
	int64_t seen;           /* where its last packet stood, moved, AV_TIME_BASE units; known if next is */
	int64_t next;           /* where its next packet is due; AV_NOPTS_VALUE: not known */
	uint64_t packets, bad;
};

#define SOURCE_SHIFTS 8 /* clocks that are remembered */

#define SOURCE_ENCRYPTED "%s: is encrypted (DRM); give the master before it was encrypted"

struct source {
	char *path;
	const volatile sig_atomic_t *stop; /* or NULL */
	AVFormatContext *format;
	int (*open_plain)(AVFormatContext *, AVIOContext **, const char *url, int flags, AVDictionary **); /* libavformat's own */
	struct source_info info;
	struct decoder *decoders;
	size_t n_decoders;
	int video_stream;
	unsigned n_streams;     /* that it had when it was opened */
	double late_stream;     /* seconds, when pictures or sound of a further one began; 0: none */
	int64_t shifts[SOURCE_SHIFTS]; /* the newest first; streams of one clock are moved alike, so they stay together */
	size_t n_shifts;
	unsigned jumps;         /* of the clock; and when the first was, seconds */
	double first_jump;
	unsigned strays;        /* stamps far ahead of all around them; and where the first was due, seconds */
	double first_stray;
	bool has_start;
	int64_t start;          /* of the first picture, AV_TIME_BASE units */
	double video_end;
	int64_t read_end;       /* of all that was read, AV_TIME_BASE units, the container's time */
	AVPacket *packet;
	AVFrame *frame;
	source_text_f take_text; /* NULL: they are not read */
	void *text_ctx;
	AVFrame **waiting;      /* sound decoded before the first picture is known */
	int *waiting_of;
	size_t n_waiting, cap_waiting, cap_waiting_of;
	AVPacket **kept;        /* read by source_look and source_peek, for source_read */
	size_t n_kept, next_kept, cap_kept;
};

/* source_look.c: decodes the first pictures and says in info.interlaced what they are; what was read is kept. */
void source_look(struct source *);
/* The next packet into s->packet, as av_read_frame. */
int source_read(struct source *);
/* The packet that source_read gives after `ahead` others, as it was read; NULL: the master has ended, or that is too far. */
const AVPacket *source_peek(struct source *, size_t ahead);
/* Drops what is kept: the source is to be read from another place. */
void source_forget(struct source *);

#endif
