/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pictures: deinterlaced, turned upright, scaled to every
 * rung in one cascade.  Sound: put on the sample grid, gaps filled, mixed down.
 * Both through libavfilter (libswscale, libswresample).
 */
#ifndef RIBERA_INGEST_FILTER_H
#define RIBERA_INGEST_FILTER_H

#include "ingest/plan.h"
#include "ingest/source.h"

struct filter; /* hidden */

/* A non-zero return ends the push with it. `frame` stays the filter's; its pts counts
 * frames of the grid (pictures) or samples (sound). */
typedef int (*filter_out_f)(void *ctx, size_t output, AVFrame *frame);

/* Output i is rung i of the plan, yuv420p 8 bit.  Frames go in with pts counting frames of the master's rate; their size and format may
 * change.  Info and plans must stay.  With `deep` (may be NULL) its rungs follow,
 * yuv420p of 10 bit in the master's own colours. */
int filter_new_video(const struct source_info *, const struct plan *, const struct plan *deep, const AVFrame *first,
                     struct filter **ret_filter, struct fault *);

/* One output: float (planar or not, as `format` says) at `rate`, `channels` (1, 2 or 6), starting at sample 0: silence is
 * put in for what is missing, what lies before 0 is cut.  Rate, channels and format of what goes in may change. */
int filter_new_audio(const AVFrame *first, AVRational time_base, int rate, int channels, enum AVSampleFormat format, struct filter **ret_filter,
                     struct fault *);
bool filter_met_fields(const struct filter *); /* where the plan expected none */
void filter_free(struct filter **);

/* frame NULL: the end; all that is left comes out. */
int filter_push(struct filter *, AVFrame *frame, filter_out_f, void *ctx, struct fault *);

#endif
