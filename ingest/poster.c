/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The poster: full-range 4:2:0 JPEG through libavcodec.
 */
#include "ingest/poster.h"

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>
#include <math.h>

#include "base/file.h"
#include "base/must.h"
#include "base/words.h"

#define POSTER_QUALITY 5 /* of mjpeg, 2 is the best */

double poster_worth(const AVFrame *p)
{
	double sum = 0, squares = 0, n = 0;

	for (int y = 0; y < p->height; y += 8)
		for (int x = 0; x < p->width; x += 8, n++) {
			double v = p->data[0][y * p->linesize[0] + x];

			sum += v;
			squares += v * v;
		}
	return n > 0 ? sqrt(fmax(0, squares / n - sum / n * (sum / n))) : 0;
}

static AVFrame *full_range(const AVFrame *in)
{
	struct SwsContext *sws = sws_getContext(in->width, in->height, AV_PIX_FMT_YUV420P, in->width, in->height, AV_PIX_FMT_YUVJ420P,
	                                        SWS_BICUBIC, NULL, NULL, NULL);
	AVFrame *out = av_frame_alloc();

	MUST(sws != NULL && out != NULL);
	out->width = in->width;
	out->height = in->height;
	out->format = AV_PIX_FMT_YUVJ420P;
	MUST(av_frame_get_buffer(out, 0) >= 0);
	sws_scale(sws, (const uint8_t *const *)in->data, in->linesize, 0, in->height, out->data, out->linesize);
	sws_freeContext(sws);
	return out;
}

static int encode(const AVFrame *frame, int quality, AVPacket *packet)
{
	AVCodecContext *c = avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_MJPEG));
	int r;

	MUST(c != NULL);
	c->width = frame->width;
	c->height = frame->height;
	c->pix_fmt = AV_PIX_FMT_YUVJ420P;
	c->time_base = (AVRational){1, 1};
	c->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
	c->global_quality = quality * FF_QP2LAMBDA;
	r = avcodec_open2(c, c->codec, NULL);
	if (r >= 0)
		r = avcodec_send_frame(c, frame);
	if (r >= 0)
		r = avcodec_receive_packet(c, packet);
	avcodec_free_context(&c);
	return r;
}

int poster_write_full_range(AVFrame *frame, int quality, const char *path, uint64_t *ret_bytes, struct fault *f)
{
	AVPacket *packet = av_packet_alloc();
	int r;

	MUST(packet != NULL);
	frame->quality = quality * FF_QP2LAMBDA;
	r = encode(frame, quality, packet);
	if (r < 0) {
		r = fault_set(f, ERR_MEDIA, _("%s: cannot be encoded: %s"), path, av_err2str(r));
	} else {
		*ret_bytes = (uint64_t)packet->size;
		r = file_write_atomic(path, packet->data, (size_t)packet->size, 0644);
		if (r != 0)
			fault_set(f, r, _("%s: cannot be written: %s"), path, words_error(r));
	}
	av_packet_free(&packet);
	return r;
}

int poster_write(const AVFrame *yuv, const char *path, struct fault *f)
{
	AVFrame *frame = full_range(yuv);
	uint64_t bytes;
	int r = poster_write_full_range(frame, POSTER_QUALITY, path, &bytes, f);

	av_frame_free(&frame);
	return r;
}
