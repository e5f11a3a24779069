/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * AV1 Main by SVT-AV1, and the rungs that are made in it.
 */
#ifndef RIBERA_INGEST_AV1_H
#define RIBERA_INGEST_AV1_H

#include "ingest/coder.h"

#define AV1_LEAST_SIDE 64 /* pixels; the encoder takes no smaller picture */

extern const struct coder av1_coder;

/* The rungs that AV1 gets: the best of each size of the plan, with a quality that looks alike at about two thirds of the
 * bits.  n_rungs is 0 when the picture is too small. */
void av1_plan(const struct plan *, struct plan *ret_plan);

#endif
