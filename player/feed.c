/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A buffer that grows under the hub's lock.  Invariant: its bytes are the segment's
 * first ones, whichever transfers they came by.
 */
#include "player/feed.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "player/hub.h"

struct feed {
	struct hub *hub;
	struct buf bytes;
	bool ended;
	atomic_uint users; /* not under the lock: queues are emptied while it is held */
};

struct feed *feed_new(struct hub *hub, uint64_t max_bytes)
{
	struct feed *f = mem_new(sizeof *f);

	f->hub = hub;
	atomic_init(&f->users, 1);
	buf_init(&f->bytes, (size_t)max_bytes);
	return f;
}

struct feed *feed_ref(struct feed *f)
{
	if (f != NULL)
		atomic_fetch_add(&f->users, 1);
	return f;
}

void feed_unref(struct feed **pf)
{
	struct feed *f = *pf;

	*pf = NULL;
	if (f == NULL || atomic_fetch_sub(&f->users, 1) > 1)
		return;
	buf_fini(&f->bytes);
	free(f);
}

void feed_put(struct feed *f, uint64_t at, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t known;

	hub_lock(f->hub);
	known = f->bytes.size > at ? (size_t)(f->bytes.size - at) : 0;
	if (at > f->bytes.size)
		f->ended = true;
	if (!f->ended && known < n && buf_append(&f->bytes, p + known, n - known) != 0)
		f->ended = true;
	f->hub->posts++;
	hub_ring(f->hub);
	hub_unlock(f->hub);
}

void feed_end(struct feed *f)
{
	hub_lock(f->hub);
	f->ended = true;
	hub_ring(f->hub);
	hub_unlock(f->hub);
}

uint64_t feed_size(struct feed *f)
{
	uint64_t n;

	hub_lock(f->hub);
	n = f->bytes.size;
	hub_unlock(f->hub);
	return n;
}

int feed_read(struct feed *f, int lane, unsigned generation, uint64_t at, void *out, size_t n)
{
	struct hub *h = f->hub;
	bool waited = false;
	int got = -1;

	hub_lock(h);
	while (!h->quit && h->generation == generation && !f->ended && f->bytes.size <= at) {
		h->busy[lane] = false;
		waited = true;
		hub_wait(h);
	}
	if (waited)
		h->busy[lane] = true;
	if (!h->quit && h->generation == generation) {
		size_t left = f->bytes.size > at ? f->bytes.size - (size_t)at : 0;

		got = (int)(left < n ? left : n);
		memcpy(out, f->bytes.bytes + (got > 0 ? at : 0), (size_t)got);
	}
	hub_unlock(h);
	return got;
}
