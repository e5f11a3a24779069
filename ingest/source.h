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
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "ingest/language.h"

#define SOURCE_MAX_AUDIO 16
#define SOURCE_MAX_TEXT 64

/* Errors in what a decoder was given, tolerated up to this share of its packets. */
#define SOURCE_MAX_BAD_SHARE 0.05

struct source_audio {
	int stream;             /* in the container */
	char language[LANGUAGE_SIZE]; /* as the master says; "und" */
	char label[64];         /* the master's own title of it; "" if none */
	int channels, sample_rate;
	bool is_default, is_commentary, is_description, is_dub; /* description: of the picture, for the blind */
};

struct source_text {            /* subtitles, of whatever kind */
	int stream;
	const AVCodecParameters *parameters; /* the source's */
	AVRational time_base;
	char language[LANGUAGE_SIZE], label[64];
	bool is_forced, is_for_deaf, is_commentary;
};

struct source_info {
	const char *format;     /* libavformat's long name */
	const AVStream *stream; /* the picture's, the source's */
	double container_seconds; /* what the container says the picture lasts; 0: nothing */
	bool is_pictures_own;   /* it says so of the picture alone, not of the whole file */
	int width, height;      /* of the picture as decoded */
	AVRational sar;         /* sample aspect ratio; 1/1 when unknown */
	int rotation;           /* clockwise degrees to turn the picture for viewing: 0, 90, 180, 270 */
	AVRational frame_rate;  /* of the grid that pictures are put on */
	bool interlaced;        /* the header says so and the first pictures do not deny it, or they say so */
	int depth;              /* bits per component */
	enum AVColorTransferCharacteristic transfer;
	size_t n_audio;
	struct source_audio audio[SOURCE_MAX_AUDIO];
	size_t n_more_audio;    /* streams of sound beyond these, which are left out */
	const AVChapter *const *chapters; /* the source's */
	size_t n_chapters;
	size_t n_text;
	struct source_text text[SOURCE_MAX_TEXT];
};

struct source; /* hidden */

/* `path` is a file name, or "-" for standard input.  The fault says what is wrong with the
 * master and the cure: no such file, a folder, unreadable, empty, no media, no picture.  Once `stop` (NULL: none) is
 * not 0, this and all that reads of the source fails soon, with whatever fault comes of it, also while nothing comes in. */
int source_open(const char *path, const volatile sig_atomic_t *stop, struct source **ret_source, struct fault *);
void source_close(struct source **);

const struct source_info *source_info(const struct source *);

/* Decoded frames; `frame` stays the source's.  pts is in time_base, moved as said
 * above (audio may start below 0).  A non-zero return ends source_run with it. */
typedef int (*source_frame_f)(void *ctx, int audio, AVFrame *frame, AVRational time_base); /* audio -1: picture */

/* Packets of the text streams, with the container's times; a non-zero return ends source_run with it. */
typedef int (*source_text_f)(void *ctx, size_t text, const AVPacket *);

/* From the next source_run on they are given to `take` too; before, they are not read. */
void source_hear_texts(struct source *, source_text_f take, void *ctx);

/* Whether pictures here and there in a master, whose first ones are whole, say that they are made of fields.  Opens it
 * anew; false where it cannot be sought in. */
bool source_has_fields_later(const char *path, const volatile sig_atomic_t *stop);

struct source_result {
	uint64_t video_packets, video_bad, audio_packets, audio_bad;
	double seconds;         /* end of the last picture */
	double all_seconds;     /* end of whatever was read last: pictures, sound or subtitles */
	int64_t start;          /* of the first picture in the container's time, microseconds */
	unsigned jumps;         /* clocks that jumped and were mended; the first one after so many seconds */
	double first_jump;
	unsigned strays;        /* time stamps that were wrong by themselves; the first one after so many seconds */
	double first_stray;
	double late_stream;     /* after so many seconds pictures or sound of a further stream began, which is left out; 0: no */
};

/* Decodes all of it. */
int source_run(struct source *, source_frame_f, void *ctx, struct source_result *ret_result, struct fault *);

/* For looking at pictures here and there, before or instead of source_run: no sound from now on; and the
 * next source_run begins at or before `seconds`, at a picture that can be decoded.  ERR_UNSUPPORTED: it cannot be sought in. */
void source_pictures_only(struct source *);
int source_seek(struct source *, double seconds, struct fault *);

#endif
