/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names that lead to edges: the HTTP side of PowerDNS's remote backend, under
 * /pdns on the control listener, for this machine only.
 *
 *   TITLE.ZONE   an edge that holds the title     ZONE, edges.ZONE   any edge     ns.ZONE   the name server
 *
 * chosen by cdn/steer for the EDNS client subnet (RFC 7871), else the resolver.  An
 * edge whose URL names a host instead of an address is answered as CNAME.  While no edge is up it is the origin.
 * An answer says for how much of the viewer's address it was made (scopeMask), so that resolvers keep it for nobody else.
 */
#ifndef RIBERA_ORIGIN_PDNS_H
#define RIBERA_ORIGIN_PDNS_H

struct origin;

void pdns_route(struct origin *); /* before serve_start; nothing when no zone is set */

#endif
