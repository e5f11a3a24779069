/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a server answers is checked at its header: a part must be exactly the part
 * asked for, and of the same entity as the bytes in hand.
 */
#include "player/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "player/feed.h"
#include "player/hub.h"

#define ENOUGH ERR_EXISTS             /* our own end of a transfer: all we wanted is here */
#define MAX_SKIP ((uint64_t)16 << 20) /* bytes thrown away when a server answers a range with the whole */

const char transfer_too_slow[] = "too slow for what is in hand";

struct transfer *transfer_new(struct grab_world *world, struct feed *feed, uint64_t in_feed)
{
	struct transfer *t = mem_new(sizeof *t);

	t->world = world;
	t->feed = feed_ref(feed);
	t->in_feed = in_feed;
	buf_init(&t->body, world->max_bytes);
	return t;
}

void transfer_free(struct transfer *t)
{
	buf_fini(&t->body);
	feed_unref(&t->feed);
	free(t->etag);
	free(t->new_etag);
	free(t);
}

static int refuse(struct transfer *t, const char *wrong)
{
	t->wrong = wrong;
	return ERR_CORRUPT;
}

/* RFC 9110 15.3.7: a 206 must be exactly the part we asked for. */
static int check_part(struct transfer *t, const struct fetch_response *r)
{
	if (!r->has_range)
		return refuse(t, "206 without a usable Content-Range");
	if (r->range_first != t->first || r->range_last != t->last)
		return refuse(t, "wrong Content-Range");
	if (r->has_length && r->length != t->last - t->first + 1)
		return refuse(t, "Content-Length does not match Content-Range");
	return 0;
}

/* RFC 9110 14.2: a server may ignore Range; the part is cut out of the whole, within reason. */
static int check_whole(struct transfer *t, const struct fetch_response *r)
{
	if (!t->has_range) {
		t->length = r->has_length ? r->length : 0;
		return 0;
	}
	if (r->has_length && r->length <= t->last)
		return refuse(t, "the resource is too short");
	if (t->first > MAX_SKIP)
		return refuse(t, "the server ignores ranges");
	t->skip = t->first;
	t->cut = true;
	return 0;
}

static int on_header(void *ctx, const struct fetch_response *r)
{
	struct transfer *t = ctx;
	int code;

	if (r->status >= 400)
		return ERR_HTTP;
	if (r->status == 206 && t->has_range)
		code = check_part(t, r);
	else if (r->status == 200)
		code = check_whole(t, r);
	else
		return refuse(t, "unexpected status");
	if (code != 0)
		return code;
	if (t->etag != NULL && r->etag != NULL && strcmp(t->etag, r->etag) != 0) {
		t->changed = true;
		return refuse(t, "another version of the file than before");
	}
	t->new_etag = mem_dup(r->etag);
	return 0;
}

static void count(struct transfer *t, size_t n)
{
	mono_us now = clock_mono();

	hub_lock(t->world->hub);
	if (!t->counted) {
		t->counted = true;
		t->before = t->world->meter;
		if (t->feed == NULL)
			meter_begin(&t->world->meter, now);
		t->before.busy = t->world->meter.busy;
		atomic_store(&t->began, now);
	}
	if (t->feed == NULL)
		meter_add(&t->world->meter, n, now);
	else
		meter_burst(&t->world->meter, t->came, n, now);
	t->came = now;
	hub_unlock(t->world->hub);
}

static int on_data(void *ctx, const void *bytes, size_t n)
{
	struct transfer *t = ctx;
	const uint8_t *p = bytes;
	int r;

	count(t, n);
	if (atomic_load(&t->slow))
		return refuse(t, transfer_too_slow);
	if (t->skip > 0) {
		size_t drop = t->skip < n ? (size_t)t->skip : n;

		t->skip -= drop;
		p += drop;
		n -= drop;
	}
	if (t->want > 0 && n > t->want - t->body.size)
		n = (size_t)(t->want - t->body.size);
	if (t->feed != NULL)
		feed_put(t->feed, t->in_feed + t->body.size, p, n);
	r = buf_append(&t->body, p, n);
	atomic_store(&t->got, t->body.size);
	if (r == 0 && t->cut && t->body.size == t->want)
		return ENOUGH;
	return r;
}

static void on_done(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct transfer *t = ctx;
	struct hub *hub = t->world->hub;
	bool orphan;

	hub_lock(hub);
	if (t->counted && t->feed == NULL)
		meter_end(&t->world->meter, clock_mono());
	t->result = *result;
	if (result->error != 0 && t->wrong == NULL && atomic_load(&t->slow))
		t->wrong = transfer_too_slow;
	t->retry_after = response != NULL ? response->retry_after : 0;
	t->done = true;
	hub->posts++;
	orphan = t->orphan;
	hub_ring(hub);
	hub_unlock(hub);
	if (orphan)
		transfer_free(t);
}

fetch_id transfer_start(struct transfer *t, const struct fetch_request *req)
{
	return fetch_start(t->world->fetch, req, on_header, on_data, on_done, t);
}

void transfer_leave(struct transfer **pt, fetch_id id)
{
	struct transfer *t = *pt;
	struct grab_world *world = t != NULL ? t->world : NULL;
	bool done;

	if (t == NULL)
		return;
	*pt = NULL;
	hub_lock(world->hub);
	done = t->done;
	t->orphan = true;
	hub_unlock(world->hub);
	if (done)
		transfer_free(t);
	else /* t may be gone already */
		fetch_cancel(world->fetch, id);
}

uint64_t transfer_rate(const struct transfer *t, mono_us now)
{
	dur_us body = now - atomic_load(&t->began);

	return (uint64_t)((double)atomic_load(&t->got) * 8e6 / (double)(body > DUR_MS ? body : DUR_MS));
}
