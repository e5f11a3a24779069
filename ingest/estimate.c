/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * CPU clocks, not the wall's: other work on the machine is not counted.
 */
#include "ingest/estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/words.h"
#include "ingest/av1.h"
#include "ingest/avc.h"
#include "ingest/moment.h"
#include "ingest/rendition.h"

#define BUSY 0.93          /* of the cores' time is used, the film's beginning and end included */
#define BESIDE 1.05        /* sound, joining, hashing and reading everything back */
#define PER_CHUNK 0.5      /* an encoder's start costs as much as this many pictures, in a chunk; the moment has one too */

struct feed {
	const struct moment *moment;
	size_t rung, next;
};

static double cpu_clock(clockid_t of)
{
	struct timespec t;

	clock_gettime(of, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static AVFrame *next_frame(void *ctx)
{
	struct feed *d = ctx;
	AVFrame *frame = d->next < d->moment->n_frames ? d->moment->frames[d->rung][d->next] : NULL;

	d->next++;
	return frame != NULL ? av_frame_clone(frame) : NULL;
}

/* Seconds a picture of `rung` takes, made of those of the moment's size `size`. */
static int time_rung(const struct coder *coder, const struct coder_settings *s, const struct moment *m, size_t size, double *ret_each, struct fault *f)
{
	struct feed feed = {m, size, 0};
	double begin = cpu_clock(CLOCK_PROCESS_CPUTIME_ID); /* an encoder may have threads of its own */
	struct chunk out;
	int r;

	chunk_init(&out);
	r = coder_encode(coder, s, 0, next_frame, &feed, &out, f);
	chunk_fini(&out);
	if (r == 0)
		*ret_each = (cpu_clock(CLOCK_PROCESS_CPUTIME_ID) - begin) / ((double)m->n_frames + PER_CHUNK);
	return r;
}

static size_t same_size(const struct plan *p, const struct plan_rung *r)
{
	size_t i = 0;

	while (i + 1 < p->n_rungs && (p->rungs[i].width != r->width || p->rungs[i].height != r->height))
		i++;
	return i;
}

struct total {
	unsigned cores;
	double all, slowest;     /* seconds a picture: of all cores; of what stands in the way by itself */
};

/* A rendition may have too few lanes for all cores. */
static int add_plan(const struct coder *coder, const struct plan *p, const char *preset, const struct moment *m, struct total *t, struct fault *f)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;
	unsigned lanes[PLAN_MAX_RUNGS], queues[PLAN_MAX_RUNGS];
	int r = 0;

	rendition_share(p, t->cores, memory, lanes, queues);
	for (size_t i = 0; r == 0 && i < p->n_rungs; i++) {
		struct coder_settings s = {.plan = p, .rung = &p->rungs[i], .preset = preset, .measure = true, .primaries = AVCOL_PRI_UNSPECIFIED,
		                         .transfer = AVCOL_TRC_UNSPECIFIED, .matrix = AVCOL_SPC_UNSPECIFIED, .stop = m->stop};
		double each = 0;

		r = time_rung(coder, &s, m, same_size(m->plan, &p->rungs[i]), &each, f);
		t->all += each;
		t->slowest = fmax(t->slowest, each / lanes[i]);
	}
	return r;
}

static int measure(const struct estimate_settings *s, struct moment *m, struct estimate *e, struct fault *f)
{
	double seconds = source_info(m->source)->container_seconds, frames = seconds * av_q2d(s->plan->frame_rate);
	double begin = cpu_clock(CLOCK_PROCESS_CPUTIME_ID);
	struct total t = {.cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN)};
	int r = moment_look(m, seconds / 2, seconds / 4, MOMENT_MOST, f);

	if (r == 0 && m->n_frames < 2)
		r = fault_set(f, ERR_UNSUPPORTED, _("no pictures could be decoded in the middle of the master"));
	if (r != 0)
		return r;
	/* one thread decodes and scales */
	t.all = t.slowest = (cpu_clock(CLOCK_PROCESS_CPUTIME_ID) - begin) / (double)m->n_frames;
	r = add_plan(&avc_coder, s->plan, s->preset, m, &t, f);
	if (r == 0)
		r = add_plan(&av1_coder, s->av1, s->av1_preset, m, &t, f);
	e->cores = t.cores;
	e->cpu_seconds = BESIDE * t.all * frames;
	e->seconds = fmax(e->cpu_seconds / (t.cores * BUSY), t.slowest * frames);
	return r;
}

int estimate_make(const struct estimate_settings *s, struct estimate *ret_estimate, struct fault *f)
{
	struct moment *m;
	struct estimate e = {0};
	int r;

	if (strcmp(s->master, "-") == 0)
		return fault_set(f, ERR_UNSUPPORTED, _("standard input cannot be read twice"));
	m = mem_new(sizeof *m);
	r = moment_open(m, s->master, s->plan, s->stop, f);
	if (r == 0) {
		r = measure(s, m, &e, f);
		moment_close(m);
	}
	if (r == 0)
		*ret_estimate = e;
	free(m);
	return r;
}
