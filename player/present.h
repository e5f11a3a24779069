/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Presenting: takes frames by the clock, in the calling thread, until the end
 * of the title, a quit, or a signal.  The null output takes them exactly when a
 * window would, so its stalls are real.
 */
#ifndef RIBERA_PLAYER_PRESENT_H
#define RIBERA_PLAYER_PRESENT_H

#include <signal.h>

#include "player/engine.h"
#include "player/sink.h"

struct ipc;
struct live;
struct subtitles;
struct thumbs;
struct frames_hash;

struct present_setup {
	struct hub *hub;
	struct engine *engine;
	struct sink *sink;
	struct report *report;       /* stalls, frames, offsets and times are ours */
	double speed;                /* 0: as fast as frames come, without a clock */
	dur_us start, duration;      /* of the title; for people */
	const char *title;           /* or NULL */
	unsigned channels;           /* loudspeakers at most; 0: as many as there are */
	bool quiet;                  /* no status line */
	struct subtitles *subtitles; /* or NULL */
	struct thumbs *thumbs;       /* or NULL */
	struct live *live;           /* or NULL */
	const char *ipc_path;        /* or NULL: no socket for scripts */
	struct ipc **ipc;            /* where it stands while it runs; NULL with ipc_path */
	struct frames_hash *hashes;  /* or NULL */
	const volatile sig_atomic_t *stop;
};

/* true when the end was reached, false when it was ended before.  *ret_end is where
 * in the title it ended.  The fault is that of the socket: then nothing is played. */
bool present_run(const struct present_setup *, dur_us *ret_end, struct fault *);

#endif
