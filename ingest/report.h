/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was made, written down: report.json.
 */
#ifndef RIBERA_INGEST_REPORT_H
#define RIBERA_INGEST_REPORT_H

#include "ingest/package.h"

struct buf;

/* Appends the document.  ERR_SYNTAX for a name that is not UTF-8; the buffer's errors. */
int report_write_json(const struct package *, struct buf *out, struct fault *);

#endif
