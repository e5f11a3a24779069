/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A master: opened, understood, and decoded once, in one pass.
 *
 * Time: everything is moved so that the first picture stands at 0; sound keeps
 * its distance to the picture exactly.
 */
#ifndef RIBERA_INGEST_SOURCE_H
#define RIBERA_INGEST_SOURCE_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SOURCE_MAX_AUDIO 16

/* Errors in what a decoder was given, tolerated up to this share of its packets. */
#define SOURCE_MAX_BAD_SHARE 0.05

struct source_audio {
	int stream;             /* in the container */
	char language[8];       /* ISO 639-2 or "und" */
	char label[64];         /* the master's own title of it; "" if none */
	int channels, sample_rate;
	bool is_default;
};

struct source_info {
	const char *format;     /* libavformat's long name */
	double container_seconds; /* what the container says; 0: nothing */
	int width, height;      /* of the picture as decoded */
	AVRational sar;         /* sample aspect ratio; 1/1 when unknown */
	int rotation;           /* clockwise degrees to turn the picture for viewing: 0, 90, 180, 270 */
	AVRational frame_rate;  /* of the grid that pictures are put on */
	bool interlaced;
	int depth;              /* bits per component */
	enum AVColorTransferCharacteristic transfer;
	size_t n_audio;
	struct source_audio audio[SOURCE_MAX_AUDIO];
};

struct source; /* hidden */

/* `path` is a file name, or "-" for standard input.  The fault says what is wrong with the
 * master and the cure: no such file, a folder, unreadable, empty, no media, no picture. */
int source_open(const char *path, struct source **ret_source, struct fault *);
void source_close(struct source **);

const struct source_info *source_info(const struct source *);

/* Decoded frames; `frame` stays the source's.  pts is in time_base, moved as said
 * above (audio may start below 0).  A non-zero return ends source_run with it. */
typedef int (*source_frame_f)(void *ctx, int audio, AVFrame *frame, AVRational time_base); /* audio -1: picture */

struct source_result {
	uint64_t video_packets, video_bad, audio_packets, audio_bad;
	double seconds;         /* end of the last picture */
};

/* Decodes all of it. */
int source_run(struct source *, source_frame_f, void *ctx, struct source_result *ret_result, struct fault *);

/* For looking at pictures here and there, before or instead of source_run: no sound from now on; and the
 * next source_run begins at or before `seconds`, at a picture that can be decoded.  ERR_UNSUPPORTED: it cannot be sought in. */
void source_pictures_only(struct source *);
int source_seek(struct source *, double seconds, struct fault *);

#endif
