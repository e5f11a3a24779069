/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What earlier sessions found out about the networks this machine is on: one
 * small file, so that the next session starts right.
 *
 * A network is the default route's interface, gateway and the gateway's hardware
 * address, as a hash; servers on this machine are a network of their own.  At most
 * 32 networks are kept, the longest unseen goes; what was not seen for 90 days counts
 * no more.  The file is replaced as a whole under a lock.  Nothing here is needed to
 * play: what fails is a log line.
 */
#ifndef RIBERA_PLAYER_KNOWN_H
#define RIBERA_PLAYER_KNOWN_H

#include <stdint.h>

#include "base/clock.h"

#define KNOWN_ID_SIZE 17

/* The file, malloced: $XDG_STATE_HOME/ribera/networks.json, else below ~/.local/state; NULL without a home. */
char *known_path(void);
/* The network over which this URL is reached; root is "", or for tests a folder that has proc/net. */
void known_network(const char *root, const char *url, char ret_id[static KNOWN_ID_SIZE]);

/* Bit/s that the line gave; 0: nothing is known. */
uint64_t known_rate(const char *path, const char *id, wall_us now);
/* Adds a session's mean, which counts 0.6 against what was known. */
void known_store(const char *path, const char *id, uint64_t bps, wall_us now);

#endif
