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

/* All that is shown at t. */
static const char *said(const struct cues *c, dur_us t)
{
	static char out[500];
	struct cues_shown s;

	cues_at(c, t, &s);
	cues_join(&s, out, sizeof out);
	return out;
}

/* Cue i stands here, in percent. */
static void check_place(const struct cues *c, size_t i, int left, int width, int align, int line, int row, int y, int edge)
{
	const struct cue_place *p = &c->v[i].place;

	cr_assert(p->set, "cue %zu has no place", i);
	CHECK_INT((int)(p->left * 100 + 0.5f), left);
	CHECK_INT((int)(p->width * 100 + 0.5f), width);
	CHECK_INT(p->align, align);
	CHECK_INT(p->line, line);
	CHECK_INT(p->row, row);
	CHECK_INT((int)(p->y * 100 + 0.5f), y);
	CHECK_INT(p->edge, edge);
}

Test(cues, stand_where_webvtt_says)
{
	static const struct {
		const char *settings;
		int left, width, align, line, row, y, edge;
	} rows[] = {
		{"line:0", 0, 100, 0, CUE_LINE_ROW, 0, 0, -1},
		{"line:-2 align:start", 0, 100, -1, CUE_LINE_ROW, -2, 0, -1},
		{"line:90%,end position:50% size:40%", 30, 40, 0, CUE_LINE_PART, 0, 90, 1},
		{"line:50%,center align:end", 0, 100, 1, CUE_LINE_PART, 0, 50, 0},
		{"position:10%,line-left align:left size:35%", 10, 35, -1, CUE_LINE_AUTO, 0, 0, -1},
		{"position:80%,line-right size:90% align:right", 0, 80, 1, CUE_LINE_AUTO, 0, 0, -1},
		{"position:20% size:100%", 0, 40, 0, CUE_LINE_AUTO, 0, 0, -1},
		{"align:middle", 0, 100, 0, CUE_LINE_AUTO, 0, 0, -1},
		{"line:1 line:5000 line:3%,nowhere line:900%", 0, 100, 0, CUE_LINE_PART, 0, 3, -1},
		{"  size:50%\tline:200% position:-3% align:start", 0, 50, -1, CUE_LINE_AUTO, 0, 0, -1}, /* what is wrong is passed over */
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[200];
		struct cues c = {0};

		snprintf(text, sizeof text, "WEBVTT\n\n00:01.000 --> 00:02.000 %s\nx\n", rows[i].settings);
		CHECK_INT(cues_from_vtt(text, strlen(text), 0, &c, NULL), 0);
		CHECK_INT(c.n, 1);
		check_place(&c, 0, rows[i].left, rows[i].width, rows[i].align, rows[i].line, rows[i].row, rows[i].y, rows[i].edge);
		cues_free(&c);
	}
}

Test(cues, go_on_over_samples_and_segments)
{
	static const struct cue_place top = {.set = true, .width = 1, .line = CUE_LINE_ROW};
	struct cues c = {0};
	struct cues_shown s;

	cues_add(&c, 2, 4, strdup("a"), NULL);
	cues_add(&c, 2, 6, strdup("b"), NULL);
	cues_add(&c, 2, 6, strdup("up"), &top);
	cues_add(&c, 4, 8, strdup("a"), NULL);   /* goes on */
	cues_add(&c, 0, 2, strdup("a"), NULL);   /* as after a step back */
	cues_add(&c, 9, 10, strdup("a"), NULL);  /* another one */
	cues_add(&c, 6, 7, strdup("up"), NULL);  /* elsewhere */
	CHECK_INT(c.n, 5);
	check_cue(&c, 0, 0, 8, "a");
	check_cue(&c, 1, 2, 6, "b");
	CHECK_STR(said(&c, 1), "a");
	CHECK_STR(said(&c, 3), "a\\N{\\r}b\\N{\\r}up");
	CHECK_STR(said(&c, 6), "a\\N{\\r}up");
	CHECK_STR(said(&c, 8), "");
	cues_at(&c, 3, &s);
	CHECK_INT(s.n, 2);
	CHECK_STR(s.text + s.v[0].at, "a\\N{\\r}b");
	CHECK_STR(s.text + s.v[1].at, "up");
	CHECK(s.v[1].place.set);
	cues_free(&c);
}

Test(cues, reads_webvtt)
{
	static const char text[] = "\xef\xbb\xbfWEBVTT - a title\r\n\r\nNOTE nothing\r\n\r\nid-1\r\n00:01.500 --> 00:03.000 line:0\r\n"
	                           "Hello <i>you</i> &amp; <c.yellow>them</c>\r\nsecond {line} a\\b\r\n\r\n"
	                           "1:00:00.000 --> 1:00:01.000\n<b>late</b>\n\nbad --> worse\nnothing\n\n00:00:05.000 --> 00:00:04.000\nbackwards\n";
	struct cues c = {0};

	CHECK_INT(cues_from_vtt(text, sizeof text - 1, DUR_S, &c, NULL), 0);
	CHECK_INT(c.n, 2);
	check_cue(&c, 0, 2500000, 4000000, "Hello {\\i1}you{\\i0} & them\\Nsecond (line) a\xe2\x88\x96" "b");
	check_cue(&c, 1, 3601 * DUR_S, 3602 * DUR_S, "{\\b1}late{\\b0}");
	CHECK_INT(cues_from_vtt(text, sizeof text - 1, DUR_S, &c, NULL), 0);
	CHECK_INT(c.n, 2); /* once is enough */
	CHECK_HAS(said(&c, 3 * DUR_S), "Hello");
	CHECK_STR(said(&c, 4 * DUR_S), "");
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

Test(cues, stand_in_the_regions_of_ttml)
{
	static const char text[] = "<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:tts=\"http://www.w3.org/ns/ttml#styling\" xmlns:ttp=\"http://www.w3.org/ns/ttml#parameter\" "
		"tts:extent=\"1280px 720px\" ttp:cellResolution=\"40 20\"><head><styling><style xml:id=\"s\" tts:textAlign=\"center\" tts:color=\"red\"/>"
		"<style xml:id=\"t\" style=\"s\" tts:fontWeight=\"bold\"/></styling><layout>"
		"<region xml:id=\"low\" style=\"s\" tts:origin=\"10% 80%\" tts:extent=\"80% 15%\" tts:displayAlign=\"after\"/>"
		"<region xml:id=\"high\"><style tts:origin=\"128px 72px\"/><style tts:extent=\"640px 36px\"/></region>"
		"<region xml:id=\"cells\" tts:origin=\"4c 10c\" tts:extent=\"80c 2c\" tts:displayAlign=\"center\" tts:textAlign=\"end\"/></layout></head>"
		"<body region=\"low\"><div><p begin=\"1s\" end=\"2s\">a</p><p region=\"high\" begin=\"1s\" end=\"2s\" style=\"t\">b<br/>c</p></div>"
		"<div region=\"cells\"><p begin=\"1s\" end=\"2s\">d</p><p begin=\"1s\" end=\"2s\" tts:color=\"lime\">e</p></div></body></tt>";
	struct cues c = {0};
	struct cues_shown s;
	struct fault f = {0};

	cr_assert(cues_from_ttml(text, sizeof text - 1, 0, &c, &f) == 0, "%s", f.text);
	CHECK_INT(c.n, 4);
	check_cue(&c, 0, DUR_S, 2 * DUR_S, "{\\c&H0000FF&}a");
	check_place(&c, 0, 10, 80, 0, CUE_LINE_PART, 0, 95, 1);
	check_cue(&c, 1, DUR_S, 2 * DUR_S, "{\\c&H0000FF&}{\\b1}b\\Nc");
	check_place(&c, 1, 10, 50, 0, CUE_LINE_PART, 0, 10, -1);
	check_place(&c, 2, 10, 90, 1, CUE_LINE_PART, 0, 55, 0);
	cues_at(&c, DUR_S, &s);
	CHECK_INT(s.n, 3);
	CHECK_STR(s.text + s.v[2].at, "d\\N{\\r}{\\c&H00FF00&}e");
	cues_free(&c);
}

Test(cues, are_bounded)
{
	struct cues c = {0};
	struct cues_shown shown;
	struct buf text;
	char out[40];

	buf_init(&text, 1 << 20);
	buf_puts(&text, "WEBVTT\n\n00:00.000 --> 00:01.000\n");
	for (int i = 0; i < 10000; i++)
		buf_puts(&text, "x");
	CHECK_INT(cues_from_vtt(buf_text(&text), text.size, 0, &c, NULL), 0);
	CHECK_INT(c.n, 0);
	cues_add(&c, 0, 10, strdup("0123456789012345678901234567890"), NULL);
	cues_add(&c, 1, 10, strdup("too much for the room"), &(struct cue_place){.set = true});
	cues_at(&c, 5, &shown);
	CHECK_INT(shown.n, 2);
	cues_join(&shown, out, sizeof out);
	CHECK_STR(out, "0123456789012345678901234567890");
	cues_free(&c);
	buf_fini(&text);
}

/* --- tracks of our own writing ------------------------------------------------------------- */

static size_t begin(struct buf *b, const char *type)
{
	size_t at = b->size;

	buf_append(b, "\0\0\0\0", 4);
	buf_append(b, type, 4);
	return at;
}

static void put32(struct buf *b, uint32_t v)
{
	const uint8_t p[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	buf_append(b, p, 4);
}

static void end(struct buf *b, size_t at)
{
	uint32_t n = (uint32_t)(b->size - at);

	for (int i = 0; i < 4; i++)
		b->bytes[at + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
}

static void put_zeros(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_append(b, "", 1);
}

/* A box of 32-bit words. */
static void words(struct buf *b, const char *type, size_t n, const uint32_t *v)
{
	size_t at = begin(b, type);

	for (size_t i = 0; i < n; i++)
		put32(b, v[i]);
	end(b, at);
}

/* The initialisation segment of track 7, timescale 1000, with a sample entry of that kind. */
static void put_init(struct buf *b, const char *entry)
{
	size_t moov = begin(b, "moov"), trak, mdia, minf, stbl, stsd, e;

	words(b, "mvhd", 25, (uint32_t[25]){0, 0, 0, 1000});
	trak = begin(b, "trak");
	words(b, "tkhd", 21, (uint32_t[21]){7, 0, 0, 7});
	mdia = begin(b, "mdia");
	words(b, "mdhd", 6, (uint32_t[6]){0, 0, 0, 1000});
	words(b, "hdlr", 7, (uint32_t[7]){0, 0, strcmp(entry, "wvtt") == 0 ? 0x74657874 : 0x73756274});
	minf = begin(b, "minf");
	stbl = begin(b, "stbl");
	stsd = begin(b, "stsd");
	put32(b, 0);
	put32(b, 1);
	e = begin(b, entry);
	put_zeros(b, 6);
	buf_append(b, "\0\1", 2);
	if (strcmp(entry, "wvtt") == 0) {
		size_t c = begin(b, "vttC");

		buf_puts(b, "WEBVTT");
		end(b, c);
	} else {
		buf_append(b, "http://www.w3.org/ns/ttml\0\0", 28);
	}
	end(b, e);
	end(b, stsd);
	words(b, "stts", 2, (uint32_t[2]){0});
	words(b, "stsc", 2, (uint32_t[2]){0});
	words(b, "stsz", 3, (uint32_t[3]){0});
	words(b, "stco", 2, (uint32_t[2]){0});
	end(b, stbl);
	end(b, minf);
	end(b, mdia);
	end(b, trak);
	e = begin(b, "mvex");
	words(b, "trex", 6, (uint32_t[6]){0, 7, 1});
	end(b, e);
	end(b, moov);
}

/* One fragment from track time `t`, samples of `duration` each. */
static void put_fragment(struct buf *b, uint32_t t, uint32_t duration, size_t n, const struct buf *samples)
{
	size_t moof = begin(b, "moof"), traf, trun, mdat;

	words(b, "mfhd", 2, (uint32_t[2]){0, 1});
	traf = begin(b, "traf");
	words(b, "tfhd", 3, (uint32_t[3]){0x020008, 7, duration}); /* default-base-is-moof, default duration */
	words(b, "tfdt", 2, (uint32_t[2]){0, t});
	trun = begin(b, "trun");
	put32(b, 0x000201); /* data offset, sizes */
	put32(b, (uint32_t)n);
	put32(b, (uint32_t)(b->size - moof + 4 + 4 * n + 8));
	for (size_t i = 0; i < n; i++)
		put32(b, (uint32_t)samples[i].size);
	end(b, trun);
	end(b, traf);
	end(b, moof);
	mdat = begin(b, "mdat");
	for (size_t i = 0; i < n; i++)
		buf_append(b, samples[i].bytes, samples[i].size);
	end(b, mdat);
}

static void put_cue(struct buf *b, const char *text)
{
	size_t vttc = begin(b, "vttc"), payl;

	words(b, "iden", 1, (uint32_t[1]){0x31323334});
	payl = begin(b, "payl");
	buf_append(b, text, strlen(text));
	end(b, payl);
	end(b, vttc);
}

Test(cues, reads_wvtt_in_fragments)
{
	struct buf init, body, v[3];
	struct cues c = {0};
	struct fault f = {0};

	buf_init(&init, 1 << 16);
	buf_init(&body, 1 << 16);
	for (int i = 0; i < 3; i++)
		buf_init(&v[i], 4096);
	put_init(&init, "wvtt");
	put_cue(&v[0], "one <b>bold</b>");
	words(&v[1], "vtte", 0, NULL);
	put_cue(&v[2], "two");
	put_cue(&v[2], "at once");
	put_fragment(&body, 5000, 2000, 3, v);
	put_fragment(&body, 20000, 500, 1, v);
	cr_assert(cues_from_mp4(init.bytes, init.size, body.bytes, body.size, 1 * DUR_S, &c, &f) == 0, "%s", f.text);
	CHECK_INT(c.n, 4);
	check_cue(&c, 0, 6 * DUR_S, 8 * DUR_S, "one {\\b1}bold{\\b0}");
	check_cue(&c, 1, 10 * DUR_S, 12 * DUR_S, "two");
	check_cue(&c, 2, 10 * DUR_S, 12 * DUR_S, "at once");
	check_cue(&c, 3, 21 * DUR_S, 21500 * DUR_MS, "one {\\b1}bold{\\b0}");
	/* cut anywhere, and with any byte wrong: no crash, and what comes is bounded */
	for (size_t n = 0; n < body.size; n++)
		cues_from_mp4(init.bytes, init.size, body.bytes, n, 0, &c, NULL);
	for (size_t n = 0; n < init.size; n++)
		cues_from_mp4(init.bytes, n, body.bytes, body.size, 0, &c, NULL);
	for (size_t i = 0; i < body.size; i++) {
		body.bytes[i] ^= 0xff;
		cues_from_mp4(init.bytes, init.size, body.bytes, body.size, 0, &c, NULL);
		body.bytes[i] ^= 0xff;
	}
	CHECK(c.n <= CUES_MAX);
	cues_free(&c);
	for (int i = 0; i < 3; i++)
		buf_fini(&v[i]);
	buf_fini(&init);
	buf_fini(&body);
}

Test(cues, go_down_stand_in_regions_and_begin_at_the_right)
{
	static const char vtt[] = "WEBVTT\n\nREGION\nid:a width:50%\nlines:2 regionanchor:0%,100%\nviewportanchor:25%,75% scroll:up\n\n"
		"00:00.000 --> 00:01.000 region:a position:100% align:right\nin\n\n00:01.000 --> 00:02.000 region:a line:0\nnot in\n\n00:02.000 --> 00:03.000 vertical:rl line:2\ndown\n\n"
		"00:03.000 --> 00:04.000 align:start\n<i>\xd7\x90\xd7\x91</i> x\n\n00:04.000 --> 00:05.000 align:start\n1 x \xd7\x90\n";
	static const char ttml[] = TT "<head><layout><region xml:id=\"r\" tts:origin=\"10% 20%\" tts:extent=\"30% 40%\" tts:writingMode=\"tblr\" tts:backgroundColor=\"rgba(1, 2,3,128)\"/></layout></head>"
		"<body><div><p begin=\"0s\" end=\"1s\" region=\"r\">a</p><p begin=\"1s\" end=\"2s\" tts:backgroundColor=\"#0102037f\" tts:direction=\"rtl\" tts:unicodeBidi=\"embed\">b<br/>c</p>"
		"<p begin=\"2s\" end=\"3s\" tts:backgroundColor=\"rgb(1,2,256)\" tts:color=\"rgba(1,2)\">d</p></div></body></tt>";
	struct cues c = {0};
	struct fault f = {0};

	cr_assert(cues_from_vtt(vtt, sizeof vtt - 1, 0, &c, &f) == 0, "%s", f.text);
	CHECK_INT(c.n, 5);
	check_place(&c, 0, 25, 50, 1, CUE_LINE_PART, 0, 75, 1);
	CHECK_INT(c.v[0].place.window_lines, 2);
	CHECK(c.v[0].place.window_anchor == 1);
	check_place(&c, 1, 0, 100, 0, CUE_LINE_ROW, 0, 0, -1);
	CHECK_INT(c.v[1].place.window_lines, 0);
	CHECK_INT(c.v[2].place.writing, CUE_DOWN_LEFT);
	check_place(&c, 3, 0, 100, 1, CUE_LINE_AUTO, 0, 0, -1);
	check_place(&c, 4, 0, 100, -1, CUE_LINE_AUTO, 0, 0, -1);
	cues_free(&c);
	cr_assert(cues_from_ttml(ttml, sizeof ttml - 1, 0, &c, &f) == 0, "%s", f.text);
	CHECK_INT(c.n, 3);
	check_place(&c, 0, 20, 40, -1, CUE_LINE_PART, 0, 10, -1);
	CHECK_INT(c.v[0].place.writing, CUE_DOWN_RIGHT);
	CHECK(c.v[0].place.framed && c.v[0].place.frame == 0x80010203);
	check_cue(&c, 1, DUR_S, 2 * DUR_S, "{\\3c&H030201&\\3a&H80&}\xe2\x80\x8f\xe2\x80\xab" "b\\N\xe2\x80\x8f" "c\xe2\x80\xac");
	CHECK(c.v[1].place.boxed && !c.v[1].place.set);
	check_cue(&c, 2, 2 * DUR_S, 3 * DUR_S, "d");
	cues_free(&c);
}

Test(cues, reads_stpp_in_fragments)
{
	static const char text[] = TT "<body><div><p begin=\"6s\" end=\"7s\" tts:color=\"#00FF00\">green</p></div></body></tt>";
	struct buf init, body, v;
	struct cues c = {0};
	struct fault f = {0};

	buf_init(&init, 1 << 16);
	buf_init(&body, 1 << 16);
	buf_init(&v, 4096);
	put_init(&init, "stpp");
	buf_append(&v, text, sizeof text - 1);
	put_fragment(&body, 5000, 4000, 1, &v);
	cr_assert(cues_from_mp4(init.bytes, init.size, body.bytes, body.size, 100 * DUR_S, &c, &f) == 0, "%s", f.text);
	CHECK_INT(c.n, 1);
	check_cue(&c, 0, 106 * DUR_S, 107 * DUR_S, "{\\c&H00FF00&}green");
	cues_free(&c);
	init.bytes[0] ^= 1;
	CHECK(cues_from_mp4(init.bytes, init.size, body.bytes, body.size, 0, &c, &f) < 0);
	buf_fini(&v);
	buf_fini(&init);
	buf_fini(&body);
}
