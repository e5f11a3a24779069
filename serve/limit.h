/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How many connections each client has open, and what is held in memory for it.  A client is an IPv4 address or an
 * IPv6 /64, which is what one household gets.
 */
#ifndef RIBERA_SERVE_LIMIT_H
#define RIBERA_SERVE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

struct limit_client {
	uint8_t bytes[16];
};

struct limit_client limit_client_of(const struct sockaddr *);

struct limit; /* hidden */

struct limit *limit_new(void);
void limit_free(struct limit **);

/* One more connection; returns how many it has now.  Any thread. */
unsigned limit_enter(struct limit *, const struct limit_client *);
void limit_leave(struct limit *, const struct limit_client *);

/* Of a client with a connection: so many bytes more are held for it.  False: they would be more than `most`, and it has some. */
bool limit_hold(struct limit *, const struct limit_client *, uint64_t bytes, uint64_t most);
void limit_let_go(struct limit *, const struct limit_client *, uint64_t bytes);

#endif
