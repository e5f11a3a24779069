/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What people say of titles, beside what their packages say: name, description,
 * year, tags, and whether edges shall hold it.  Kept in the catalogue, read from
 * memory.  Any thread; reading never waits for the database.
 */
#ifndef RIBERA_ORIGIN_METADATA_H
#define RIBERA_ORIGIN_METADATA_H

#include <jansson.h>

#include "base/err.h"

struct api_call;
struct catalogue;
struct metadata; /* hidden */

#define METADATA_TAG_MAX 64 /* bytes */

struct metadata *metadata_new(struct catalogue *); /* borrowed */
void metadata_free(struct metadata **);
/* Reads the catalogue; until that has worked nothing is known. */
int metadata_load(struct metadata *, struct fault *);

/* What is said of the title, one reference: name (or null), description, year, tags. */
json_t *metadata_about(struct metadata *, const char *title);
/* The same; NULL when nothing is said. */
json_t *metadata_said(struct metadata *, const char *title);

/* GET, PUT and PATCH (RFC 7396) .../titles/{title}/metadata, with ETag and If-Match. */
void api_get_metadata(struct api_call *);
void api_put_metadata(struct api_call *);
void api_patch_metadata(struct api_call *);

#endif
