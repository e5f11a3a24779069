/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Addresses of servers, looked up in a thread of its own before they are needed, and kept when the name service is gone
 * or silent (RFC 8767: what is stale is better than nothing).  Any thread may call; nothing here waits for an answer.
 */
#ifndef RIBERA_FETCH_NAMES_H
#define RIBERA_FETCH_NAMES_H

#include <stdbool.h>

struct names; /* hidden */

struct names *names_new(void);
/* Does not wait for a name server that is silent. */
void names_free(struct names **);

/* Looks the server of the URL up unless it is known, or was asked for, since a minute; with `anew` (who was known could not
 * be reached) since a second.  What it brings replaces what was known; when it brings nothing, that stays.  Servers known
 * by their address, and URLs that are none, are passed over.  As many as there are places in the table are known: of more,
 * those that were asked for last. */
void names_ask(struct names *, const char *url, bool anew);
/* "host:port:address,..." of the URL's server, with a "+" in front, as CURLOPT_RESOLVE takes it; caller frees.  NULL: not known.
 * With `second` the first of several addresses is the last. */
char *names_find(struct names *, const char *url, bool second);

#endif
