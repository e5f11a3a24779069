/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A flight belongs to the engine's thread; the fetch thread only appends to its
 * buffer and posts.  The lock guards each copy's list of flights, their waiters
 * and the queue of flights that viewers asked for.
 *
 *   viewer: want -> (list, waiter) -> engine: start -> fetch thread: bytes
 *        ^                                                 |
 *        +---- wake <- show bits <- write <- check <-------+ (engine)
 *
 * Invariants: exactly one done callback comes for every fetch_start, and only
 * its job ends a try; so a flight is never freed under the fetch thread.
 */
#include "edge/flights.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "edge/counts.h"

#define WHERE "edge/flights"
#define MAX_PULLING 64           /* flights for viewers at once; each has a buffer of a piece */
#define MAX_QUEUED 4096          /* more are refused: the node is overloaded */
#define READ_AHEAD (3 * DIGEST_PIECE)
#define FAILURE_MEMORY DUR_S     /* how long viewers are told at once that it will not come */
#define PULL_PATIENCE (12 * DUR_S) /* from the first want to the last try's start */

struct waiter {
	struct waiter *next;
	uint64_t offset; /* in the file */
	struct serve_waiter *viewer;
};

struct flight {
	struct job job, done_job;
	int posted;             /* atomic: job is in the mailbox */
	struct flights *all;
	struct copy *copy;      /* one reference */
	size_t piece;
	uint64_t first, size;   /* of the piece: offset in the file, bytes */
	bool fill, reserved;

	uint8_t *bytes;         /* the piece; the fetch thread writes behind `checked` */
	uint64_t got;           /* atomic: bytes of it that came */
	uint64_t checked;       /* verified, written, shown */
	uint64_t try_start;     /* `checked` when this try began */
	bool by_block, lied;
	struct sha256 leaves[DIGEST_BLOCKS_PER_PIECE];
	int write_error;

	struct upstream_place *place;
	struct upstream_tries tries;
	fetch_id id;
	struct fetch_result result;
	mono_us asked;

	/* under the lock */
	struct waiter *waiters;
	struct flight *next;    /* of the copy */
	struct flight *queued;  /* in the queue */
};

struct flights {
	struct flights_settings s;
	unsigned filling, pulling; /* the engine's */
	pthread_mutex_t lock;      /* guards what follows */
	struct flight *queue, **queue_end;
	size_t n_queued;
	struct job job;            /* "the queue has grown" */
	bool posted, stopped;
};

static void take_queue(struct job *);

struct flights *flights_new(const struct flights_settings *settings)
{
	struct flights *all = mem_new(sizeof *all);

	all->s = *settings;
	all->job.run = take_queue;
	all->queue_end = &all->queue;
	pthread_mutex_init(&all->lock, NULL);
	return all;
}

void flights_free(struct flights **pall)
{
	if (*pall == NULL)
		return;
	MUST((*pall)->filling == 0 && (*pall)->pulling == 0 && (*pall)->queue == NULL);
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

static void run_job(struct job *);
static void run_done(struct job *);

static struct flight *add(struct flights *all, struct copy *c, size_t piece, bool fill)
{
	struct flight *f = mem_new(sizeof *f);

	f->job.run = run_job;
	f->done_job.run = run_done;
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

static void wake_ready(struct flight *f)
{
	struct waiter *w;

	pthread_mutex_lock(&f->all->lock);
	w = take_waiters(f, false);
	pthread_mutex_unlock(&f->all->lock);
	wake(w);
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

static void end_flight(struct flight *f, int error)
{
	struct flights *all = f->all;
	struct waiter *w;

	if (f->reserved)
		store_settle(all->s.store, f->copy, f->piece, error == 0);
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
	all->s.landed(all->s.ctx, f->copy, f->piece, f->fill, error);
	copy_unref(&f->copy);
	free(f->bytes);
	free(f);
}

/* --- bytes arrive (the fetch thread) --------------------------------------------------- */

static void post(struct flight *f)
{
	if (!__atomic_exchange_n(&f->posted, 1, __ATOMIC_ACQ_REL))
		engine_post(f->all->s.engine, &f->job);
}

/* RFC 9110 15.3.7: exactly the range asked for, of a file of the right size. */
static int on_header(void *ctx, const struct fetch_response *r)
{
	struct flight *f = ctx;
	uint64_t first = f->first + f->try_start, last = f->first + f->size - 1;

	if (r->status == 206 && r->has_range && r->range_first == first && r->range_last == last &&
	    r->range_size == f->copy->object.size)
		return 0;
	if (r->status == 200 && first == 0 && r->has_length && r->length == f->copy->object.size &&
	    f->size == f->copy->object.size)
		return 0;
	return ERR_HTTP;
}

static int on_data(void *ctx, const void *bytes, size_t n)
{
	struct flight *f = ctx;
	uint64_t got = __atomic_load_n(&f->got, __ATOMIC_RELAXED);

	if (n > f->size - got)
		return ERR_LIMIT;
	memcpy(f->bytes + got, bytes, n);
	__atomic_store_n(&f->got, got + n, __ATOMIC_RELEASE);
	if (got / DIGEST_BLOCK != (got + n) / DIGEST_BLOCK || got + n == f->size)
		post(f);
	return 0;
}

static void on_done(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct flight *f = ctx;

	f->result = *result;
	engine_post(f->all->s.engine, &f->done_job);
}

/* --- checking and writing (the engine) ------------------------------------------------- */

static const struct digest_file *file_of(const struct flight *f)
{
	return &f->copy->package->digest->files[f->copy->index];
}

/* Good blocks from `checked` on among the bytes that came. */
static uint64_t check_blocks(struct flight *f, uint64_t got)
{
	uint64_t good = f->checked;

	while (good < got) {
		uint64_t n = f->size - good < DIGEST_BLOCK ? f->size - good : DIGEST_BLOCK;
		struct sha256 hash;

		if (got - good < n)
			break;
		sha256_of(f->bytes + good, (size_t)n, &hash);
		if (!sha256_equal(&hash, &f->leaves[good / DIGEST_BLOCK])) {
			f->lied = true;
			break;
		}
		good += n;
	}
	return good;
}

static uint64_t check_whole(struct flight *f, uint64_t got)
{
	if (got < f->size)
		return f->checked;
	if (digest_check_piece(file_of(f), f->piece, f->bytes, (size_t)f->size) == 0)
		return f->size;
	f->lied = true;
	return f->checked;
}

static void show(struct flight *f, uint64_t good)
{
	unsigned first = (unsigned)(f->checked / DIGEST_BLOCK);
	unsigned end = (unsigned)((good + DIGEST_BLOCK - 1) / DIGEST_BLOCK);

	f->write_error = file_pwrite_all(f->copy->object.fd, f->bytes + f->checked, (size_t)(good - f->checked),
	                                 f->first + f->checked);
	if (f->write_error != 0) {
		counters_add(f->all->s.counters, COUNT_WRITE_FAILED, 1);
		disk_failed(store_disk(f->all->s.store), f->write_error, "a piece cannot be written");
		log_error(WHERE, "cannot write a piece: %s folder=\"%s\" file=\"%s\" piece=%zu", err_text(f->write_error),
		          f->copy->package->folder, f->copy->name, f->piece);
		return;
	}
	copy_show_blocks(f->copy, f->piece, first, end - first);
	f->checked = good;
	wake_ready(f);
}

static void process(struct flight *f)
{
	uint64_t got = __atomic_load_n(&f->got, __ATOMIC_ACQUIRE), good;

	if (f->lied || f->write_error != 0 || got <= f->checked)
		return;
	good = f->by_block ? check_blocks(f, got) : check_whole(f, got);
	if (good > f->checked)
		show(f, good);
}

static bool is_stopped(struct flights *all)
{
	bool stopped;

	pthread_mutex_lock(&all->lock);
	stopped = all->stopped;
	pthread_mutex_unlock(&all->lock);
	return stopped;
}

static void run_job(struct job *job)
{
	struct flight *f = (struct flight *)job; /* the first member */

	__atomic_store_n(&f->posted, 0, __ATOMIC_RELEASE);
	process(f);
	if ((f->lied || f->write_error != 0) && !is_stopped(f->all)) /* the clients may be gone once stopped */
		fetch_cancel(f->fill ? f->all->s.fill : f->all->s.pull, f->id);
}

/* --- tries ----------------------------------------------------------------------------- */

/* The piece's row of package.leaves; it proves itself against the piece's hash. */
static void read_leaves(struct flight *f)
{
	struct package *p = f->copy->package;
	struct copy *leaves = p->copies[PACKAGE_LEAVES_AT(p)];
	size_t n = (size_t)((f->size + DIGEST_BLOCK - 1) / DIGEST_BLOCK);
	uint64_t offset = digest_leaves_offset(p->digest, f->copy->index) +
	                  f->piece * DIGEST_BLOCKS_PER_PIECE * sizeof f->leaves[0];
	struct sha256 root;

	f->by_block = false;
	if (leaves == NULL || copy_open(leaves) != 0)
		return;
	if (file_pread_all(leaves->object.fd, f->leaves, n * sizeof f->leaves[0], offset) !=
	    (ssize_t)(n * sizeof f->leaves[0]))
		return;
	digest_piece_root(f->leaves, n, file_of(f), &root);
	f->by_block = sha256_equal(&root, &file_of(f)->pieces[f->piece]);
}

static void send_request(struct flight *f)
{
	static const char *const fields[] = {"Cache-Control: only-if-cached"}; /* a peer does not ask others for us */
	struct package *p = f->copy->package;
	char *url = upstream_url(f->all->s.upstream, f->place, p->title, p->revision, f->copy->name);
	bool peer = !f->place->source.origin;
	struct fetch_request req = {
		.url = url,
		.has_range = true,
		.first = f->first + f->checked,
		.last = f->first + f->size - 1,
		.fields = fields,
		.n_fields = peer ? 1 : 0,
		.max_bytes = f->size - f->checked,
		.connect_timeout = 2 * DUR_S,
		.stall_timeout = f->fill ? 8 * DUR_S : 4 * DUR_S,
		.total_timeout = sources_deadline(&f->place->source, f->size - f->checked),
	};

	f->lied = false;
	f->try_start = f->checked;
	__atomic_store_n(&f->got, f->checked, __ATOMIC_RELEASE);
	f->tries.places[f->tries.n++] = f->place;
	sources_started(&f->place->source);
	counters_add(f->all->s.counters, f->fill ? COUNT_FLIGHTS_FILL : COUNT_FLIGHTS_PULL, 1);
	f->id = fetch_start(f->fill ? f->all->s.fill : f->all->s.pull, &req, on_header, on_data, on_done, f);
	free(url);
}

/* The next source, or the end; `error` is why the last one was not enough. */
static void try_next(struct flight *f, int error)
{
	struct package *p = f->copy->package;
	mono_us now = clock_mono();

	if (is_stopped(f->all) || (!f->fill && error != 0 && now - f->asked > PULL_PATIENCE)) {
		end_flight(f, error != 0 ? error : ERR_CANCELLED);
		return;
	}
	f->place = upstream_pick_piece(f->all->s.upstream, p, f->copy->index, f->piece, &f->tries, now);
	if (f->place == NULL)
		end_flight(f, error != 0 ? error : ERR_NETWORK);
	else
		send_request(f);
}

static void start(struct flight *f)
{
	struct flights *all = f->all;
	int r;

	all->s.make_room(all->s.ctx, f->copy, f->size);
	r = store_reserve(all->s.store, f->copy, f->piece);
	f->reserved = r == 0;
	if (r == 0) {
		f->bytes = mem_try(1, (size_t)f->size);
		r = f->bytes != NULL ? 0 : -ENOMEM;
	}
	if (r != 0) {
		if (r == -ENOSPC || r == -EDQUOT)
			counters_add(all->s.counters, COUNT_NO_SPACE, 1);
		end_flight(f, r);
		return;
	}
	read_leaves(f);
	try_next(f, 0);
}

static void judge(struct flight *f, int *ret_error)
{
	struct flights *all = f->all;
	struct source *source = &f->place->source;
	const struct fetch_result *r = &f->result;
	mono_us now = clock_mono();

	sources_ended(source);
	counters_add(all->s.counters, f->fill ? COUNT_FETCHED_FILL : COUNT_FETCHED_PULL, r->bytes);
	counters_add(all->s.counters, source->origin ? COUNT_FETCHED_ORIGIN : COUNT_FETCHED_PEERS, r->bytes);
	if (f->lied) {
		upstream_lied(all->s.upstream, f->place, now);
		counters_add(all->s.counters, COUNT_WRONG_HASH, 1);
		log_warn(WHERE, "wrong bytes were sent, the source is avoided source=%s url=\"%s\" title=%s revision=%s "
		         "file=%s piece=%zu", f->place->name, f->place->url, f->copy->package->title,
		         f->copy->package->revision, f->copy->name, f->piece);
		*ret_error = ERR_HASH;
	} else if (f->checked == f->size) {
		sources_good(source, f->size - f->try_start, r->total);
		*ret_error = 0;
	} else {
		*ret_error = r->error != 0 ? r->error : ERR_TRUNCATED;
		if (*ret_error == ERR_CANCELLED)
			return;
		sources_failed(source, now);
		if (*ret_error == ERR_TIMEOUT && f->tries.n < UPSTREAM_MAX_TRIES)
			f->tries.places[f->tries.n++] = f->place; /* no second chance: somebody waits */
		counters_add(all->s.counters, COUNT_SOURCE_FAILED, 1);
		log_verbose(WHERE, "a source failed: %s status=%d text=\"%s\" source=%s file=%s piece=%zu got=%llu",
		            err_text(*ret_error), r->status, r->text, f->place->name, f->copy->name, f->piece,
		            (unsigned long long)r->bytes);
	}
}

static void run_done(struct job *job)
{
	struct flight *f = (struct flight *)((char *)job - offsetof(struct flight, done_job));
	int error;

	process(f);
	if (f->write_error != 0) {
		sources_ended(&f->place->source);
		end_flight(f, f->write_error);
		return;
	}
	judge(f, &error);
	if (error == 0)
		end_flight(f, 0);
	else
		try_next(f, error);
}

/* --- viewers ask ----------------------------------------------------------------------- */

int64_t flights_ready(struct flights *all, struct copy *c, uint64_t offset, uint64_t length)
{
	uint64_t n = copy_ready(c, offset, length);

	if (n > 0)
		return (int64_t)n;
	return copy_failure(c, clock_mono());
}

static void enqueue(struct flights *all, struct flight *f)
{
	*all->queue_end = f;
	all->queue_end = &f->queued;
	all->n_queued++;
	if (!all->posted) {
		all->posted = true;
		engine_post(all->s.engine, &all->job);
	}
}

static struct flight *find_or_add(struct flights *all, struct copy *c, size_t piece)
{
	struct flight *f = find(c, piece);

	if (f == NULL && all->n_queued < MAX_QUEUED) {
		f = add(all, c, piece, false);
		enqueue(all, f);
	}
	return f;
}

static void read_ahead(struct flights *all, struct copy *c, uint64_t offset, uint64_t length)
{
	uint64_t left = c->object.size - offset;
	size_t last;

	if (length > READ_AHEAD)
		length = READ_AHEAD;
	if (length > left)
		length = left;
	last = (size_t)((offset + length - 1) / DIGEST_PIECE);
	for (size_t piece = (size_t)(offset / DIGEST_PIECE) + 1; piece <= last; piece++)
		if (!copy_has_piece(c, piece))
			find_or_add(all, c, piece);
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
	f = find_or_add(all, c, piece);
	if (f == NULL) {
		copy_fail(c, ERR_BUSY, clock_mono() + FAILURE_MEMORY);
		return false;
	}
	w = mem_new(sizeof *w);
	*w = (struct waiter){f->waiters, offset, viewer};
	f->waiters = w;
	read_ahead(all, c, offset, length);
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

void flights_step(struct flights *all)
{
	while (all->pulling < MAX_PULLING) {
		struct flight *f;

		pthread_mutex_lock(&all->lock);
		f = all->queue;
		if (f != NULL) {
			all->queue = f->queued;
			all->n_queued--;
			if (all->queue == NULL)
				all->queue_end = &all->queue;
		}
		pthread_mutex_unlock(&all->lock);
		if (f == NULL)
			return;
		all->pulling++;
		start(f);
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
	start(f);
	return 0;
}

void flights_pull(struct flights *all, struct copy *c, size_t piece)
{
	pthread_mutex_lock(&all->lock);
	if (!all->stopped && copy_failure(c, clock_mono()) == 0 && !copy_has_piece(c, piece))
		find_or_add(all, c, piece);
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
