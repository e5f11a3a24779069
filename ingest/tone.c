/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * HDR is brought to the light it stands for, its highlights are bent by the knee of Report
 * ITU-R BT.2390 (5.4.1), colours that BT.709 has not are drawn to grey just as far as they must.
 */
#include "ingest/tone.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/words.h"

#define WHITE 203.0        /* cd/m2 of graphics white (BT.2408), and the SDR display's peak here */
#define USUAL_PEAK 1000.0
#define MOST_PEAK 10000.0
#define SIDE 33            /* of the table; the scale is PQ's or HLG's own, so steps look alike */

/* --- what the numbers mean -------------------------------------------------------------------- */

/* The picture's own word before the container's; NULL: neither says it. */
static const void *said_of_light(const AVStream *st, const AVFrame *first, enum AVFrameSideDataType in_frame, enum AVPacketSideDataType in_stream)
{
	const AVFrameSideData *own = av_frame_get_side_data(first, in_frame);

	return own != NULL ? own->data : av_stream_get_side_data(st, in_stream, NULL);
}

static struct light light_of(const AVStream *st, const AVFrame *first)
{
	const AVContentLightMetadata *l = said_of_light(st, first, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL, AV_PKT_DATA_CONTENT_LIGHT_LEVEL);
	const AVMasteringDisplayMetadata *d = said_of_light(st, first, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA, AV_PKT_DATA_MASTERING_DISPLAY_METADATA);
	struct light light = {0};

	if (l != NULL && l->MaxCLL > 0 && l->MaxCLL <= UINT16_MAX && l->MaxFALL <= UINT16_MAX) {
		light.has_level = true;
		light.level = *l;
	}
	if (d != NULL && d->has_luminance && d->has_primaries && d->max_luminance.num > 0 && d->max_luminance.den > 0 && d->min_luminance.den > 0) {
		light.has_display = true;
		light.display = *d;
	}
	return light;
}

static double peak_of(const struct light *light)
{
	double peak = USUAL_PEAK;

	if (light->has_level)
		peak = light->level.MaxCLL;
	else if (light->has_display)
		peak = av_q2d(light->display.max_luminance);
	return fmin(fmax(peak, WHITE), MOST_PEAK);
}

/* What players take for granted when nothing is said: by size, as television did. */
static struct colours usual(int width, int height)
{
	if (width >= 1280 || height > 576)
		return (struct colours){AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709};
	if (height > 480)
		return (struct colours){AVCOL_PRI_BT470BG, AVCOL_TRC_BT709, AVCOL_SPC_BT470BG};
	return (struct colours){AVCOL_PRI_SMPTE170M, AVCOL_TRC_BT709, AVCOL_SPC_SMPTE170M};
}

static bool said(int frame, int stream, int unspecified, int *ret)
{
	int v = frame != unspecified && frame != 0 ? frame : stream;

	if (v == unspecified)
		return false;
	*ret = v;
	return true;
}

static struct colours master_colours(const AVCodecParameters *p, const AVFrame *first)
{
	struct colours c = usual(first->width, first->height);
	int v;

	if (said((int)first->color_primaries, (int)p->color_primaries, AVCOL_PRI_UNSPECIFIED, &v) && v != AVCOL_PRI_RESERVED0)
		c.primaries = (enum AVColorPrimaries)v;
	if (said((int)first->color_trc, (int)p->color_trc, AVCOL_TRC_UNSPECIFIED, &v) && v != AVCOL_TRC_RESERVED0)
		c.transfer = (enum AVColorTransferCharacteristic)v;
	/* 0 is RGB: pictures leave as YUV in the usual matrix */
	if (said((int)first->colorspace, (int)p->color_space, AVCOL_SPC_UNSPECIFIED, &v) && v != AVCOL_SPC_RGB)
		c.matrix = (enum AVColorSpace)v;
	return c;
}

void tone_of(const struct source_info *info, const AVFrame *first, struct tone *ret_tone)
{
	struct tone t = {.in = master_colours(info->stream->codecpar, first)};

	t.out = t.in;
	t.is_hdr = t.in.transfer == AVCOL_TRC_SMPTE2084 || t.in.transfer == AVCOL_TRC_ARIB_STD_B67;
	if (t.is_hdr)
		t.light = light_of(info->stream, first);
	t.peak = peak_of(&t.light);
	if (t.in.transfer == AVCOL_TRC_ARIB_STD_B67)
		t.peak = USUAL_PEAK; /* BT.2100 table 5: the display's, not the picture's */
	if (t.is_hdr)
		t.out = (struct colours){AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709};
	*ret_tone = t;
}

/* --- light ------------------------------------------------------------------------------------ */

#define PQ_M1 (2610.0 / 16384)
#define PQ_M2 (2523.0 / 4096 * 128)
#define PQ_C1 (3424.0 / 4096)
#define PQ_C2 (2413.0 / 4096 * 32)
#define PQ_C3 (2392.0 / 4096 * 32)

static double pq_to_light(double v) /* BT.2100 table 4; cd/m2 */
{
	double p = pow(fmax(v, 0), 1 / PQ_M2);

	return 10000 * pow(fmax(p - PQ_C1, 0) / (PQ_C2 - PQ_C3 * p), 1 / PQ_M1);
}

static double light_to_pq(double y)
{
	double p = pow(fmax(y, 0) / 10000, PQ_M1);

	return pow((PQ_C1 + PQ_C2 * p) / (1 + PQ_C3 * p), PQ_M2);
}

static double hlg_to_scene(double v) /* BT.2100 table 5; 0 to 1 */
{
	const double a = 0.17883277, b = 1 - 4 * a, c = 0.5 - a * log(4 * a);

	return v <= 0.5 ? v * v / 3 : (exp((v - c) / a) + b) / 12;
}

static double luminance(const double rgb[static 3], bool wide)
{
	return wide ? 0.2627 * rgb[0] + 0.6780 * rgb[1] + 0.0593 * rgb[2] : 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
}

static void to_light(const struct tone *t, const double in[static 3], double light[static 3])
{
	double scale;

	if (t->in.transfer == AVCOL_TRC_SMPTE2084) {
		for (int i = 0; i < 3; i++)
			light[i] = pq_to_light(in[i]);
		return;
	}
	for (int i = 0; i < 3; i++)
		light[i] = hlg_to_scene(in[i]);
	/* the display's gamma of 1.2 at 1000 cd/m2 */
	scale = t->peak * pow(luminance(light, t->in.primaries == AVCOL_PRI_BT2020), 0.2);
	for (int i = 0; i < 3; i++)
		light[i] *= scale;
}

/* BT.2390 5.4.1: unbent up to the knee, then a Hermite spline to the display's peak. */
static double bend(const struct tone *t, double light)
{
	double top = light_to_pq(t->peak), e = fmin(light_to_pq(light) / top, 1), most = light_to_pq(WHITE) / top, knee = 1.5 * most - 0.5, x;

	if (e > knee) {
		x = (e - knee) / (1 - knee);
		e = (2 * x * x * x - 3 * x * x + 1) * knee + (x * x * x - 2 * x * x + x) * (1 - knee) + (3 * x * x - 2 * x * x * x) * most;
	}
	return pq_to_light(e * top);
}

/* Linear light of BT.2020 (BT.2087) or P3 with D65 to that of BT.709. */
static void to_narrow(const struct tone *t, double c[static 3])
{
	static const double from_2020[3][3] = {{1.6605, -0.5876, -0.0728}, {-0.1246, 1.1329, -0.0083}, {-0.0182, -0.1006, 1.1187}};
	static const double from_p3[3][3] = {{1.2249, -0.2247, 0}, {-0.0420, 1.0419, 0}, {-0.0197, -0.0786, 1.0979}};
	const double(*m)[3] = t->in.primaries == AVCOL_PRI_BT2020 ? from_2020 : t->in.primaries == AVCOL_PRI_SMPTE432 ? from_p3 : NULL;
	double v[3] = {c[0], c[1], c[2]};

	for (int i = 0; m != NULL && i < 3; i++)
		c[i] = m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2];
}

/* Colours that BT.709 has not (a part is negative): towards grey of the same luminance, just as far as needed. */
static void fit(double c[static 3])
{
	double grey = fmax(luminance(c, false), 0), keep = 1;

	for (int i = 0; i < 3; i++)
		if (c[i] < 0)
			keep = fmin(keep, grey / (grey - c[i]));
	for (int i = 0; i < 3; i++)
		c[i] = fmax(grey + keep * (c[i] - grey), 0);
}

void tone_map(const struct tone *t, const double in[static 3], double ret_out[static 3])
{
	double c[3], most, scale;

	to_light(t, in, c);
	to_narrow(t, c);
	fit(c);
	/* the brightest part is bent and the others follow: hue stays, nothing is clipped */
	most = fmax(c[0], fmax(c[1], c[2]));
	scale = most > 0 ? bend(t, most) / most / WHITE : 0;
	for (int i = 0; i < 3; i++)
		ret_out[i] = pow(fmin(c[i] * scale, 1), 1 / 2.4); /* BT.1886 */
}

/* --- the table -------------------------------------------------------------------------------- */

static void put_table(const struct tone *t, struct buf *out)
{
	buf_printf(out, "LUT_3D_SIZE %d\n", SIDE);
	for (int b = 0; b < SIDE; b++)
		for (int g = 0; g < SIDE; g++)
			for (int r = 0; r < SIDE; r++) {
				double v[3];

				tone_map(t, (const double[]){(double)r / (SIDE - 1), (double)g / (SIDE - 1), (double)b / (SIDE - 1)}, v);
				buf_printf(out, "%.6f %.6f %.6f\n", v[0], v[1], v[2]);
			}
}

int tone_write_table(const struct tone *t, char **ret_path, struct fault *f)
{
	char path[] = "/tmp/ribera-XXXXXX.cube"; /* the graph's text takes no other characters unquoted */
	int fd = mkstemps(path, 5), r;
	struct buf text;

	if (fd < 0)
		return fault_set(f, -errno, _("/tmp: cannot make a file for the colours: %s"), words_error(-errno));
	buf_init(&text, (size_t)4 << 20);
	put_table(t, &text);
	r = buf_error(&text);
	if (r == 0)
		r = file_write_all(fd, text.bytes, text.size);
	buf_fini(&text);
	close(fd);
	if (r != 0) {
		unlink(path);
		return fault_set(f, r, _("%s: cannot be written: %s"), path, words_error(r));
	}
	*ret_path = mem_dup(path);
	return 0;
}
