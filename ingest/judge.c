/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What cannot be decoded here is left for the proof of the package to find:
 * a judge fails nothing, it knows less.
 */
#include "ingest/judge.h"

#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "ingest/compare.h"

#define MAX_KEPT 64     /* an encoder holds some 60 pictures back; of these one in JUDGE_EVERY is kept */
#define LEAST_ERROR 1e-10 /* 100 dB, for no difference */

struct judge {
	AVCodecContext *decoder;
	AVFrame *shown;
	AVFrame *kept[MAX_KEPT]; /* in the order in which they came */
	size_t n;
};

struct judge *judge_new(const AVCodecContext *encoder)
{
	const AVCodec *codec = avcodec_find_decoder(encoder->codec_id);
	struct judge *j = mem_new(sizeof *j);

	j->decoder = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
	j->shown = av_frame_alloc();
	MUST(j->shown != NULL);
	if (j->decoder != NULL) {
		j->decoder->thread_count = 1; /* the others have chunks of their own */
		j->decoder->time_base = j->decoder->pkt_timebase = encoder->time_base;
	}
	if (j->decoder == NULL || avcodec_open2(j->decoder, codec, NULL) < 0)
		judge_free(&j);
	return j;
}

void judge_free(struct judge **pj)
{
	struct judge *j = *pj;

	*pj = NULL;
	if (j == NULL)
		return;
	for (size_t i = 0; i < j->n; i++)
		av_frame_free(&j->kept[i]);
	av_frame_free(&j->shown);
	avcodec_free_context(&j->decoder);
	free(j);
}

void judge_frame(struct judge *j, const AVFrame *frame)
{
	if (j == NULL || frame->pts % JUDGE_EVERY != 0 || j->n == MAX_KEPT)
		return;
	j->kept[j->n] = av_frame_clone(frame);
	MUST(j->kept[j->n] != NULL);
	j->n++;
}

static struct compare_plane luma_of(const AVFrame *f)
{
	return (struct compare_plane){f->data[0], f->linesize[0], (unsigned)av_pix_fmt_desc_get(f->format)->comp[0].depth};
}

static void compare(struct judge *j, const AVFrame *want, struct chunk *chunk)
{
	const AVFrame *got = j->shown;
	double ssim, error;

	if (got->width != want->width || got->height != want->height || got->format != want->format || (size_t)want->pts >= chunk->n_samples)
		return;
	compare_luma(luma_of(want), luma_of(got), want->width, want->height, &ssim, &error);
	chunk->samples[want->pts].quality = (struct quality){true, -10 * log10(fmax(error, LEAST_ERROR)), ssim};
}

/* What was kept up to this picture; others have no sample to tell of. */
static void show(struct judge *j, struct chunk *chunk)
{
	size_t done = 0;

	while (done < j->n && j->kept[done]->pts <= j->shown->pts) {
		if (j->kept[done]->pts == j->shown->pts)
			compare(j, j->kept[done], chunk);
		av_frame_free(&j->kept[done++]);
	}
	j->n -= done;
	for (size_t i = 0; i < j->n; i++)
		j->kept[i] = j->kept[i + done];
}

void judge_packet(struct judge *j, const AVPacket *p, struct chunk *chunk)
{
	if (j == NULL || avcodec_send_packet(j->decoder, p) < 0)
		return;
	while (avcodec_receive_frame(j->decoder, j->shown) >= 0) {
		show(j, chunk);
		av_frame_unref(j->shown);
	}
}
