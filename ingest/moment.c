/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Each look has a filter graph of its own, so that nothing of another moment is in it.
 */
#include "ingest/moment.h"

#include "base/must.h"
#include "base/words.h"
#include "ingest/filter.h"

#define ENOUGH 1    /* ends source_run: the moment is there */
#define LOOK_AHEAD 4 /* pictures that a deinterlacer keeps back */

static int filtered(void *ctx, size_t output, AVFrame *frame)
{
	struct moment *m = ctx;
	int64_t i = frame->pts;

	if (i < 0 || (size_t)i >= m->want || m->frames[output][i] != NULL)
		return 0;
	m->frames[output][i] = av_frame_clone(frame);
	MUST(m->frames[output][i] != NULL);
	if (output + 1 == m->plan->n_rungs && (size_t)i + 1 > m->n_frames)
		m->n_frames = (size_t)i + 1;
	return 0;
}

static int take(void *ctx, int audio, AVFrame *frame, AVRational time_base)
{
	struct moment *m = ctx;
	int r = 0;

	if (m->stop != NULL && *m->stop)
		return fault_set(m->fault, ERR_CANCELLED, _("stopped; nothing was published"));
	if (audio >= 0 || (double)frame->pts * av_q2d(time_base) < m->from)
		return 0;
	if (m->want == 0)
		return ENOUGH;
	if (m->filter == NULL)
		r = filter_new_video(source_info(m->source), m->plan, NULL, frame, &m->filter, m->fault);
	if (r == 0) {
		frame->pts = (int64_t)m->n_taken++;
		r = filter_push(m->filter, frame, filtered, m, m->fault);
	}
	return r != 0 ? r : m->n_frames >= m->want || m->n_taken >= m->want + LOOK_AHEAD ? ENOUGH : 0;
}

static void forget(struct moment *m)
{
	for (size_t s = 0; s < PLAN_MAX_RUNGS; s++)
		for (size_t i = 0; i < MOMENT_MOST; i++)
			av_frame_free(&m->frames[s][i]);
	filter_free(&m->filter);
	m->n_frames = m->n_taken = 0;
}

static int run(struct moment *m, struct fault *f)
{
	struct source_result res;
	int r;

	m->fault = f;
	r = source_run(m->source, take, m, &res, f);
	return r == ENOUGH ? 0 : r;
}

int moment_open(struct moment *m, const char *master, const struct plan *plan, const volatile sig_atomic_t *stop, struct fault *f)
{
	int r;

	*m = (struct moment){.plan = plan, .stop = stop, .from = -1};
	r = source_open(master, stop, &m->source, f);
	if (r != 0)
		return r;
	source_pictures_only(m->source);
	if (source_info(m->source)->container_seconds <= 0)
		r = fault_set(f, ERR_UNSUPPORTED, _("the container does not say how long it is"));
	else
		r = run(m, f); /* where it starts is known after the first picture */
	if (r != 0)
		source_close(&m->source);
	return r;
}

void moment_close(struct moment *m)
{
	forget(m);
	source_close(&m->source);
}

int moment_look(struct moment *m, double seconds, double early, size_t want, struct fault *f)
{
	int r;

	MUST(want >= 1 && want <= MOMENT_MOST);
	forget(m);
	m->want = want;
	m->from = seconds - early;
	r = source_seek(m->source, seconds, f);
	return r == 0 ? run(m, f) : r;
}
