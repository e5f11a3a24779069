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

static void empty_segments(struct hub *h, int lane)
{
	struct media_segment *s;

	while ((s = fifo_take(&h->segments[lane])) != NULL)
		media_segment_free(&s);
	h->segments[lane].closed = false;
}

static void empty_frames(struct hub *h, int lane)
{
	struct media_frame *f;

	while ((f = fifo_take(&h->frames[lane])) != NULL)
		media_frame_free(&f);
	h->frames[lane].closed = false;
	h->hole[lane].from = h->hole[lane].to = 0;
}

/* Are the bytes for `to` here, whole and unbroken?  Then what comes before them goes. */
static bool keep_from(struct fifo *q, dur_us to)
{
	const struct media_segment *s = fifo_peek(q), *last = fifo_peek_last(q);

	if (s == NULL || to < s->start || to >= last->end)
		return false;
	for (size_t i = 0; i < q->n; i++) {
		s = q->v[(q->first + i) % q->cap];
		if (s->skipped)
			return false;
	}
	for (s = fifo_peek(q); s != NULL && s->end <= to; s = fifo_peek(q)) {
		struct media_segment *gone = fifo_take(q);

		media_segment_free(&gone);
	}
	return q->n > 0;
}

static bool keep_segments(struct hub *h, int lane, dur_us to)
{
	struct fifo *q = &h->segments[lane];

	if (!keep_from(q, to))
		return false;
	for (size_t i = 0; i < q->n; i++) {
		struct media_segment *s = q->v[(q->first + i) % q->cap];

		s->generation = h->generation;
		s->from = to;
	}
	return true;
}

void hub_seek(struct hub *h, dur_us to)
{
	hub_lock(h);
	h->generation++;
	for (int i = 0; i < N_LANES; i++) {
		h->kept[i] = h->lane[i] && keep_segments(h, i, to);
		if (!h->kept[i])
			empty_segments(h, i);
		empty_frames(h, i);
	}
	h->position = to;
	h->posts++;
	hub_ring(h);
	hub_unlock(h);
}

void hub_fini(struct hub *h)
{
	for (int i = 0; i < N_LANES; i++) {
		empty_segments(h, i);
		empty_frames(h, i);
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

void *fifo_peek_last(const struct fifo *f)
{
	return f->n > 0 ? f->v[(f->first + f->n - 1) % f->cap] : NULL;
}

void *fifo_take_last(struct fifo *f)
{
	void *item = fifo_peek_last(f);

	if (item != NULL)
		f->n--;
	return item;
}
