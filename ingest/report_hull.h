/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The title's hull in the report: numbers, and the picture of them.
 */
#ifndef RIBERA_INGEST_REPORT_HULL_H
#define RIBERA_INGEST_REPORT_HULL_H

#include <jansson.h>

#include "ingest/ladder.h"

struct buf;

/* "hull" of report.json; ladder->has_probe.  The caller gives the reference back. */
json_t *report_hull_json(const struct ladder *);

/* Appends the section; nothing when `hull` is none or makes no picture. */
void report_hull_page(const json_t *hull, struct buf *out);

#endif
