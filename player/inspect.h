/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The timeline of an MPD for people (a table) and for programs (JSON).
 */
#ifndef RIBERA_PLAYER_INSPECT_H
#define RIBERA_PLAYER_INSPECT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

struct fetch;
struct source;

/* Reads the indexes that segments need (from the first base that answers);
 * a rendition whose index cannot be had is shown with the reason. */
int inspect(struct fetch *, struct source *, bool json, FILE *out, struct fault *);

#endif
