/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The keys that seal TLS session tickets (RFC 5077, RFC 8446 4.6.1), shared by all
 * threads and by all certificates that follow one another.  A new key is made
 * every half life; an old one opens its tickets until they have run out.
 */
#ifndef RIBERA_SERVE_TICKET_H
#define RIBERA_SERVE_TICKET_H

#include <openssl/ssl.h>

#include "base/clock.h"

struct tickets; /* hidden */

struct tickets *tickets_new(dur_us life); /* of a ticket */
void tickets_free(struct tickets **);     /* after every context that uses them */

/* Makes the context seal and open its tickets with these keys. */
void tickets_use(struct tickets *, SSL_CTX *);

#endif
