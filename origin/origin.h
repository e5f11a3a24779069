/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The origin's parts, wired together and owned by main.c.  Who holds it may use
 * the parts by their own thread rules; the fields are constant while it runs.
 */
#ifndef RIBERA_ORIGIN_ORIGIN_H
#define RIBERA_ORIGIN_ORIGIN_H

#include <stdint.h>

#include "origin/settings.h"

struct catalogue;
struct events;
struct library;
struct library_view;
struct doubt;
struct failures;
struct manifest_cache;
struct demand_view;
struct masters;
struct metadata;
struct page;
struct planner;
struct probe;
struct popular;
struct registry;
struct search;
struct serve;
struct steering;
struct tokens;
struct uploads;

struct origin {
	struct settings settings;
	char *public_url;      /* without a slash at the end */
	struct events *events;
	struct catalogue *catalogue;
	struct library *library;
	struct registry *registry;
	struct probe *probe;       /* NULL: nobody is asked */
	struct steering *steering;
	struct manifest_cache *manifests;
	struct planner *planner; /* the control thread's */
	struct tokens *tokens;
	struct doubt *doubt;       /* of the clock */
	struct failures *failures; /* the control thread's */
	struct metadata *metadata;
	struct masters *masters;
	struct popular *popular;
	struct demand_view *demand;
	struct search *search;
	struct uploads *uploads;   /* the control thread's */
	struct page *page;
	struct serve *viewers, *control;
	uint16_t viewers_port, control_port;
};

#endif
