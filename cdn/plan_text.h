/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A plan in two forms (doc/openapi.yaml): the whole one stands for itself; the short
 * one says which lines of a shelf it is about.  Both sides make the whole text by
 * this one function, so it is the same to the byte on both, and has one version.
 *
 *   {"shelf": HASH, "origin": URL, "hold": ["a", {"title": "b", "files": [...], "urgent": true}],
 *    "peers": [{"name": N, "url": U, "holds": [runs]}], "steering": URL, "version": V}
 *
 * Runs count lines: so many that are not held, so many that are, and so on.  Where
 * the reader has an older shelf, what has become of it stands first:
 *
 *   "changes": {"since": HASH, "titles": [all lines of titles that are not as they were], "gone": ["c"]}
 */
#ifndef RIBERA_CDN_PLAN_TEXT_H
#define RIBERA_CDN_PLAN_TEXT_H

#include <jansson.h>

#include "cdn/shelf.h"

/* Appends the whole plan.  ERR_SYNTAX: the short one says what cannot be of this shelf; ERR_LIMIT, -ENOMEM. */
int plan_text_whole(const json_t *short_plan, const struct shelf *, struct buf *out, struct fault *);

/* The shelf that the short plan is about, made of the one that the reader has.  ERR_SYNTAX: what comes of it has not
 * the hash that the plan names. */
int plan_text_shelf(const json_t *short_plan, const struct shelf *have, size_t max, struct shelf *ret_shelf, struct fault *);

/* Runs of lines, as a JSON array; `held` is a bool a line. */
void plan_text_runs(const bool *held, size_t n, struct buf *out);

/* `value` is taken over; NULL: null. */
void plan_text_json(struct buf *out, json_t *value);

#endif
