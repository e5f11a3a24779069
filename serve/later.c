/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Handlers whose work takes long (a plan): they are called one a turn of the loop,
 * so that everybody else who is ready comes between two of them.
 *
 * Invariant: while requests stand in a lane's queue, its timer runs.  It is one of a
 * millisecond: h2o would work off shorter ones, and messages, all in one turn.
 */
#include <string.h>

#include "serve/inner.h"

/* The first, or the first of somebody else than had the last turn: who asks for much leaves others every second one. */
static struct serve_request *next(const struct lane *l)
{
	for (h2o_linklist_t *link = l->later.next; link != &l->later; link = link->next) {
		struct serve_request *r = H2O_STRUCT_FROM_MEMBER(struct serve_request, later_link, link);

		if (strcmp(r->conn->peer, l->later_peer) != 0)
			return r;
	}
	return H2O_STRUCT_FROM_MEMBER(struct serve_request, later_link, l->later.next);
}

static void on_turn(h2o_timeout_entry_t *e)
{
	struct lane *l = H2O_STRUCT_FROM_MEMBER(struct lane, turn_entry, e);
	struct serve_request *r;

	if (h2o_linklist_is_empty(&l->later)) /* they have left */
		return;
	r = next(l);
	memcpy(l->later_peer, r->conn->peer, sizeof l->later_peer);
	h2o_linklist_unlink(&r->later_link);
	if (!h2o_linklist_is_empty(&l->later))
		h2o_timeout_link(l->loop, &l->turn, e);
	if (!r->waiting) /* it was cut, and ends */
		return;
	r->waiting = false;
	r->progress = true;
	watch_end(r);
	r->later(r->later_ctx, r);
}

void later_begin(struct lane *l)
{
	h2o_linklist_init_anchor(&l->later);
	h2o_timeout_init(l->loop, &l->turn, 1);
	l->turn_entry.cb = on_turn;
}

void serve_later(struct serve_request *r, serve_handler_f then, void *ctx)
{
	struct lane *l = r->lane;

	r->later = then;
	r->later_ctx = ctx;
	body_begin_wait(r);
	h2o_linklist_insert(&l->later, &r->later_link);
	if (!h2o_timeout_is_linked(&l->turn_entry))
		h2o_timeout_link(l->loop, &l->turn, &l->turn_entry);
}

void later_release(struct serve_request *r)
{
	if (h2o_linklist_is_linked(&r->later_link))
		h2o_linklist_unlink(&r->later_link);
}
