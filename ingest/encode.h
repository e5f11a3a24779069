/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sound encoders: frames in, a finished track file out, each in a thread of its
 * own behind a bounded queue.
 */
#ifndef RIBERA_INGEST_ENCODE_H
#define RIBERA_INGEST_ENCODE_H

#include "ingest/plan.h"
#include "ingest/track.h"

struct encode; /* hidden */

enum encode_codec { ENCODE_AAC, ENCODE_OPUS };

/* What the encoder takes. */
enum AVSampleFormat encode_format(enum encode_codec);

struct encode_audio {
	enum encode_codec codec;
	const char *folder;
	const struct plan *plan;      /* must stay */
	const char *name;             /* "audio-en-stereo-128k" */
	int sample_rate, channels;
	uint64_t bitrate;             /* bit/s */
};

int encode_new_audio(const struct encode_audio *, struct encode **ret_encode, struct fault *);
/* Ends the thread, drops what is unfinished. */
void encode_free(struct encode **);

/* Hands a frame over (a reference is taken); waits while the queue is full.
 * In encode_format(), any number of samples, in order.  Fails with the encoder's fault
 * once it has one. */
int encode_push(struct encode *, const AVFrame *, struct fault *);

/* Before encode_finish: the sound shall last exactly `samples`; what is
 * missing is silence, what is more is cut. */
void encode_set_length(struct encode *, uint64_t samples);

/* No more frames: waits for the encoder and writes the track file. */
int encode_finish(struct encode *, struct fault *);

/* After encode_finish. */
const struct track_facts *encode_facts(const struct encode *);
uint64_t encode_frames(const struct encode *); /* frames taken by the encoder so far; any thread */

#endif
