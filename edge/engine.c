/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A mailbox with a deadline.  Invariant: jobs run one at a time, in order.
 */
#include "edge/engine.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"

struct engine {
	pthread_t thread;
	bool started;
	engine_idle_f idle;
	void *ctx;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t news;
	struct job *first, **last;
	bool kicked, stop;
};

struct engine *engine_new(void)
{
	struct engine *e = mem_new(sizeof *e);
	pthread_condattr_t attr;

	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->news, &attr);
	pthread_condattr_destroy(&attr);
	e->last = &e->first;
	return e;
}

/* clock_mono counts CLOCK_MONOTONIC, so it can be compared and waited for. */
static void wait_until(struct engine *e, mono_us until)
{
	struct timespec ts = {.tv_sec = until / DUR_S, .tv_nsec = until % DUR_S * 1000};

	pthread_cond_timedwait(&e->news, &e->lock, &ts);
}

static struct job *take_jobs(struct engine *e)
{
	struct job *jobs = e->first;

	e->first = NULL;
	e->last = &e->first;
	e->kicked = false;
	return jobs;
}

static void run_jobs(struct job *job)
{
	while (job != NULL) {
		struct job *next = job->next;

		job->run(job);
		job = next;
	}
}

static void *engine_main(void *ctx)
{
	struct engine *e = ctx;
	mono_us wake = 0;

	for (;;) {
		struct job *jobs;
		bool stop;

		pthread_mutex_lock(&e->lock);
		while (e->first == NULL && !e->kicked && !e->stop && clock_mono() < wake)
			wait_until(e, wake);
		jobs = take_jobs(e);
		stop = e->stop;
		pthread_mutex_unlock(&e->lock);
		run_jobs(jobs);
		if (stop)
			return NULL;
		wake = e->idle(e->ctx, clock_mono());
	}
}

void engine_start(struct engine *e, engine_idle_f idle, void *ctx)
{
	e->idle = idle;
	e->ctx = ctx;
	MUST(pthread_create(&e->thread, NULL, engine_main, e) == 0);
	e->started = true;
}

void engine_post(struct engine *e, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&e->lock);
	*e->last = job;
	e->last = &job->next;
	pthread_cond_signal(&e->news);
	pthread_mutex_unlock(&e->lock);
}

void engine_kick(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->kicked = true;
	pthread_cond_signal(&e->news);
	pthread_mutex_unlock(&e->lock);
}

void engine_stop(struct engine *e)
{
	if (!e->started)
		return;
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_cond_signal(&e->news);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	e->started = false;
}

void engine_drain(struct engine *e)
{
	struct job *jobs;

	do {
		pthread_mutex_lock(&e->lock);
		jobs = take_jobs(e);
		pthread_mutex_unlock(&e->lock);
		run_jobs(jobs);
	} while (jobs != NULL);
}

void engine_free(struct engine **pe)
{
	if (*pe == NULL)
		return;
	pthread_mutex_destroy(&(*pe)->lock);
	pthread_cond_destroy(&(*pe)->news);
	free(*pe);
	*pe = NULL;
}
