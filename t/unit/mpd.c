/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The MPD's values, reader, writer and localisation.
 */
#include "t/lib/unit.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dash/mpd.h"
#include "dash/mpd_values.h"

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\""

static struct mpd *read_text(const char *text)
{
	struct mpd *mpd = NULL;
	struct fault f = {0};
	int e = mpd_read(text, strlen(text), "x.mpd", &mpd, &f);

	cr_assert(e == 0, "mpd_read: %s", f.text);
	return mpd;
}

static void check_fault(const char *text, int code, const char *words)
{
	struct mpd *mpd = NULL;
	struct fault f = {0};

	CHECK_INT(mpd_read(text, strlen(text), "x.mpd", &mpd, &f), code);
	CHECK(mpd == NULL);
	CHECK_HAS(f.text, words);
}

static char *write_text(const struct mpd *mpd)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	CHECK_INT(mpd_write(mpd, &out), 0);
	return buf_take(&out);
}

static struct mpd *make_on_demand(void)
{
	struct mpd *mpd = mpd_new();
	struct mpd_period *p;
	struct mpd_set *s;
	struct mpd_representation *r;

	mpd->profiles = mem_dup("urn:mpeg:dash:profile:isoff-on-demand:2011");
	mpd->title = mem_dup("A & <B> \"c\"");
	mpd->has_duration = true;
	mpd->duration = 634566667;
	mpd->min_buffer_time = 4 * DUR_S;
	p = mpd_add_period(mpd);
	p->id = mem_dup("1");
	s = mpd_add_set(p);
	s->content_type = mem_dup("video");
	s->subsegment_alignment = true;
	s->subsegment_starts_with_sap = 1;
	s->common.mime_type = mem_dup("video/mp4");
	mpd_add_descriptor(&s->roles, "urn:mpeg:dash:role:2011", "main");
	r = mpd_add_representation(s);
	r->id = mem_dup("v1");
	r->bandwidth = 5800000;
	r->common.codecs = mem_dup("avc1.640028");
	r->common.width = 1920;
	r->common.height = 1080;
	r->common.frame_rate = (struct mpd_ratio){30000, 1001};
	r->common.sar = (struct mpd_ratio){1, 1};
	mpd_add_base_url(&r->base_urls, "video-1080p-5800k.mp4", NULL);
	r->segments.kind = MPD_SEGMENT_BASE;
	r->segments.has_timescale = r->segments.has_index_range = true;
	r->segments.timescale = 30000;
	r->segments.index_range = (struct mpd_range){900, 1499};
	r->segments.index_range_exact = true;
	r->segments.initialization.present = r->segments.initialization.has_range = true;
	r->segments.initialization.range = (struct mpd_range){0, 899};
	return mpd;
}

static const char on_demand[] =
	HEAD " profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\" type=\"static\""
	" mediaPresentationDuration=\"PT10M34.566667S\" minBufferTime=\"PT4S\">\n"
	"  <ProgramInformation>\n"
	"    <Title>A &amp; &lt;B&gt; &quot;c&quot;</Title>\n"
	"  </ProgramInformation>\n"
	"  <Period id=\"1\">\n"
	"    <AdaptationSet contentType=\"video\" subsegmentAlignment=\"true\" subsegmentStartsWithSAP=\"1\" mimeType=\"video/mp4\">\n"
	"      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n"
	"      <Representation id=\"v1\" bandwidth=\"5800000\" width=\"1920\" height=\"1080\" sar=\"1:1\""
	" frameRate=\"30000/1001\" codecs=\"avc1.640028\">\n"
	"        <BaseURL>video-1080p-5800k.mp4</BaseURL>\n"
	"        <SegmentBase timescale=\"30000\" indexRange=\"900-1499\" indexRangeExact=\"true\">\n"
	"          <Initialization range=\"0-899\"/>\n"
	"        </SegmentBase>\n"
	"      </Representation>\n"
	"    </AdaptationSet>\n"
	"  </Period>\n"
	"</MPD>\n";

Test(mpd, writes_the_golden_text)
{
	struct mpd *mpd = make_on_demand();
	char *got = write_text(mpd);

	CHECK_STR(got, on_demand);
	free(got);
	mpd_free(&mpd);
	CHECK(mpd == NULL);
}

Test(mpd, reads_what_it_writes)
{
	struct mpd *mpd = read_text(on_demand);
	char *got = write_text(mpd);

	CHECK_STR(mpd->title, "A & <B> \"c\"");
	CHECK_INT(mpd->duration, 634566667);
	CHECK_INT(mpd->periods[0].sets[0].representations[0].line, 9);
	CHECK_STR(got, on_demand);
	free(got);
	mpd_free(&mpd);
}

Test(mpd, replaces_bytes_that_are_not_xml)
{
	struct mpd *mpd = mpd_new();
	char *got;

	mpd->title = mem_dup("a\x01" "b\xff" "c\xc3\xa9");
	got = write_text(mpd);
	CHECK_HAS(got, "<Title>a\xef\xbf\xbd" "b\xef\xbf\xbd" "c\xc3\xa9</Title>");
	free(got);
	mpd_free(&mpd);
}

Test(mpd, reads_every_kind_of_attribute)
{
	struct mpd *mpd = read_text(
		HEAD " xmlns:xlink=\"http://www.w3.org/1999/xlink\" xmlns:x=\"urn:x\" type=\"dynamic\""
		" availabilityStartTime=\"2026-01-01T01:00:00.25+01:00\" minimumUpdatePeriod=\"PT2S\" x:type=\"odd\">"
		"<x:Period/><BaseURL serviceLocation=\"a\" availabilityTimeOffset=\"INF\"> http://a/ </BaseURL>"
		"<Period xlink:href=\"p.xml\" start=\"PT0S\"><AdaptationSet segmentAlignment=\"2\" par=\"16:9\">"
		"<ContentComponent contentType=\"audio\"/>"
		"<SegmentTemplate timescale=\"48000\" presentationTimeOffset=\"9223372036854775807\" eptDelta=\"-5\">"
		"<SegmentTimeline><S t=\"1\" d=\"2\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>"
		"<SegmentBase timescale=\"7\"/>"
		"<Representation id=\"a\" bandwidth=\" 1 \" frameRate=\"29.97\" audioSamplingRate=\"24000 48000\" startWithSAP=\"1\"/>"
		"</AdaptationSet></Period></MPD>");
	const struct mpd_set *set = &mpd->periods[0].sets[0];
	const struct mpd_common *c = &set->representations[0].common;

	CHECK(mpd->dynamic);
	CHECK_INT(mpd->availability_start, 1767225600250000);
	CHECK_INT(mpd->n_periods, 1);
	CHECK_STR(mpd->base_urls.v[0].url, "http://a/");
	CHECK(isinf(mpd->base_urls.v[0].availability_offset));
	CHECK_STR(mpd->periods[0].xlink_href, "p.xml");
	CHECK_STR(set->content_type, "audio");
	CHECK(set->segment_alignment);
	CHECK_INT(set->segments.kind, MPD_SEGMENT_TEMPLATE);
	CHECK_INT(set->segments.timescale, 48000);
	CHECK(set->segments.pto == INT64_MAX);
	CHECK_INT(set->segments.ept_delta, -5);
	CHECK_INT(set->segments.timeline[0].r, -1);
	CHECK_INT(c->frame_rate.num, 2997);
	CHECK_INT(c->frame_rate.den, 100);
	CHECK_INT(c->audio_sampling_rate, 48000);
	CHECK_INT(c->start_with_sap, 1);
	mpd_free(&mpd);
}

Test(mpd, says_where_a_value_is_wrong)
{
	check_fault(HEAD ">\n <Period>\n  <AdaptationSet width=\"12a\"/></Period></MPD>", ERR_SYNTAX,
	            "x.mpd:4:25: AdaptationSet@width \"12a\" cannot be parsed, expected a whole number");
	check_fault(HEAD " type=\"live\"></MPD>", ERR_SYNTAX, "x.mpd:2:50: MPD@type \"live\"");
	check_fault(HEAD "><Period start=\"5\"/></MPD>", ERR_SYNTAX, "PT1H2M3.5S");
	check_fault("", ERR_SYNTAX, "x.mpd: is empty");
	check_fault("<a/>", ERR_SYNTAX, "x.mpd:1:1: the root element is <a>");
	check_fault(HEAD "><Period></MPD>", ERR_SYNTAX, "x.mpd:2:");
}

Test(mpd, refuses_a_doctype)
{
	check_fault("<!DOCTYPE MPD [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]>"
	            "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" id=\"&b;\"/>",
	            ERR_SYNTAX, "document type declaration");
	check_fault("<!DOCTYPE MPD SYSTEM \"file:///etc/passwd\"><MPD/>", ERR_SYNTAX, "document type declaration");
}

Test(mpd, bounds_size_and_depth)
{
	struct buf deep;
	struct mpd *mpd = NULL;
	struct fault f = {0};
	char *big = mem_new(MPD_MAX_BYTES + 1);

	CHECK_INT(mpd_read(big, MPD_MAX_BYTES + 1, "x.mpd", &mpd, &f), ERR_LIMIT);
	free(big);
	buf_init(&deep, MPD_MAX_BYTES);
	buf_puts(&deep, "<MPD>");
	for (int i = 0; i < 100000; i++)
		buf_puts(&deep, "<Period>");
	CHECK(mpd_read(deep.bytes, deep.size, "x.mpd", &mpd, &f) < 0);
	buf_clear(&deep);
	buf_puts(&deep, "<MPD>");
	for (int i = 0; i < 1500000; i++)
		buf_puts(&deep, "<Period/>");
	buf_puts(&deep, "</MPD>");
	CHECK_INT(mpd_read(deep.bytes, deep.size, "x.mpd", &mpd, &f), ERR_LIMIT);
	buf_fini(&deep);
}

static void check_localised(const char *in, const char *want)
{
	const struct mpd_place places[] = {{"http://a/?x=1&y=2", "edge-a"}, {"http://o/", "origin"}};
	struct buf out;
	struct fault f = {0};

	buf_init(&out, 1 << 16);
	CHECK_INT(mpd_localise(in, strlen(in), places, 2, &out, &f), 0);
	CHECK_STR(buf_text(&out), want);
	buf_fini(&out);
}

Test(mpd, localises_and_leaves_the_rest)
{
	check_localised(
		HEAD " xmlns:x=\"urn:x\">\n  <!-- c -->\n  <ProgramInformation/>\n  <BaseURL>old/</BaseURL>\n"
		     "  <x:y z=\"1\"/>\n  <Period><AdaptationSet><BaseURL>keep</BaseURL></AdaptationSet></Period>\n</MPD>\n",
		HEAD " xmlns:x=\"urn:x\">\n  <!-- c -->\n  <ProgramInformation/>\n"
		     "  <BaseURL serviceLocation=\"edge-a\">http://a/?x=1&amp;y=2</BaseURL>\n"
		     "  <BaseURL serviceLocation=\"origin\">http://o/</BaseURL>\n"
		     "  <x:y z=\"1\"/>\n  <Period><AdaptationSet><BaseURL>keep</BaseURL></AdaptationSet></Period>\n</MPD>\n");
	check_localised("<m:MPD xmlns:m=\"urn:mpeg:dash:schema:mpd:2011\">\n  <m:Period/>\n</m:MPD>",
	                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	                "<m:MPD xmlns:m=\"urn:mpeg:dash:schema:mpd:2011\">\n"
	                "  <m:BaseURL serviceLocation=\"edge-a\">http://a/?x=1&amp;y=2</m:BaseURL>\n"
	                "  <m:BaseURL serviceLocation=\"origin\">http://o/</m:BaseURL>\n"
	                "  <m:Period/>\n</m:MPD>\n");
}

/* All places, not the first alone: players that take defaultServiceLocation for what there is would have nowhere else to go. */
Test(mpd, steering_names_every_place_as_a_default)
{
	const struct mpd_place places[] = {{"http://a/", "a"}, {"http://b/", "b"}, {"http://o/", "origin"}};
	struct buf out;
	struct fault f = {0};

	buf_init(&out, 1 << 16);
	CHECK_INT(mpd_localise_steered(HEAD "><Period/></MPD>", strlen(HEAD "><Period/></MPD>"), places, 3, "http://s/steer?a=1&b=2", &out, &f), 0);
	CHECK(strstr(buf_text(&out), "<ContentSteering defaultServiceLocation=\"a b origin\">http://s/steer?a=1&amp;b=2</ContentSteering>") != NULL);
	buf_fini(&out);
}

Test(mpd, localise_refuses_strangers)
{
	struct buf out;
	struct fault f = {0};

	buf_init(&out, 1 << 16);
	CHECK_INT(mpd_localise("<html/>", 7, NULL, 0, &out, &f), ERR_SYNTAX);
	CHECK_INT(mpd_localise("<!DOCTYPE MPD []><MPD/>", 23, NULL, 0, &out, &f), ERR_SYNTAX);
	CHECK_INT(mpd_localise("<MPD", 4, NULL, 0, &out, &f), ERR_SYNTAX);
	CHECK_INT(out.size, 0);
	buf_fini(&out);
}

Test(mpd_values, durations)
{
	static const struct {
		const char *text;
		dur_us want; /* -1: an error */
	} rows[] = {
		{"PT0S", 0}, {"PT1H2M3.5S", 3723500000}, {"P1DT1S", 86401 * DUR_S}, {"P0Y0M0DT0H0M1.000S", DUR_S},
		{"P1M", 30 * 86400 * DUR_S}, {"PT0.0000005S", 1}, {"PT1.9999999S", 2 * DUR_S}, {" PT5M ", 300 * DUR_S},
		{"", -1}, {"P", -1}, {"PT", -1}, {"P1DT", -1}, {"PT1", -1}, {"1S", -1}, {"PT1S1M", -1}, {"PT1.5M", -1},
		{"-PT1S", -1}, {"PT1.S", -1}, {"P1S", -1}, {"PT99999999999999999999S", -1}, {"P9999999999999Y", -1},
		{"PT9223372036853S", -1}, {"PT600000000000S", -1}, {"PT500000000000S", 500000000000 * DUR_S},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		dur_us d = -1;
		int e = mpd_value_duration(rows[i].text, strlen(rows[i].text), &d);

		cr_assert(d == rows[i].want && (e == 0) == (d >= 0), "\"%s\" is %lld", rows[i].text, (long long)d);
	}
}

Test(mpd_values, durations_written)
{
	static const struct {
		dur_us d;
		const char *want;
	} rows[] = {{0, "PT0S"}, {500000, "PT0.5S"}, {60 * DUR_S, "PT1M"}, {3600 * DUR_S, "PT1H"},
	            {3723500001, "PT1H2M3.500001S"}, {61 * DUR_S, "PT1M1S"}, {3600500000, "PT1H0.5S"}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[MPD_VALUE_SIZE];

		mpd_value_from_duration(rows[i].d, text);
		CHECK_STR(text, rows[i].want);
	}
}

Test(mpd_values, dates)
{
	wall_us t;
	char text[MPD_VALUE_SIZE];

	CHECK_INT(mpd_value_date("1970-01-01T00:00:00Z", 20, &t), 0);
	CHECK_INT(t, 0);
	CHECK_INT(mpd_value_date("1969-12-31T23:59:59.5", 21, &t), 0);
	CHECK_INT(t, -500000);
	mpd_value_from_date(t, text);
	CHECK_STR(text, "1969-12-31T23:59:59.5Z");
	CHECK_INT(mpd_value_date("0349-01-01T00:00:00Z", 20, &t), 0);
	mpd_value_from_date(t, text);
	CHECK_STR(text, "0349-01-01T00:00:00Z");
	CHECK(mpd_value_date("0001-01-01T00:00:00+01:00", 25, &t) < 0);
	CHECK(mpd_value_date("2026-13-01T00:00:00Z", 20, &t) < 0);
	CHECK(mpd_value_date("2026-01-00T00:00:00Z", 20, &t) < 0);
	CHECK(mpd_value_date("2026-01-01 00:00:00Z", 20, &t) < 0);
	CHECK(mpd_value_date("2026-01-01", 10, &t) < 0);
	CHECK(mpd_value_date("2026-01-01T00:00:00.Z", 21, &t) < 0);
}

Test(mpd_values, numbers)
{
	uint64_t v = 7;
	bool b = false;

	CHECK_INT(mpd_value_uint(" +20.0 ", 7, 20, &v), 0);
	CHECK_INT(v, 20);
	CHECK(mpd_value_uint("20.5", 4, 100, &v) < 0);
	CHECK(mpd_value_uint("20.", 3, 100, &v) < 0);
	CHECK(mpd_value_uint(".0", 2, 100, &v) < 0);
	CHECK(mpd_value_uint("-1", 2, 100, &v) < 0);
	CHECK_INT(mpd_value_uint("21", 2, 20, &v), ERR_OUT_OF_RANGE);
	CHECK_INT(mpd_value_bool("True", 4, &b), 0);
	CHECK(b);
	CHECK(mpd_value_bool("yes", 3, &b) < 0);
}

Test(mpd_values, ranges_and_ratios)
{
	struct mpd_range range = {0};
	struct mpd_ratio ratio = {0};
	char text[MPD_VALUE_SIZE];

	CHECK_INT(mpd_value_range("5-9", 3, &range), 0);
	CHECK_INT(range.first, 5);
	CHECK_INT(range.last, 9);
	CHECK_INT(mpd_value_range("5-", 2, &range), 0);
	CHECK(range.last == UINT64_MAX);
	CHECK(mpd_value_range("9-5", 3, &range) < 0);
	CHECK(mpd_value_range("-5", 2, &range) < 0);
	CHECK_INT(mpd_value_range("5", 1, &range), 0);
	CHECK_INT(range.first, 5);
	CHECK(mpd_value_range("", 0, &range) < 0);
	CHECK(mpd_value_ratio("1/0", 3, &ratio) < 0);
	CHECK(mpd_value_ratio("a", 1, &ratio) < 0);
	CHECK_INT(mpd_value_ratio("25", 2, &ratio), 0);
	CHECK_INT(ratio.den, 1);
	mpd_value_from_double(-0.25, text);
	CHECK_STR(text, "-0.25");
	mpd_value_from_double(INFINITY, text);
	CHECK_STR(text, "INF");
}
