/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What flights.c (who waits for what) and flight.c (how one piece comes) share; for them only.
 */
#ifndef RIBERA_EDGE_FLIGHTS_INNER_H
#define RIBERA_EDGE_FLIGHTS_INNER_H

#include <pthread.h>

#include "edge/flights.h"

struct waiter {
	struct waiter *next;
	uint64_t offset; /* in the file */
	struct serve_waiter *viewer;
};

struct flight {
	struct job job, done_job;
	int posted;             /* atomic: job is in the mailbox */
	struct flights *all;
	struct copy *copy;      /* one reference */
	size_t piece;
	uint64_t first, size;   /* of the piece: offset in the file, bytes */
	bool fill, reserved;

	uint8_t *bytes;         /* the piece; the fetch thread writes behind `checked` */
	uint64_t got;           /* atomic: bytes of it that came */
	uint64_t checked;       /* verified, written, shown */
	uint64_t try_start;     /* `checked` when this try began */
	bool by_block, lied;
	bool passing;           /* what comes from now on is not kept */
	int disk_error;         /* why not, unless that was chosen */
	struct sha256 leaves[DIGEST_BLOCKS_PER_PIECE];
	int write_error;

	struct upstream_place *place;
	struct upstream_tries tries;
	fetch_id id;
	struct fetch_result result;
	mono_us asked;
	bool traced;             /* a viewer's request began it: what follows says which */
	struct serve_trace trace;

	/* under the lock */
	struct waiter *waiters;
	struct flight *next;    /* of the copy */
	struct flight *queued;  /* in its queue */
	size_t client;          /* by whose wish, while it is queued: a place in queued_by; FLIGHTS_CLIENTS: nobody's */
};

#define FLIGHTS_CLIENTS 1024 /* places; clients that share one are taken for one */

/* Of flights that viewers asked for and that are to be started. */
struct flight_queue {
	struct flight *first, **end;
};

struct flights {
	struct flights_settings s;
	unsigned filling, pulling; /* the engine's */
	pthread_mutex_t lock;      /* guards what follows */
	struct flight_queue queue, behind; /* behind: by who had many queued already */
	size_t n_queued;
	unsigned queued_by[FLIGHTS_CLIENTS];
	struct job job;            /* "the queue has grown" */
	bool posted, stopped;
};

/* flight.c; the engine's thread.  A flight that was started ends by flights_end. */
void flight_start(struct flight *);
void flight_run(struct job *);      /* of flight.job: bytes have come */
void flight_run_done(struct job *); /* of flight.done_job: a try is over */

/* flights.c */
void flights_end(struct flight *, int error); /* and frees it */
void flights_wake_ready(struct flight *);     /* whose bytes are here */
bool flights_waited_for(struct flight *);     /* a viewer waits for it */
bool flights_stopped(struct flights *);

#endif
