/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was made, written down: report.json for tools, report.html for people.
 */
#ifndef RIBERA_INGEST_REPORT_H
#define RIBERA_INGEST_REPORT_H

#include <jansson.h>

#include "ingest/package.h"

struct buf;

/* report.json as doc/REPORT.md describes it.  ERR_SYNTAX for a name that is not UTF-8.
 * The caller gives the reference back (json_decref). */
int report_make(const struct package *, const struct verify_settings *, const struct verify_facts *, json_t **ret_report, struct fault *);

/* Appends the document; the buffer's errors. */
int report_write_json(const json_t *report, struct buf *out);

/* report_page.c: appends the page that shows this report: one file without scripts.  What
 * the report does not hold is left out.  The buffer's errors. */
int report_write_page(const json_t *report, struct buf *out);

/* Reads PACKAGE/report.json and appends its page.  ERR_SYNTAX, or why it cannot be read. */
int report_page_of(const char *package, struct buf *out, struct fault *);

#endif
