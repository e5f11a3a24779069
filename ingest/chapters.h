/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The master's chapters, as WebVTT (kind "chapters") and as the JSON that HLS players
 * read through EXT-X-SESSION-DATA.
 */
#ifndef RIBERA_INGEST_CHAPTERS_H
#define RIBERA_INGEST_CHAPTERS_H

#include <jansson.h>

#include "ingest/source.h"

#define CHAPTERS_VTT "chapters.vtt"
#define CHAPTERS_JSON "chapters.json"
#define CHAPTERS_SCHEME "urn:ribera:chapters:2026" /* of the MPD's EventStream: an event a chapter, its text the title */

/* [{"chapter": 1, "start-time": 0.0, "duration": 60.0, "titles": [{"language": "und", "title": "Start"}]}], the form of
 * com.apple.hls.chapters, of a film that begins at `zero` in the master's time and lasts `length`, microseconds; the
 * caller's.  NULL: there are none. */
json_t *chapters_of(const struct source_info *, int64_t zero, int64_t length);

/* Writes both files. */
int chapters_write(const json_t *chapters, const char *folder, struct fault *);

#endif
