/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How near edges are to networks of viewers, learnt from what edges measured: the round trips of their viewers' connections,
 * by /24 (IPv4) and /48 (IPv6), never by address.
 *
 * Bounded: so many networks, the eight nearest edges of each; the network heard of longest ago goes first.  What nobody
 * repeats is forgotten after NEARNESS_LIFE.  Round trips count in classes (10, 20, 40 ... ms), so that equally near edges share viewers,
 * and one stays in its class until it is clearly out of it.  Deterministic: the same words in the same order, the same table.
 *
 * One thread tells, any thread looks, without a lock.
 */
#ifndef RIBERA_CDN_NEARNESS_H
#define RIBERA_CDN_NEARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define NEARNESS_EDGES 8
#define NEARNESS_LIFE (3 * 24 * DUR_HOUR)
#define NEARNESS_MAX_MS 4000
#define NEARNESS_TEXT 48
/* The distance in ms of an edge that nobody measured yet, where others were: those that are farther are not preferred to it, so it
 * is tried; once eight were measured no more are tried. */
#define NEARNESS_UNTRIED 50

/* The network of an address ("192.0.2.7", "2001:db8::1"); 0: it is no address. */
uint64_t nearness_network(const char *address);
/* "192.0.2.0/24", "2001:db8::/48"; and back: 0 when it is no such network. */
void nearness_print(uint64_t network, char ret_text[static NEARNESS_TEXT]);
uint64_t nearness_parse(const char *text);

/* The class of a round trip; `before` is the class it was in, or 0. */
unsigned nearness_class(unsigned ms, unsigned before);

struct nearness; /* hidden */

struct nearness *nearness_new(size_t networks); /* about 72 bytes each, all at once */
void nearness_free(struct nearness **);         /* takes NULL */
/* `ms` over NEARNESS_MAX_MS is that. */
void nearness_tell(struct nearness *, uint64_t network, const char *edge, unsigned ms, mono_us now);

struct nearness_view {
	size_t n;
	struct {
		uint32_t edge;     /* a hash of its name */
		unsigned distance; /* its class */
		unsigned ms;       /* as it was told */
	} of[NEARNESS_EDGES];
};
/* What is known of a network; `nearness` may be NULL: nothing. */
void nearness_look(const struct nearness *, uint64_t network, mono_us now, struct nearness_view *ret);
/* The edge's distance in ms, or NEARNESS_UNTRIED, or `otherwise` when nothing was learnt that says more.  ret_ms (or NULL): as
 * measured, 0: not. */
unsigned nearness_distance(const struct nearness_view *, const char *edge, unsigned otherwise, unsigned *ret_ms);

#endif
