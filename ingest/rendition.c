/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariants: chunks are claimed in order, so the oldest one that waits for
 * frames always has a lane, and a full queue always has somebody who empties it;
 * a chunk is joined to the track once, in order, whoever encoded it, now or in
 * an earlier run.
 */
#include "ingest/rendition.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "base/words.h"

#define MAX_LANES 32

struct waiting {
	AVFrame *frame;
	struct waiting *next;
};

/* A chunk whose frames come in. */
struct open_chunk {
	uint64_t index;
	struct waiting *first, **last;
	bool complete;
	struct open_chunk *next;
};

enum chunk_state { CHUNK_ABSENT, CHUNK_KEPT, CHUNK_DONE }; /* kept: by an earlier run, its frames have not come by yet */

struct lane {
	struct rendition *rendition;
	struct open_chunk *chunk; /* the one in work */
	uint64_t place;           /* of the frame that its encoder gets next */
	bool has_turn;
	pthread_t thread;
};

struct rendition {
	struct rendition_setup setup;
	uint64_t chunk_frames;
	int delay;               /* frames */
	struct track *track;     /* of the thread that joins */
	struct lane lanes[MAX_LANES];
	unsigned n_lanes;
	uint64_t next_frame;     /* the pusher's */
	uint64_t kept;           /* the pusher's */
	struct fault fault;      /* of the first error, written once before `error` */

	pthread_mutex_t lock;    /* guards what follows */
	pthread_cond_t changed;
	struct open_chunk *current;                  /* takes frames */
	struct open_chunk *unclaimed, **unclaimed_last;
	unsigned queued;
	enum chunk_state *states;
	size_t cap_states, n_states;
	uint64_t next_join;
	bool joining, ended, dropped;
	int error;
};

static char *chunk_path(const struct rendition *r, uint64_t index)
{
	return mem_printf("%s/%s.%06llu", r->setup.chunks, r->setup.code.rung->name, (unsigned long long)index);
}

static void fail(struct rendition *r, int error, const struct fault *f)
{
	pthread_mutex_lock(&r->lock);
	if (r->error == 0) {
		r->fault = *f;
		r->error = error;
	}
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void set_state(struct rendition *r, uint64_t index, enum chunk_state state) /* locked */
{
	while (r->n_states <= index) {
		MEM_GROW(r->states, r->cap_states, r->n_states);
		r->states[r->n_states++] = CHUNK_ABSENT;
	}
	r->states[index] = state;
}

/* --- joining ----------------------------------------------------------------------------- */

static int add_samples(struct rendition *r, const struct chunk *c, struct fault *f)
{
	const uint8_t *bytes = c->data.bytes;
	uint32_t ticks = r->setup.code.plan->frame_ticks;
	int e = 0;

	for (size_t i = 0; e == 0 && i < c->n_samples; i++) {
		const struct chunk_sample *s = &c->samples[i];
		struct track_sample t = {
			.bytes = bytes,
			.size = s->size,
			.duration = ticks,
			.composition = s->composition * ticks,
			.sync = s->sync,
			.starts_segment = s->starts_segment,
			.quality = s->quality,
		};

		e = track_add(r->track, &t, f);
		bytes += s->size;
	}
	return e;
}

static int join_one(struct rendition *r, uint64_t index, struct fault *f)
{
	char *path = chunk_path(r, index);
	struct chunk c;
	int e = chunk_read(path, &c);

	if (e != 0)
		fault_set(f, e, _("%s: cannot be read again: %s"), path, words_error(e));
	else
		e = add_samples(r, &c, f);
	chunk_fini(&c);
	free(path);
	return e;
}

/* Joins what is done and next in order; one thread at a time, the others leave it to that one. */
static void join_ready(struct rendition *r)
{
	struct fault f = {0};

	pthread_mutex_lock(&r->lock);
	if (r->joining) {
		pthread_mutex_unlock(&r->lock);
		return;
	}
	r->joining = true;
	while (r->error == 0 && r->next_join < r->n_states && r->states[r->next_join] == CHUNK_DONE) {
		uint64_t index = r->next_join++;
		int e;

		pthread_mutex_unlock(&r->lock);
		e = join_one(r, index, &f);
		if (e != 0)
			fail(r, e, &f);
		pthread_mutex_lock(&r->lock);
	}
	r->joining = false;
	pthread_mutex_unlock(&r->lock);
}

/* --- lanes ------------------------------------------------------------------------------- */

static struct open_chunk *claim(struct rendition *r)
{
	struct open_chunk *c;

	pthread_mutex_lock(&r->lock);
	while (r->unclaimed == NULL && !r->ended && !r->dropped && r->error == 0)
		pthread_cond_wait(&r->changed, &r->lock);
	c = r->dropped || r->error != 0 ? NULL : r->unclaimed;
	if (c != NULL) {
		r->unclaimed = c->next;
		if (r->unclaimed == NULL)
			r->unclaimed_last = &r->unclaimed;
	}
	pthread_mutex_unlock(&r->lock);
	return c;
}

static void give_turn(struct lane *lane)
{
	if (lane->has_turn)
		turns_give(lane->rendition->setup.turns);
	lane->has_turn = false;
}

/* Held from frame to frame as long as there are frames and nobody matters more. */
static void have_turn(struct lane *lane)
{
	const struct rendition_setup *s = &lane->rendition->setup;
	struct turn turn = {s->rank, lane->place, (uint64_t)s->code.rung->width * (uint64_t)s->code.rung->height};

	if (s->turns == NULL)
		return;
	if (lane->has_turn)
		turns_let(s->turns, turn);
	else
		turns_take(s->turns, turn);
	lane->has_turn = true;
}

static bool must_wait(const struct rendition *r, const struct open_chunk *c) /* locked */
{
	return c->first == NULL && !c->complete && !r->dropped && r->error == 0;
}

/* Returns locked. */
static void wait_for_frame(struct lane *lane)
{
	struct rendition *r = lane->rendition;

	pthread_mutex_lock(&r->lock);
	if (!must_wait(r, lane->chunk))
		return;
	pthread_mutex_unlock(&r->lock);
	give_turn(lane);
	pthread_mutex_lock(&r->lock);
	while (must_wait(r, lane->chunk))
		pthread_cond_wait(&r->changed, &r->lock);
}

static AVFrame *next_frame(void *ctx)
{
	struct lane *lane = ctx;
	struct rendition *r = lane->rendition;
	struct open_chunk *c = lane->chunk;
	AVFrame *frame = NULL;

	wait_for_frame(lane);
	if (c->first != NULL && !r->dropped && r->error == 0) {
		struct waiting *w = c->first;

		frame = w->frame;
		c->first = w->next;
		if (c->first == NULL)
			c->last = &c->first;
		free(w);
		r->queued--;
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	have_turn(lane); /* without a frame too: the encoder still has some */
	lane->place += frame != NULL;
	return frame;
}

static void chunk_free(struct open_chunk *c)
{
	while (c->first != NULL) {
		struct waiting *w = c->first;

		c->first = w->next;
		av_frame_free(&w->frame);
		free(w);
	}
	free(c);
}

/* Given up, it may not be whole: then frames would still go into it. */
static void let_go(struct rendition *r, struct open_chunk *c)
{
	pthread_mutex_lock(&r->lock);
	if (r->current == c)
		r->current = NULL;
	pthread_mutex_unlock(&r->lock);
	chunk_free(c);
}

static bool is_over(struct rendition *r)
{
	bool over;

	pthread_mutex_lock(&r->lock);
	over = r->dropped || r->error != 0;
	pthread_mutex_unlock(&r->lock);
	return over;
}

static int keep(struct rendition *r, uint64_t index, const struct chunk *out, struct fault *f)
{
	char *path = chunk_path(r, index);
	int e = chunk_write(out, path);

	if (e != 0)
		fault_set(f, e, _("%s: cannot be written: %s%s"), path, words_error(e),
		          e == -ENOSPC || e == -EDQUOT ? _("; free space there and run the same command again: what is finished is kept") : "");
	free(path);
	if (e != 0)
		return e;
	pthread_mutex_lock(&r->lock);
	set_state(r, index, CHUNK_DONE);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static void encode_chunk(struct lane *lane)
{
	struct rendition *r = lane->rendition;
	struct fault f = {0};
	struct chunk out;
	int e;

	chunk_init(&out);
	lane->place = lane->chunk->index * r->chunk_frames;
	e = coder_encode(r->setup.coder, &r->setup.code, lane->chunk->index * r->chunk_frames, next_frame, lane, &out, &f);
	give_turn(lane);
	if (e == 0 && !is_over(r))
		e = keep(r, lane->chunk->index, &out, &f);
	chunk_fini(&out);
	if (e != 0)
		fail(r, e, &f);
	else
		join_ready(r);
}

static void *run_lane(void *ctx)
{
	struct lane *lane = ctx;
	struct rendition *r = lane->rendition;
	char name[16];

	snprintf(name, sizeof name, "%s-%dp", r->setup.coder->short_name, r->setup.code.rung->height);
	pthread_setname_np(pthread_self(), name);
	while ((lane->chunk = claim(r)) != NULL) {
		encode_chunk(lane);
		let_go(r, lane->chunk);
	}
	return NULL;
}

/* --- beginning --------------------------------------------------------------------------- */

/* NAME.000012 of an earlier run: whole and right, or away with it. */
static int look_at_chunk(void *ctx, const char *file)
{
	struct rendition *r = ctx;
	const char *name = r->setup.code.rung->name;
	size_t n = strlen(name);
	char *end, *path;
	struct chunk c;
	uint64_t index;

	if (strncmp(file, name, n) != 0 || file[n] != '.' || strlen(file + n) < 7)
		return 0;
	index = strtoull(file + n + 1, &end, 10);
	path = path_join(r->setup.chunks, file);
	if (*end != '\0' || chunk_read(path, &c) != 0) {
		unlink(path);
	} else {
		/* a shorter one is the film's last: whether it is, only its end can tell */
		if (c.n_samples == r->chunk_frames)
			set_state(r, index, CHUNK_KEPT);
		chunk_fini(&c);
	}
	free(path);
	return 0;
}

static int start_lanes(struct rendition *r, struct fault *f)
{
	unsigned want = r->setup.lanes < MAX_LANES ? r->setup.lanes : MAX_LANES;

	for (unsigned i = 0; i < want; i++) {
		int e;

		r->lanes[i].rendition = r;
		e = pthread_create(&r->lanes[i].thread, NULL, run_lane, &r->lanes[i]);
		if (e != 0)
			return fault_set(f, -e, _("cannot start a thread: %s"), words_error(-e));
		r->n_lanes++;
	}
	return 0;
}

static int start_track(struct rendition *r, struct fault *f)
{
	const struct plan *plan = r->setup.code.plan;
	AVCodecParameters *parameters = NULL;
	struct track_setup s = {
		.folder = r->setup.folder,
		.name = r->setup.code.rung->name,
		.timescale = plan->video_timescale,
		.frame_rate = plan->frame_rate,
		.light = r->setup.code.light,
	};
	int e = coder_parameters(r->setup.coder, &r->setup.code, &parameters, &r->delay, f);

	if (e != 0)
		return e;
	s.parameters = parameters;
	s.edit_start = s.lead = (int64_t)r->delay * plan->frame_ticks;
	e = track_new(&s, &r->track, f);
	avcodec_parameters_free(&parameters);
	return e;
}

int rendition_new(const struct rendition_setup *s, struct rendition **ret_rendition, struct fault *f)
{
	struct rendition *r = mem_new(sizeof *r);
	int e;

	r->setup = *s;
	r->chunk_frames = (uint64_t)s->code.rung->chunk_segments * s->code.plan->segment_frames;
	r->unclaimed_last = &r->unclaimed;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	e = start_track(r, f);
	if (e == 0)
		e = folder_list(s->chunks, look_at_chunk, r);
	if (e == 0)
		e = start_lanes(r, f);
	if (e != 0)
		rendition_free(&r);
	else
		*ret_rendition = r;
	return e;
}

/* --- for the owner ------------------------------------------------------------------------ */

static void tell_end(struct rendition *r, bool drop)
{
	pthread_mutex_lock(&r->lock);
	if (r->current != NULL)
		r->current->complete = true;
	r->current = NULL;
	r->ended = true;
	r->dropped = r->dropped || drop;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void end_lanes(struct rendition *r, bool drop)
{
	tell_end(r, drop);
	while (r->n_lanes > 0)
		pthread_join(r->lanes[--r->n_lanes].thread, NULL);
}

void rendition_free(struct rendition **pr)
{
	struct rendition *r = *pr;

	*pr = NULL;
	if (r == NULL)
		return;
	end_lanes(r, true);
	while (r->unclaimed != NULL) {
		struct open_chunk *c = r->unclaimed;

		r->unclaimed = c->next;
		chunk_free(c);
	}
	track_free(&r->track);
	free(r->states);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct open_chunk *open_chunk(struct rendition *r, uint64_t index) /* locked */
{
	struct open_chunk *c = mem_new(sizeof *c);

	c->index = index;
	c->last = &c->first;
	*r->unclaimed_last = c;
	r->unclaimed_last = &c->next;
	return c;
}

static void put_frame(struct rendition *r, AVFrame *frame, uint64_t number) /* locked */
{
	struct waiting *w = mem_new(sizeof *w);

	if (r->current == NULL)
		r->current = open_chunk(r, number / r->chunk_frames);
	w->frame = frame;
	*r->current->last = w;
	r->current->last = &w->next;
	r->queued++;
	if ((number + 1) % r->chunk_frames == 0) {
		r->current->complete = true;
		r->current = NULL;
	}
	pthread_cond_broadcast(&r->changed);
}

/* A frame of a chunk that is there: with its last one the chunk is due. */
static int pass_kept(struct rendition *r, uint64_t number, struct fault *f)
{
	int error;

	r->kept++;
	if ((number + 1) % r->chunk_frames == 0) {
		pthread_mutex_lock(&r->lock);
		set_state(r, number / r->chunk_frames, CHUNK_DONE);
		pthread_mutex_unlock(&r->lock);
		join_ready(r);
	}
	pthread_mutex_lock(&r->lock);
	error = r->error;
	if (error != 0)
		*f = r->fault;
	pthread_mutex_unlock(&r->lock);
	return error;
}

int rendition_push(struct rendition *r, const AVFrame *frame, struct fault *f)
{
	uint64_t number = r->next_frame++, index = number / r->chunk_frames;
	AVFrame *mine;
	bool kept;
	int error;

	MUST(frame->pts == (int64_t)number);
	pthread_mutex_lock(&r->lock);
	kept = index < r->n_states && r->states[index] == CHUNK_KEPT;
	pthread_mutex_unlock(&r->lock);
	if (kept)
		return pass_kept(r, number, f);
	mine = av_frame_clone(frame);
	if (mine == NULL)
		return fault_set(f, -ENOMEM, _("out of memory"));
	pthread_mutex_lock(&r->lock);
	while (r->queued >= r->setup.queue && r->error == 0)
		pthread_cond_wait(&r->changed, &r->lock);
	error = r->error;
	if (error == 0)
		put_frame(r, mine, number);
	else
		*f = r->fault;
	pthread_mutex_unlock(&r->lock);
	if (error != 0)
		av_frame_free(&mine);
	return error;
}

void rendition_end(struct rendition *r)
{
	tell_end(r, false);
}

int rendition_finish(struct rendition *r, uint64_t frames, struct fault *f)
{
	MUST(frames == r->next_frame);
	end_lanes(r, false);
	join_ready(r);
	if (r->error != 0) {
		*f = r->fault;
		return r->error;
	}
	if (r->next_join != (frames + r->chunk_frames - 1) / r->chunk_frames)
		return fault_set(f, ERR_CORRUPT, _("%s: the chunks kept there are not this master's; remove the folder and run the same command again"),
		                 r->setup.chunks);
	return track_finish(r->track, 0, f);
}

const struct track_facts *rendition_facts(const struct rendition *r)
{
	return track_facts(r->track);
}

uint64_t rendition_kept(const struct rendition *r)
{
	return r->kept;
}

/* --- cores ------------------------------------------------------------------------------- */

#define ENCODING 0.9 /* of the work, at the fastest presets people use: the rest is decoding and scaling */
#define SLACK 4 /* frames that wait in any case, and of small ones as many as this many bytes hold: the decoder goes on while an */
#define SLACK_BYTES 3e6 /* encoder ends a chunk, and another core has work while the largest rendition's is alone */

static double pixels(const struct plan_rung *r)
{
	return (double)r->width * r->height;
}

void rendition_share(const struct plan *p, unsigned cores, uint64_t memory, unsigned lanes[static PLAN_MAX_RUNGS],
                     unsigned queues[static PLAN_MAX_RUNGS])
{
	double all = 0;

	for (size_t i = 0; i < p->n_rungs; i++)
		all += pixels(&p->rungs[i]);
	for (size_t i = 0; i < p->n_rungs; i++) {
		const struct plan_rung *r = &p->rungs[i];
		double share = pixels(r) / all, chunk = (double)r->chunk_segments * p->segment_frames * pixels(r) * 1.5;
		/* the work of this rung fills so many cores; each beyond the first needs a chunk of frames in hand */
		double more = fmin(ceil(ENCODING * cores * share) - 1, floor((double)memory * share / chunk));

		lanes[i] = 1 + (unsigned)fmin(fmax(more, 0), MAX_LANES - 1);
		queues[i] = (unsigned)fmax(SLACK, fmin(SLACK_BYTES / (1.5 * pixels(r)), chunk / (1.5 * pixels(r)))) +
		            (unsigned)((lanes[i] - 1) * r->chunk_segments * p->segment_frames);
	}
}
