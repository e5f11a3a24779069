/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles as ingest makes them: text of a master (WebVTT, or a line of ASS) becomes
 * the text of a cue, and no text can end its cue or begin another in the file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "ingest/cue.h"

#define LENGTH 10000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *buf_bytes(const struct buf *b)
{
	return b->size > 0 ? (const char *)b->bytes : ""; /* memmem takes no NULL */
}

static size_t count(const char *text, size_t n, const char *part)
{
	size_t found = 0, k = strlen(part);

	for (const char *at = text; (at = memmem(at, (size_t)(text + n - at), part, k)) != NULL; at += k)
		found++;
	return found;
}

static void check_file(struct cue *cues, size_t n)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 24);
	MUST(cue_write(cues, n, &out) == 0);
	MUST(out.size >= 7 && memcmp(out.bytes, "WEBVTT\n", 7) == 0);
	MUST(count((const char *)out.bytes, out.size, "-->") == n);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cue cues[2] = {{.start = 5, .end = CUE_OPEN}, {.start = 1, .end = LENGTH * 2}};
	char *text = mem_dup_n((const char *)data, n);
	struct buf ass, vtt;
	size_t outside = 0, left = 0;

	buf_init(&ass, (size_t)1 << 24);
	buf_init(&vtt, (size_t)1 << 24);
	cue_from_ass(text, cues[0].settings, &ass);
	cue_from_vtt((const char *)data, n, &vtt);
	cue_settings((const char *)data, n, cues[1].settings);
	for (int i = 0; i < 2; i++) {
		const struct buf *b = i == 0 ? &ass : &vtt;

		MUST(strlen(cues[i].settings) < CUE_SETTINGS_SIZE && strpbrk(cues[i].settings, "\r\n") == NULL);
		MUST(count(buf_bytes(b), b->size, "-->") == 0 && count(buf_bytes(b), b->size, "\n\n") == 0);
		cues[left] = cues[i];
		cues[left].text = mem_dup_n(buf_bytes(b), b->size);
		left += b->size > 0 ? 1 : (free(cues[left].text), 0);
	}
	left = cue_arrange(cues, left, 0, LENGTH, &outside);
	for (size_t i = 0; i < left; i++)
		MUST(cues[i].start >= 0 && cues[i].end <= LENGTH && cues[i].end > cues[i].start);
	check_file(cues, left);
	while (left > 0)
		free(cues[--left].text);
	buf_fini(&vtt);
	buf_fini(&ass);
	free(text);
	return 0;
}
