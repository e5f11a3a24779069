/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What viewers, peers and operators see: package files, manifests, health and
 * metrics.  The callbacks run on the servers' loops.
 */
#ifndef RIBERA_EDGE_VIEWERS_H
#define RIBERA_EDGE_VIEWERS_H

#include "base/counter.h"
#include "edge/view.h"
#include "serve/serve.h"

struct viewers; /* hidden */

struct viewers_settings {
	const char *name;
	struct store *store;
	struct flights *flights;
	struct counters *counters;
	/* NULL when all is well, else why not; static text, any thread. */
	const char *(*health)(void *ctx);
	bool (*ready)(void *ctx); /* viewers can be served; any thread */
	bool (*send_away)(void *ctx); /* viewers shall go elsewhere; any thread */
	void *ctx;
	struct nearby *nearby; /* is told of round trips; NULL: nobody is; borrowed */
};

struct viewers *viewers_new(const struct viewers_settings *);
void viewers_free(struct viewers **); /* after the servers */

/* `public_url` (no '/' at the end) is what the manifests say of this edge.  Before the server starts. */
void viewers_set_url(struct viewers *, const char *public_url);
/* The routes for viewers, and those for operators alone. */
void viewers_add_routes(struct viewers *, struct serve *);
void viewers_add_control_routes(struct viewers *, struct serve *control, struct serve *viewers);

/* serve_object_ops.sent of the store's copies: the demand. */
void viewers_sent(struct serve_object *, struct serve_request *, uint64_t bytes, bool first);

/* Shows a new view (which it takes) and frees the old one.  One thread. */
void viewers_publish(struct viewers *, struct view *);

/* References of all packages in the view; the caller unrefs and frees.  Any thread. */
struct package **viewers_packages(struct viewers *, size_t *ret_n);

#endif
