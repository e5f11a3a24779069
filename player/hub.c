/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The lock, the bell and the rings.
 */
#include "player/hub.h"

#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/must.h"
#include "player/media.h"

static void fifo_init(struct fifo *f, size_t cap)
{
	*f = (struct fifo){.v = mem_new_array(cap, sizeof *f->v), .cap = cap};
}

void hub_init(struct hub *h, size_t max_segments, const size_t max_frames[static N_LANES])
{
	pthread_condattr_t attr;

	*h = (struct hub){0};
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->bell, &attr);
	pthread_condattr_destroy(&attr);
	for (int i = 0; i < N_LANES; i++) {
		fifo_init(&h->segments[i], max_segments);
		fifo_init(&h->frames[i], max_frames[i]);
	}
}

static void empty(struct hub *h)
{
	for (int i = 0; i < N_LANES; i++) {
		struct media_segment *s;
		struct media_frame *f;

		while ((s = fifo_take(&h->segments[i])) != NULL)
			media_segment_free(&s);
		while ((f = fifo_take(&h->frames[i])) != NULL)
			media_frame_free(&f);
		h->segments[i].closed = h->frames[i].closed = false;
		h->hole[i].from = h->hole[i].to = 0;
	}
}

void hub_seek(struct hub *h, dur_us to)
{
	hub_lock(h);
	empty(h);
	h->generation++;
	h->position = to;
	h->posts++;
	hub_ring(h);
	hub_unlock(h);
}

void hub_fini(struct hub *h)
{
	empty(h);
	for (int i = 0; i < N_LANES; i++) {
		free(h->segments[i].v);
		free(h->frames[i].v);
	}
	pthread_cond_destroy(&h->bell);
	pthread_mutex_destroy(&h->lock);
}

void hub_lock(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
}

void hub_unlock(struct hub *h)
{
	pthread_mutex_unlock(&h->lock);
}

void hub_ring(struct hub *h)
{
	pthread_cond_broadcast(&h->bell);
}

void hub_wait(struct hub *h)
{
	pthread_cond_wait(&h->bell, &h->lock);
}

void hub_wait_until(struct hub *h, mono_us end)
{
	struct timespec t = {end / DUR_S, (long)(end % DUR_S) * 1000};

	pthread_cond_timedwait(&h->bell, &h->lock, &t);
}

void hub_quit(struct hub *h)
{
	hub_lock(h);
	h->quit = true;
	hub_ring(h);
	hub_unlock(h);
}

bool fifo_full(const struct fifo *f)
{
	return f->n == f->cap;
}

void fifo_put(struct fifo *f, void *item)
{
	MUST(f->n < f->cap && item != NULL);
	f->v[(f->first + f->n++) % f->cap] = item;
}

void *fifo_peek(const struct fifo *f)
{
	return f->n > 0 ? f->v[f->first] : NULL;
}

void *fifo_take(struct fifo *f)
{
	void *item = fifo_peek(f);

	if (item != NULL) {
		f->first = (f->first + 1) % f->cap;
		f->n--;
	}
	return item;
}
