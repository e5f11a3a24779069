/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Handlers whose answer takes long to find out (sums over a database) or waits for a disk: that is done by the threads that
 * read files, and the loop goes on meanwhile.
 *
 * Invariant: what is being done belongs to the thread and to the request; the last of them frees it.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "serve/inner.h"

struct beside {
	atomic_uint refs;
	const struct serve_beside_ops *ops;
	void *ctx;
};

static void unref(struct beside *b)
{
	if (atomic_fetch_sub(&b->refs, 1) > 1)
		return;
	b->ops->free(b->ctx);
	free(b);
}

void beside_work(struct beside *b, bool cancelled)
{
	if (!cancelled)
		b->ops->work(b->ctx);
	unref(b);
}

static void answer(struct serve_request *r)
{
	struct beside *b = r->beside;

	r->beside = NULL;
	b->ops->then(b->ctx, r);
	unref(b);
}

void serve_beside(struct serve_request *r, const struct serve_beside_ops *ops, void *ctx)
{
	struct beside *b = mem_new(sizeof *b);

	*b = (struct beside){2, ops, ctx};
	r->beside = b;
	r->resume = answer;
	body_make_waiter(r);
	body_begin_wait(r);
	disk_work(r->lane->serve->disk, b, serve_waiter_ref(r->waiter));
}

void beside_release(struct serve_request *r)
{
	if (r->beside != NULL)
		unref(r->beside);
	r->beside = NULL;
}
