/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Getting the MPD, and choosing from it what this player can play.
 */
#include "player/source.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/mpd_link.h"
#include "fetch/fetch.h"
#include "fetch/local.h"
#include "player/fit.h"

#define SILENT (4 * DUR_S)        /* a place is asked a second time */
#define SILENT_AGAIN (8 * DUR_S)
#define LONGEST DUR_MIN           /* for one MPD, however it drips, and for all its remote parts */
#define MOST_LATER (10 * DUR_S)   /* nobody waits longer in front of a black screen */
#define NAP (50 * DUR_MS)

struct wait {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
	struct buf body;
	struct fetch_result result;
	dur_us retry_after;
	char *url;
};

static int on_data(void *ctx, const void *bytes, size_t n)
{
	return buf_append(&((struct wait *)ctx)->body, bytes, n);
}

static void on_done(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct wait *w = ctx;

	pthread_mutex_lock(&w->lock);
	w->result = *result;
	w->retry_after = response != NULL ? response->retry_after : 0;
	w->url = response != NULL ? mem_dup(response->effective_url) : NULL;
	w->done = true;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
}

static bool left(const struct source_door *door)
{
	return door->stop != NULL && *door->stop != 0;
}

static void wait_for_end(const struct source_door *door, fetch_id id, struct wait *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->done) {
		struct timespec at;

		clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_nsec += NAP * 1000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		if (left(door))
			fetch_cancel(door->fetch, id);
		if (door->stop != NULL)
			pthread_cond_clockwait(&w->ended, &w->lock, CLOCK_MONOTONIC, &at);
		else
			pthread_cond_wait(&w->ended, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
}

static void get_once(const struct source_door *door, const char *url, bool again, struct wait *w)
{
	const struct cmcd about = {.session_id = door->session_id, .type = 'm', .buffer = -1, .speed = -1};
	struct cmcd_request told;
	struct fetch_request req = {.max_bytes = MPD_MAX_BYTES, .connect_timeout = 4 * DUR_S,
		.stall_timeout = again ? SILENT_AGAIN : SILENT, .total_timeout = LONGEST, .other_address = again};
	fetch_id id;

	*w = (struct wait){.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
	buf_init(&w->body, MPD_MAX_BYTES);
	cmcd_request_init(&told, door->cmcd, &about, url);
	req.url = told.url;
	req.fields = (const char *const *)told.fields;
	req.n_fields = told.n;
	fetch_know(door->fetch, url); /* its other addresses, should the first be silent */
	id = fetch_start(door->fetch, &req, NULL, on_data, on_done, w);
	wait_for_end(door, id, w);
	pthread_cond_destroy(&w->ended);
	pthread_mutex_destroy(&w->lock);
	cmcd_request_fini(&told);
	if (w->url != NULL)
		cmcd_strip(w->url);
}

static int verdict(const struct wait *w, const char *url, struct fault *f)
{
	if (w->result.error != 0)
		return fault_set(f, w->result.error, "%s: %s%s%s", url, words_error(w->result.error),
		                 w->result.text[0] != '\0' ? ": " : "", w->result.text);
	if (w->result.status != 200)
		return fault_set(f, ERR_HTTP, _("%s: the server answers with HTTP status %d"), url, w->result.status);
	return 0;
}

/* What may pass: a connection that was reset, a body cut off, silence, 408, 429 and 5xx (RFC 9110 15.5, 15.6); not what went on for a minute. */
static bool may_pass(const struct fetch_result *r)
{
	if (r->total >= LONGEST)
		return false;
	return r->error == ERR_TRUNCATED || r->error == ERR_NETWORK || r->error == ERR_TIMEOUT || r->status == 408 || r->status == 429 || r->status >= 500;
}

/* RFC 9110 10.2.3 */
static void wait_until_asked(const struct source_door *door, const struct wait *w)
{
	mono_us end = clock_mono() + (w->retry_after < MOST_LATER ? w->retry_after : MOST_LATER);

	while (w->result.error == 0 && door->stop != NULL && !left(door) && clock_mono() < end)
		nanosleep(&(struct timespec){.tv_nsec = NAP * 1000}, NULL);
}

static int get_http(const struct source_door *door, const char *url, struct buf *out, char **ret_url, struct fault *f)
{
	struct wait w;
	int r;

	get_once(door, url, false, &w);
	if (may_pass(&w.result))
		wait_until_asked(door, &w);
	if (may_pass(&w.result) && !left(door)) { /* worth one more try */
		buf_fini(&w.body);
		free(w.url);
		get_once(door, url, true, &w);
	}
	r = verdict(&w, url, f);
	if (r == 0)
		r = buf_append(out, w.body.bytes, w.body.size);
	if (r == 0 && ret_url != NULL)
		*ret_url = w.url != NULL ? w.url : mem_dup(url);
	else
		free(w.url);
	buf_fini(&w.body);
	return r;
}

static int get_file(const char *path, struct buf *out, char **ret_url, struct fault *f)
{
	char *full = realpath(path, NULL);
	int r = full == NULL ? -errno : file_read(full, out);

	if (r < 0)
		fault_set(f, r, "%s: %s", path, words_error(r));
	else if (ret_url != NULL)
		*ret_url = local_url(full);
	free(full);
	return r < 0 ? r : 0;
}

int source_get(const struct source_door *door, const char *url, struct buf *out, char **ret_url, struct fault *f)
{
	char *path;
	int r;

	if (!local_is(url) && strstr(url, "://") != NULL)
		return get_http(door, url, out, ret_url, f);
	path = local_is(url) ? local_path(url) : mem_dup(url);
	if (path == NULL)
		return fault_set(f, ERR_SYNTAX, _("%s: this is no file of this machine: write file:///PATH"), url);
	r = get_file(path, out, ret_url, f);
	free(path);
	return r;
}

/* --- what the MPD says ------------------------------------------------------------------- */

struct parts {
	const struct source_door *door;
	mono_us end;  /* then no more of them is got */
	bool network; /* one came from there */
};

static int get_part(void *ctx, const char *url, struct buf *out, char **ret_url, struct fault *f)
{
	struct parts *p = ctx;

	p->network = p->network || !local_is(url);
	if (clock_mono() > p->end)
		return fault_set(f, ERR_TIMEOUT, "%s: %s", url, words_error(ERR_TIMEOUT));
	return source_get(p->door, url, out, ret_url, f);
}

static void say_left_out(void *ctx, const char *text)
{
	log_warn("player/source", "%s", text);
}

/* Of an MPD that is put together from the network too nobody knows which part asks for a file. */
static void lose_files(struct timeline *t)
{
	for (size_t i = 0; i < t->n_periods; i++)
		for (size_t k = 0; k < t->periods[i].n_tracks; k++)
			for (size_t n = 0; n < t->periods[i].tracks[k].n_renditions; n++) {
				struct timeline_rendition *r = &t->periods[i].tracks[k].renditions[n];
				bool file = false;

				for (size_t b = 0; b < r->n_bases; b++)
					file = file || local_is(r->bases[b].url);
				if (!file || r->fault != NULL)
					continue;
				r->fault = mem_printf(_("Representation \"%s\": it is in files, and parts of the MPD come from the network"), r->representation->id != NULL ? r->representation->id : "?");
				r->n_segments = 0;
				r->needs_index = false;
			}
}

static int resolve_links(struct parts *door, struct buf *text, const char *name, struct source *s, struct fault *f)
{
	struct buf whole;
	int r;

	buf_init(&whole, MPD_MAX_BYTES);
	r = mpd_resolve_links(text->bytes, text->size, name, s->url, get_part, say_left_out, door, &whole, f);
	if (r < 0) {
		buf_fini(&whole);
		return r;
	}
	buf_fini(text);
	*text = whole;
	mpd_free(&s->mpd);
	return mpd_read(text->bytes, text->size, name, &s->mpd, f);
}

static void say_faults(const struct timeline *t)
{
	for (size_t i = 0; i < t->n_periods; i++)
		for (size_t k = 0; k < t->periods[i].n_tracks; k++)
			for (size_t n = 0; n < t->periods[i].tracks[k].n_renditions; n++)
				if (t->periods[i].tracks[k].renditions[n].fault != NULL)
					log_warn("player/source", "left out: %s", t->periods[i].tracks[k].renditions[n].fault);
}

int source_parse(const struct source_door *door, struct buf *text, const char *url, const char *name, wall_us now, struct source *ret,
                 struct fault *f)
{
	struct source s = {.url = mem_dup(url)};
	struct parts parts = {.door = door, .end = clock_mono() + LONGEST};
	int r = mpd_read(text->bytes, text->size, name, &s.mpd, f);

	buf_init(&s.text, MPD_MAX_BYTES);
	if (r == 0 && mpd_has_links(s.mpd))
		r = resolve_links(&parts, text, name, &s, f);
	if (r == 0 && (r = timeline_new(s.mpd, s.url, now, &s.timeline, f)) < 0)
		fault_prefix(f, "%s", name);
	if (r == 0 && parts.network)
		lose_files(s.timeline);
	if (r == 0)
		r = buf_append(&s.text, text->bytes, text->size);
	if (r < 0)
		source_close(&s);
	else
		*ret = s;
	return r;
}

int source_open(const struct source_door *door, const char *where, wall_us now, struct source *ret, struct fault *f)
{
	struct buf text;
	char *url = NULL;
	int r;

	buf_init(&text, MPD_MAX_BYTES);
	r = source_get(door, where, &text, &url, f);
	if (r == 0)
		r = source_parse(door, &text, url, where, now, ret, f);
	if (r == 0)
		say_faults(ret->timeline);
	buf_fini(&text);
	free(url);
	return r;
}

void source_close(struct source *s)
{
	if (s->timeline != NULL)
		timeline_free(&s->timeline);
	if (s->mpd != NULL)
		mpd_free(&s->mpd);
	buf_fini(&s->text);
	free(s->url);
	*s = (struct source){0};
}

static bool has_role(const struct mpd_set *s, const char *value)
{
	for (size_t i = 0; i < s->roles.n; i++)
		if (s->roles.v[i].value != NULL && strcmp(s->roles.v[i].value, value) == 0)
			return true;
	return false;
}

static int score(const struct mpd_set *s, const char *lang)
{
	int n = (int)(s->selection_priority < 1000 ? s->selection_priority : 1000) * 4;

	if (has_role(s, "main"))
		n += 2;
	if (has_role(s, "commentary") || has_role(s, "alternate") || has_role(s, "description"))
		n -= 2;
	if (lang != NULL && s->lang != NULL && strncmp(s->lang, lang, strlen(lang)) == 0)
		n += 100000;
	return n;
}

static struct timeline_track *pick(const struct timeline_period *p, enum timeline_kind kind, size_t from, size_t step)
{
	for (size_t i = from; i < p->n_tracks; i++)
		if (p->tracks[i].kind == kind && fit_track(&p->tracks[i], NULL) && step-- == 0)
			return &p->tracks[i];
	return NULL;
}

struct timeline_track *source_choose(const struct timeline_period *p, enum timeline_kind kind, const char *lang, unsigned next,
                                     struct fault *why)
{
	struct timeline_track *best = NULL;
	size_t n = 0, at = 0;

	fault_set(why, ERR_NOT_FOUND, _("the MPD has none"));
	for (size_t i = 0; i < p->n_tracks; i++) {
		struct timeline_track *t = &p->tracks[i];

		if (t->kind != kind || !fit_track(t, why))
			continue;
		if (best == NULL || score(t->set, lang) > score(best->set, lang)) {
			best = t;
			at = n;
		}
		n++;
	}
	return n > 0 ? pick(p, kind, 0, (at + next) % n) : NULL;
}

unsigned source_period_at(const struct timeline *t, dur_us at)
{
	unsigned i = 0;

	while (i + 1 < t->n_periods && at >= t->periods[i + 1].start)
		i++;
	return i;
}

dur_us source_period_end(const struct timeline *t, unsigned period)
{
	const struct timeline_period *p = &t->periods[period];

	if (period + 1 < t->n_periods)
		return t->periods[period + 1].start;
	return p->duration >= 0 ? p->start + p->duration : INT64_MAX;
}
