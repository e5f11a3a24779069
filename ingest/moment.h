/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A moment: a handful of pictures from somewhere in the master, in every size of a
 * plan; for probes and estimates.
 */
#ifndef RIBERA_INGEST_MOMENT_H
#define RIBERA_INGEST_MOMENT_H

#include <signal.h>

#include "ingest/plan.h"
#include "ingest/source.h"

#define MOMENT_MOST 16 /* pictures */

struct filter;

struct moment {
	const struct plan *plan;
	struct source *source;
	/* of the last moment_look */
	AVFrame *frames[PLAN_MAX_RUNGS][MOMENT_MOST]; /* the moment's; pts counts from 0 */
	size_t n_frames;
	/* for ingest/moment.c */
	struct filter *filter;
	size_t want, n_taken;
	double from;
	const volatile sig_atomic_t *stop;
	struct fault *fault;
};

/* `plan` must stay; its rungs may be set until the first look.  source_open's errors; ERR_UNSUPPORTED: the container does not say
 * how long it is; ERR_CANCELLED by `stop` (may be NULL).  On failure there is nothing to close. */
int moment_open(struct moment *, const char *master, const struct plan *, const volatile sig_atomic_t *stop, struct fault *);
void moment_close(struct moment *);

/* Up to `want` pictures (1 to MOMENT_MOST) from about `seconds` on; from up to `early` seconds before, where a key picture is near and
 * nothing need be decoded in vain.  Fewer, or none, at the end of a film.  ERR_UNSUPPORTED: it cannot be sought in. */
int moment_look(struct moment *, double seconds, double early, size_t want, struct fault *);

#endif
