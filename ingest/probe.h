/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Probe encodes: a few moments of the master at every size and some qualities,
 * with the encoder's own settings, measured at the size of the display.
 */
#ifndef RIBERA_INGEST_PROBE_H
#define RIBERA_INGEST_PROBE_H

#include <signal.h>
#include <stdbool.h>

#include "ingest/hull.h"
#include "ingest/plan.h"
#include "ingest/source.h"

struct probe_settings {
	const char *master;      /* a file that can be sought in */
	const struct plan_input *input;
	const struct plan *plan; /* of the fixed ladder: its grid and segments */
	const char *preset;
	double floor_rate;       /* bit/s: sizes that never need so much are left out of short clips' probes */
	bool progress;
	const volatile sig_atomic_t *stop;
};

/* The same master and settings give the same numbers.  Costs up to a fifth of encoding the whole, little for long films.  source_open's errors,
 * ERR_UNSUPPORTED (no seeking, or too short to say anything), ERR_CANCELLED. */
int probe_run(const struct probe_settings *, struct hull_probe *ret_probe, struct fault *);

#endif
