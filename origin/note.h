/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small JSON files in which the origin notes the state of a piece of work, so
 * that it can be gone on with after a crash.  Any thread.
 */
#ifndef RIBERA_ORIGIN_NOTE_H
#define RIBERA_ORIGIN_NOTE_H

#include <jansson.h>

#include "base/err.h"
#include "base/sha256.h"

#define NOTE_MAX ((size_t)64 << 10)

/* Takes `o`.  Replaces the file as a whole; on the disk when it returns 0.
 * -errno; `what` ("upload") stands before the path in the fault. */
int note_save(const char *path, json_t *o, const char *what, struct fault *);
/* NULL: there is none, or it is larger than NOTE_MAX, or no object. */
json_t *note_load(const char *path);
/* A copy of the text, to be freed; NULL: it is not there or no text. */
char *note_text(const json_t *o, const char *key);
/* The 64 hex digits of a SHA-256; false: it is not there or none. */
bool note_hash(const json_t *o, const char *key, struct sha256 *ret_hash);

#endif
