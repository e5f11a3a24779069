/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where the player's threads meet: one lock, one condition, bounded queues.
 * Engine -> segments -> decoders -> frames -> presenter, and the playhead back.
 * Around a hundred wakes a second, so one lock is enough and easy to be right with.
 *
 * A seek makes a new generation: items of an older one are worthless, and each
 * thread drops them where it meets them.
 */
#ifndef RIBERA_PLAYER_HUB_H
#define RIBERA_PLAYER_HUB_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum { LANE_VIDEO, LANE_AUDIO, N_LANES };

struct media_frame;
struct media_segment;

/* A ring of pointers; all of it under the hub's lock. */
struct fifo {
	void **v;
	size_t cap, first, n;
	size_t spare; /* it is full with so many less: room for what comes back */
	bool closed; /* nothing more will come in this generation */
};

struct hub {
	pthread_mutex_t lock;
	pthread_cond_t bell;    /* anything below, or in a queue, has changed */
	bool quit;
	bool poked;             /* the viewer may have done something: the presenter looks before it waits */
	uint64_t posts;         /* grows with everything the engine must look at */
	struct {
		dur_us from, to; /* the lane has nothing to show here, and that is no stall */
	} hole[N_LANES];
	unsigned generation;
	struct {
		unsigned rung;  /* 1 is the lowest; 0: as the adaptation decides */
		unsigned audio; /* so many times the next sound track */
	} wish;                 /* the viewer's */
	bool keys;              /* one picture is wanted, the key picture nearest before key_at; all else waits */
	bool key_given;
	dur_us key_at;
	mono_us sought;         /* when the last seek was; 0: none yet */
	struct media_frame *preview; /* NULL, or a picture on the way to the place sought */
	bool kept[N_LANES];     /* the last seek kept the segments in the queue: the lane goes on behind them */
	dur_us shift;           /* of media whose times are not the MPD's, as the lane has it that met them last */
	dur_us position;        /* presentation time of what is shown */
	bool busy[N_LANES];     /* the decoder has a segment in hand */
	bool still;             /* the viewer has paused it */
	bool starved;           /* the presenter waits for media */
	unsigned starvations;   /* how often it began to */
	double speed;           /* of the playhead; 0: as fast as pictures come */
	struct fifo segments[N_LANES]; /* struct media_segment * */
	struct fifo past[N_LANES];     /* what was taken from there of late, without a gap: a step back asks for nothing */
	struct fifo frames[N_LANES];   /* struct media_frame * */
	bool lane[N_LANES];     /* which there are; set before the threads start */
};

/* The monotonic clock drives the timed waits. */
void hub_init(struct hub *, size_t max_segments, const size_t max_frames[static N_LANES]);
/* Frees the queues and what is in them; all threads have ended. */
void hub_fini(struct hub *);

void hub_lock(struct hub *);
void hub_unlock(struct hub *);
void hub_ring(struct hub *);                    /* locked or not */
void hub_wait(struct hub *);                    /* locked */
void hub_wait_until(struct hub *, mono_us end); /* locked */
void hub_quit(struct hub *);                    /* everyone ends soon */
/* A new generation that starts at `to`.  Segments in a queue stay when `to` lies in one of
 * them, or in one that was taken of late, which goes back there; else all are freed.  With
 * `keys` one picture is to come, and the queues stay as they are until the next seek. */
void hub_seek(struct hub *, dur_us to, bool keys);

/* All of these with the lock held. */
/* The next segment for a lane's decoder, which frees it; NULL: none yet. */
struct media_segment *hub_take(struct hub *, int lane);
/* What the segments in a queue weigh, so far as their bytes are here. */
uint64_t hub_segment_bytes(const struct fifo *segments);
bool fifo_full(const struct fifo *);
void fifo_put(struct fifo *, void *item);       /* must not be full */
void fifo_put_first(struct fifo *, void *item); /* there is room, `spare` counted */
void *fifo_peek(const struct fifo *);           /* NULL when empty */
void *fifo_take(struct fifo *);                 /* NULL when empty */
void *fifo_peek_last(const struct fifo *);      /* NULL when empty */
void *fifo_take_last(struct fifo *);            /* NULL when empty */

#endif
