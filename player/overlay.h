/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is drawn over the picture: subtitles, statistics with small graphs, what is
 * wrong, the seek bar.  Drawn by libass into pixels; pure but for the fonts.
 */
#ifndef RIBERA_PLAYER_OVERLAY_H
#define RIBERA_PLAYER_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "player/cues.h"

struct overlay; /* hidden */

enum { OVERLAY_BUFFER, OVERLAY_LINE, OVERLAY_RENDITION, OVERLAY_DROPPED, OVERLAY_GRAPHS, OVERLAY_POINTS = 120 };

struct overlay_facts {
	struct cues_shown subtitles;
	char statistics[1024];   /* plain, lines; "" draws none of it, and so below */
	char message[400];       /* plain */
	struct {
		char label[48];
		float v[OVERLAY_POINTS]; /* the newest last */
	} graphs[OVERLAY_GRAPHS];    /* with statistics */
	double bar, loaded;      /* of the title, 0 to 1: where it is, what is in the buffer; bar < 0: none */
	char bar_text[64];
	double hover;            /* with the bar: where the mouse is on it, 0 to 1; < 0: not there */
	char hover_text[STR_BYTES_SIZE]; /* the time there */
	const uint32_t *thumb;   /* ARGB, the picture there; NULL: none */
	int thumb_width, thumb_height;
	unsigned thumb_id;       /* another for another picture */
};

/* NULL when this build has no libass, or there is no memory. */
struct overlay *overlay_new(void);
void overlay_free(struct overlay **);

/* Where on the bar a point of a window is, 0 to 1; -1: the point is not at the bar. */
double overlay_bar_at(int width, int height, int x, int y);

/* What is drawn on, in pixels. */
struct overlay_view {
	int width, height;
	int picture[4];          /* where in it the film is: left, top, width, height */
	double scale;            /* pixels to a point: what a reader sees at 96 points to the inch; at least 1 */
};

/* Draws for that view.  *ret_pixels: ARGB, not premultiplied, width x height,
 * valid until the next call; NULL when there is nothing to draw.  true when it is
 * other than the time before. */
bool overlay_draw(struct overlay *, const struct overlay_view *, const struct overlay_facts *, const uint32_t **ret_pixels);

/* Of what was drawn last: left, top, right, bottom; all else is empty. */
void overlay_area(const struct overlay *, int ret_area[static 4]);

#endif
