/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An edge's plan: what its site decided for the local day (origin/night), arranged
 * among the site's edges (origin/arrange), as the JSON of doc/openapi.yaml.  What was
 * decided is in the catalogue, so a day has one decision, through restarts too; what
 * operators and the library change within the day takes effect at once.
 */
#ifndef RIBERA_ORIGIN_PLANNER_H
#define RIBERA_ORIGIN_PLANNER_H

#include <jansson.h>

#include "base/err.h"
#include "base/sha256.h"

struct catalogue;
struct library_view;
struct registry;
struct planner; /* hidden */
struct blob;
struct buf;

/* Borrows registry and catalogue; the URLs are copied (`steering_url` may be NULL). */
struct planner *planner_new(struct registry *, struct catalogue *, const char *origin_url,
                            const char *steering_url);
void planner_free(struct planner **);

/* The version of the edge's plan if that is as a plan made now would be; NULL: it has to be asked for.  Lives until
 * the next call. */
const char *planner_current(struct planner *, const struct library_view *, const char *edge);
/* The edge's plan as JSON text (one reference) and its version.  `shelf`: the hash of the shelf that the edge has (cdn/shelf),
 * which gets it the short form with what has changed since; NULL, or one that is not known any more: it is the whole one.
 * `ret_json` NULL: made and recorded, but not wanted.  Short plans are kept until something changes, as far as all together are
 * not too large, so that an edge that polls costs next to nothing.  What they are made of is kept for the other
 * edges: the view is held until another one comes.  ERR_NOT_FOUND.  One thread. */
int planner_plan(struct planner *, struct library_view *, const char *edge, const char *shelf, struct blob **ret_json,
                 char ret_version[static SHA256_HEX_SIZE], struct fault *);

/* The same plan with what an operator wants to know: why, expected plays, what is held
 * already file by file, and the part of the site's expected bytes that it would serve itself. */
int planner_explain(struct planner *, struct library_view *, const char *edge, json_t **ret_json, struct fault *);

/* Appends what planning costs, in the Prometheus text format.  Any thread. */
void planner_write_metrics(const struct planner *, struct buf *out);

#endif
