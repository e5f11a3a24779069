/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What viewers.c and viewers_texts.c share; for them only.
 */
#ifndef RIBERA_EDGE_VIEWERS_INNER_H
#define RIBERA_EDGE_VIEWERS_INNER_H

#include "edge/viewers.h"

struct viewers {
	struct viewers_settings s;
	char *name, *url;
	struct view *view; /* RCU */
	struct serve *serve; /* whose counters /metrics shows */
};

/* The routes of what is no file: health, metrics, and what other edges ask. */
void viewers_add_texts(struct viewers *, struct serve *);

#endif
