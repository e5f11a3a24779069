/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which rungs a title gets: made for it from probe encodes, the fixed ones, or
 * those of a file.
 */
#ifndef RIBERA_INGEST_LADDER_H
#define RIBERA_INGEST_LADDER_H

#include "ingest/hull.h"
#include "ingest/plan.h"
#include "ingest/probe.h"

struct ladder_settings {
	const char *ladder;      /* "title", "fixed", or a file's name */
	const char *master;
	const struct plan_input *input;
	const char *preset;
	bool progress;
	const volatile sig_atomic_t *stop;
};

/* What was found, for the report. */
struct ladder {
	bool has_probe;
	struct hull_probe probe;
	struct hull hull;
	char note[256];          /* why it is the fixed one although the title's was asked for, English (a key of _()); else empty */
};

/* Makes the plan's rungs.  Those of plan_make, probe_run, and for a file: ERR_SYNTAX with its line, ERR_UNSUPPORTED when
 * none of its rungs fits the picture, -errno. */
int ladder_make(const struct ladder_settings *, struct plan *ret_plan, struct ladder *ret_ladder, struct fault *);

/* The rungs of a ladder file's text: one a line, "WIDTHxHEIGHT RATE [max RATE]" or "WIDTHxHEIGHT crf N max RATE", RATE in bit/s
 * with k or M behind; '#' begins a comment.  `name` stands for the file in messages.  Sizes are taken as areas: each rung
 * gets the master's shape.  Ascending in rate, 1 to PLAN_MAX_RUNGS. */
int ladder_parse(const char *text, const char *name, struct plan_rung ret_rungs[static PLAN_MAX_RUNGS], size_t *ret_n, struct fault *);

#endif
