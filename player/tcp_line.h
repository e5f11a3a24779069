/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A recorded line as TCP uses it: packet by packet through a queue of 200 kB that
 * drops what does not fit, from a server with CUBIC (RFC 9438), HyStart, PRR (RFC
 * 6937), detection of losses by time (RFC 8985) and timeouts that double (RFC 6298), as Linux has them.  The trace's
 * rate is the payload's.  What a line gives to a player is less than what it could
 * carry: TCP must find a new rate, and what a server has sent comes, wanted or not.
 *
 * Times are milliseconds on the trace's clock.  No randomness: a line and the same
 * requests give the same times.
 */
#ifndef RIBERA_PLAYER_TCP_LINE_H
#define RIBERA_PLAYER_TCP_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "player/simulate.h"

struct tcp_line; /* hidden */

/* The trace must live as long.  Begins with a connection that is open and idle. */
struct tcp_line *tcp_line_new(const struct trace *);
void tcp_line_free(struct tcp_line **);

/* Asks for a body of `bytes` > 0.  One at a time, and none before the end of the former. */
void tcp_line_ask(struct tcp_line *, double t, uint64_t bytes);
/* Lets time pass up to t, or to the last byte: true then, and *ret_end is when that came. */
bool tcp_line_run(struct tcp_line *, double t, double *ret_end);
/* Gives the body up at t, up to which time has passed: its connection is closed, and the next request has another one. */
void tcp_line_leave(struct tcp_line *, double t);

/* Bytes that an application can read by now, and when the first of them came; INFINITY before that. */
uint64_t tcp_line_got(const struct tcp_line *);
double tcp_line_first(const struct tcp_line *);

#endif
