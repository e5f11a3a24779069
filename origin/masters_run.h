/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One run of ribera-ingest as a child that ends with us.
 */
#ifndef RIBERA_ORIGIN_MASTERS_RUN_H
#define RIBERA_ORIGIN_MASTERS_RUN_H

#include <sys/types.h>

#define MASTERS_AGAIN 75 /* its exit code for "try later" */

struct masters_command {
	const char *program, *options; /* options with spaces between, or NULL */
	const char *master, *library, *title, *name; /* title and name may be NULL */
};

struct masters_outcome {
	int code;               /* exit code; 126: it could not be run; 128 and a signal's number */
	char *said;             /* what it said last on standard error; "" */
	char *title, *revision; /* of what it published, or NULL */
};

/* Waits for its end.  `on_child` gets its id, and 0 when it has ended and is still to be
 * waited for (so that the id is not another's); `on_line` each line of progress. */
void masters_run(const struct masters_command *, void (*on_child)(void *ctx, pid_t), void (*on_line)(void *ctx, const char *line),
                 void *ctx, struct masters_outcome *ret_outcome);
void masters_outcome_fini(struct masters_outcome *);

#endif
