/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How fast a fill may go, by the time of day.  Pure.
 */
#ifndef RIBERA_CDN_RATES_H
#define RIBERA_CDN_RATES_H

#include <stddef.h>
#include <stdint.h>

#include "cdn/window.h"

#define RATES_MAX 12

struct rates {
	uint64_t otherwise; /* bytes per second outside all of them; 0: no cap */
	struct window hours[RATES_MAX];
	uint64_t rates[RATES_MAX];
	size_t n;
};

/* Reads "08:00-18:00 2MB, 22:30-01:00 0": the hours of each day, local in `zone` (not owned), and their rate; NULL or ""
 * is none.  `otherwise` stays.  ERR_SYNTAX with the item at fault. */
int rates_parse(struct rates *, const char *text, const struct zone *zone, struct fault *);

/* The first that fits counts. */
uint64_t rates_at(const struct rates *, wall_us now);

#endif
