/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One ingest: master in, published package out.
 */
#ifndef RIBERA_INGEST_JOB_H
#define RIBERA_INGEST_JOB_H

#include <signal.h>
#include <stdbool.h>

#include "dash/package.h"
#include "ingest/ladder.h"
#include "ingest/plan.h"
#include "ingest/source.h"
#include "ingest/verify.h"

struct job_settings {
	const char *master, *library, *title, *name;
	const char *preset;
	bool av1, opus;         /* beside H.264 and AAC */
	const char *av1_preset;
	const char *ladder;     /* "title", "fixed", or a file */
	double segment_seconds;
	int max_height;
	size_t max_rungs;
	const char *deinterlace; /* "frame", "field", "off" */
	const char *const *subtitles; /* texts.h; may be NULL */
	size_t n_subtitles;
	bool accept_truncated;
	enum verify_level proof;
	const char *schema;     /* as in struct verify_settings */
	bool quiet;             /* no progress */
	const volatile sig_atomic_t *stop; /* non-zero: end soon, leave nothing */
};

struct job_result {
	char title[72];
	char revision[PACKAGE_REVISION_SIZE];
	char *folder;           /* owned; the published package */
	bool existed;           /* the same content was there already */
	uint64_t frames, bytes;
	size_t n_video, n_audio, n_text;
	double seconds;         /* of film */
	double kept_seconds;    /* of these, encoded by a run that was interrupted */
	struct verify_facts facts;
};

int job_run(const struct job_settings *, struct job_result *ret_result, struct fault *);
void job_result_fini(struct job_result *);

/* What job_run would make: the plan alone. */
int job_plan(const struct job_settings *, const struct source_info *, struct plan *ret_plan, struct ladder *ret_ladder, struct fault *);

#endif
