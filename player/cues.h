/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles as cues: WebVTT files (W3C), WebVTT and TTML in ISO BMFF (ISO/IEC
 * 14496-30), TTML files (W3C TTML2, plain text and colour).  Pure: bytes in, cues out.
 * Text is as libass takes it: \N for a new line, {\i1}, {\c&Hbbggrr&}.
 */
#ifndef RIBERA_PLAYER_CUES_H
#define RIBERA_PLAYER_CUES_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define CUES_MAX 20000        /* of one list */
#define CUE_MAX_TEXT 4000     /* bytes of one cue */

struct cue {
	dur_us start, end;    /* presentation time */
	char *text;
};
struct cues {
	struct cue *v;        /* by start, no two the same */
	size_t n, cap;
};

void cues_free(struct cues *);
/* Takes the text; one that is there already is not put twice. */
void cues_add(struct cues *, dur_us start, dur_us end, char *text);
/* The texts shown at t, the oldest first, joined by \N, into `out`. */
void cues_at(const struct cues *, dur_us t, char *out, size_t n);

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
