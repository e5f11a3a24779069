/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * x264 under a VBV gives other bits each time when several threads share one
 * encoder, so each has one thread, and the cores are filled by encoding chunks
 * side by side.
 */
#include "ingest/avc.h"
#include "ingest/options.h"

#include <stdio.h>
#include <string.h>

#include "ingest/quality.h"

/* --- bytes ------------------------------------------------------------------------------- */

static size_t next_start_code(const uint8_t *p, size_t n, size_t from)
{
	for (size_t i = from; i + 3 <= n; i++) {
		const uint8_t *one = memchr(p + i + 2, 1, n - i - 2);

		if (one == NULL)
			return n;
		i = (size_t)(one - p) - 2;
		if (p[i] == 0 && p[i + 1] == 0)
			return i;
	}
	return n;
}

/* SEI with the encoder's name and settings: once a rendition is enough (ISO/IEC 14496-10 D.1.6). */
static bool is_encoder_name(const uint8_t *nal, size_t n)
{
	return n > 2 && (nal[0] & 31) == 6 && nal[1] == 5;
}

/* ISO/IEC 14496-15 5.3.2: start codes (Annex B) become lengths of 4 bytes. */
static int pack(const AVPacket *packet, bool first_chunk, struct buf *out)
{
	const uint8_t *p = packet->data;
	size_t n = (size_t)packet->size, at = next_start_code(p, n, 0);

	buf_clear(out);
	while (at < n) {
		size_t start = at + 3, end = next_start_code(p, n, start);

		at = end;
		while (end > start && p[end - 1] == 0) /* trailing zeros and the long start code's first byte */
			end--;
		if (!first_chunk && is_encoder_name(p + start, end - start))
			continue;
		buf_be(out, end - start, 4);
		buf_append(out, p + start, end - start);
	}
	return buf_error(out);
}

/* --- the encoder ------------------------------------------------------------------------- */

static void configure(const struct coder_settings *s, AVCodecContext *c, AVDictionary **options)
{
	c->thread_count = 1;
	if (s->rung->crf > 0) {
		char crf[32];

		snprintf(crf, sizeof crf, "%.2f", s->rung->crf);
		options_set(options, "crf", crf);
	} else {
		c->bit_rate = (int64_t)s->rung->bitrate;
	}
	options_set(options, "profile", "high");
	options_set(options, "forced-idr", "1");
	if (s->measure)
		quality_listen();
	options_set(options, "x264-params", s->measure ? "open-gop=0:nal-hrd=none:" QUALITY_X264 : "open-gop=0:nal-hrd=none");
}

const struct coder avc_coder = {
	.library = "libx264",
	.short_name = "avc",
	.option = "--preset",
	.without = "",
	.reorders = true,
	.measures = true,
	.is_told_starts = true,
	.configure = configure,
	.pack = pack,
};
