/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "t/lib/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ingest/cue.h"
#include "ingest/language.h"

static struct buf out;
static char settings[CUE_SETTINGS_SIZE];

static const char *ass(const char *text)
{
	buf_clear(&out);
	cue_from_ass(text, settings, &out);
	return buf_text(&out);
}

static const char *vtt(const char *text)
{
	buf_clear(&out);
	cue_from_vtt(text, strlen(text), &out);
	return buf_text(&out);
}

static void init(void)
{
	buf_init(&out, 1 << 20);
}

static void fini(void)
{
	buf_fini(&out);
}

TestSuite(captions, .init = init, .fini = fini);

Test(captions, ass_keeps_what_is_seen)
{
	cr_assert_str_eq(ass("one\\Ntwo"), "one\ntwo");
	cr_assert_str_eq(ass("{\\i1}a{\\i0} b"), "<i>a</i> b");
	cr_assert_str_eq(ass("{\\b1\\i1}a{\\b0}b"), "<b><i>a</i></b><i>b</i>");
	cr_assert_str_eq(ass("{\\b700}a{\\r}b{\\b400}c"), "<b>a</b>bc");
	cr_assert_str_eq(ass("{\\u1}left open"), "<u>left open</u>");
	cr_assert_str_eq(ass("1 < 2 & 3 --> 4"), "1 &lt; 2 &amp; 3 --&gt; 4");
	cr_assert_str_eq(ass("a\\hb\\nc"), "a b c");
	cr_assert_str_eq(ass("{\\pos(1,2)\\fad(1,1)\\c&HFFFFFF&}x{\\k20}y"), "xy");
	cr_assert_str_eq(ass("{\\p1}m 0 0 l 100 0{\\p0}x"), "x");
	cr_assert_str_eq(ass("{comment}x {open"), "x {open");
}

Test(captions, ass_never_ends_a_cue_early)
{
	cr_assert_str_eq(ass("a\\N\\N\\Nb\r\n\r\nc\\N"), "a\nb\nc");
	cr_assert_str_eq(ass("\\N{\\i1}\\Na"), "<i>a</i>");
	cr_assert_str_eq(ass(""), "");
	cr_assert_str_eq(ass("{\\i1}{\\an8}"), "");
}

Test(captions, ass_places)
{
	ass("{\\an8}top");
	cr_assert_str_eq(settings, "line:0");
	ass("{\\an1}left");
	cr_assert_str_eq(settings, "align:left");
	ass("{\\a11}middle right, as SSA counts");
	cr_assert_str_eq(settings, "line:50% align:right");
	ass("{\\an2}as ever");
	cr_assert_str_eq(settings, "");
	ass("{\\an99}{\\a44}none");
	cr_assert_str_eq(settings, "");
}

Test(captions, vtt_stays)
{
	cr_assert_str_eq(vtt("<v Ann>Hi &amp; <c.red>bye</c>"), "<v Ann>Hi &amp; <c.red>bye</c>");
	cr_assert_str_eq(vtt("\r\na\r\n\r\n\nb --> c\n"), "a\nb --&gt; c");
}

Test(captions, settings_are_only_those_known)
{
	static const char evil[] = "line:0 region:r1 size:50%\talign:start -->x line:0\n\nNOTE position:10%,line-left";

	cue_settings(evil, strlen(evil), settings);
	cr_assert_str_eq(settings, "line:0 size:50% align:start position:10%,line-left");
}

static struct cue cue(int64_t start, int64_t end, const char *text)
{
	return (struct cue){.start = start, .end = end, .text = mem_dup(text)};
}

Test(captions, arranged_within_the_film)
{
	struct cue c[] = {cue(9000000, 12000000, "cut at the end"), cue(1000000, 3000000, "begins before"), cue(5000000, CUE_OPEN, "open"),
	                  cue(20000000, 21000000, "behind"), cue(6000000, 7000000, "twice"), cue(6000000, 7000000, "twice"), cue(0, 2000000, "gone"),
	                  cue(8000000, 8000400, "less than a millisecond")};
	size_t outside, n = cue_arrange(c, sizeof c / sizeof c[0], 2000000, 8000000, &outside);

	cr_assert_eq(n, 4);
	cr_assert_eq(outside, 3);
	buf_clear(&out);
	cr_assert_eq(cue_write(c, n, &out), 0);
	cr_assert_str_eq(buf_text(&out), "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n"
	                                 "\n1\n00:00:00.000 --> 00:00:01.000\nbegins before\n"
	                                 "\n2\n00:00:03.000 --> 00:00:04.000\nopen\n"
	                                 "\n3\n00:00:04.000 --> 00:00:05.000\ntwice\n"
	                                 "\n4\n00:00:07.000 --> 00:00:08.000\ncut at the end\n");
	for (size_t i = 0; i < n; i++)
		free(c[i].text);
}

Test(captions, languages)
{
	char tag[LANGUAGE_SIZE];
	static const char *const pairs[][2] = {{"eng", "en"}, {"ger", "de"}, {"deu", "de"}, {"pt-BR", "pt-BR"}, {"EN", "en"}, {"und", "und"}, {"zxx", "und"},
	                                       {"", "und"}, {"x", "und"}, {"en_US", "und"}, {"../..", "und"}, {"tlh", "tlh"}, {"zho-Hant-TW", "zh-Hant-TW"}};

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		language_tag(pairs[i][0], tag);
		cr_assert_str_eq(tag, pairs[i][1], "%s gives %s", pairs[i][0], tag);
	}
	cr_assert_str_eq(language_name("es-MX"), "Español");
	cr_assert_null(language_name("tlh"));
}
