/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What registry.c and registry_beat.c share.
 */
#ifndef RIBERA_ORIGIN_REGISTRY_INNER_H
#define RIBERA_ORIGIN_REGISTRY_INNER_H

#include <pthread.h>

#include "origin/registry.h"

struct registry {
	struct catalogue *catalogue;
	struct events *events; /* or NULL */
	mono_us faded; /* when witnesses were halved */
	struct holders *holders;
	dur_us heartbeat;
	pthread_mutex_t lock; /* guards all below */
	struct registry_edge **edges; /* sorted by name */
	size_t n_edges, cap_edges;
	uint64_t version;
};

/* registry.c; all with the lock held, but for the first two */
void registry_free_keys(char **keys, size_t n);
void registry_free_filling(struct registry_filling *, size_t n);
struct registry_edge *registry_find(const struct registry *, const char *name); /* NULL: there is none */
/* Puts an edge that is down into the holders' sets. */
void registry_show(struct registry *, struct registry_edge *);
/* Tells events, log and catalogue that it is up, or down. */
void registry_record_up(struct registry *, const struct registry_edge *, bool up);

#endif
