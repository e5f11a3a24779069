/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whose share a piece is, is the same for all who know of each other: the edge with the highest hash of its name and
 * the piece (rendezvous hashing).  Nobody relies on it: who waited in vain takes the piece itself.
 */
#include "edge/swarm.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ASK_EVERY DUR_S
#define WATCHED (5 * DUR_S)     /* a title nobody asked about for so long is not watched any more */
#define PATIENCE (4 * DUR_S)    /* for pieces of others, once nothing else is to be had */
#define MAX_ASKED 32            /* peers a title */
#define MAX_WATCHED 8           /* titles at once; those behind them wait */

struct part {
	struct upstream_place *place;
	uint8_t *bits;          /* NULL: it does not fill this title */
	bool busy;
};

struct watched {
	struct package *package; /* one reference */
	size_t n_bits, n_bytes;
	uint8_t *any;            /* some peer has it */
	struct part parts[MAX_ASKED];
	size_t n_parts;
	unsigned busy, rounds;
	bool forgotten;
	mono_us wanted, asked;   /* last */
	mono_us hungry;          /* since when there was nothing but other edges' shares; 0: there is */
};

struct swarm {
	struct swarm_settings s;
	char *name;
	struct watched *watched[MAX_WATCHED];
	size_t n;
	bool stopped;
};

struct question {
	struct job job;
	struct swarm *swarm;
	struct watched *w;
	size_t part;
	struct buf body;
	int status;
};

/* --- bits ------------------------------------------------------------------------------ */

static bool has(const uint8_t *bits, size_t bit)
{
	return bits != NULL && bits[bit / 8] >> bit % 8 & 1;
}

static size_t count_bits(const struct package *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->digest->n_files; i++)
		n += (size_t)((p->digest->files[i].size + DIGEST_PIECE - 1) / DIGEST_PIECE);
	return n;
}

static size_t bit_of(const struct package *p, size_t index, size_t piece)
{
	for (size_t i = 0; i < index; i++)
		piece += (size_t)((p->digest->files[i].size + DIGEST_PIECE - 1) / DIGEST_PIECE);
	return piece;
}

void swarm_describe(const struct package *p, struct buf *out)
{
	size_t bytes = (count_bits(p) + 7) / 8, bit = 0;
	uint8_t *bits = mem_new(bytes + 1);

	for (size_t i = 0; i < p->digest->n_files; i++) {
		const struct copy *c = __atomic_load_n(&p->copies[i], __ATOMIC_ACQUIRE);

		for (size_t k = 0; c != NULL && k < c->n_pieces; k++, bit++)
			if (copy_has_piece(c, k))
				bits[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
	buf_append(out, bits, bytes);
	free(bits);
}

/* --- what is watched ------------------------------------------------------------------- */

static void free_watched(struct watched *w)
{
	for (size_t i = 0; i < w->n_parts; i++)
		free(w->parts[i].bits);
	package_unref(&w->package);
	free(w->any);
	free(w);
}

/* Answers under way still point to it: the last one frees it. */
static void drop(struct swarm *s, size_t i)
{
	struct watched *w = s->watched[i];

	s->watched[i] = s->watched[--s->n];
	if (w->busy == 0)
		free_watched(w);
	else
		w->forgotten = true;
}

static struct watched *find(struct swarm *s, const struct package *p)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->watched[i]->package == p)
			return s->watched[i];
	return NULL;
}

static struct watched *watch(struct swarm *s, struct package *p, mono_us now)
{
	struct watched *w = find(s, p);

	for (size_t i = s->n; w == NULL && s->n == MAX_WATCHED && i-- > 0;)
		if (s->watched[i]->busy == 0 && now - s->watched[i]->wanted > DUR_S)
			drop(s, i); /* it is whole, most likely */
	if (w != NULL || s->n == MAX_WATCHED)
		return w;
	w = mem_new(sizeof *w);
	w->package = package_ref(p);
	w->n_bits = count_bits(p);
	w->n_bytes = (w->n_bits + 7) / 8;
	w->any = mem_new(w->n_bytes + 1);
	return s->watched[s->n++] = w;
}

static bool has_part(void *ctx, const struct upstream_place *place, const struct package *p, size_t index, size_t piece)
{
	const struct watched *w = find(ctx, p);

	for (size_t i = 0; w != NULL && i < w->n_parts; i++)
		if (w->parts[i].place == place)
			return has(w->parts[i].bits, bit_of(p, index, piece));
	return false;
}

struct swarm *swarm_new(const struct swarm_settings *settings)
{
	struct swarm *s = mem_new(sizeof *s);

	s->s = *settings;
	s->name = mem_dup(settings->name);
	upstream_set_parts(s->s.upstream, has_part, s);
	return s;
}

void swarm_stop(struct swarm *s)
{
	s->stopped = true;
}

void swarm_free(struct swarm **ps)
{
	struct swarm *s = *ps;

	if (s == NULL)
		return;
	*ps = NULL;
	upstream_set_parts(s->s.upstream, NULL, NULL);
	while (s->n > 0)
		drop(s, 0);
	free(s->name);
	free(s);
}

void swarm_forget(struct swarm *s, const struct package *p)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->watched[i]->package == p) {
			drop(s, i);
			return;
		}
}

/* --- asking ---------------------------------------------------------------------------- */

static int on_header(void *ctx, const struct fetch_response *r)
{
	struct question *q = ctx;

	q->status = r->status;
	return r->status == 200 ? 0 : ERR_HTTP;
}

static int on_data(void *ctx, const void *bytes, size_t n)
{
	struct question *q = ctx;

	return buf_append(&q->body, bytes, n);
}

static void on_done(void *ctx, const struct fetch_result *result, const struct fetch_response *response)
{
	struct question *q = ctx;

	if (result->error != 0)
		q->status = 0;
	engine_post(q->swarm->s.engine, &q->job);
}

/* True: it has something it had not before. */
static bool take_answer(struct watched *w, struct part *part, const struct question *q)
{
	bool more = false;

	if (q->status != 200 || q->body.size != w->n_bytes) {
		free(part->bits);
		part->bits = NULL;
		return false;
	}
	if (part->bits == NULL)
		part->bits = mem_new(w->n_bytes + 1);
	for (size_t i = 0; i < w->n_bytes; i++)
		more |= (q->body.bytes[i] & ~part->bits[i]) != 0;
	memcpy(part->bits, q->body.bytes, w->n_bytes);
	return more;
}

static void gather(struct watched *w)
{
	memset(w->any, 0, w->n_bytes);
	for (size_t i = 0; i < w->n_parts; i++)
		for (size_t k = 0; w->parts[i].bits != NULL && k < w->n_bytes; k++)
			w->any[k] |= w->parts[i].bits[k];
}

static void run_answer(struct job *job)
{
	struct question *q = (struct question *)job; /* the first member */
	struct swarm *s = q->swarm;
	struct watched *w = q->w;
	bool more = take_answer(w, &w->parts[q->part], q);

	w->parts[q->part].busy = false;
	w->busy--;
	gather(w);
	if (w->busy == 0)
		w->rounds++;
	if (w->forgotten && w->busy == 0)
		free_watched(w);
	else if (!w->forgotten && !s->stopped && (more || w->busy == 0))
		s->s.news(s->s.ctx);
	buf_fini(&q->body);
	free(q);
}

static void ask(struct swarm *s, struct watched *w, size_t i)
{
	struct question *q = mem_new(sizeof *q);
	char *url = mem_printf("%s/pieces/%s/%s", w->parts[i].place->url, w->package->title, w->package->revision);
	struct fetch_request req = {
		.url = url,
		.max_bytes = w->n_bytes + 1,
		.connect_timeout = DUR_S,
		.stall_timeout = 2 * DUR_S,
		.total_timeout = 2 * DUR_S,
	};

	*q = (struct question){.job = {.run = run_answer}, .swarm = s, .w = w, .part = i};
	buf_init(&q->body, w->n_bytes + 1);
	w->parts[i].busy = true;
	w->busy++;
	fetch_start(s->s.fetch, &req, on_header, on_data, on_done, q);
	free(url);
}

/* Peers of the plan in force; what was known of those that stay is kept. */
static void list_parts(struct swarm *s, struct watched *w)
{
	struct upstream_place *places[MAX_ASKED];
	size_t n = upstream_peers(s->s.upstream, places, MAX_ASKED);

	for (size_t i = 0; i < w->n_parts; i++) /* nobody is asked: no question points to a part */
		if (w->parts[i].place->peer == NULL) {
			free(w->parts[i].bits);
			w->parts[i--] = w->parts[--w->n_parts];
		}
	for (size_t i = 0; i < n && w->n_parts < MAX_ASKED; i++) {
		bool known = false;

		for (size_t k = 0; k < w->n_parts; k++)
			known |= w->parts[k].place == places[i];
		if (!known)
			w->parts[w->n_parts++] = (struct part){.place = places[i]};
	}
}

static void ask_all(struct swarm *s, struct watched *w, mono_us now)
{
	list_parts(s, w);
	w->asked = now;
	for (size_t i = 0; i < w->n_parts; i++)
		ask(s, w, i);
	if (w->n_parts == 0)
		w->rounds++;
}

mono_us swarm_step(struct swarm *s, mono_us now)
{
	mono_us wake = INT64_MAX;

	for (size_t i = s->n; i-- > 0;) {
		struct watched *w = s->watched[i];

		if (now - w->wanted > WATCHED) {
			drop(s, i);
			continue;
		}
		if (!s->stopped && w->busy == 0 && (w->rounds == 0 || now - w->asked >= ASK_EVERY))
			ask_all(s, w, now);
		if (w->asked + ASK_EVERY < wake)
			wake = w->asked + ASK_EVERY;
	}
	return wake > now ? wake : now + ASK_EVERY / 4;
}

/* --- whose it is ------------------------------------------------------------------------ */

static uint64_t weight(const char *name, size_t bit)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ bit * UINT64_C(0x9e3779b97f4a7c15);

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

static bool falls_to_us(const struct swarm *s, const struct watched *w, size_t bit)
{
	uint64_t ours = weight(s->name, bit);

	for (size_t i = 0; i < w->n_parts; i++)
		if (w->parts[i].bits != NULL && weight(w->parts[i].place->name, bit) > ours)
			return false;
	return true;
}

enum swarm_advice swarm_advice(struct swarm *s, struct package *p, size_t index, size_t piece, mono_us now)
{
	struct watched *w = watch(s, p, now);
	size_t bit = bit_of(p, index, piece);

	if (w == NULL)
		return SWARM_WAIT;
	w->wanted = now;
	if (w->rounds == 0)
		return SWARM_WAIT;
	if (has(w->any, bit) || falls_to_us(s, w, bit)) {
		w->hungry = 0;
		return SWARM_TAKE;
	}
	if (w->hungry == 0)
		w->hungry = now;
	if (now - w->hungry < PATIENCE)
		return SWARM_WAIT;
	w->hungry = now - PATIENCE + DUR_S / 4; /* one at a time: its owner may be back */
	return SWARM_TAKE;
}
