/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * CPU clocks, not the wall's: other work on the machine is not counted.
 */
#include "ingest/estimate.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
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

/* Seconds a picture. */
static int time_rung(const struct moment *m, size_t rung, const char *preset, double *ret_each, struct fault *f)
{
	struct avc_settings s = {.plan = m->plan, .rung = &m->plan->rungs[rung], .preset = preset, .measure = true, .primaries = AVCOL_PRI_UNSPECIFIED,
	                         .transfer = AVCOL_TRC_UNSPECIFIED, .matrix = AVCOL_SPC_UNSPECIFIED};
	struct feed feed = {m, rung, 0};
	double begin = cpu_clock(CLOCK_THREAD_CPUTIME_ID);
	struct chunk out;
	int r;

	chunk_init(&out);
	r = avc_encode(&s, 0, next_frame, &feed, &out, f);
	chunk_fini(&out);
	if (r == 0)
		*ret_each = (cpu_clock(CLOCK_THREAD_CPUTIME_ID) - begin) / ((double)m->n_frames + PER_CHUNK);
	return r;
}

/* The time is that of all encoders on all cores, or of the rendition that has too few lanes, or of the one thread that decodes. */
static void sum_up(const struct plan *p, double frames, double decode, const double *each, struct estimate *e)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;
	unsigned lanes[PLAN_MAX_RUNGS], queues[PLAN_MAX_RUNGS];
	double all = decode, slowest = decode;

	e->cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	rendition_share(p, e->cores, memory, lanes, queues);
	for (size_t i = 0; i < p->n_rungs; i++) {
		all += each[i];
		slowest = fmax(slowest, each[i] / lanes[i]);
	}
	e->cpu_seconds = BESIDE * all * frames;
	e->seconds = fmax(e->cpu_seconds / (e->cores * BUSY), slowest * frames);
}

static int measure(struct moment *m, const char *preset, struct estimate *e, struct fault *f)
{
	double seconds = source_info(m->source)->container_seconds, each[PLAN_MAX_RUNGS];
	double begin = cpu_clock(CLOCK_PROCESS_CPUTIME_ID), decode;
	int r = moment_look(m, seconds / 2, seconds / 4, MOMENT_MOST, f);

	if (r == 0 && m->n_frames < 2)
		r = fault_set(f, ERR_UNSUPPORTED, "no pictures could be decoded in the middle of the master");
	if (r != 0)
		return r;
	decode = (cpu_clock(CLOCK_PROCESS_CPUTIME_ID) - begin) / (double)m->n_frames;
	for (size_t i = 0; i < m->plan->n_rungs; i++) {
		r = time_rung(m, i, preset, &each[i], f);
		if (r != 0)
			return r;
	}
	sum_up(m->plan, seconds * av_q2d(m->plan->frame_rate), decode, each, e);
	return 0;
}

int estimate_make(const char *master, const struct plan *p, const char *preset, const volatile sig_atomic_t *stop, struct estimate *ret_estimate,
                  struct fault *f)
{
	struct moment *m;
	struct estimate e = {0};
	int r;

	if (strcmp(master, "-") == 0)
		return fault_set(f, ERR_UNSUPPORTED, "standard input cannot be read twice");
	m = mem_new(sizeof *m);
	r = moment_open(m, master, p, stop, f);
	if (r == 0) {
		r = measure(m, preset, &e, f);
		moment_close(m);
	}
	if (r == 0)
		*ret_estimate = e;
	free(m);
	return r;
}
