/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The lock, the bell and the rings.
 */
#include "player/hub.h"

#include <stdlib.h>
#include <time.h>

#include "base/blob.h"
#include "base/mem.h"
#include "base/must.h"
#include "player/media.h"

#define PAST 8 /* segments of each lane that stay within reach behind the playhead */
#define PAST_BYTES ((uint64_t)64 << 20) /* and so much of them, but one */

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
		fifo_init(&h->segments[i], max_segments + PAST);
		h->segments[i].spare = PAST;
		fifo_init(&h->past[i], PAST);
		fifo_init(&h->frames[i], max_frames[i]);
	}
}

static void empty(struct fifo *q)
{
	struct media_segment *s;

	while ((s = fifo_take(q)) != NULL)
		media_segment_free(&s);
}

static void empty_segments(struct hub *h, int lane)
{
	empty(&h->segments[lane]);
	empty(&h->past[lane]);
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

static struct media_segment *at(const struct fifo *q, size_t i)
{
	return q->v[(q->first + i) % q->cap];
}

/* The one that holds `to`, with bytes; q->n when there is none. */
static size_t find(const struct fifo *q, dur_us to)
{
	for (size_t i = 0; i < q->n; i++)
		if (at(q, i)->start <= to && to < at(q, i)->end && !at(q, i)->skipped)
			return i;
	return q->n;
}

static bool all_whole(const struct fifo *q)
{
	for (size_t i = 0; i < q->n; i++)
		if (at(q, i)->skipped)
			return false;
	return true;
}

uint64_t hub_segment_bytes(const struct fifo *q)
{
	uint64_t n = 0;

	for (size_t i = 0; i < q->n; i++)
		n += at(q, i)->body != NULL ? at(q, i)->body->size : 0;
	return n;
}

static bool is_heavy(const struct fifo *past, const struct media_segment *s)
{
	return past->n > 0 && hub_segment_bytes(past) + (s->body != NULL ? s->body->size : 0) > PAST_BYTES;
}

/* What a decoder has now, or had, stays within reach. */
static void remember(struct hub *h, int lane, const struct media_segment *s)
{
	struct fifo *past = &h->past[lane];
	const struct media_segment *last = fifo_peek_last(past);

	if (s->feed != NULL || s->skipped || (last != NULL && last->end != s->start))
		empty(past);
	if (s->feed != NULL || s->skipped)
		return;
	while (fifo_full(past) || is_heavy(past, s)) {
		struct media_segment *oldest = fifo_take(past);

		media_segment_free(&oldest);
	}
	fifo_put(past, media_segment_copy(s));
}

/* Are the bytes for `to` here, whole and unbroken?  Then they are the first in the queue. */
static bool keep_from(struct hub *h, int lane, dur_us to)
{
	struct fifo *q = &h->segments[lane], *past = &h->past[lane];
	const struct media_segment *last = fifo_peek_last(past), *s = fifo_peek(q);

	if (!all_whole(q))
		return false;
	if (find(past, to) < past->n && (s == NULL || last->end == s->start)) {
		for (size_t left = find(past, to); past->n > left;)
			fifo_put_first(q, fifo_take_last(past));
		return true;
	}
	if (find(q, to) == q->n)
		return false;
	for (s = fifo_peek(q); s->end <= to; s = fifo_peek(q)) {
		struct media_segment *gone = fifo_take(q);

		remember(h, lane, gone);
		media_segment_free(&gone);
	}
	return true;
}

static bool keep_segments(struct hub *h, int lane, dur_us to, bool keys)
{
	struct fifo *q = &h->segments[lane];

	if (keys ? find(&h->past[lane], to) == h->past[lane].n && find(q, to) == q->n : !keep_from(h, lane, to))
		return false;
	for (size_t i = 0; i < q->n; i++) {
		struct media_segment *s = at(q, i);

		s->generation = h->generation;
		s->from = to > s->first ? to : s->first;
	}
	return true;
}

void hub_seek(struct hub *h, dur_us to, bool keys)
{
	hub_lock(h);
	h->generation++;
	h->keys = keys && h->lane[LANE_VIDEO];
	h->key_given = false;
	h->key_at = to;
	h->sought = clock_mono();
	if (h->preview != NULL)
		media_frame_free(&h->preview);
	for (int i = 0; i < N_LANES; i++) {
		h->kept[i] = h->lane[i] && keep_segments(h, i, to, h->keys);
		if (!h->kept[i])
			empty_segments(h, i);
		empty_frames(h, i);
	}
	h->position = to;
	h->posts++;
	hub_ring(h);
	hub_unlock(h);
}

static struct media_segment *take_key(struct hub *h, int lane)
{
	struct fifo *const queues[] = {&h->past[lane], &h->segments[lane]};
	struct media_segment *s;

	if (lane != LANE_VIDEO || h->key_given)
		return NULL;
	for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
		size_t n = find(queues[i], h->key_at);

		if (n == queues[i]->n || at(queues[i], n)->feed != NULL)
			continue;
		s = media_segment_copy(at(queues[i], n));
		s->generation = h->generation;
		s->from = h->key_at;
		h->key_given = true;
		return s;
	}
	return NULL;
}

struct media_segment *hub_take(struct hub *h, int lane)
{
	struct media_segment *s;

	if (h->keys)
		return take_key(h, lane);
	s = fifo_take(&h->segments[lane]);
	if (s != NULL)
		remember(h, lane, s);
	return s;
}

void hub_fini(struct hub *h)
{
	if (h->preview != NULL)
		media_frame_free(&h->preview);
	for (int i = 0; i < N_LANES; i++) {
		empty_segments(h, i);
		empty_frames(h, i);
		free(h->segments[i].v);
		free(h->past[i].v);
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
	return f->n + f->spare >= f->cap;
}

void fifo_put(struct fifo *f, void *item)
{
	MUST(f->n < f->cap && item != NULL);
	f->v[(f->first + f->n++) % f->cap] = item;
}

void fifo_put_first(struct fifo *f, void *item)
{
	MUST(f->n < f->cap && item != NULL);
	f->first = (f->first + f->cap - 1) % f->cap;
	f->v[f->first] = item;
	f->n++;
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
