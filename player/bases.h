/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The places that one resource is to be had from: the bases of its rendition, then the clones that
 * the steering server knows of them (ETSI TS 103 998 7), each with the key by which pathway.h knows it.
 */
#ifndef RIBERA_PLAYER_BASES_H
#define RIBERA_PLAYER_BASES_H

#include <stddef.h>

#include "dash/timeline.h"

struct pathway;

struct bases {
	struct timeline_rendition places; /* with nothing but the bases, for timeline_resolve() */
	const char **keys;                /* service location, or the host */
	char **hosts;                     /* scheme://authority */
	size_t n;                         /* at most PATHWAY_MAX, the first ones */
};

/* Copies all. */
void bases_init(struct bases *, const struct timeline_rendition *, const struct pathway *);
void bases_fini(struct bases *);

#endif
