/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * READY when everything needed is here; DEAD, with a reason, when it cannot be had.
 */
#include "player/rung.h"

#include <stdio.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "player/pathway.h"

#define MAX_HEADER ((uint64_t)8 << 20)
#define PATIENCE (20 * DUR_S)
#define MOST_REFUSED 4

static void dead(struct rung *u, const char *why)
{
	u->state = RUNG_DEAD;
	snprintf(u->error, sizeof u->error, "%s", why);
	log_warn("player/rung", "rendition cannot be used id=%s reason=\"%s\"", u->r->representation->id, why);
}

static bool same(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static struct grab *grab(struct rung *u, struct grab_world *w, const char *reference, bool has_range, uint64_t first,
                         uint64_t last, char type, mono_us now)
{
	struct cmcd told = {.session_id = w->session_id, .content_id = w->content_id, .type = type, .buffer = -1, .speed = -1, .live = u->live};
	struct grab_want want = {.rendition = u->r, .reference = reference != NULL ? reference : "", .lane = u->lane, .cmcd = &told,
		.has_range = has_range, .first = first, .last = last, .buffer = 4 * DUR_S, .patience = PATIENCE};

	if (has_range && (last < first || last - first >= MAX_HEADER)) {
		dead(u, "the MPD gives an impossible byte range");
		return NULL;
	}
	return grab_new(w, &want, now);
}

void rung_begin(struct rung *u, struct grab_world *w, struct timeline_rendition *r, unsigned id, int lane, bool live, mono_us now)
{
	bool index = r->needs_index && r->n_segments == 0, init = r->init_url != NULL || r->init_has_range;
	uint64_t first = r->index_range.first, last = r->index_range.last;

	*u = (struct rung){.r = r, .id = id, .state = RUNG_READY, .world = w, .lane = lane, .live = live};
	if (index && !r->has_index_range) {
		dead(u, "its SegmentBase has no indexRange");
		return;
	}
	if (index && init && r->init_has_range && same(r->init_url, r->index_url) &&
	    r->init_range.first <= first && r->init_range.last < MAX_HEADER && first <= r->init_range.last + 65536) {
		u->together = true;
		first = r->init_range.first;
		last = last > r->init_range.last ? last : r->init_range.last;
	}
	u->index_first = first;
	u->state = index || init ? RUNG_LOADING : RUNG_READY;
	if (index)
		u->index_grab = grab(u, w, r->index_url, true, first, last, u->together ? 'i' : 'o', now);
	if (init && !u->together && u->state != RUNG_DEAD)
		u->init_grab = grab(u, w, r->init_url, r->init_has_range, r->init_range.first, r->init_range.last, 'i', now);
	if (u->state == RUNG_DEAD)
		rung_end(u);
}

static void take_init(struct rung *u, const struct blob *bytes)
{
	uint64_t from = u->r->init_range.first - u->index_first;

	u->init = blob_copy(bytes->bytes + from, (size_t)(u->r->init_range.last - u->r->init_range.first + 1));
	u->together = false;
}

/* A page to log in at, or what a broken cache has: all is asked for once more, from another base where there is one. */
static bool again(struct rung *u, const char *key, const char *why, mono_us now)
{
	unsigned refused = u->refused + 1;

	if (refused > (u->r->n_bases < MOST_REFUSED ? u->r->n_bases : MOST_REFUSED))
		return false;
	log_verbose("player/rung", "what came is no index id=%s base=%s reason=\"%s\"", u->r->representation->id, key, why);
	pathway_fail(u->world->pathway, key, 0, now);
	rung_end(u);
	rung_begin(u, u->world, u->r, u->id, u->lane, u->live, now);
	u->refused = refused;
	return true;
}

/* An index may point to further ones: they are asked for one after another. */
static void take_index(struct rung *u, const struct blob *bytes, const char *key, mono_us now)
{
	uint64_t skip = u->index == NULL ? u->r->index_range.first - u->index_first : 0;
	struct fault f = {0};
	struct mpd_range next;
	int r;

	if (u->together)
		take_init(u, bytes);
	if (u->index == NULL)
		u->index = timeline_index_new();
	r = timeline_index_read(u->index, bytes->bytes + skip, (size_t)(bytes->size - skip), u->index_first + skip, &f);
	if (r == 0 && timeline_index_wants(u->index, &next)) {
		u->index_first = next.first;
		u->index_grab = grab(u, u->world, u->r->index_url, true, next.first, next.last, 'o', now);
		return;
	}
	if (r == 0)
		r = timeline_set_index(u->r, u->index, &f);
	u->indexed = r == 0;
	timeline_index_free(&u->index);
	if (r == 0 && u->r->n_segments == 0)
		dead(u, "its index is empty");
	else if (r < 0 && !again(u, key, fault_text(&f), now))
		dead(u, fault_text(&f));
}

static void step_one(struct rung *u, struct grab **g, bool index, mono_us now, mono_us *ret_next)
{
	enum grab_state state = *g != NULL ? grab_step(*g, now, ret_next) : GRAB_RUNNING;
	struct grab_result result;

	if (state == GRAB_RUNNING)
		return;
	grab_result(*g, &result);
	grab_free(g);
	if (state == GRAB_FAILED) {
		dead(u, result.error);
	} else if (index) {
		take_index(u, result.body, result.key, now);
	} else {
		u->init = blob_ref(result.body);
	}
	blob_unref(&result.body);
}

void rung_step(struct rung *u, mono_us now, mono_us *ret_next)
{
	if (u->state != RUNG_LOADING)
		return;
	step_one(u, &u->index_grab, true, now, ret_next);
	if (u->state == RUNG_LOADING)
		step_one(u, &u->init_grab, false, now, ret_next);
	if (u->state == RUNG_LOADING && u->index_grab == NULL && u->init_grab == NULL)
		u->state = RUNG_READY;
}

void rung_end(struct rung *u)
{
	grab_free(&u->init_grab);
	grab_free(&u->index_grab);
	timeline_index_free(&u->index);
	blob_unref(&u->init);
}
