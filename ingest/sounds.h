/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sound's way through an ingest: each stream of the master becomes one or
 * two renditions (5.1 and a stereo mix).  It is held back until the picture has
 * come as far, so that sound behind the film's end is never encoded.
 */
#ifndef RIBERA_INGEST_SOUNDS_H
#define RIBERA_INGEST_SOUNDS_H

#include "ingest/package.h"
#include "ingest/plan.h"
#include "ingest/source.h"

struct sounds; /* hidden */

/* Decides names, channels and rates; all in AAC, and with `opus` once more in Opus.  Info, plan and folder must stay. */
struct sounds *sounds_new(const struct source_info *, const struct plan *, const char *folder, bool opus);
void sounds_free(struct sounds **);

/* What will be made: the name, channels and rate (bit/s) of rendition `i`, or false behind the last. */
bool sounds_planned(const struct sounds *, size_t i, const char **ret_name, int *ret_channels, uint64_t *ret_bitrate);

/* A decoded frame of audio stream `audio`; stays the caller's. */
int sounds_take(struct sounds *, size_t audio, const AVFrame *frame, AVRational time_base, struct fault *);
/* The picture has come to `seconds`. */
int sounds_release(struct sounds *, double seconds, struct fault *);
/* The film lasts `seconds`: silence is put in for what is missing, what is more is cut. */
int sounds_end(struct sounds *, double seconds, struct fault *);

void sounds_describe(const struct sounds *, struct package *); /* after sounds_end: fills package->audio */

#endif
