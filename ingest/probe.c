/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A moment is a handful of pictures: the first costs what a segment's first
 * picture costs, the others what the rest costs, so that the rate of a whole
 * segment can be told from less of it.  Every size x quality of a moment is a task; threads
 * take tasks, sums are made in the order of the moments.
 */
#include "ingest/probe.h"

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/progress.h"
#include "base/words.h"
#include "ingest/avc.h"
#include "ingest/compare.h"
#include "ingest/moment.h"

#define LEAST_PICTURES 4  /* in a moment of a very short clip */
#define SHARE 0.038       /* of all pictures that are looked at: a fifth of the encode, with three qualities each and measuring */
#define MOST_MOMENTS 40
#define FEW_MOMENTS 2     /* so few weigh against the encode: sizes that cannot be rungs are left out */
#define FLOOR_MARGIN 0.7
/* What a picture costs in the film over what it costs in a moment: x264 saves on the last ones, of which it does not see what they
 * are good for.  1.2 to 1.4 over masters and sizes. */
#define BEYOND 1.28
#define MEASURE_EVERY 5   /* pictures */
#define LEAST_ERROR 1.5e-9 /* of full scale, squared: 88 dB */

static const double crfs[] = {19, 26, 33};
#define N_CRFS (sizeof crfs / sizeof crfs[0])

struct sums {
	double first_bits, rest_bits, error, ssim;
	size_t n_first, n_rest, n_measured;
};

struct probe {
	const struct probe_settings *settings;
	struct plan plan;        /* its rungs are the sizes */
	struct moment moment;
	size_t least;            /* the smallest size in use */
	struct sums sums[PLAN_MAX_RUNGS][N_CRFS];
	struct fault *fault;

	pthread_mutex_t lock;    /* guards what follows */
	size_t next_task, last_task; /* down to and without; the large ones first */
	int error;
	struct fault first_fault;
};

/* --- one encode ---------------------------------------------------------------------------- */

struct task {
	struct probe *probe;
	size_t size, crf, next;
	AVCodecContext *decoder;
	struct SwsContext *scaler;
	uint8_t *up;             /* luma at the size of the display */
	size_t n_shown;
	struct sums sums;
};

static AVFrame *next_frame(void *ctx)
{
	struct task *t = ctx;
	AVFrame *frame = t->next < t->probe->moment.n_frames ? t->probe->moment.frames[t->size][t->next] : NULL;

	t->next++;
	return frame != NULL ? av_frame_clone(frame) : NULL;
}

static void measure(struct task *t, const AVFrame *shown)
{
	struct probe *p = t->probe;
	const AVFrame *want = p->moment.frames[p->plan.n_rungs - 1][t->n_shown];
	struct compare_plane whole = {want->data[0], want->linesize[0], 8}, luma = {shown->data[0], shown->linesize[0], 8};
	double ssim, error;

	if (shown->width != want->width || shown->height != want->height) {
		int up_step = want->width;

		sws_scale(t->scaler, (const uint8_t *const *)shown->data, shown->linesize, 0, shown->height, &t->up, &up_step);
		luma = (struct compare_plane){t->up, up_step, 8};
	}
	compare_luma(whole, luma, want->width, want->height, &ssim, &error);
	t->sums.ssim += ssim;
	t->sums.error += error;
	t->sums.n_measured++;
}

static void show(struct task *t, AVFrame *frame)
{
	while (avcodec_receive_frame(t->decoder, frame) >= 0) {
		if (t->n_shown % MEASURE_EVERY == MEASURE_EVERY / 2 && t->n_shown < t->probe->moment.n_frames)
			measure(t, frame);
		t->n_shown++;
		av_frame_unref(frame);
	}
}

/* The header of a decoder that was not told otherwise has start codes; so must the pictures. */
static void to_start_codes(uint8_t *p, size_t n)
{
	static const uint8_t code[4] = {0, 0, 0, 1};

	for (size_t at = 0; at + 4 <= n;) {
		size_t length = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];

		memcpy(p + at, code, 4);
		at += 4 + length;
	}
}

static void decode(struct task *t, struct chunk *c)
{
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();
	const uint8_t *at = c->data.bytes;

	MUST(packet != NULL && frame != NULL);
	for (size_t i = 0; i < c->n_samples; i++) {
		MUST(av_new_packet(packet, (int)c->samples[i].size) >= 0);
		memcpy(packet->data, at, c->samples[i].size);
		to_start_codes(packet->data, c->samples[i].size);
		at += c->samples[i].size;
		(void)!avcodec_send_packet(t->decoder, packet);
		av_packet_unref(packet);
		show(t, frame);
	}
	(void)!avcodec_send_packet(t->decoder, NULL);
	show(t, frame);
	av_frame_free(&frame);
	av_packet_free(&packet);
}

static void count_bits(struct task *t, const struct chunk *c)
{
	for (size_t i = 0; i < c->n_samples; i++) {
		*(i == 0 ? &t->sums.first_bits : &t->sums.rest_bits) += 8.0 * c->samples[i].size;
		*(i == 0 ? &t->sums.n_first : &t->sums.n_rest) += 1;
	}
}

static int open_tools(struct task *t, const struct coder_settings *s, struct fault *f)
{
	const struct plan_rung *small = s->rung, *large = &t->probe->plan.rungs[t->probe->plan.n_rungs - 1];
	AVCodecParameters *parameters = NULL;
	int delay, r = coder_parameters(&avc_coder, s, &parameters, &delay, f);

	if (r != 0)
		return r;
	t->decoder = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
	MUST(t->decoder != NULL);
	r = avcodec_parameters_to_context(t->decoder, parameters);
	t->decoder->thread_count = 1;
	if (r >= 0)
		r = avcodec_open2(t->decoder, NULL, NULL);
	avcodec_parameters_free(&parameters);
	if (r < 0)
		return fault_set(f, ERR_UNSUPPORTED, N_("this FFmpeg has no decoder for H.264"));
	if (small->width == large->width && small->height == large->height)
		return 0;
	t->scaler = sws_getContext(small->width, small->height, AV_PIX_FMT_GRAY8, large->width, large->height, AV_PIX_FMT_GRAY8, SWS_BICUBIC, NULL,
	                           NULL, NULL);
	t->up = mem_new((size_t)large->width * (size_t)large->height + 64);
	return t->scaler != NULL ? 0 : fault_set(f, ERR_MEDIA, _("%s: cannot be scaled up"), small->name);
}

static int run_task(struct probe *p, size_t number, struct fault *f)
{
	struct task t = {.probe = p, .size = number / N_CRFS, .crf = number % N_CRFS};
	struct plan_rung rung = p->plan.rungs[t.size];
	struct coder_settings s = {.plan = &p->plan, .rung = &rung, .preset = p->settings->preset, .primaries = AVCOL_PRI_UNSPECIFIED,
	                         .transfer = AVCOL_TRC_UNSPECIFIED, .matrix = AVCOL_SPC_UNSPECIFIED, .stop = p->settings->stop};
	struct sums *all = &p->sums[t.size][t.crf];
	struct chunk out;
	int r;

	rung.crf = crfs[t.crf];
	rung.max_rate = rung.vbv = 0;
	chunk_init(&out);
	r = open_tools(&t, &s, f);
	if (r == 0)
		r = coder_encode(&avc_coder, &s, 0, next_frame, &t, &out, f);
	if (r == 0) {
		count_bits(&t, &out);
		decode(&t, &out);
		/* one task a moment has these: no lock */
		all->first_bits += t.sums.first_bits, all->rest_bits += t.sums.rest_bits, all->error += t.sums.error, all->ssim += t.sums.ssim;
		all->n_first += t.sums.n_first, all->n_rest += t.sums.n_rest, all->n_measured += t.sums.n_measured;
	}
	chunk_fini(&out);
	avcodec_free_context(&t.decoder);
	sws_freeContext(t.scaler);
	free(t.up);
	return r;
}

/* --- all of them ---------------------------------------------------------------------------- */

static void *work(void *ctx)
{
	struct probe *p = ctx;

	for (;;) {
		struct fault f = {0};
		size_t task;
		int r;

		pthread_mutex_lock(&p->lock);
		task = p->error == 0 ? p->next_task : p->last_task;
		if (task > p->last_task)
			p->next_task--;
		pthread_mutex_unlock(&p->lock);
		if (task == p->last_task)
			return NULL;
		r = run_task(p, task - 1, &f);
		if (r == 0)
			continue;
		pthread_mutex_lock(&p->lock);
		if (p->error == 0) {
			p->error = r;
			p->first_fault = f;
		}
		pthread_mutex_unlock(&p->lock);
	}
}

/* Encodes the moment in the sizes from `first` up to and without `end`. */
static int run_sizes(struct probe *p, size_t first, size_t end)
{
	pthread_t threads[32];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = 0;

	p->next_task = end * N_CRFS;
	p->last_task = first * N_CRFS;
	while (n + 1 < (size_t)cores && n < 32 && pthread_create(&threads[n], NULL, work, p) == 0)
		n++;
	work(p);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	if (p->error != 0)
		*p->fault = p->first_fault;
	return p->error;
}

static double rate_of(const struct probe *p, size_t size, size_t crf)
{
	const struct sums *k = &p->sums[size][crf];
	double fps = av_q2d(p->plan.frame_rate), segment = p->plan.segment_frames;

	return BEYOND * fps * (k->first_bits / (double)k->n_first / segment + k->rest_bits / (double)k->n_rest * (1 - 1 / segment));
}

static int sum_up(const struct probe *p, struct hull_probe *out)
{
	*out = (struct hull_probe){.n_sizes = p->plan.n_rungs - p->least, .n_crfs = N_CRFS};
	memcpy(out->crfs, crfs, sizeof crfs);
	for (size_t s = p->least; s < p->plan.n_rungs; s++) {
		struct hull_size *size = &out->sizes[s - p->least];

		size->width = p->plan.rungs[s].width;
		size->height = p->plan.rungs[s].height;
		for (size_t q = 0; q < N_CRFS; q++) {
			const struct sums *k = &p->sums[s][q];

			if (k->n_first == 0 || k->n_rest == 0 || k->n_measured == 0)
				return ERR_UNSUPPORTED;
			size->rate[q] = rate_of(p, s, q);
			size->quality[q] = -10 * log10(fmax(1 - k->ssim / (double)k->n_measured, 1e-6));
			size->psnr[q] = -10 * log10(fmax(k->error / (double)k->n_measured, LEAST_ERROR));
		}
	}
	return 0;
}

/* From the largest size down, until one is below the floor at its best: smaller ones are no rungs. */
static int find_least(struct probe *p)
{
	double floor = p->settings->floor_rate * FLOOR_MARGIN;
	int r = 0;

	for (size_t s = p->plan.n_rungs; r == 0 && s-- > 0;) {
		r = run_sizes(p, s, s + 1);
		p->least = s;
		if (r != 0 || p->sums[s][0].n_rest == 0 || rate_of(p, s, 0) < floor || (s + 1 == p->plan.n_rungs && rate_of(p, s, 1) < floor))
			break;
	}
	return r;
}

static int look_around(struct probe *p)
{
	double seconds = source_info(p->moment.source)->container_seconds, frames = seconds * av_q2d(p->plan.frame_rate);
	size_t n = (size_t)fmin(fmax(round(frames * SHARE / MOMENT_MOST), 1), MOST_MOMENTS);
	size_t pictures = (size_t)fmin(fmax(round(frames * SHARE), LEAST_PICTURES), MOMENT_MOST);
	double step = seconds / (double)n;
	struct progress *progress = p->settings->progress ? progress_new(stderr, _("probe"), _("moments"), n, clock_mono()) : NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = moment_look(&p->moment, step * ((double)i + 0.5), step / 4, pictures, p->fault);
		if (r == 0 && p->moment.n_frames >= 2)
			r = i == 0 && n <= FEW_MOMENTS ? find_least(p) : run_sizes(p, p->least, p->plan.n_rungs);
		if (progress != NULL)
			progress_update(progress, i + 1, "", clock_mono());
	}
	progress_free(&progress, clock_mono());
	return r;
}

static void set_sizes(struct probe *p)
{
	int widths[PLAN_MAX_RUNGS], heights[PLAN_MAX_RUNGS];
	size_t n = plan_sizes(p->settings->input, &p->plan, widths, heights);

	p->plan.n_rungs = n < HULL_MAX_SIZES ? n : HULL_MAX_SIZES;
	for (size_t i = 0; i < p->plan.n_rungs; i++) {
		struct plan_rung *r = &p->plan.rungs[i];

		*r = (struct plan_rung){.width = widths[n - p->plan.n_rungs + i], .height = heights[n - p->plan.n_rungs + i]};
		snprintf(r->name, sizeof r->name, "probe of %dx%d", r->width, r->height);
	}
}

int probe_run(const struct probe_settings *s, struct hull_probe *ret_probe, struct fault *f)
{
	struct probe *p = mem_new(sizeof *p);
	int r;

	p->settings = s;
	p->plan = *s->plan;
	p->fault = f;
	set_sizes(p);
	r = moment_open(&p->moment, s->master, &p->plan, s->stop, f);
	if (r == 0) {
		pthread_mutex_init(&p->lock, NULL);
		r = look_around(p);
		if (r == 0 && sum_up(p, ret_probe) != 0)
			r = fault_set(f, ERR_UNSUPPORTED, N_("it is too short to be looked at here and there"));
		pthread_mutex_destroy(&p->lock);
		moment_close(&p->moment);
	}
	free(p);
	return r;
}
