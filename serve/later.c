/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Handlers whose work takes long (a plan): they are called one a turn of the loop,
 * so that everybody else who is ready comes between two of them.
 *
 * Invariant: while requests stand in a lane's queue, one of them is being woken.
 */
#include "serve/inner.h"

static void wake_first(struct lane *l)
{
	struct serve_request *r;

	if (h2o_linklist_is_empty(&l->later))
		return;
	r = l->turn = H2O_STRUCT_FROM_MEMBER(struct serve_request, later_link, l->later.next);
	serve_wake(serve_waiter_ref(r->waiter)); /* comes by the loop's mail, behind what is ready now */
}

static void run(struct serve_request *r)
{
	struct lane *l = r->lane;

	h2o_linklist_unlink(&r->later_link);
	l->turn = NULL;
	r->later(r->later_ctx, r); /* it may be gone behind this */
	wake_first(l);
}

void serve_later(struct serve_request *r, serve_handler_f then, void *ctx)
{
	struct lane *l = r->lane;

	r->later = then;
	r->later_ctx = ctx;
	r->resume = run;
	body_make_waiter(r);
	body_begin_wait(r);
	h2o_linklist_insert(&l->later, &r->later_link);
	if (l->turn == NULL)
		wake_first(l);
}

void later_release(struct serve_request *r)
{
	struct lane *l = r->lane;

	if (!h2o_linklist_is_linked(&r->later_link))
		return;
	h2o_linklist_unlink(&r->later_link);
	if (l->turn != r)
		return;
	l->turn = NULL;
	wake_first(l);
}
