/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: a passage exists exactly while there are places of its copy, and
 * every place holds a reference of the copy.
 */
#include "edge/passing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rcu.h"

#define BATCH 16 /* go together: one grace period */

struct place {
	struct copy *copy; /* one reference */
	size_t piece;
	bool coming;
	mono_us since;     /* when the last of its bytes came */
};

struct passing {
	struct place *places; /* in the order in which they ended or began */
	size_t n, cap, coming;
};

struct passing *passing_new(void)
{
	return mem_new(sizeof(struct passing));
}

/* --- passages --------------------------------------------------------------------------- */

static int open_passage(struct copy *c)
{
	struct passage *w;
	int fd = memfd_create("ribera-passing", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)c->object.size) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	w = mem_new(sizeof *w);
	w->fd = fd;
	w->blocks = mem_new_array(c->n_pieces + 1, sizeof *w->blocks);
	RCU_STORE(&c->passage, w);
	return 0;
}

static void free_passage(struct passage *w)
{
	close(w->fd);
	free(w->blocks);
	free(w);
}

static bool has_places(const struct passing *p, const struct copy *c)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->places[i].copy == c)
			return true;
	return false;
}

/* --- letting go ------------------------------------------------------------------------ */

static void punch(const struct place *place)
{
	const struct copy *c = place->copy;

	(void)fallocate(c->passage->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(place->piece * DIGEST_PIECE),
	                (off_t)copy_piece_size(c, place->piece));
}

/* Of those who left: their passages where no other place is left, and their references. */
static void drop(struct passing *p, struct place *gone, size_t n)
{
	struct passage *passages[BATCH];
	size_t n_passages = 0;

	for (size_t i = 0; i < n; i++)
		if (gone[i].copy->passage != NULL && !has_places(p, gone[i].copy))
			passages[n_passages++] = RCU_SWAP(&gone[i].copy->passage, NULL);
	rcu_synchronize(); /* nobody reads by the bits that were hidden, or in these passages */
	for (size_t i = 0; i < n; i++) {
		if (gone[i].copy->passage != NULL)
			punch(&gone[i]);
		copy_unref(&gone[i].copy);
	}
	for (size_t i = 0; i < n_passages; i++)
		free_passage(passages[i]);
}

/* Takes out the oldest that nothing comes to, at most `most`. */
static void let_go(struct passing *p, size_t most, mono_us older_than)
{
	struct place gone[BATCH];
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct place *place = &p->places[i];

		if (n < most && n < BATCH && !place->coming && place->since <= older_than) {
			__atomic_store_n(&place->copy->passage->blocks[place->piece], 0, __ATOMIC_SEQ_CST);
			gone[n++] = *place;
		} else {
			p->places[kept++] = *place;
		}
	}
	p->n = kept;
	if (n > 0)
		drop(p, gone, n);
}

void passing_free(struct passing **pp)
{
	struct passing *p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	for (size_t i = 0; i < p->n; i++)
		p->places[i].coming = false;
	while (p->n > 0)
		let_go(p, BATCH, INT64_MAX);
	free(p->places);
	free(p);
}

mono_us passing_step(struct passing *p, mono_us now)
{
	mono_us wake = INT64_MAX;

	for (;;) {
		size_t before = p->n;

		let_go(p, BATCH, now - PASSING_LINGER);
		if (before - p->n < BATCH)
			break;
	}
	for (size_t i = 0; i < p->n; i++)
		if (!p->places[i].coming && p->places[i].since + PASSING_LINGER < wake)
			wake = p->places[i].since + PASSING_LINGER;
	return wake;
}

/* --- pieces ---------------------------------------------------------------------------- */

static struct place *find(struct passing *p, const struct copy *c, size_t piece)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->places[i].copy == c && p->places[i].piece == piece)
			return &p->places[i];
	return NULL;
}

int passing_begin(struct passing *p, struct copy *c, size_t piece)
{
	struct place *place = find(p, c, piece);
	int r;

	if (place != NULL) { /* some of it came in an earlier flight */
		p->coming += !place->coming;
		place->coming = true;
		return 0;
	}
	if (p->n - p->coming >= PASSING_PIECES)
		let_go(p, BATCH, INT64_MAX);
	r = c->passage == NULL ? open_passage(c) : 0;
	if (r != 0)
		return r;
	MEM_GROW(p->places, p->cap, p->n);
	p->places[p->n++] = (struct place){.copy = copy_ref(c), .piece = piece, .coming = true};
	p->coming++;
	return 0;
}

int passing_show(struct copy *c, size_t piece, uint64_t first, const uint8_t *bytes, uint64_t n)
{
	struct passage *w = c->passage;
	unsigned from = (unsigned)(first / DIGEST_BLOCK);
	unsigned count = (unsigned)((first + n + DIGEST_BLOCK - 1) / DIGEST_BLOCK) - from;
	uint64_t bits = (count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1) << from;
	wall_us none = 0;
	int r;

	r = file_pwrite_all(w->fd, bytes, (size_t)n, piece * DIGEST_PIECE + first);
	if (r != 0)
		return r;
	__atomic_compare_exchange_n(&c->object.since, &none, clock_wall(), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	__atomic_fetch_or(&w->blocks[piece], bits, __ATOMIC_ACQ_REL);
	return 0;
}

void passing_end(struct passing *p, struct copy *c, size_t piece, mono_us now)
{
	struct place *place = find(p, c, piece), last;

	if (place == NULL || !place->coming)
		return;
	place->coming = false;
	place->since = now;
	p->coming--;
	last = *place; /* to the end: it is the youngest */
	for (struct place *q = place; q + 1 < p->places + p->n; q++)
		*q = q[1];
	p->places[p->n - 1] = last;
}
