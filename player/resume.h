/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where titles were left: $XDG_STATE_HOME/ribera/positions.json, the newest 500.
 */
#ifndef RIBERA_PLAYER_RESUME_H
#define RIBERA_PLAYER_RESUME_H

#include "base/clock.h"

/* 0: not known. */
dur_us resume_find(const char *url);
/* 0 forgets it.  Failures are logged. */
void resume_store(const char *url, dur_us position);

#endif
