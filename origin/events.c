/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two rings and those who wait for news.  An event is made once, as the bytes that
 * go out, and shared by all.  Invariant: `waiting` holds one waiter of every
 * subscriber that has seen everything; who is still being sent something is not in it.
 */
#include "origin/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "origin/form.h"
#include "origin/reply.h"
#include "serve/serve.h"

#define PASSING_KEPT 1024
#define BEAT (15 * DUR_S)
#define PIECE_MAX ((size_t)64 << 10)
#define ID_SIZE 40
#define RETRY_MS 3000
#define ALL ((1u << N_EVENTS) - 1)

static const struct {
	const char *name;
	bool passing, shown;
} kinds[] = {
#define EVENT_ROW(kind, name, passing, shown) {name, passing, shown},
	EVENTS(EVENT_ROW)
#undef EVENT_ROW
};

struct event {
	enum event_kind kind;
	struct blob *text;
};

/* The last `kept` events; number n stands at n % kept.  Numbers begin with 1. */
struct ring {
	struct event *v;
	uint64_t kept, last;
};

struct events {
	uint32_t epoch; /* of the ids: another process, other ids */
	struct blob *beat;
	atomic_size_t n_subscribers, n_viewers; /* all, and those among them who need no token */
	atomic_ullong n_said, n_dropped, n_refused;
	pthread_mutex_t lock; /* guards all below */
	struct ring lasting, passing;
	uint64_t beats, passing_told;
	mono_us next_beat;
	struct serve_waiter **waiting;
	size_t n_waiting, cap_waiting;
	bool closed;
};

struct subscriber {
	struct events *events;
	bool is_viewer;
	unsigned wanted; /* bit per kind */
	struct blob *hello; /* what it is told first; NULL: it has been */
	uint64_t lasting, passing, beats; /* the last it has seen */
};

/* --- making --- */

static void ring_init(struct ring *r, uint64_t kept)
{
	*r = (struct ring){.v = mem_new_array(kept, sizeof *r->v), .kept = kept};
}

static void ring_fini(struct ring *r)
{
	for (uint64_t i = 0; i < r->kept; i++)
		blob_unref(&r->v[i].text);
	free(r->v);
}

static uint64_t ring_first(const struct ring *r)
{
	return r->last < r->kept ? 1 : r->last - r->kept + 1;
}

struct events *events_new(uint64_t kept)
{
	struct events *e = mem_new(sizeof *e);

	if (getrandom(&e->epoch, sizeof e->epoch, GRND_NONBLOCK) != (ssize_t)sizeof e->epoch)
		e->epoch = (uint32_t)clock_wall();
	e->beat = blob_copy(":\n\n", 3);
	MUST(e->beat != NULL);
	pthread_mutex_init(&e->lock, NULL);
	ring_init(&e->lasting, kept);
	ring_init(&e->passing, PASSING_KEPT);
	return e;
}

/* Gives the waiting ones their turn; called with the lock, which it gives back. */
static void wake_all(struct events *e)
{
	struct serve_waiter **v = e->waiting;
	size_t n = e->n_waiting;

	e->waiting = NULL;
	e->n_waiting = e->cap_waiting = 0;
	pthread_mutex_unlock(&e->lock);
	for (size_t i = 0; i < n; i++)
		serve_wake(v[i]);
	free(v);
}

void events_close(struct events *e)
{
	if (e == NULL)
		return;
	pthread_mutex_lock(&e->lock);
	e->closed = true;
	wake_all(e);
}

void events_free(struct events **pe)
{
	struct events *e = *pe;

	if (e == NULL)
		return;
	events_close(e);
	ring_fini(&e->lasting);
	ring_fini(&e->passing);
	blob_unref(&e->beat);
	pthread_mutex_destroy(&e->lock);
	free(e);
	*pe = NULL;
}

static struct blob *event_text(const struct events *e, const char *name, uint64_t number, const json_t *data)
{
	char *json = json_dumps(data, JSON_COMPACT), *text, id[ID_SIZE + 8] = "";
	struct blob *b;

	if (json == NULL)
		return NULL;
	if (number > 0)
		snprintf(id, sizeof id, "id: %08x-%llu\n", e->epoch, (unsigned long long)number);
	text = mem_printf("event: %s\n%sdata: %s\n\n", name, id, json);
	b = blob_copy(text, strlen(text));
	free(text);
	free(json);
	return b;
}

void events_say(struct events *e, enum event_kind kind, json_t *data)
{
	char time[CLOCK_RFC3339_SIZE];
	bool passing = kinds[kind].passing;
	struct ring *r;
	struct blob *text;

	if (e == NULL || data == NULL) {
		json_decref(data);
		return;
	}
	clock_to_rfc3339(clock_wall(), time);
	json_object_set_new(data, "event", json_string(kinds[kind].name));
	json_object_set_new(data, "time", json_string(time));
	r = passing ? &e->passing : &e->lasting;
	pthread_mutex_lock(&e->lock);
	text = event_text(e, kinds[kind].name, passing ? 0 : r->last + 1, data);
	json_decref(data);
	if (text == NULL) {
		pthread_mutex_unlock(&e->lock);
		return;
	}
	r->last++;
	blob_unref(&r->v[r->last % r->kept].text);
	r->v[r->last % r->kept] = (struct event){kind, text};
	atomic_fetch_add(&e->n_said, 1);
	if (passing)
		pthread_mutex_unlock(&e->lock); /* many come at once: the tick tells of them together */
	else
		wake_all(e);
}

void events_tick(struct events *e, mono_us now)
{
	pthread_mutex_lock(&e->lock);
	if (now < e->next_beat && e->passing_told == e->passing.last) {
		pthread_mutex_unlock(&e->lock);
		return;
	}
	if (now >= e->next_beat) {
		e->next_beat = now + BEAT;
		e->beats++;
	}
	e->passing_told = e->passing.last;
	wake_all(e);
}

/* --- a subscriber's turn --- */

/* Adds what it wants of the ring to `out`, as long as there is room. */
static void take_ring(const struct ring *r, uint64_t *seen, unsigned wanted, struct buf *out)
{
	if (*seen + 1 < ring_first(r))
		*seen = ring_first(r) - 1;
	for (; *seen < r->last; ++*seen) {
		const struct event *v = &r->v[(*seen + 1) % r->kept];

		if ((wanted & 1u << v->kind) == 0)
			continue;
		if (out->size > 0 && out->size + v->text->size > PIECE_MAX)
			return;
		buf_append(out, v->text->bytes, v->text->size);
	}
}

static struct blob *take_news(struct events *e, struct subscriber *s)
{
	struct buf out;
	struct blob *b = NULL;

	buf_init(&out, PIECE_MAX * 4);
	take_ring(&e->lasting, &s->lasting, s->wanted, &out);
	if (s->lasting == e->lasting.last)
		take_ring(&e->passing, &s->passing, s->wanted, &out);
	if (out.size > 0)
		b = blob_take_buf(&out);
	else if (s->beats != e->beats)
		b = blob_ref(e->beat);
	s->beats = e->beats;
	buf_fini(&out);
	return b;
}

static int next(void *ctx, struct serve_waiter *waiter, struct blob **ret_piece)
{
	struct subscriber *s = ctx;
	struct events *e = s->events;
	struct blob *b = s->hello;
	int r = 0;

	s->hello = NULL;
	pthread_mutex_lock(&e->lock);
	if (b == NULL && s->lasting + 1 < ring_first(&e->lasting)) {
		atomic_fetch_add(&e->n_dropped, 1); /* it is late by a whole ring */
		r = -1;
	} else if (b == NULL) {
		b = take_news(e, s);
	}
	if (b != NULL) {
		*ret_piece = b;
		r = 1;
	} else if (r == 0 && !e->closed) {
		MEM_GROW(e->waiting, e->cap_waiting, e->n_waiting);
		e->waiting[e->n_waiting++] = serve_waiter_ref(waiter);
	} else {
		r = -1;
	}
	pthread_mutex_unlock(&e->lock);
	return r;
}

static void give_place_back(struct events *e, bool is_viewer)
{
	atomic_fetch_sub(&e->n_subscribers, 1);
	atomic_fetch_sub(&e->n_viewers, is_viewer);
}

static bool take_place(struct events *e, bool is_viewer)
{
	bool room = atomic_fetch_add(&e->n_subscribers, 1) < EVENTS_SUBSCRIBERS;

	room &= atomic_fetch_add(&e->n_viewers, is_viewer) < EVENTS_VIEWERS || !is_viewer;
	if (!room)
		give_place_back(e, is_viewer);
	return room;
}

static void leave(void *ctx)
{
	struct subscriber *s = ctx;

	give_place_back(s->events, s->is_viewer);
	blob_unref(&s->hello);
	free(s);
}

static const struct serve_stream_ops stream = {next, leave};

/* --- coming --- */

/* "title.published,edge." : names, or what names begin with.  0: not understood. */
static unsigned read_wanted(const char *list)
{
	unsigned wanted = 0;

	for (const char *p = list; p != NULL && *p != '\0'; p += strspn(p, ",")) {
		size_t n = strcspn(p, ",");
		unsigned found = 0;

		if (n == 0)
			return 0;
		for (unsigned k = 0; k < N_EVENTS; k++)
			if (strncmp(kinds[k].name, p, n) == 0 && (kinds[k].name[n] == '\0' || p[n - 1] == '.'))
				found |= 1u << k;
		if (found == 0)
			return 0;
		wanted |= found;
		p += n;
	}
	return wanted;
}

static unsigned shown_kinds(void)
{
	unsigned v = 0;

	for (unsigned k = 0; k < N_EVENTS; k++)
		v |= (unsigned)kinds[k].shown << k;
	return v;
}

/* The number behind "EPOCH-NUMBER" when it is of this process; else UINT64_MAX. */
static uint64_t read_id(const struct events *e, const char *id, size_t n)
{
	char epoch[16];
	uint64_t number;
	int skip = snprintf(epoch, sizeof epoch, "%08x-", e->epoch);

	if (n <= (size_t)skip || memcmp(id, epoch, (size_t)skip) != 0 ||
	    str_parse_u64(id + skip, n - (size_t)skip, &number) != 0)
		return UINT64_MAX;
	return number;
}

/* Where the subscriber begins, and what it is told first. */
static void begin(struct events *e, struct subscriber *s, const char *id, size_t n)
{
	uint64_t number = id != NULL ? read_id(e, id, n) : 0;
	const char *reason = NULL;
	char text[256];

	pthread_mutex_lock(&e->lock);
	s->lasting = e->lasting.last;
	s->passing = e->passing.last;
	s->beats = e->beats;
	if (id != NULL && number > e->lasting.last)
		reason = "the origin has started anew";
	else if (id != NULL && number + 1 < ring_first(&e->lasting))
		reason = "events in between are no longer kept";
	else if (id != NULL)
		s->lasting = number;
	snprintf(text, sizeof text, "retry: %d\nevent: %s\nid: %08x-%llu\ndata: {\"event\":\"%s\"%s%s%s}\n\n", RETRY_MS,
	         reason != NULL ? "reset" : "hello", e->epoch, (unsigned long long)s->lasting, reason != NULL ? "reset" : "hello",
	         reason != NULL ? ",\"reason\":\"" : "", reason != NULL ? reason : "", reason != NULL ? "\"" : "");
	pthread_mutex_unlock(&e->lock);
	s->hello = blob_copy(text, strlen(text));
}

void events_answer(struct events *e, struct serve_request *req, bool is_public)
{
	static const struct serve_header fields[] = {{"cache-control", "no-store"}, {"x-accel-buffering", "no"}};
	const char *list = serve_param(req, "types"), *id;
	unsigned wanted = list != NULL ? read_wanted(list) : ALL;
	struct subscriber *s;
	struct form_error fe;
	size_t n = 0;

	if (is_public)
		wanted &= shown_kinds();
	if (wanted == 0) {
		form_fail(&fe, "types", "expected names of events, or their beginnings up to a dot, with commas between");
		reply_form_error(req, &fe);
		return;
	}
	if (!take_place(e, is_public)) {
		atomic_fetch_add(&e->n_refused, 1);
		reply_problem(req, 503, "%d listen already", is_public ? EVENTS_VIEWERS : EVENTS_SUBSCRIBERS);
		return;
	}
	id = serve_field(req, "last-event-id", &n);
	if (id == NULL && (id = serve_param(req, "last-event-id")) != NULL)
		n = strlen(id);
	s = mem_new(sizeof *s);
	*s = (struct subscriber){.events = e, .is_viewer = is_public, .wanted = wanted};
	begin(e, s, id, n);
	serve_reply_stream(req, "text/event-stream", fields, 2, &stream, s);
}

void events_write_metrics(struct events *e, struct buf *out)
{
	buf_printf(out,
	           "# HELP ribera_origin_events_total Events said.\n# TYPE ribera_origin_events_total counter\n"
	           "ribera_origin_events_total %llu\n"
	           "# HELP ribera_origin_event_subscribers Who listens to events now.\n# TYPE ribera_origin_event_subscribers gauge\n"
	           "ribera_origin_event_subscribers %zu\n"
	           "# HELP ribera_origin_event_subscribers_dropped_total Listeners dropped because they were too slow.\n"
	           "# TYPE ribera_origin_event_subscribers_dropped_total counter\n"
	           "ribera_origin_event_subscribers_dropped_total %llu\n"
	           "# HELP ribera_origin_event_subscribers_refused_total Listeners refused because there were too many.\n"
	           "# TYPE ribera_origin_event_subscribers_refused_total counter\n"
	           "ribera_origin_event_subscribers_refused_total %llu\n",
	           (unsigned long long)e->n_said, (size_t)e->n_subscribers, (unsigned long long)e->n_dropped,
	           (unsigned long long)e->n_refused);
}
