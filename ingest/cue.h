/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles as WebVTT (W3C, 4 April 2019): the text of a cue out of what decoders give,
 * and a file out of cues.  Pure.
 */
#ifndef RIBERA_INGEST_CUE_H
#define RIBERA_INGEST_CUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define CUE_OPEN INT64_MAX     /* an end that is not known */
#define CUE_SETTINGS_SIZE 96

struct cue {
	int64_t start, end;    /* microseconds; end may be CUE_OPEN */
	char *text;            /* WebVTT cue text, owned by whoever owns the cue */
	char settings[CUE_SETTINGS_SIZE]; /* "" or "line:0 align:start" */
};

/* A line of ASS dialogue (without its fields: the text alone): bold, italics, underline and the place stay.
 * Appends to `out`; nothing visible gives nothing. */
void cue_from_ass(const char *ass, char ret_settings[static CUE_SETTINGS_SIZE], struct buf *out);

/* WebVTT cue text as a master holds it: what would end the cue or the file early is taken out. */
void cue_from_vtt(const char *text, size_t n, struct buf *out);

/* WebVTT cue settings that we keep: those that need no REGION block. */
void cue_settings(const char *text, size_t n, char ret_settings[static CUE_SETTINGS_SIZE]);

/* Sorts, moves all by -`zero`, cuts to 0 ... `length` (microseconds), gives open ends an end, drops what is
 * outside and what stands twice; *ret_outside counts the cues that lay outside.  Returns how many are left, at
 * the front; the others' text is freed. */
size_t cue_arrange(struct cue *, size_t n, int64_t zero, int64_t length, size_t *ret_outside);

/* The file.  The buffer's errors. */
int cue_write(const struct cue *, size_t n, struct buf *out);

#endif
