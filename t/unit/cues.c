/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles: WebVTT and TTML as text, and in a track of our own writing.
 */
#include "t/lib/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "player/cues.h"

static void check_cue(const struct cues *c, size_t i, dur_us start, dur_us end, const char *text)
{
	cr_assert(i < c->n, "cue %zu of %zu", i, c->n);
	CHECK_INT(c->v[i].start, start);
	CHECK_INT(c->v[i].end, end);
	CHECK_STR(c->v[i].text, text);
}

Test(cues, reads_webvtt)
{
	static const char text[] = "\xef\xbb\xbfWEBVTT - a title\r\n\r\nNOTE nothing\r\n\r\nid-1\r\n00:01.500 --> 00:03.000 line:0\r\n"
	                           "Hello <i>you</i> &amp; <c.yellow>them</c>\r\nsecond {line} a\\b\r\n\r\n"
	                           "1:00:00.000 --> 1:00:01.000\n<b>late</b>\n\nbad --> worse\nnothing\n\n00:00:05.000 --> 00:00:04.000\nbackwards\n";
	struct cues c = {0};
	char out[200];

	CHECK_INT(cues_from_vtt(text, sizeof text - 1, DUR_S, &c, NULL), 0);
	CHECK_INT(c.n, 2);
	check_cue(&c, 0, 2500000, 4000000, "Hello {\\i1}you{\\i0} & them\\Nsecond (line) a\xe2\x88\x96" "b");
	check_cue(&c, 1, 3601 * DUR_S, 3602 * DUR_S, "{\\b1}late{\\b0}");
	CHECK_INT(cues_from_vtt(text, sizeof text - 1, DUR_S, &c, NULL), 0);
	CHECK_INT(c.n, 2); /* once is enough */
	cues_at(&c, 3 * DUR_S, out, sizeof out);
	CHECK_HAS(out, "Hello");
	cues_at(&c, 4 * DUR_S, out, sizeof out);
	CHECK_STR(out, "");
	cues_free(&c);
	CHECK_INT(cues_from_vtt("1\n00:00", 7, 0, &c, NULL), ERR_SYNTAX);
}

#define TT "<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:tts=\"http://www.w3.org/ns/ttml#styling\" xmlns:ttp=\"http://www.w3.org/ns/ttml#parameter\" " \
	   "ttp:frameRate=\"25\" ttp:tickRate=\"10\">"

Test(cues, reads_ttml)
{
	static const char text[] = TT "<head><styling><style xml:id=\"y\" tts:color=\"yellow\"/></styling></head>"
		"<body><div begin=\"10s\"><p begin=\"00:00:01.5\" end=\"00:00:02:05\">plain\n   text<br/>two</p>"
		"<p begin=\"30t\" dur=\"1s\" style=\"y\">all <span tts:color=\"#FF0000\" tts:fontStyle=\"italic\">red</span> x</p><p begin=\"100s\" end=\"1s\">never</p></div></body></tt>";
	struct cues c = {0};
	struct fault f = {0};

	cr_assert(cues_from_ttml(text, sizeof text - 1, 0, &c, &f) == 0, "%s", f.text);
	CHECK_INT(c.n, 2);
	check_cue(&c, 0, 11500000, 12200000, "plain text\\Ntwo");
	check_cue(&c, 1, 13 * DUR_S, 14 * DUR_S, "{\\c&H00FFFF&}all {\\c&H0000FF&}{\\i1}red{\\r}{\\c&H00FFFF&} x");
	cues_free(&c);
	CHECK_INT(cues_from_ttml("<x/>", 4, 0, &c, &f), ERR_SYNTAX);
	CHECK_INT(cues_from_ttml("<tt", 3, 0, &c, &f), ERR_SYNTAX);
	CHECK_INT(c.n, 0);
}

Test(cues, are_bounded)
{
	struct cues c = {0};
	struct buf text;
	char out[40];

	buf_init(&text, 1 << 20);
	buf_puts(&text, "WEBVTT\n\n00:00.000 --> 00:01.000\n");
	for (int i = 0; i < 10000; i++)
		buf_puts(&text, "x");
	CHECK_INT(cues_from_vtt(buf_text(&text), text.size, 0, &c, NULL), 0);
	CHECK_INT(c.n, 0);
	cues_add(&c, 0, 10, strdup("0123456789012345678901234567890"));
	cues_add(&c, 1, 10, strdup("too much for the room"));
	cues_at(&c, 5, out, sizeof out);
	CHECK_STR(out, "0123456789012345678901234567890");
	cues_free(&c);
	buf_fini(&text);
}
