/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Thumbnails for seeking: small pictures at even distances, many on a sheet, each
 * sheet a JPEG file (DASH-IF IOP 4.3, 6.2.6).  Made of pictures that were
 * decoded and scaled anyway.
 */
#ifndef RIBERA_INGEST_TILES_H
#define RIBERA_INGEST_TILES_H

#include <libavutil/frame.h>

#include "ingest/plan.h"

struct tiles; /* hidden */

struct tiles_facts {
	int columns, rows;       /* of tiles on a sheet */
	int width, height;       /* of a sheet */
	uint32_t every;          /* seconds from tile to tile; tile i shows the picture at i * every */
	uint64_t n_tiles, n_sheets;
	uint64_t largest;        /* bytes of a sheet */
};

#define TILES_FILE "thumbnails-%llu.jpg" /* sheet, from 1 */
#define TILES_TEMPLATE "thumbnails-$Number$.jpg"
#define TILES_SCHEME "http://dashif.org/guidelines/thumbnail_tile"

/* `seconds`: of film, about; 0 if not known.  400 tiles at most (more only where it was not known). */
struct tiles *tiles_new(const char *folder, const struct plan *, double seconds);
void tiles_free(struct tiles **);

/* The rung whose pictures are to be given. */
size_t tiles_rung(const struct plan *);

/* Every picture of that rung in order, pts its number on the grid.  ERR_MEDIA, -errno. */
int tiles_take(struct tiles *, const AVFrame *yuv420p, struct fault *);
/* The last sheet, which may be filled in part. */
int tiles_end(struct tiles *, struct fault *);

const struct tiles_facts *tiles_facts(const struct tiles *); /* after tiles_end */

#endif
