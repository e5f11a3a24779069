/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What encoders of pictures have in common: the frames of a chunk go in, its samples come out, by one encoder
 * with one thread, in closed GOPs that start exactly at the plan's boundaries, with bits that
 * are a function of frames and settings.  What is a library's own stands in its `struct coder`.
 */
#ifndef RIBERA_INGEST_CODER_H
#define RIBERA_INGEST_CODER_H

#include <signal.h>
#include <libavcodec/avcodec.h>

#include "ingest/chunk.h"
#include "ingest/plan.h"
#include "ingest/tone.h"

struct coder_settings {
	const struct plan *plan;
	const struct plan_rung *rung;
	const char *preset;      /* the library's */
	bool measure;            /* PSNR and SSIM: of every picture, or of some (ingest/judge.h) */
	bool is_deep;            /* frames of 10 bit; AV1 alone */
	/* for the bitstream */
	enum AVColorPrimaries primaries;
	enum AVColorTransferCharacteristic transfer;
	enum AVColorSpace matrix;
	const struct light *light; /* AV1 alone; NULL: it is not HDR; must stay */
	const volatile sig_atomic_t *stop; /* once it is not 0 the process is about to end, and coder_encode ends soon; NULL: none */
};

/* One kind of encoder: avc_coder, av1_coder. */
struct coder {
	const char *library;     /* as libavcodec names it */
	const char *short_name;  /* "avc"; of its threads in the system's tools */
	const char *option;      /* of ribera-ingest, that sets the preset */
	const char *without;     /* a cure when the library is missing; "" if there is none */
	bool reorders;           /* packets leave in another order than that of the frames */
	bool measures;           /* quality_take() tells of each packet; of other coders a judge does */
	bool is_told_starts;     /* each segment's first frame is marked; else gop_size is obeyed exactly */
	/* Sets what is the library's own in a context that has all the rest. */
	void (*configure)(const struct coder_settings *, AVCodecContext *, AVDictionary **options);
	/* One packet as it stands in a track file; `first_chunk`: it is of the film's.  ERR_CORRUPT; the buffer's errors. */
	int (*pack)(const AVPacket *, bool first_chunk, struct buf *out);
	/* Before the context is freed, which was given a frame or not, and the end or not.  May be NULL. */
	void (*wind_up)(AVCodecContext *, bool begun, bool ended);
};

/* What the track's header says (parameter sets included), and by how many frames pictures leave the
 * encoder before they are shown; both the same for every chunk.  ERR_UNSUPPORTED, ERR_MEDIA. */
int coder_parameters(const struct coder *, const struct coder_settings *, AVCodecParameters **ret_parameters, int *ret_delay, struct fault *);

/* The frame that comes next, the callee's; NULL: the chunk ends. */
typedef AVFrame *(*coder_next_f)(void *ctx);

/* Encodes frames number `first`, `first` + 1 ... (`first` starts a segment).  ERR_MEDIA when the encoder
 * does not do as it was told; the fault says where.  ERR_CANCELLED: by `stop`, what the encoder still has is not waited for. */
int coder_encode(const struct coder *, const struct coder_settings *, uint64_t first, coder_next_f next, void *ctx, struct chunk *out, struct fault *);

#endif
