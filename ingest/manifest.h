/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The MPD of a package.
 */
#ifndef RIBERA_INGEST_MANIFEST_H
#define RIBERA_INGEST_MANIFEST_H

#include "ingest/package.h"

struct buf;

/* @minBufferTime, which the @bandwidth of every representation holds for. */
double manifest_buffer_seconds(const struct package *);
int manifest_write(const struct package *, struct buf *out);

#endif
