/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What of an MPD this player can play, and in words why not the rest: no decoder, no
 * keys, a demand it does not know (ISO/IEC 23009-1 5.8.4.8), half of something.  Pure.
 */
#ifndef RIBERA_PLAYER_FIT_H
#define RIBERA_PLAYER_FIT_H

#include "base/err.h"
#include "dash/timeline.h"

/* Can this build decode it?  `codecs` is RFC 6381; NULL is worth a try. */
bool fit_can_decode(const char *codecs);

/* Fit to be played as picture or sound?  When not, `why` (or NULL) says what stands in
 * the way, with its line in the MPD: ERR_UNSUPPORTED, ERR_SYNTAX. */
bool fit_rendition(const struct timeline_rendition *, struct fault *why);
/* Has it a rendition that is fit, and is it no trick mode? */
bool fit_track(const struct timeline_track *, struct fault *why);
/* Does the MPD itself ask for nothing this player does not know? */
bool fit_mpd(const struct mpd *, struct fault *why);

#endif
