/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The filter graphs.  One graph for all rungs: each smaller picture is scaled
 * from the next larger one, so the large picture is read once.
 */
#include "ingest/filter.h"

#include <errno.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/words.h"
#include "ingest/tone.h"

struct filter {
	AVFilterGraph *graph;
	AVFilterContext *source, *sinks[2 * PLAN_MAX_RUNGS];
	size_t n_sinks;
	AVFrame *frame;
	AVRational grid;          /* what pts counts on the way out; 0/1: as the graph says */
	/* pictures: what the graph was built for */
	const struct source_info *info;
	const struct plan *plan, *deep;
	int width, height, format;
	enum AVColorRange range;
	AVFrame *held[2 * PLAN_MAX_RUNGS]; /* the last of each output, if whole pictures are to be shown twice; NULL: none */
	bool has_fields;          /* such a picture has come where none was expected; it stays so */
	struct tone tone;         /* by the first frame: later ones do not change what is told */
	/* sound: from what to what */
	AVChannelLayout layout;   /* as the graph was built; so are format and in_rate */
	int in_rate, rate, channels;
	enum AVSampleFormat sample_format;
	AVRational time_base;
	int64_t samples;          /* given out */
};

#define TEXT_MAX 16384

static int failed(struct fault *f, const char *what, int code)
{
	char text[AV_ERROR_MAX_STRING_SIZE];

	av_strerror(code, text, sizeof text);
	return fault_set(f, code == AVERROR(ENOMEM) ? -ENOMEM : ERR_MEDIA, "%s: %s", what, text);
}

static void put_mends(struct buf *b, const struct filter *fl)
{
	static const char *const turns[] = {"", "transpose=clock,", "hflip,vflip,", "transpose=cclock,"};

	enum plan_fields fields = fl->plan->fields;

	if (fields == PLAN_TO_FRAMES || fields == PLAN_TO_PICTURES)
		buf_printf(b, "bwdif=mode=%s:deint=all,", fields == PLAN_TO_PICTURES ? "send_field" : "send_frame");
	else if (fields == PLAN_FLAGGED_TO_PICTURES)
		buf_puts(b, "bwdif=mode=send_field:deint=interlaced,");
	else if (fl->has_fields)
		buf_puts(b, "bwdif=mode=send_frame:deint=interlaced,");
	buf_puts(b, turns[fl->info->rotation / 90]);
}

/* B = 0, C = 1 is the sharp end of Mitchell and Netravali's cubics: what a cascade and the viewer's own scaling blur it gives back, which is
 * worth 8 % of bits one step down and a quarter four steps down (t/bench/ingest, SSIM at the size of the display).  zscale (zimg) takes a third of
 * scale's time (libswscale) for it. */
static void put_size(struct buf *b, const struct plan_rung *r, const char *format)
{
	buf_printf(b, "zscale=%d:%d:filter=bicubic:param_a=0:param_b=1,setsar=1,format=%s", r->width, r->height, format);
}

/* scale keeps the master's colours: matrix and range are told, never guessed anew. */
static void put_scale(struct buf *b, const struct plan_rung *r)
{
	buf_printf(b, "scale=%d:%d:flags=bicubic+accurate_rnd+full_chroma_int:param0=0:param1=1:out_range=tv,setsar=1,format=yuv420p",
	           r->width, r->height);
}

/* Nothing to do for the largest size: a scaler would copy every picture. */
static bool is_as_large(const struct filter *fl, const struct plan_rung *r)
{
	bool turned = fl->info->rotation % 180 != 0;

	return (turned ? fl->height : fl->width) == r->width && (turned ? fl->width : fl->height) == r->height;
}

/* Whatever the size: planar 4:2:0 in the range of television. */
static bool is_as_coded(const struct filter *fl, enum AVPixelFormat format)
{
	return fl->format == format && fl->range != AVCOL_RANGE_JPEG;
}

static const char *matrix_name(enum AVColorSpace matrix)
{
	switch (matrix) {
	case AVCOL_SPC_BT709:
		return "bt709";
	case AVCOL_SPC_FCC:
		return "fcc";
	case AVCOL_SPC_SMPTE240M:
		return "smpte240m";
	case AVCOL_SPC_BT2020_NCL:
	case AVCOL_SPC_BT2020_CL:
		return "bt2020";
	default:
		return "smpte170m"; /* and BT.470 BG, which is the same */
	}
}

/* To the largest size, and there from HDR to BT.709, or from RGB to the matrix that is said. */
static void put_first_scale(struct buf *b, const struct plan_rung *r, const struct filter *fl, const char *table)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fl->format);
	const struct tone *t = &fl->tone;
	bool is_rgb = d != NULL && (d->flags & AV_PIX_FMT_FLAG_RGB);

	if (t->is_hdr)
		buf_printf(b, "scale=%d:%d:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp:param0=0:param1=1:in_color_matrix=%s,format=gbrp10,"
		           "lut3d=file=%s:interp=tetrahedral,scale=flags=bicubic+accurate_rnd+full_chroma_int:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p",
		           r->width, r->height, is_rgb ? "auto" : matrix_name(t->in.matrix), table);
	else if (is_rgb)
		buf_printf(b, "scale=%d:%d:flags=bicubic+accurate_rnd+full_chroma_int:param0=0:param1=1:out_color_matrix=%s:out_range=tv,setsar=1,format=yuv420p", r->width,
		           r->height, matrix_name(t->out.matrix));
	else if (!is_as_coded(fl, AV_PIX_FMT_YUV420P))
		put_scale(b, r);
	else if (is_as_large(fl, r))
		buf_puts(b, "setsar=1");
	else
		put_size(b, r, "yuv420p");
}

static void put_first_deep(struct buf *b, const struct plan_rung *r, const struct filter *fl)
{
	const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(fl->format);

	if (is_as_coded(fl, AV_PIX_FMT_YUV420P10) && is_as_large(fl, r)) {
		buf_puts(b, "setsar=1");
	} else if (is_as_coded(fl, AV_PIX_FMT_YUV420P10)) {
		put_size(b, r, "yuv420p10");
	} else {
		buf_printf(b, "scale=%d:%d:flags=bicubic+accurate_rnd+full_chroma_int:param0=0:param1=1:out_range=tv", r->width, r->height);
		if (d != NULL && (d->flags & AV_PIX_FMT_FLAG_RGB))
			buf_printf(b, ":out_color_matrix=%s", matrix_name(fl->tone.in.matrix));
		buf_puts(b, ",setsar=1,format=yuv420p10");
	}
}

/* A cascade of its own beside the other: ten bits, and no change of colours but to the matrix that is said. */
static void put_deep(struct buf *b, const struct filter *fl)
{
	size_t n = fl->plan->n_rungs;

	buf_puts(b, "split=2[shallow][deep];[deep]");
	for (size_t i = fl->deep->n_rungs; i-- > 0;) {
		if (i + 1 == fl->deep->n_rungs)
			put_first_deep(b, &fl->deep->rungs[i], fl);
		else
			put_size(b, &fl->deep->rungs[i], "yuv420p10");
		if (i > 0)
			buf_printf(b, ",split=2[out%zu][deep%zu];[deep%zu]", n + i, i, i);
		else
			buf_printf(b, "[out%zu];[shallow]", n);
	}
}

static void put_video_graph(struct buf *b, const struct filter *fl, const char *table)
{
	const struct plan *p = fl->plan;

	buf_puts(b, "[in]");
	put_mends(b, fl);
	if (fl->deep != NULL)
		put_deep(b, fl);
	for (size_t n = p->n_rungs; n-- > 0;) {
		if (n + 1 == p->n_rungs)
			put_first_scale(b, &p->rungs[n], fl, table);
		else
			put_size(b, &p->rungs[n], "yuv420p");
		if (n > 0)
			buf_printf(b, ",split=2[out%zu][next%zu];[next%zu]", n, n, n);
		else
			buf_puts(b, "[out0]");
	}
}

static int make_sink(struct filter *fl, AVFilterInOut *end, bool video, struct fault *f)
{
	AVFilterContext *sink = NULL;
	unsigned long n = 0;
	int r;

	if (sscanf(end->name, "out%lu", &n) != 1 || n >= 2 * PLAN_MAX_RUNGS)
		return fault_set(f, ERR_MEDIA, _("the filter graph has an output \"%s\""), end->name);
	r = avfilter_graph_create_filter(&sink, avfilter_get_by_name(video ? "buffersink" : "abuffersink"), end->name, NULL,
	                                 NULL, fl->graph);
	if (r >= 0)
		r = avfilter_link(end->filter_ctx, (unsigned)end->pad_idx, sink, 0);
	if (r < 0)
		return failed(f, "filter graph", r);
	fl->sinks[n] = sink;
	if (n >= fl->n_sinks)
		fl->n_sinks = n + 1;
	return 0;
}

static int connect_ends(struct filter *fl, AVFilterInOut *ins, AVFilterInOut *outs, bool video, struct fault *f)
{
	int r = ins != NULL ? avfilter_link(fl->source, 0, ins->filter_ctx, (unsigned)ins->pad_idx) : AVERROR(EINVAL);

	if (r < 0)
		return failed(f, "filter graph", r);
	for (AVFilterInOut *o = outs; o != NULL; o = o->next) {
		r = make_sink(fl, o, video, f);
		if (r != 0)
			return r;
	}
	r = avfilter_graph_config(fl->graph, NULL);
	return r < 0 ? failed(f, "filter graph", r) : 0;
}

static int build(struct filter *fl, const char *source_args, const char *text, bool video, struct fault *f)
{
	AVFilterInOut *ins = NULL, *outs = NULL;
	int r;

	fl->graph = avfilter_graph_alloc();
	fl->frame = av_frame_alloc();
	MUST(fl->graph != NULL && fl->frame != NULL);
	fl->graph->nb_threads = 1; /* the encoders have the other cores */
	if (video && avfilter_get_by_name("zscale") == NULL)
		return fault_set(f, ERR_UNSUPPORTED, _("this FFmpeg has no filter zscale; install one that was built with zimg"));
	r = avfilter_graph_create_filter(&fl->source, avfilter_get_by_name(video ? "buffer" : "abuffer"), "in", source_args,
	                                 NULL, fl->graph);
	if (r < 0)
		return failed(f, "the master's frames", r);
	r = avfilter_graph_parse2(fl->graph, text, &ins, &outs);
	r = r < 0 ? failed(f, text, r) : connect_ends(fl, ins, outs, video, f);
	avfilter_inout_free(&ins);
	avfilter_inout_free(&outs);
	return r;
}

static int finish_new(struct filter *fl, int r, struct filter **ret_filter)
{
	if (r != 0)
		filter_free(&fl);
	else
		*ret_filter = fl;
	return r;
}

static bool begins_fields(const struct filter *fl, const AVFrame *frame)
{
	return fl->plan->fields == PLAN_AS_FLAGGED && !fl->has_fields && frame->interlaced_frame;
}

bool filter_met_fields(const struct filter *fl)
{
	return fl->has_fields;
}

static int build_video(struct filter *fl, const AVFrame *first, struct fault *f)
{
	char args[256], *table = NULL;
	struct buf text;
	int r;

	fl->width = first->width, fl->height = first->height, fl->format = first->format, fl->range = first->color_range;
	fl->has_fields = fl->has_fields || begins_fields(fl, first);
	r = fl->tone.is_hdr ? tone_write_table(&fl->tone, &table, f) : 0;
	if (r != 0)
		return r;
	snprintf(args, sizeof args, "video_size=%dx%d:pix_fmt=%d:time_base=%d/%d:pixel_aspect=%d/%d:frame_rate=%d/%d",
	         first->width, first->height, first->format, fl->info->frame_rate.den, fl->info->frame_rate.num, fl->info->sar.num,
	         fl->info->sar.den, fl->info->frame_rate.num, fl->info->frame_rate.den);
	buf_init(&text, TEXT_MAX);
	put_video_graph(&text, fl, table);
	r = build(fl, args, buf_text(&text), true, f);
	buf_fini(&text);
	if (table != NULL)
		unlink(table);
	free(table);
	return r;
}

int filter_new_video(const struct source_info *i, const struct plan *p, const struct plan *deep, const AVFrame *first, struct filter **ret_filter, struct fault *f)
{
	struct filter *fl = mem_new(sizeof *fl);

	fl->info = i;
	fl->plan = p;
	fl->deep = deep;
	fl->grid = av_inv_q(p->frame_rate);
	tone_of(i, first, &fl->tone);
	return finish_new(fl, build_video(fl, first, f), ret_filter);
}

/* Sound goes on where it stood: a graph that is built on its way fills up to its first block, or cuts what it has too much. */
static int build_audio(struct filter *fl, const AVFrame *first, struct fault *f)
{
	char args[256], text[512], layout[64];
	AVChannelLayout in = {0};

	fl->format = first->format;
	fl->in_rate = first->sample_rate;
	MUST(av_channel_layout_copy(&fl->layout, &first->ch_layout) >= 0);
	if (first->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
		av_channel_layout_default(&in, first->ch_layout.nb_channels);
	else
		MUST(av_channel_layout_copy(&in, &first->ch_layout) >= 0);
	av_channel_layout_describe(&in, layout, sizeof layout);
	av_channel_layout_uninit(&in);
	snprintf(args, sizeof args, "sample_rate=%d:sample_fmt=%s:channel_layout=%s:time_base=%d/%d", first->sample_rate,
	         av_get_sample_fmt_name(first->format), layout, fl->time_base.num, fl->time_base.den);
	/* first_pts counts samples as they come in;
	 * async fills gaps and cuts overlaps only from 100 ms on: jitter of time stamps is no gap */
	snprintf(text, sizeof text, "[in]aresample=%d:async=1:min_hard_comp=0.1:first_pts=%lld:ochl=%s:osf=%s,asetpts=N[out0]", fl->rate, (long long)av_rescale(fl->samples, fl->in_rate, fl->rate),
	         fl->channels == 6 ? "5.1" : fl->channels == 1 ? "mono" : "stereo", av_get_sample_fmt_name(fl->sample_format));
	return build(fl, args, text, false, f);
}

int filter_new_audio(const AVFrame *first, AVRational time_base, int rate, int channels, enum AVSampleFormat format, struct filter **ret_filter,
                     struct fault *f)
{
	struct filter *fl = mem_new(sizeof *fl);

	fl->time_base = time_base;
	fl->rate = rate;
	fl->channels = channels;
	fl->sample_format = format;
	return finish_new(fl, build_audio(fl, first, f), ret_filter);
}

void filter_free(struct filter **pf)
{
	struct filter *fl = *pf;

	*pf = NULL;
	if (fl == NULL)
		return;
	avfilter_graph_free(&fl->graph);
	av_frame_free(&fl->frame);
	for (size_t i = 0; i < 2 * PLAN_MAX_RUNGS; i++)
		av_frame_free(&fl->held[i]);
	av_channel_layout_uninit(&fl->layout);
	free(fl);
}

static bool shows_twice(const struct filter *fl)
{
	return fl->plan != NULL && fl->plan->fields == PLAN_FLAGGED_TO_PICTURES;
}

/* Of a picture without fields the deinterlacer makes one, at an even place; it stands on the odd one too.  NULL: the last was the last. */
static int fill_place(struct filter *fl, size_t output, const AVFrame *next, filter_out_f out, void *ctx)
{
	AVFrame **held = &fl->held[output];
	int r = 0;

	if (*held != NULL && (next != NULL ? next->pts > (*held)->pts + 1 : (*held)->pts % 2 == 0)) {
		(*held)->pts++;
		r = out(ctx, output, *held);
	}
	av_frame_free(held);
	if (next != NULL) {
		*held = av_frame_clone(next);
		MUST(*held != NULL);
	}
	return r;
}

static int drain(struct filter *fl, filter_out_f out, void *ctx, struct fault *f)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t n = fl->n_sinks; n-- > 0;) {
			int r = av_buffersink_get_frame(fl->sinks[n], fl->frame);

			if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
				continue;
			if (r < 0)
				return failed(f, "filtering", r);
			more = true;
			fl->samples += fl->frame->nb_samples;
			if (fl->grid.num > 0) /* a deinterlacer counts half frames */
				fl->frame->pts = av_rescale_q(fl->frame->pts, av_buffersink_get_time_base(fl->sinks[n]), fl->grid);
			r = shows_twice(fl) ? fill_place(fl, n, fl->frame, out, ctx) : 0;
			if (r == 0)
				r = out(ctx, n, fl->frame);
			av_frame_unref(fl->frame);
			if (r != 0)
				return r;
		}
	}
	return 0;
}

/* Broadcasts go from stereo to 5.1 and back, and to pictures of another size or with fields; the renditions stay as they are. */
static bool is_other(const struct filter *fl, const AVFrame *frame)
{
	if (frame->format != fl->format)
		return true;
	if (fl->info == NULL)
		return frame->sample_rate != fl->in_rate || av_channel_layout_compare(&frame->ch_layout, &fl->layout) != 0;
	return frame->width != fl->width || frame->height != fl->height || frame->color_range != fl->range || begins_fields(fl, frame);
}

static int rebuild(struct filter *fl, const AVFrame *frame, filter_out_f out, void *ctx, struct fault *f)
{
	int r = filter_push(fl, NULL, out, ctx, f);

	avfilter_graph_free(&fl->graph);
	av_frame_free(&fl->frame);
	fl->n_sinks = 0;
	if (r != 0)
		return r;
	return fl->info != NULL ? build_video(fl, frame, f) : build_audio(fl, frame, f);
}

int filter_push(struct filter *fl, AVFrame *frame, filter_out_f out, void *ctx, struct fault *f)
{
	int r = frame != NULL && is_other(fl, frame) ? rebuild(fl, frame, out, ctx, f) : 0;

	if (r != 0)
		return r;
	r = av_buffersrc_add_frame_flags(fl->source, frame, AV_BUFFERSRC_FLAG_KEEP_REF);
	if (r < 0)
		return failed(f, "filtering", r);
	r = drain(fl, out, ctx, f);
	for (size_t n = 0; r == 0 && frame == NULL && n < fl->n_sinks; n++)
		r = fill_place(fl, n, NULL, out, ctx);
	return r;
}
