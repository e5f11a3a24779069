/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How one piece comes: asked for here and there, checked, written, shown.  A
 * flight belongs to the engine's thread; the fetch thread only appends to its
 * buffer and posts.
 *
 * Invariants: exactly one done callback comes for every fetch_start, and only
 * its job ends a try; so a flight is never freed under the fetch thread.
 */
#include "edge/flights_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/counts.h"

#define WHERE "edge/flights"
#define SPAN ((uint64_t)64 << 10) /* as much as one segment of TCP carries */
#define PULL_PATIENCE (12 * DUR_S) /* from the first want to the last try's start */

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

/* What comes goes to memory from now on.  A fill that nobody waits for has no use for that: `error` stands. */
static int pass_on(struct flight *f, int error)
{
	int r;

	f->disk_error = error;
	if (f->fill && !flights_waited_for(f))
		return error;
	r = passing_begin(f->all->s.passing, f->copy, f->piece);
	f->passing = r == 0;
	return r;
}

/* How the page cache holds a file is settled by how it was written: what came block by block lies in as small folios, and
 * each costs whenever it is sent, together 5 to 8 % of a hit (t/bench/folios).  So the first bytes of a SPAN take the rest of it along, as
 * zeros that nobody is shown.  How many of them behind `good`. */
static uint64_t rest_of_span(const struct flight *f, uint64_t good)
{
	uint64_t end = (good + SPAN - 1) / SPAN * SPAN;

	if (end > f->size)
		end = f->size;
	return good / SPAN * SPAN >= f->checked && copy_is_bare(f->copy, f->piece, good, end) ? end - good : 0;
}

static int write_span(const struct flight *f, uint64_t good)
{
	static const uint8_t zeros[SPAN];
	size_t n = (size_t)(good - f->checked);
	struct iovec parts[] = {{f->bytes + f->checked, n}, {(void *)(uintptr_t)zeros, (size_t)rest_of_span(f, good)}};
	ssize_t w = 0;

	if (parts[1].iov_len > 0)
		w = pwritev(copy_fd(f->copy), parts, 2, (off_t)(f->first + f->checked));
	if (w >= (ssize_t)n)
		return 0;
	return file_pwrite_all(copy_fd(f->copy), f->bytes + f->checked, n, f->first + f->checked);
}

/* The bytes up to `good` into memory, or into the file. */
static int put(struct flight *f, uint64_t good)
{
	uint64_t n = good - f->checked;
	int r;

	if (f->passing) {
		counters_add(f->all->s.counters, COUNT_STREAMED, n);
		return passing_show(f->copy, f->piece, f->checked, f->bytes + f->checked, n);
	}
	r = write_span(f, good);
	if (r == 0) {
		unsigned first = (unsigned)(f->checked / DIGEST_BLOCK);

		counters_add(f->all->s.counters, f->fill ? COUNT_WRITTEN_FILL : COUNT_WRITTEN_PULL, n);
		copy_show_blocks(f->copy, f->piece, first, (unsigned)((good + DIGEST_BLOCK - 1) / DIGEST_BLOCK) - first);
	}
	return r;
}

static void say_failed(struct flight *f, int error)
{
	counters_add(f->all->s.counters, COUNT_WRITE_FAILED, 1);
	disk_failed(store_disk(f->all->s.store), error, "a piece cannot be written");
	log_error(WHERE, "cannot write a piece: %s folder=\"%s\" file=\"%s\" piece=%zu", err_text(error),
	          f->copy->package->folder, f->copy->name, f->piece);
}

static void show(struct flight *f, uint64_t good)
{
	int r = put(f, good);

	if (r != 0 && !f->passing) {
		say_failed(f, r);
		r = pass_on(f, r);
		if (r == 0)
			r = put(f, good);
	}
	f->write_error = r;
	if (r != 0)
		return;
	f->checked = good;
	flights_wake_ready(f);
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

void flight_run(struct job *job)
{
	struct flight *f = (struct flight *)job; /* the first member */

	__atomic_store_n(&f->posted, 0, __ATOMIC_RELEASE);
	process(f);
	if ((f->lied || f->write_error != 0) && !flights_stopped(f->all)) /* the clients may be gone once stopped */
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
	if (file_pread_all(copy_fd(leaves), f->leaves, n * sizeof f->leaves[0], offset) !=
	    (ssize_t)(n * sizeof f->leaves[0]))
		return;
	digest_piece_root(f->leaves, n, file_of(f), &root);
	f->by_block = sha256_equal(&root, &file_of(f)->pieces[f->piece]);
}

static void send_request(struct flight *f)
{
	const char *fields[1 + SERVE_TRACE_FIELDS];
	struct package *p = f->copy->package;
	char *url = upstream_url(f->all->s.upstream, f->place, p->title, p->revision, f->copy->name);
	bool peer = !f->place->source.origin;
	struct fetch_request req = {
		.url = url,
		.has_range = true,
		.first = f->first + f->checked,
		.last = f->first + f->size - 1,
		.fields = fields,
		.trace = f->traced ? &f->trace.parent : NULL,
		.max_bytes = f->size - f->checked,
		.connect_timeout = 2 * DUR_S,
		.stall_timeout = f->fill ? 8 * DUR_S : 4 * DUR_S,
		.total_timeout = sources_deadline(&f->place->source, f->size - f->checked),
	};

	if (peer)
		fields[req.n_fields++] = "Cache-Control: only-if-cached"; /* a peer does not ask others for us */
	for (size_t i = 0; i < SERVE_TRACE_FIELDS; i++)
		if (f->trace.fields[i] != NULL)
			fields[req.n_fields++] = f->trace.fields[i];
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

	if (flights_stopped(f->all) || (!f->fill && error != 0 && now - f->asked > PULL_PATIENCE)) {
		flights_end(f, error != 0 ? error : ERR_CANCELLED);
		return;
	}
	f->place = upstream_pick_piece(f->all->s.upstream, p, f->copy->index, f->piece, &f->tries, now);
	if (f->place == NULL)
		flights_end(f, error != 0 ? error : ERR_NETWORK);
	else
		send_request(f);
}

/* On the disk if it is to be kept and can be, else in memory. */
static int find_place(struct flight *f)
{
	struct flights *all = f->all;
	int r = 0;

	f->bytes = mem_try(1, (size_t)f->size);
	if (f->bytes == NULL)
		return -ENOMEM;
	if (all->s.keep(all->s.ctx, f->copy, f->size, f->fill)) {
		r = store_reserve(all->s.store, f->copy, f->piece);
		f->reserved = r == 0;
	}
	if (r == -ENOSPC || r == -EDQUOT)
		counters_add(all->s.counters, COUNT_NO_SPACE, 1);
	return f->reserved ? 0 : pass_on(f, r);
}

void flight_start(struct flight *f)
{
	int r = find_place(f);

	if (r != 0) {
		flights_end(f, r);
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
	counters_observe(all->s.counters, f->fill ? COUNT_UPSTREAM_FILL : COUNT_UPSTREAM_PULL, r->total);
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
		log_verbose(WHERE, "a source failed: %s status=%d text=\"%s\" source=%s file=%s piece=%zu got=%llu trace=%s",
		            err_text(*ret_error), r->status, r->text, f->place->name, f->copy->name, f->piece,
		            (unsigned long long)r->bytes, f->traced ? f->trace.parent.trace : "-");
	}
}

void flight_run_done(struct job *job)
{
	struct flight *f = (struct flight *)((char *)job - offsetof(struct flight, done_job));
	int error;

	process(f);
	if (f->write_error != 0) {
		sources_ended(&f->place->source);
		flights_end(f, f->write_error);
		return;
	}
	judge(f, &error);
	if (error == 0)
		flights_end(f, 0);
	else
		try_next(f, error);
}
