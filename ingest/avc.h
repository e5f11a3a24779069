/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * H.264 High by libx264, a chunk at a time: one encoder, one thread, closed
 * GOPs that start exactly at the plan's boundaries.
 */
#ifndef RIBERA_INGEST_AVC_H
#define RIBERA_INGEST_AVC_H

#include <libavcodec/avcodec.h>

#include "ingest/chunk.h"
#include "ingest/plan.h"

struct avc_settings {         /* av1.h takes the same */
	const struct plan *plan;
	const struct plan_rung *rung;
	const char *preset;      /* x264's */
	bool measure;            /* PSNR and SSIM of every picture, for 4 % more work */
	bool is_deep;            /* frames of 10 bit; AV1 alone */
	/* for the bitstream */
	enum AVColorPrimaries primaries;
	enum AVColorTransferCharacteristic transfer;
	enum AVColorSpace matrix;
};

/* What the track's header says (parameter sets included), and by how many frames pictures leave the
 * encoder before they are shown; both the same for every chunk.  ERR_UNSUPPORTED, ERR_MEDIA. */
int avc_parameters(const struct avc_settings *, AVCodecParameters **ret_parameters, int *ret_delay, struct fault *);

/* The frame that comes next, the caller's; NULL: the chunk ends. */
typedef AVFrame *(*avc_next_f)(void *ctx);

/* Encodes frames number `first`, `first` + 1 ... (`first` starts a segment).  ERR_MEDIA when the encoder
 * does not do as it was told; the fault says where. */
int avc_encode(const struct avc_settings *, uint64_t first, avc_next_f next, void *ctx, struct chunk *out, struct fault *);

/* What makes chunks of pictures: the two calls above, or those of av1.h. */
struct coder {
	int (*parameters)(const struct avc_settings *, AVCodecParameters **ret_parameters, int *ret_delay, struct fault *);
	int (*encode)(const struct avc_settings *, uint64_t first, avc_next_f next, void *ctx, struct chunk *out, struct fault *);
};
extern const struct coder avc_coder;

#endif
