/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How long an ingest will take on this machine: some pictures from the middle of the
 * master are decoded, scaled and encoded with the real settings, and timed.
 */
#ifndef RIBERA_INGEST_ESTIMATE_H
#define RIBERA_INGEST_ESTIMATE_H

#include <signal.h>

#include "ingest/plan.h"

struct estimate {
	double cpu_seconds;      /* of all cores together */
	double seconds;          /* with the cores this process may use, when they have nothing else to do */
	unsigned cores;
};

struct estimate_settings {
	const char *master;
	const struct plan *plan;
	const char *preset;
	const struct plan *av1;  /* may have no rungs */
	const char *av1_preset;
	const volatile sig_atomic_t *stop;
};

/* As moment_open and moment_look fail, ERR_MEDIA; ERR_UNSUPPORTED also for standard input and for no pictures in the middle. */
int estimate_make(const struct estimate_settings *, struct estimate *ret_estimate, struct fault *);

#endif
