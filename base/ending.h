/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is told to end does, whatever hangs: a thread that hears signals and the clock while the main thread, which starts
 * parts or waits for their end, does neither.  It ends the process as a power cut does, from which nothing here must suffer.
 * SIGTERM and SIGINT are blocked in all threads.  At most one at a time; the main thread's.
 */
#ifndef RIBERA_BASE_ENDING_H
#define RIBERA_BASE_ENDING_H

#include <signal.h>

#include "base/clock.h"

struct ending; /* hidden */

#define ENDING_REST (20 * DUR_S) /* for what comes after the grace: cut connections, disks that write */

/* While a service starts, which may take what a slow disk takes: SIGTERM or SIGINT ends the process with 0.  `where` is the
 * log's.  NULL (no thread, no descriptor): it is as without. */
struct ending *ending_of_start(const char *where);

/* While it runs: who waits for the signals, the main thread, may hang itself.  When a SIGTERM or SIGINT has waited for it for
 * `grace` and ENDING_REST, the process ends with 0.  NULL: as above. */
struct ending *ending_of_run(const char *where, dur_us grace);

/* While it winds up: the process ends with 0 when ENDING_REST has passed after `grace`, and before that by a further
 * SIGTERM or SIGINT.  With `restart` (it starts the next program and does not return; NULL: none) that is called instead, in
 * the thread, and signals are left for the next program.  The service manager is told that it may take so long.  NULL: as above. */
struct ending *ending_of_end(const char *where, dur_us grace, void (*restart)(void *ctx), void *ctx);

/* For programs that people start at a terminal: `how` is what SIGHUP does, unless they were started to outlive it (nohup(1)). */
void ending_of_terminal(const struct sigaction *how);

/* What was waited for has come.  Takes NULL. */
void ending_over(struct ending **);

#endif
