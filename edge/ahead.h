/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Readahead for viewers of a file that is not all here: what the session will ask for next is on its way before it
 * asks, so that the origin's latency is paid once and not with every segment.
 */
#ifndef RIBERA_EDGE_AHEAD_H
#define RIBERA_EDGE_AHEAD_H

#include "edge/flights.h"
#include "serve/serve.h"

/* Pieces asked for beforehand by one request at most. */
#define AHEAD_PIECES 4

/* A viewer has asked for these bytes.  What is next says CMCD (CTA-5004 nor and nrr: a file of the same folder, a
 * range); else it is as many bytes behind them, a segment following a segment.  A loop's thread. */
void ahead_of(struct flights *, struct copy *, struct serve_request *, uint64_t first, uint64_t length);

#endif
