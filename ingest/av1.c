/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SVT-AV1 with one logical processor gives the same bits each time; cores are
 * filled by chunks side by side, as with x264.  A temporal unit shows one picture, so
 * samples leave in the order in which they are shown and there is no delay.
 */
#include "ingest/av1.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "ingest/options.h"

#define QUALITY_APART 12.0 /* SVT-AV1's CRF above x264's at the same SSIM (preset 8 and veryfast) */
#define LEAST_CRF 20.0
#define MOST_CRF 55.0
#define USUAL_CRF 35.0     /* where the H.264 rung aims at a rate */
#define RATE_SHARE 0.7     /* of the H.264 rung's highest rate */

/* --- the plan ---------------------------------------------------------------------------------- */

static void set_rung(const struct plan_rung *avc, struct plan_rung *r)
{
	*r = *avc;
	r->crf = avc->crf > 0 ? round(fmin(fmax(avc->crf + QUALITY_APART, LEAST_CRF), MOST_CRF)) : USUAL_CRF;
	r->bitrate = (uint64_t)(RATE_SHARE * (double)avc->bitrate);
	r->max_rate = (uint64_t)(RATE_SHARE * (double)avc->max_rate);
	r->vbv = (uint64_t)(RATE_SHARE * (double)avc->vbv);
}

void av1_plan(const struct plan *p, struct plan *ret_plan)
{
	struct plan_rung rungs[PLAN_MAX_RUNGS];
	size_t n = 0;

	for (size_t i = 0; i < p->n_rungs; i++) {
		const struct plan_rung *r = &p->rungs[i];
		bool last = i + 1 == p->n_rungs || p->rungs[i + 1].width != r->width || p->rungs[i + 1].height != r->height;

		if (last && r->width >= AV1_LEAST_SIDE && r->height >= AV1_LEAST_SIDE)
			set_rung(r, &rungs[n++]);
	}
	*ret_plan = *p;
	ret_plan->n_rungs = 0;
	if (n == 0)
		return;
	plan_set_rungs(ret_plan, rungs, n);
	for (size_t i = 0; i < n; i++)
		snprintf(ret_plan->rungs[i].name, sizeof ret_plan->rungs[i].name, "video-av1-%dx%d-q%.0f", rungs[i].width, rungs[i].height, rungs[i].crf);
}

/* --- packets ----------------------------------------------------------------------------------- */

enum { OBU_TEMPORAL_DELIMITER = 2, OBU_TILE_LIST = 8, OBU_PADDING = 15 };

/* One OBU's length with its head, 0: it has no sane one.  The encoder always tells sizes (AV1 5.3.1, 4.10.5). */
static size_t obu_length(const uint8_t *p, size_t n)
{
	size_t at = p[0] & 4 ? 2 : 1;
	uint64_t size = 0;

	if ((p[0] & 2) == 0)
		return 0;
	for (unsigned shift = 0; at < n && shift < 56; shift += 7) {
		size |= (uint64_t)(p[at] & 127) << shift;
		if ((p[at++] & 128) == 0)
			return size <= n - at ? at + (size_t)size : 0;
	}
	return 0;
}

/* AV1 in ISOBMFF 2.4: no temporal delimiters, padding or tile lists in a sample. */
static int pack(const AVPacket *packet, bool first_chunk, struct buf *out)
{
	const uint8_t *p = packet->data;
	size_t n = (size_t)packet->size;

	(void)first_chunk;
	buf_clear(out);
	while (n > 0) {
		size_t length = obu_length(p, n);
		int type = p[0] >> 3 & 15;

		if (length == 0)
			return ERR_CORRUPT;
		if (type != OBU_TEMPORAL_DELIMITER && type != OBU_TILE_LIST && type != OBU_PADDING)
			buf_append(out, p, length);
		p += length;
		n -= length;
	}
	return buf_error(out);
}

/* --- the encoder -------------------------------------------------------------------------------- */

static double part(AVRational q)
{
	return q.den != 0 ? av_q2d(q) : 0;
}

/* As metadata OBUs (AV1 6.7.3, 6.7.4), which players read that do not look into the container. */
static void put_light(const struct light *l, char *out, size_t size)
{
	const AVMasteringDisplayMetadata *d = &l->display;
	int n = (int)strlen(out);

	if (l->has_display)
		n += snprintf(out + n, size - (size_t)n, ":mastering-display=G(%.5f,%.5f)B(%.5f,%.5f)R(%.5f,%.5f)WP(%.5f,%.5f)L(%.4f,%.4f)",
		              part(d->display_primaries[1][0]), part(d->display_primaries[1][1]), part(d->display_primaries[2][0]),
		              part(d->display_primaries[2][1]), part(d->display_primaries[0][0]), part(d->display_primaries[0][1]),
		              part(d->white_point[0]), part(d->white_point[1]), part(d->max_luminance), part(d->min_luminance));
	if (l->has_level)
		snprintf(out + n, size - (size_t)n, ":content-light=%u,%u", l->level.MaxCLL, l->level.MaxFALL);
}

static void configure(const struct coder_settings *s, AVCodecContext *c, AVDictionary **options)
{
	char crf[16], own[256] = "lp=1";

	(void)c;
	if (s->light != NULL)
		put_light(s->light, own, sizeof own);
	setenv("SVT_LOG", "1", 0); /* errors alone: it speaks to standard error by itself */
	snprintf(crf, sizeof crf, "%.0f", s->rung->crf);
	options_set(options, "crf", crf);
	options_set(options, "svtav1-params", own);
}

/* SVT-AV1 1.4 waits for ever when it is ended before it was given a frame and the end of frames. */
static void wind_up(AVCodecContext *c, bool begun, bool ended)
{
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();

	MUST(packet != NULL && frame != NULL);
	frame->format = c->pix_fmt;
	frame->width = c->width;
	frame->height = c->height;
	frame->pts = 0;
	if (!begun && av_frame_get_buffer(frame, 0) >= 0)
		avcodec_send_frame(c, frame);
	if (!ended)
		avcodec_send_frame(c, NULL);
	while (avcodec_receive_packet(c, packet) >= 0)
		av_packet_unref(packet);
	av_frame_free(&frame);
	av_packet_free(&packet);
}

const struct coder av1_coder = {
	.library = "libsvtav1",
	.short_name = "av1",
	.option = "--av1-preset",
	.without = "; leave av1 out of --codecs",
	.configure = configure,
	.pack = pack,
	.wind_up = wind_up,
};
