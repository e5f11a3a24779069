/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is watched most at the moment, for the wall: the titles that most viewers
 * asked for in the last day, counted now and then and kept in memory, so that a
 * page costs no database.
 */
#ifndef RIBERA_ORIGIN_POPULAR_H
#define RIBERA_ORIGIN_POPULAR_H

#include <stddef.h>

#include "base/clock.h"

#define POPULAR_MAX 1000

struct catalogue;
struct popular; /* hidden */

struct popular *popular_new(void);
void popular_free(struct popular **);

/* Counts anew if demand has come in and the last count is some seconds old (or twenty times what it took).  What
 * the last count took of the processor.  One thread, which may wait for the catalogue. */
dur_us popular_tick(struct popular *, struct catalogue *, wall_us wall, mono_us now);

struct popular_list {
	char *titles[POPULAR_MAX];
	size_t n;
};
/* The most popular first; any thread. */
void popular_read(struct popular *, struct popular_list *ret);
void popular_list_fini(struct popular_list *);

#endif
