/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles as cues: WebVTT files (W3C), WebVTT and TTML in ISO BMFF (ISO/IEC
 * 14496-30), TTML files (W3C TTML2: text, colours, regions, directions).  Pure: bytes in, cues out.
 * Text is as libass takes it: \N for a new line, {\i1}, {\c&Hbbggrr&}.
 */
#ifndef RIBERA_PLAYER_CUES_H
#define RIBERA_PLAYER_CUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define CUES_MAX 20000        /* of one list */
#define CUE_MAX_TEXT 4000     /* bytes of one cue */

#define CUES_AT_ONCE 8        /* places in which text is shown at one time */

/* Where text stands in the picture, in parts of its width and height. */
struct cue_place {
	bool set;             /* else it stands where subtitles do: at the bottom, in the middle */
	/* DOWN: lines are written downwards, the next one to the left or to the right of it.  Then the box is as high as `width`
	 * from `left` on, lines are numbered from the side of the first, and y, left and right stand where x, top and bottom would. */
	enum { CUE_ACROSS, CUE_DOWN_LEFT, CUE_DOWN_RIGHT } writing;
	float left, width;    /* of its box */
	int align;            /* of lines in the box: -1 left, 0 middle, 1 right */
	enum { CUE_LINE_AUTO, CUE_LINE_ROW, CUE_LINE_PART } line; /* AUTO: at the bottom, above what stands there already */
	int row;              /* ROW: 0 is the first line of the picture, -1 the last */
	float y;              /* PART */
	int edge;             /* what of the text stands there: -1 its top, 0 its middle, 1 its bottom */
	int window_lines;     /* not 0, and PART: through a window of so many lines; the text stands at its bottom and is cut off at its top, */
	float window_anchor;  /* and this part of the window is above y */
	bool boxed;           /* the text has a background; its colour is in the text's tags, \3c and \3a */
	bool framed;          /* the whole box has one, from `top` on */
	float top, height;
	uint32_t frame;       /* 0xAARRGGBB, AA 255 is opaque */
};

struct cue {
	dur_us start, end;    /* presentation time */
	struct cue_place place;
	char *text;
};
struct cues {
	struct cue *v;        /* by start, no two the same */
	size_t n, cap;
};

/* What is shown at a time: each text is that of one place. */
struct cues_shown {
	size_t n;
	struct {
		struct cue_place place;
		unsigned at;  /* in `text`, ends with a 0 */
	} v[CUES_AT_ONCE];
	char text[4096];
};

void cues_free(struct cues *);
/* Takes the text.  One that is there already is not put twice, and one that goes on where the same text
 * ended in the same place (samples and segments cut cues) makes that longer.  place NULL: not set. */
void cues_add(struct cues *, dur_us start, dur_us end, char *text, const struct cue_place *place);
/* The texts shown at t, those of one place joined by \N, the oldest first; what there is no room for is left out. */
void cues_at(const struct cues *, dur_us t, struct cues_shown *ret_shown);
/* All of them, joined. */
void cues_join(const struct cues_shown *, char *out, size_t n);

/* `offset` is added to every time.  What is wrong is passed over: a file with no good
 * cue is not an error.  ERR_SYNTAX for what is no WebVTT at all. */
int cues_from_vtt(const char *text, size_t n, dur_us offset, struct cues *, struct fault *);
int cues_from_ttml(const char *text, size_t n, dur_us offset, struct cues *, struct fault *);
/* One segment of a `wvtt` or `stpp` track with its initialisation segment.  `offset`:
 * presentation time less track time; in TTML times count from the track's start. */
int cues_from_mp4(const uint8_t *init, size_t n_init, const uint8_t *body, size_t n, dur_us offset, struct cues *,
                  struct fault *);

/* For readers: appends text so that libass takes it as text (no tags, \N for new lines). */
struct buf;
void cues_put_text(struct buf *out, const char *s, size_t n);

#endif
