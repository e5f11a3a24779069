/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The routes of the viewers' listener: package bytes, manifests, the page, the
 * public half of the API, health.  Nothing here blocks on the catalogue, so
 * viewers are served whatever the control plane suffers.
 */
#ifndef RIBERA_ORIGIN_VIEWERS_H
#define RIBERA_ORIGIN_VIEWERS_H

struct origin;
struct buf;

void viewers_route(struct origin *); /* before serve_start; all parts are there but the planner */

/* The origin's own counters and gauges, and both listeners', as Prometheus text. */
void viewers_write_metrics(const struct origin *, struct buf *out);

#endif
