/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The edge as a whole: makes the parts, joins them, starts and ends them in the
 * right order.
 *
 *   contact --plan--> engine { prepare, fill, space, flights } --view--> viewers
 *                        ^  wants                                          |
 *                        +-------------------------------------------------+
 */
#ifndef RIBERA_EDGE_NODE_H
#define RIBERA_EDGE_NODE_H

#include "edge/settings.h"

struct node; /* hidden */

struct node_ports {
	uint16_t viewers, control; /* control 0: none */
};

/* Opens the store, listens, serves.  The settings stay the caller's and must
 * outlive the node.  Errors: those of the parts; the fault says which. */
int node_start(const struct settings *, struct node **ret_node, struct node_ports *ret_ports, struct fault *);
void node_reopen_log(struct node *);
/* The window and the rates of the settings are in force at once.  `old`, the zone of those before, is taken over. */
void node_set_hours(struct node *, struct zone *old);
void node_set_limits(struct node *);            /* takes the settings' limits of connections anew */
void node_keep_listeners(const struct node *); /* before node_stop: see serve_keep_listeners */
/* Takes in certificates that were replaced; `always`: whether they look so or not. */
void node_refresh(struct node *, bool always);
/* Tells the service manager what is held and that the engine's thread lives: the watchdog is fed from there. */
void node_tell_manager(struct node *);
void node_stop(struct node **); /* replies that can finish, do */

#endif
