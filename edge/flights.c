/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who waits for what.  The lock guards each copy's list of flights, their
 * waiters and the queue of flights that viewers asked for.
 *
 *   viewer: want -> (list, waiter) -> engine: start -> fetch thread: bytes
 *        ^                                                 |
 *        +---- wake <- show bits <- write <- check <-------+ (engine; flight.c)
 */
#include "edge/flights_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "cdn/nearness.h"
#include "cdn/steer.h"
#include "edge/counts.h"

#define MAX_PULLING 64           /* flights for viewers at once; each has a buffer of a piece */
#define MAX_QUEUED 4096          /* more of who has many are refused, and twice as many of all: the node is overloaded */
#define MANY 64                  /* queued by one client: more come behind those of others */
#define READ_AHEAD (3 * DIGEST_PIECE)
#define FAILURE_MEMORY DUR_S     /* how long viewers are told at once that it will not come */

static void take_queue(struct job *);

struct flights *flights_new(const struct flights_settings *settings)
{
	struct flights *all = mem_new(sizeof *all);

	all->s = *settings;
	all->job.run = take_queue;
	all->queue.end = &all->queue.first;
	all->behind.end = &all->behind.first;
	pthread_mutex_init(&all->lock, NULL);
	return all;
}

void flights_free(struct flights **pall)
{
	if (*pall == NULL)
		return;
	MUST((*pall)->filling == 0 && (*pall)->pulling == 0 && (*pall)->n_queued == 0);
	pthread_mutex_destroy(&(*pall)->lock);
	free(*pall);
	*pall = NULL;
}

/* --- the list of a copy (under the lock) ----------------------------------------------- */

static struct flight *find(const struct copy *c, size_t piece)
{
	struct flight *f = c->flights;

	while (f != NULL && f->piece != piece)
		f = f->next;
	return f;
}

static struct flight *add(struct flights *all, struct copy *c, size_t piece, bool fill)
{
	struct flight *f = mem_new(sizeof *f);

	f->job.run = flight_run;
	f->done_job.run = flight_run_done;
	f->all = all;
	f->copy = copy_ref(c);
	f->piece = piece;
	f->first = piece * DIGEST_PIECE;
	f->size = copy_piece_size(c, piece);
	f->fill = fill;
	f->asked = clock_mono();
	f->next = c->flights;
	c->flights = f;
	return f;
}

static void unlink_flight(struct flight *f)
{
	struct flight **p = &f->copy->flights;

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
}

/* Takes out the waiters whose bytes are here (or all). */
static struct waiter *take_waiters(struct flight *f, bool all)
{
	struct waiter **p = &f->waiters, *taken = NULL;

	while (*p != NULL) {
		struct waiter *w = *p;

		if (all || copy_ready(f->copy, w->offset, 1) > 0) {
			*p = w->next;
			w->next = taken;
			taken = w;
		} else {
			p = &w->next;
		}
	}
	return taken;
}

static void wake(struct waiter *w)
{
	while (w != NULL) {
		struct waiter *next = w->next;

		serve_wake(w->viewer);
		free(w);
		w = next;
	}
}

void flights_wake_ready(struct flight *f)
{
	struct waiter *w;

	pthread_mutex_lock(&f->all->lock);
	w = take_waiters(f, false);
	pthread_mutex_unlock(&f->all->lock);
	wake(w);
}

bool flights_waited_for(struct flight *f)
{
	bool waited_for;

	pthread_mutex_lock(&f->all->lock);
	waited_for = f->waiters != NULL;
	pthread_mutex_unlock(&f->all->lock);
	return waited_for;
}

bool flights_stopped(struct flights *all)
{
	bool stopped;

	pthread_mutex_lock(&all->lock);
	stopped = all->stopped;
	pthread_mutex_unlock(&all->lock);
	return stopped;
}

bool flights_has(struct flights *all, struct copy *c, size_t piece)
{
	bool has;

	pthread_mutex_lock(&all->lock);
	has = find(c, piece) != NULL;
	pthread_mutex_unlock(&all->lock);
	return has;
}

/* --- the end of a flight --------------------------------------------------------------- */

void flights_end(struct flight *f, int error)
{
	struct flights *all = f->all;
	struct waiter *w;

	if (f->reserved)
		store_settle(all->s.store, f->copy, f->piece, error == 0 && !f->passing);
	if (f->passing)
		passing_end(all->s.passing, f->copy, f->piece, clock_mono());
	if (error != 0) {
		counters_add(all->s.counters, COUNT_PIECE_FAILED, 1);
		copy_fail(f->copy, error, clock_mono() + FAILURE_MEMORY);
	} else {
		counters_add(all->s.counters, f->fill ? COUNT_PIECES_FILL : COUNT_PIECES_PULL, 1);
		copy_fail(f->copy, 0, 0);
	}
	pthread_mutex_lock(&all->lock);
	unlink_flight(f);
	w = take_waiters(f, true);
	pthread_mutex_unlock(&all->lock);
	wake(w);
	if (f->fill)
		all->filling--;
	else
		all->pulling--;
	all->s.landed(all->s.ctx, f->copy, f->piece, f->fill, error == 0 && f->fill ? f->disk_error : error);
	copy_unref(&f->copy);
	serve_trace_fini(&f->trace);
	free(f->bytes);
	free(f);
}

/* --- viewers ask ----------------------------------------------------------------------- */

int64_t flights_ready(struct flights *all, struct copy *c, uint64_t offset, uint64_t length)
{
	uint64_t n = copy_ready(c, offset, length);

	if (n > 0)
		return (int64_t)n;
	return copy_failure(c, clock_mono());
}

static size_t client_of(const struct serve_request *viewer)
{
	const char *peer = viewer != NULL ? serve_peer(viewer) : NULL;
	uint64_t key;

	if (peer == NULL)
		return FLIGHTS_CLIENTS;
	key = strchr(peer, ':') != NULL ? nearness_network(peer) * UINT64_C(0x9e3779b97f4a7c15) >> 32 : steer_client_key(peer);
	return key % FLIGHTS_CLIENTS;
}

/* A byte asked for brings a piece: who asks for all there is comes behind whoever asks for little. */
static bool has_many(const struct flights *all, size_t client)
{
	return client < FLIGHTS_CLIENTS && all->queued_by[client] >= MANY;
}

static void enqueue(struct flights *all, struct flight *f)
{
	struct flight_queue *q = has_many(all, f->client) ? &all->behind : &all->queue;

	*q->end = f;
	q->end = &f->queued;
	all->n_queued++;
	if (f->client < FLIGHTS_CLIENTS)
		all->queued_by[f->client]++;
	if (!all->posted) {
		all->posted = true;
		engine_post(all->s.engine, &all->job);
	}
}

/* `viewer` (or NULL) is whose bytes these are. */
static struct flight *find_or_add(struct flights *all, struct copy *c, size_t piece, struct serve_request *viewer)
{
	struct flight *f = find(c, piece);
	size_t client = client_of(viewer);

	if (f == NULL && all->n_queued < (has_many(all, client) ? MAX_QUEUED : 2 * MAX_QUEUED)) {
		f = add(all, c, piece, false);
		f->client = client;
		f->traced = viewer != NULL;
		if (f->traced)
			serve_trace(viewer, &f->trace);
		enqueue(all, f);
	}
	return f;
}

static void read_ahead(struct flights *all, struct copy *c, uint64_t offset, uint64_t length, struct serve_request *viewer)
{
	uint64_t left = c->object.size - offset;
	size_t last;

	if (length > READ_AHEAD)
		length = READ_AHEAD;
	if (length > left)
		length = left;
	last = (size_t)((offset + length - 1) / DIGEST_PIECE);
	for (size_t piece = (size_t)(offset / DIGEST_PIECE) + 1; piece <= last; piece++)
		if (!copy_shows_piece(c, piece))
			find_or_add(all, c, piece, viewer);
}

/* Under the lock: true when the viewer now waits. */
static bool wait_for(struct flights *all, struct copy *c, uint64_t offset, uint64_t length, struct serve_waiter *viewer)
{
	size_t piece = (size_t)(offset / DIGEST_PIECE);
	struct flight *f;
	struct waiter *w;

	if (copy_ready(c, offset, 1) > 0)
		return false;
	f = find(c, piece);
	if (f != NULL)
		counters_add(all->s.counters, COUNT_JOINED, 1);
	else if (copy_failure(c, clock_mono()) != 0)
		return false;
	f = find_or_add(all, c, piece, serve_waiter_request(viewer));
	if (f == NULL) {
		copy_fail(c, ERR_BUSY, clock_mono() + FAILURE_MEMORY);
		return false;
	}
	w = mem_new(sizeof *w);
	*w = (struct waiter){f->waiters, offset, viewer};
	f->waiters = w;
	read_ahead(all, c, offset, length, serve_waiter_request(viewer));
	return true;
}

void flights_want(struct flights *all, struct copy *c, uint64_t offset, uint64_t length, struct serve_waiter *viewer)
{
	bool waits;

	pthread_mutex_lock(&all->lock);
	if (all->stopped) {
		copy_fail(c, ERR_CANCELLED, INT64_MAX);
		waits = false;
	} else if (offset >= c->object.size) {
		waits = false;
	} else {
		waits = wait_for(all, c, offset, length > 0 ? length : 1, viewer);
	}
	pthread_mutex_unlock(&all->lock);
	if (!waits)
		serve_wake(viewer);
}

/* The next to be started, or NULL; under the lock. */
static struct flight *take_next(struct flights *all)
{
	struct flight_queue *q = all->queue.first != NULL ? &all->queue : &all->behind;
	struct flight *f = q->first;

	if (f == NULL)
		return NULL;
	q->first = f->queued;
	if (q->first == NULL)
		q->end = &q->first;
	all->n_queued--;
	if (f->client < FLIGHTS_CLIENTS)
		all->queued_by[f->client]--;
	return f;
}

/* Once stopped nothing starts, and all that is queued ends, however much is under way. */
void flights_step(struct flights *all)
{
	for (;;) {
		bool stopped = flights_stopped(all);
		struct flight *f;

		if (!stopped && all->pulling >= MAX_PULLING)
			return;
		pthread_mutex_lock(&all->lock);
		f = take_next(all);
		pthread_mutex_unlock(&all->lock);
		if (f == NULL)
			return;
		all->pulling++;
		if (stopped)
			flights_end(f, ERR_CANCELLED);
		else
			flight_start(f);
	}
}

static void take_queue(struct job *job)
{
	struct flights *all = (struct flights *)((char *)job - offsetof(struct flights, job));

	pthread_mutex_lock(&all->lock);
	all->posted = false;
	pthread_mutex_unlock(&all->lock);
	flights_step(all);
}

/* --- the fill asks --------------------------------------------------------------------- */

int flights_fill(struct flights *all, struct copy *c, size_t piece)
{
	struct flight *f = NULL;

	pthread_mutex_lock(&all->lock);
	if (!all->stopped && find(c, piece) == NULL)
		f = add(all, c, piece, true);
	pthread_mutex_unlock(&all->lock);
	if (f == NULL)
		return ERR_BUSY;
	all->filling++;
	flight_start(f);
	return 0;
}

void flights_pull(struct flights *all, struct copy *c, size_t piece, struct serve_request *viewer)
{
	pthread_mutex_lock(&all->lock);
	if (!all->stopped && copy_failure(c, clock_mono()) == 0 && !copy_shows_piece(c, piece))
		find_or_add(all, c, piece, viewer);
	pthread_mutex_unlock(&all->lock);
}

bool flights_touch(struct flights *all, const struct copy *c)
{
	bool touch;

	pthread_mutex_lock(&all->lock);
	touch = c->flights != NULL;
	pthread_mutex_unlock(&all->lock);
	return touch;
}

unsigned flights_filling(const struct flights *all)
{
	return all->filling;
}

void flights_stop(struct flights *all)
{
	pthread_mutex_lock(&all->lock);
	all->stopped = true;
	if (!all->posted) { /* what is queued ends as well */
		all->posted = true;
		engine_post(all->s.engine, &all->job);
	}
	pthread_mutex_unlock(&all->lock);
}
