/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Progress of long work for people: a bar with rate and time left on a
 * terminal, one plain line at every tenth of the way (and at least every 15 s)
 * elsewhere.
 */
#ifndef RIBERA_BASE_PROGRESS_H
#define RIBERA_BASE_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"

struct progress; /* hidden */

/* `total` 0 means unknown.  `unit` as in "frames" (rate shown as "frames/s") or
 * "B" (shown as KiB, MiB).  `out` is not closed. */
struct progress *progress_new(FILE *out, const char *label, const char *unit, uint64_t total, mono_us now);
void progress_set_total(struct progress *, uint64_t total);
/* Cheap: prints at most ten times a second.  `note` (or NULL) is shown behind the numbers. */
void progress_update(struct progress *, uint64_t done, const char *note, mono_us now);
/* Prints the last state and ends the line.  Takes NULL; sets NULL. */
void progress_free(struct progress **, mono_us now);

#endif
