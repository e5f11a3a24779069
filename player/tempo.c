/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A filter graph of three: source, atempo (as often as its range needs), sink.
 */
#include "player/tempo.h"

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/channel_layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct tempo {
	AVFilterGraph *graph;
	AVFilterContext *in, *out;
	AVFrame *frame;
	int rate, channels;
	double speed;
	int64_t taken, given;
	float *buffer;
	size_t cap;
};

static int build(struct tempo *t)
{
	char layout[64], arguments[256], chain[128];
	AVChannelLayout channels;
	AVFilterInOut *outputs = avfilter_inout_alloc(), *inputs = avfilter_inout_alloc();
	double more = t->speed > 2 ? t->speed / 2 : t->speed < 0.5 ? t->speed / 0.5 : 1;
	int r = AVERROR(ENOMEM);

	av_channel_layout_default(&channels, t->channels);
	av_channel_layout_describe(&channels, layout, sizeof layout);
	snprintf(arguments, sizeof arguments, "sample_rate=%d:sample_fmt=flt:channel_layout=%s:time_base=1/%d", t->rate, layout, t->rate);
	if (more != 1)
		snprintf(chain, sizeof chain, "atempo=%.4f,atempo=%.4f,aformat=sample_fmts=flt", t->speed / more, more);
	else
		snprintf(chain, sizeof chain, "atempo=%.4f,aformat=sample_fmts=flt", t->speed);
	t->graph = avfilter_graph_alloc();
	if (t->graph != NULL && outputs != NULL && inputs != NULL) {
		r = avfilter_graph_create_filter(&t->in, avfilter_get_by_name("abuffer"), "in", arguments, NULL, t->graph);
		if (r >= 0)
			r = avfilter_graph_create_filter(&t->out, avfilter_get_by_name("abuffersink"), "out", NULL, NULL, t->graph);
	}
	if (r >= 0) {
		*outputs = (AVFilterInOut){.name = av_strdup("in"), .filter_ctx = t->in};
		*inputs = (AVFilterInOut){.name = av_strdup("out"), .filter_ctx = t->out};
		r = avfilter_graph_parse_ptr(t->graph, chain, &inputs, &outputs, NULL);
	}
	if (r >= 0)
		r = avfilter_graph_config(t->graph, NULL);
	avfilter_inout_free(&inputs);
	avfilter_inout_free(&outputs);
	return r;
}

struct tempo *tempo_new(int rate, int channels, double speed)
{
	struct tempo *t = mem_new(sizeof *t);

	t->rate = rate;
	t->channels = channels;
	t->speed = speed;
	t->frame = av_frame_alloc();
	if (t->frame == NULL || build(t) < 0)
		tempo_free(&t);
	return t;
}

void tempo_free(struct tempo **pt)
{
	struct tempo *t = *pt;

	if (t == NULL)
		return;
	avfilter_graph_free(&t->graph);
	av_frame_free(&t->frame);
	free(t->buffer);
	free(t);
	*pt = NULL;
}

static int push(struct tempo *t, const float *samples, size_t n)
{
	AVFrame *f = av_frame_alloc();
	int r = AVERROR(ENOMEM);

	if (f != NULL) {
		f->format = AV_SAMPLE_FMT_FLT;
		f->sample_rate = t->rate;
		f->nb_samples = (int)n;
		f->pts = t->taken;
		av_channel_layout_default(&f->ch_layout, t->channels);
		r = av_frame_get_buffer(f, 0);
	}
	if (r >= 0) {
		memcpy(f->data[0], samples, n * (size_t)t->channels * sizeof *samples);
		r = av_buffersrc_add_frame(t->in, f);
	}
	av_frame_free(&f);
	return r;
}

static size_t pull(struct tempo *t, const float **ret_out)
{
	size_t have = 0, channels = (size_t)t->channels;

	while (av_buffersink_get_frame(t->out, t->frame) >= 0) {
		size_t more = (size_t)t->frame->nb_samples;

		if ((have + more) * channels > t->cap) {
			t->cap = (have + more) * channels * 2;
			t->buffer = mem_resize(t->buffer, t->cap, sizeof *t->buffer);
		}
		memcpy(t->buffer + have * channels, t->frame->data[0], more * channels * sizeof *t->buffer);
		have += more;
		av_frame_unref(t->frame);
	}
	t->given += (int64_t)have;
	*ret_out = t->buffer;
	return have;
}

size_t tempo_put(struct tempo *t, const float *samples, size_t n, const float **ret_out)
{
	if (n > 0 && push(t, samples, n) >= 0)
		t->taken += (int64_t)n;
	return pull(t, ret_out);
}

size_t tempo_end(struct tempo *t, const float **ret_out)
{
	if (av_buffersrc_add_frame(t->in, NULL) < 0)
		return 0;
	return pull(t, ret_out);
}

/* atempo lays windows over each other whose middles are at their place. */
int64_t tempo_held(const struct tempo *t)
{
	return t->taken - (int64_t)((double)t->given * t->speed);
}
