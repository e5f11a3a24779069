/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Replies that were made for one request stand in memory until their viewer has read them.  A request costs its sender some bytes, a
 * list of titles megabytes here, and on HTTP/2 a hundred are asked for at once: so what one client may leave unread has
 * a limit, and what all may.
 *
 * Invariant: what is counted is let go when its request ends.
 */
#include "base/counter.h"
#include "serve/inner.h"

#define SMALL 4096 /* as much as the request itself takes */
#define CLIENTS 8  /* with as much as one may: then there is no room for anybody's */

int held_take(struct serve_request *r, uint64_t bytes)
{
	struct serve *s = r->lane->serve;
	uint64_t most = s->settings.max_held, all;

	if (most == 0 || bytes <= SMALL || !r->conn->counted)
		return 0;
	if (!limit_hold(s->limit, &r->conn->client, bytes, most)) {
		counters_add(s->counters, C_REFUSED_UNREAD, 1);
		return 429;
	}
	all = atomic_fetch_add_explicit(&s->held, bytes, memory_order_relaxed);
	r->held_bytes = bytes;
	if (all <= (CLIENTS - 1) * most)
		return 0;
	held_release(r);
	counters_add(s->counters, C_REFUSED_UNREAD, 1);
	return 503;
}

void held_release(struct serve_request *r)
{
	struct serve *s = r->lane->serve;

	if (r->held_bytes == 0)
		return;
	limit_let_go(s->limit, &r->conn->client, r->held_bytes);
	atomic_fetch_sub_explicit(&s->held, r->held_bytes, memory_order_relaxed);
	r->held_bytes = 0;
}
