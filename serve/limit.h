/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How many connections each client has open.  A client is an IPv4 address or an
 * IPv6 /64, which is what one household gets.
 */
#ifndef RIBERA_SERVE_LIMIT_H
#define RIBERA_SERVE_LIMIT_H

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

#endif
