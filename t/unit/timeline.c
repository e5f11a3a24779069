/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The timeline of an MPD, and reference resolution.
 */
#include "t/lib/unit.h"

#include <stdlib.h>

#include "base/buf.h"
#include "dash/timeline.h"
#include "dash/timeline_build.h"

#define NOW ((wall_us)1767225600 * DUR_S) /* 2026-01-01T00:00:00Z */

struct made {
	struct mpd *mpd;
	struct timeline *t;
	struct timeline_rendition *r; /* the first */
};

static int try_make(const char *attributes, const char *body, struct made *ret_made, struct fault *f)
{
	struct made m = {0};
	struct buf text;
	int e;

	buf_init(&text, 1 << 16);
	buf_printf(&text, "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" %s>%s</MPD>", attributes, body);
	e = mpd_read(text.bytes, text.size, "x.mpd", &m.mpd, f);
	buf_fini(&text);
	if (e != 0)
		return e;
	e = timeline_new(m.mpd, "http://h/d/x.mpd", NOW, &m.t, f);
	if (e != 0) {
		mpd_free(&m.mpd);
		return e;
	}
	if (m.t->n_periods > 0 && m.t->periods[0].n_tracks > 0)
		m.r = &m.t->periods[0].tracks[0].renditions[0];
	*ret_made = m;
	return 0;
}

static struct made make(const char *attributes, const char *body)
{
	struct fault f = {0};
	struct made m = {0};
	int e = try_make(attributes, body, &m, &f);

	cr_assert(e == 0, "%s", f.text);
	return m;
}

static void unmake(struct made *m)
{
	timeline_free(&m->t);
	mpd_free(&m->mpd);
}

static void check_refused(const char *attributes, const char *body, int code, const char *words)
{
	struct fault f = {0};
	struct made m;

	CHECK_INT(try_make(attributes, body, &m, &f), code);
	CHECK_HAS(f.text, words);
}

/* One video rendition "v" of 1000 bit/s with this inside the set. */
#define ONE(inside)                                                                                \
	"<Period id=\"p\"><AdaptationSet id=\"s\" mimeType=\"video/mp4\">" inside                  \
	"<Representation id=\"v\" bandwidth=\"1000\"/></AdaptationSet></Period>"
#define STATIC(seconds) "type=\"static\" mediaPresentationDuration=\"PT" seconds "S\""

static void check_segment(const struct timeline_rendition *r, size_t i, int64_t start, uint64_t d, const char *url)
{
	cr_assert(i < r->n_segments, "segment %zu of %zu", i, r->n_segments);
	CHECK_INT(r->segments[i].start, start);
	CHECK_INT(r->segments[i].duration, d);
	CHECK_STR(r->segments[i].url, url);
}

Test(timeline, numbers_segments)
{
	struct made m = make(STATIC("9"), ONE("<SegmentTemplate timescale=\"10\" duration=\"40\" startNumber=\"5\" "
	                                      "media=\"$RepresentationID$-$Bandwidth$-$Number%03d$.m4s\" initialization=\"$RepresentationID$.mp4\"/>"));

	CHECK_INT(m.r->n_segments, 3);
	check_segment(m.r, 0, 0, 40, "v-1000-005.m4s");
	check_segment(m.r, 2, 80, 10, "v-1000-007.m4s");
	CHECK_STR(m.r->init_url, "v.mp4");
	CHECK_INT(m.t->duration, 9 * DUR_S);
	unmake(&m);
}

/* Addresses with a query, as they stand in every second MPD with tokens. */
Test(timeline, reads_the_entities_of_xml)
{
	struct made m = make(STATIC("9"), ONE("<SegmentTemplate duration=\"9\" media=\"$Number$?a=1&amp;b=&quot;&#x32;&apos;&lt;&gt;\" initialization=\"i?a&#38;b\"/>"));

	check_segment(m.r, 0, 0, 9, "1?a=1&b=\"2'<>");
	CHECK_STR(m.r->init_url, "i?a&b");
	unmake(&m);
}

Test(timeline, ignores_a_rounded_remainder)
{
	struct made m = make(STATIC("8.342"), ONE("<SegmentTemplate timescale=\"30000\" duration=\"250250\" media=\"$Number$\"/>"));

	CHECK_INT(m.r->n_segments, 1);
	unmake(&m);
}

Test(timeline, stops_at_the_end_number)
{
	struct made m = make(STATIC("100"), ONE("<SegmentTemplate duration=\"2\" endNumber=\"3\" media=\"$Number$\"/>"));

	CHECK_INT(m.r->n_segments, 3);
	unmake(&m);
	m = make(STATIC("100"), ONE("<SegmentTemplate endNumber=\"3\" media=\"$Number$\"><SegmentTimeline>"
	                            "<S d=\"2\" r=\"9\"/></SegmentTimeline></SegmentTemplate>"));
	CHECK_INT(m.r->n_segments, 3);
	unmake(&m);
}

Test(timeline, walks_a_segment_timeline)
{
	struct made m = make(STATIC("20"), ONE("<SegmentTemplate presentationTimeOffset=\"100\" media=\"$Time$\"><SegmentTimeline>"
	                                       "<S t=\"96\" d=\"2\"/>" /* ends before the Period starts */
	                                       "<S d=\"3\"/>"          /* begins before */
	                                       "<S t=\"103\" d=\"2\" r=\"1\"/>" /* after a gap */
	                                       "<S d=\"4\" r=\"-1\"/>"
	                                       "<S t=\"115\" d=\"2\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>"));

	CHECK_INT(m.r->n_segments, 8);
	check_segment(m.r, 0, -2, 3, "98");
	check_segment(m.r, 1, 3, 2, "103");
	check_segment(m.r, 2, 5, 2, "105");
	check_segment(m.r, 3, 7, 4, "107");
	check_segment(m.r, 4, 11, 4, "111");
	check_segment(m.r, 5, 15, 2, "115");
	check_segment(m.r, 7, 19, 2, "119");
	CHECK_INT(m.r->segments[7].number, 9);
	CHECK_INT(timeline_find(m.r, -100), 0);
	CHECK_INT(timeline_find(m.r, 2), 1); /* in the gap */
	CHECK_INT(timeline_find(m.r, 5), 2);
	CHECK_INT(timeline_find(m.r, 100), 7);
	unmake(&m);
}

Test(timeline, cuts_an_overlap)
{
	struct made m = make(STATIC("20"), ONE("<SegmentTemplate media=\"$Time$\"><SegmentTimeline>"
	                                       "<S t=\"0\" d=\"5\"/><S t=\"4\" d=\"5\"/></SegmentTimeline></SegmentTemplate>"));

	check_segment(m.r, 0, 0, 4, "0");
	check_segment(m.r, 1, 4, 5, "4");
	unmake(&m);
	m = make(STATIC("20"), ONE("<SegmentTemplate presentationTimeOffset=\"-1\" media=\"$Number$\"><SegmentTimeline>"
	                           "<S t=\"0\" d=\"5\" r=\"7\"/><S t=\"7\" d=\"5\"/></SegmentTimeline></SegmentTemplate>"));
	CHECK_INT(m.r->n_segments, 3);
	check_segment(m.r, 1, 6, 2, "2");
	check_segment(m.r, 2, 8, 5, "9");
	unmake(&m);
	check_refused(STATIC("20"), ONE("<SegmentTemplate media=\"$Time$\"><SegmentTimeline>\n<S t=\"5\" d=\"5\"/>\n"
	                                "<S t=\"5\" d=\"5\"/></SegmentTimeline></SegmentTemplate>"),
	              ERR_SYNTAX, "line 3: S@t");
}

Test(timeline, counts_parts_of_a_sequence)
{
	struct made m = make(STATIC("8"), ONE("<SegmentTemplate media=\"$Number$.$SubNumber$\"><SegmentTimeline>"
	                                      "<S d=\"4\" r=\"1\" k=\"2\"/></SegmentTimeline></SegmentTemplate>"));

	CHECK_INT(m.r->n_segments, 4);
	check_segment(m.r, 3, 6, 2, "2.2");
	unmake(&m);
}

/* @k beside @duration (6th edition): the newest sequence of a live title is there in parts, the last of all may end early. */
Test(timeline, counts_parts_of_equal_sequences)
{
	struct made m = make(STATIC("8"), ONE("<SegmentTemplate duration=\"4\" k=\"2\" endNumber=\"2\" endSubNumber=\"1\" media=\"$Number$.$SubNumber$\"/>"));

	CHECK_INT(m.r->n_segments, 3);
	check_segment(m.r, 1, 2, 2, "1.2");
	check_segment(m.r, 2, 4, 2, "2.1");
	unmake(&m);
	m = make("type=\"dynamic\" availabilityStartTime=\"2025-12-31T23:59:49Z\"", /* 11 s ago */
	         ONE("<SegmentTemplate duration=\"4\" k=\"4\" media=\"$Number$.$SubNumber$\"/>"));
	CHECK_INT(m.r->n_segments, 11);
	check_segment(m.r, 10, 10, 1, "3.3");
	unmake(&m);
	check_refused(STATIC("8"), ONE("<SegmentTemplate duration=\"4\" k=\"5\" media=\"a\"/>"), ERR_SYNTAX, "line 1: @k is impossible");
}

Test(timeline, offers_all_at_once_what_is_always_there)
{
	struct made m = make("type=\"dynamic\" availabilityStartTime=\"2025-12-31T23:59:50Z\" mediaPresentationDuration=\"PT100S\"",
	                     ONE("<SegmentTemplate duration=\"4\" availabilityTimeOffset=\"INF\" media=\"$Number$\"/>"));

	CHECK_INT(m.r->n_segments, 25);
	unmake(&m);
}

Test(timeline, tells_what_is_listed_behind_the_period)
{
	struct made m = make(STATIC("9"), ONE("<SegmentTemplate media=\"$Number$\"><SegmentTimeline><S d=\"2\" r=\"9\"/><S d=\"3\"/></SegmentTimeline></SegmentTemplate>"));

	CHECK_INT(m.r->n_segments, 5);
	CHECK_INT(m.r->n_behind, 6);
	unmake(&m);
}

Test(timeline, repeats_patterns)
{
#define PATTERN "<Pattern id=\"1\"><P d=\"3\" r=\"1\"/><P d=\"2\"/></Pattern>"
	struct made m = make(STATIC("40"), ONE("<SegmentTemplate media=\"$Number$-$Time$\"><SegmentTimeline>" PATTERN
	                                       "<S t=\"0\" d=\"0\" p=\"1\" pE=\"2\" r=\"3\"/><S d=\"5\"/><S p=\"1\" pE=\"4\" r=\"-1\"/>"
	                                       "</SegmentTimeline></SegmentTemplate>"));

	check_segment(m.r, 0, 0, 2, "1-0");
	check_segment(m.r, 1, 2, 3, "2-2");
	check_segment(m.r, 3, 8, 2, "4-8");
	check_segment(m.r, 4, 10, 5, "5-10");
	check_segment(m.r, 5, 15, 3, "6-15");
	check_segment(m.r, 6, 18, 2, "7-18");
	CHECK_INT(m.r->n_segments, 15); /* 20, 23, 26, 28, 31, 34, 36, 39 */
	check_segment(m.r, 13, 36, 3, "14-36");
	unmake(&m);
	check_refused(STATIC("9"), ONE("<SegmentTemplate media=\"a\"><SegmentTimeline><S p=\"7\"/></SegmentTimeline></SegmentTemplate>"),
	              ERR_SYNTAX, "names no Pattern");
	check_refused(STATIC("9"), ONE("<SegmentTemplate media=\"a\"><SegmentTimeline><Pattern id=\"1\"><P d=\"0\"/></Pattern>"
	                               "<S p=\"1\"/></SegmentTimeline></SegmentTemplate>"), ERR_SYNTAX, "P@d");
	check_refused(STATIC("9999999999"), ONE("<SegmentTemplate timescale=\"1000\" media=\"a\"><SegmentTimeline>" PATTERN
	                                        "<S p=\"1\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>"), ERR_LIMIT, "too often");
}

Test(timeline, takes_a_template_without_times_as_one_segment)
{
	struct made m = make(STATIC("9"), ONE("<SegmentTemplate timescale=\"10\" startNumber=\"4\" media=\"$Number$.mp4\"/>"));

	CHECK_INT(m.r->n_segments, 1);
	check_segment(m.r, 0, 0, 90, "4.mp4");
	unmake(&m);
}

Test(timeline, goes_on_without_a_bad_rendition)
{
	struct made m = make(STATIC("9"), "<Period><AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate duration=\"3\" media=\"$Number$\"/>"
	                                  "<Representation id=\"a\" bandwidth=\"1\"/><Representation id=\"b\" bandwidth=\"2\">"
	                                  "<SegmentTemplate timescale=\"0\"/></Representation></AdaptationSet></Period>");

	CHECK_INT(m.r[0].n_segments, 3);
	CHECK_INT(m.r[1].n_segments, 0);
	CHECK_HAS(m.r[1].fault, "Representation \"b\" (line 1): line 1: @timescale is 0");
	unmake(&m);
}

Test(timeline, inherits_attribute_by_attribute)
{
	struct made m = make(STATIC("8"), "<Period><SegmentTemplate timescale=\"10\" duration=\"40\" media=\"p-$Number$\" startNumber=\"3\"/>"
	                                  "<AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate startNumber=\"7\"/>"
	                                  "<Representation id=\"b\" bandwidth=\"2\"><SegmentTemplate media=\"r-$Number$\"/></Representation>"
	                                  "<Representation id=\"a\" bandwidth=\"1\"/></AdaptationSet></Period>");

	CHECK_STR(m.r[0].representation->id, "a");
	CHECK_INT(m.r[0].timescale, 10);
	check_segment(&m.r[0], 0, 0, 40, "p-7");
	check_segment(&m.r[1], 1, 40, 40, "r-8");
	unmake(&m);
	/* a lower level that counts is stronger than a list of an upper one, and its element than the upper one's attribute */
	m = make(STATIC("8"), "<Period><AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate media=\"$Number$\" initialization=\"up\"><SegmentTimeline>"
	                      "<S d=\"1\" r=\"7\"/></SegmentTimeline></SegmentTemplate><Representation id=\"a\" bandwidth=\"1\">"
	                      "<SegmentTemplate duration=\"4\"><Initialization sourceURL=\"own\"/></SegmentTemplate></Representation></AdaptationSet></Period>");
	CHECK_INT(m.r->n_segments, 2);
	CHECK_STR(m.r->init_url, "own");
	unmake(&m);
}

Test(timeline, places_periods)
{
	struct made m = make(STATIC("100"), "<Period duration=\"PT10S\"/><Period duration=\"PT20S\"/>"
	                                    "<Period start=\"PT40S\" duration=\"PT10S\"/><Period/>"
	                                    "<Period xmlns:xlink=\"http://www.w3.org/1999/xlink\" xlink:href=\"urn:mpeg:dash:resolve-to-zero:2013\"/>");

	CHECK_INT(m.t->n_periods, 4);
	CHECK_INT(m.t->periods[1].start, 10 * DUR_S);
	CHECK_INT(m.t->periods[1].duration, 20 * DUR_S);
	CHECK_INT(m.t->periods[3].start, 50 * DUR_S);
	CHECK_INT(m.t->periods[3].duration, 50 * DUR_S);
	unmake(&m);
	check_refused(STATIC("9"), "<Period/><Period id=\"x\"/>", ERR_SYNTAX, "Period \"x\" (line 1): nothing says when it starts");
	check_refused(STATIC("9"), "<Period start=\"PT5S\"/><Period start=\"PT4S\"/>", ERR_SYNTAX, "starts before");
	check_refused(STATIC("9"), "", ERR_SYNTAX, "no Period");
}

Test(timeline, measures_what_states_no_duration)
{
	struct made m = make("type=\"static\"", "<Period><AdaptationSet mimeType=\"video/mp4\">"
	                     "<Representation id=\"b\" bandwidth=\"1\"><BaseURL>b.mp4</BaseURL><SegmentBase indexRange=\"0-9\"/></Representation>"
	                     "<Representation id=\"t\" bandwidth=\"2\"><SegmentTemplate timescale=\"2\" media=\"$Time$\"><SegmentTimeline>"
	                     "<S d=\"3\" r=\"2\"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet></Period>");

	CHECK_INT(m.t->duration, 4500000);
	unmake(&m);
}

Test(timeline, joins_trees_of_base_urls)
{
	struct made m = make(STATIC("9"), "<BaseURL serviceLocation=\"a\">http://a/x/</BaseURL><BaseURL serviceLocation=\"b\">http://b/</BaseURL>"
	                                  "<Period><BaseURL>p/</BaseURL><AdaptationSet mimeType=\"video/mp4\">"
	                                  "<Representation id=\"v\" bandwidth=\"1\"><BaseURL>v.mp4</BaseURL>"
	                                  "<SegmentBase indexRange=\"100-199\"/></Representation></AdaptationSet></Period>");
	char *url = timeline_resolve(m.r, 0, "");

	CHECK_INT(m.r->n_bases, 2);
	CHECK_STR(m.r->bases[0].url, "http://a/x/p/v.mp4");
	CHECK_STR(m.r->bases[1].url, "http://b/p/v.mp4");
	CHECK_STR(m.r->bases[1].service_location, "b");
	CHECK_STR(url, "http://a/x/p/v.mp4");
	CHECK(m.r->needs_index);
	CHECK_INT(m.r->init_range.last, 99);
	CHECK_STR(m.r->init_url, "");
	CHECK(timeline_resolve(m.r, 2, "") == NULL);
	free(url);
	unmake(&m);
}

static int set_index(struct timeline_rendition *r, const struct bmff_sidx *x, uint64_t offset)
{
	struct timeline_index *index = timeline_index_new();
	struct buf b;
	int e;

	buf_init(&b, 1 << 16);
	CHECK_INT(bmff_sidx_write(x, &b), 0);
	e = timeline_index_read(index, b.bytes, b.size, offset, NULL);
	if (e == 0)
		e = timeline_set_index(r, index, NULL);
	timeline_index_free(&index);
	buf_fini(&b);
	return e;
}

Test(timeline, takes_an_index)
{
	struct made m = make(STATIC("9.5"), "<Period><AdaptationSet mimeType=\"video/mp4\"><Representation id=\"v\" bandwidth=\"1\">"
	                                    "<BaseURL>v.mp4</BaseURL><SegmentBase timescale=\"10\" presentationTimeOffset=\"5\" indexRange=\"100-199\"/>"
	                                    "</Representation></AdaptationSet></Period>");
	struct bmff_sidx_entry e[] = {{.size = 10, .duration = 400}, {.size = 20, .duration = 600}, {.size = 5, .duration = 100}};
	struct bmff_sidx x = {.timescale = 100, .earliest_time = 50, .first_offset = 3, .entries = e, .n_entries = 3};
	uint64_t box = bmff_sidx_size(3, false);

	CHECK_INT(m.r->n_segments, 0);
	CHECK_INT(timeline_find(m.r, 0), -1);
	CHECK_INT(set_index(m.r, &x, 100), 0);
	CHECK_INT(m.r->timescale, 100);
	CHECK_INT(m.r->n_segments, 2); /* the third starts behind the Period's end */
	check_segment(m.r, 1, 400, 600, "");
	CHECK_INT(m.r->segments[1].range.first, 100 + box + 13);
	CHECK_INT(m.r->segments[1].range.last, 100 + box + 32);
	x.timescale = 0;
	CHECK_INT(set_index(m.r, &x, 100), ERR_SYNTAX);
	CHECK_INT(m.r->n_segments, 2);
	unmake(&m);
}

/* A root that points to two more, the second of which points to a third: with all of them in a row, each in front of its media,
 * and with a root that comes alone. */
Test(timeline, follows_an_index_to_further_ones)
{
	struct made m = make(STATIC("60"), "<Period><AdaptationSet mimeType=\"video/mp4\"><Representation id=\"v\" bandwidth=\"1\">"
	                                   "<BaseURL>v.mp4</BaseURL><SegmentBase indexRange=\"100-199\"/>"
	                                   "</Representation></AdaptationSet></Period>");
	struct bmff_sidx_entry media[] = {{.size = 1000, .duration = 100}, {.size = 2000, .duration = 200}};
	struct bmff_sidx_entry chain[] = {{.size = 3000, .duration = 400}, {.to_index = true, .duration = 300}};
	struct bmff_sidx_entry root[] = {{.to_index = true, .duration = 300}, {.to_index = true, .duration = 700}};
	struct bmff_sidx x = {.timescale = 100, .n_entries = 2};
	const uint32_t box = (uint32_t)bmff_sidx_size(2, false);
	const uint64_t first[] = {100 + 2 * box, 100 + 2 * box + 1000, 100 + 3 * box + 3000, 100 + 4 * box + 6000, 100 + 4 * box + 7000};
	struct timeline_index *index = timeline_index_new();
	struct mpd_range want;
	struct fault f = {0};
	struct buf b;

	buf_init(&b, 1 << 20);
	root[0].size = box + 3000;
	root[1].size = box + 3000 + box + 3000;
	chain[1].size = box + 3000;
	x.entries = root;
	CHECK_INT(bmff_sidx_write(&x, &b), 0);
	x.entries = media;
	CHECK_INT(bmff_sidx_write(&x, &b), 0);
	b.size += 3000;
	x.entries = chain;
	CHECK_INT(bmff_sidx_write(&x, &b), 0);
	b.size += 3000;
	x.entries = media;
	CHECK_INT(bmff_sidx_write(&x, &b), 0);
	CHECK(!timeline_index_wants(index, &want));
	CHECK_INT(timeline_index_read(index, b.bytes, box, 100, &f), 0);
	CHECK_INT(timeline_set_index(m.r, index, &f), ERR_SYNTAX);
	for (int turns = 0; timeline_index_wants(index, &want); turns++) {
		CHECK(turns < 8 && want.first >= 100 && want.last < 100 + 4 * box + 9000);
		CHECK_INT(timeline_index_read(index, b.bytes + want.first - 100,
		                              want.last < 100 + b.size ? want.last - want.first + 1 : 100 + b.size - want.first, want.first, &f), 0);
	}
	CHECK_INT(timeline_set_index(m.r, index, &f), 0);
	CHECK_INT(m.r->n_segments, 5);
	for (int i = 0; i < 5; i++)
		CHECK_INT(m.r->segments[i].range.first, first[i]);
	check_segment(m.r, 4, 800, 200, "");
	timeline_index_free(&index);

	f = (struct fault){0};
	/* one that points to itself, and one that points to what is no index */
	index = timeline_index_new();
	root[0].size = box;
	x = (struct bmff_sidx){.timescale = 100, .n_entries = 1, .entries = root};
	buf_clear(&b);
	CHECK_INT(bmff_sidx_write(&x, &b), 0);
	CHECK_INT(timeline_index_read(index, b.bytes, b.size, 0, &f), 0);
	for (int i = 0; i < 2000 && f.code == 0 && timeline_index_wants(index, &want); i++)
		timeline_index_read(index, b.bytes, b.size, want.first, &f);
	CHECK_INT(f.code, ERR_LIMIT);
	timeline_index_free(&index);
	index = timeline_index_new();
	CHECK_INT(timeline_index_read(index, b.bytes, b.size, 0, &f), 0);
	CHECK(timeline_index_wants(index, &want));
	CHECK_INT(timeline_index_read(index, "\0\0\0\x10mdat........", 16, want.first, &f), ERR_NOT_FOUND);
	timeline_index_free(&index);
	buf_fini(&b);
	unmake(&m);
}

Test(timeline, takes_a_file_without_index_whole)
{
	struct made m = make(STATIC("9"), "<Period><AdaptationSet mimeType=\"text/vtt\"><Representation id=\"t\" bandwidth=\"1\">"
	                                  "<BaseURL>t.vtt</BaseURL></Representation></AdaptationSet></Period>");

	CHECK_INT(m.t->periods[0].tracks[0].kind, TIMELINE_TEXT);
	CHECK(!m.r->needs_index);
	CHECK_INT(m.r->n_segments, 1);
	check_segment(m.r, 0, 0, 9, "");
	unmake(&m);
	check_refused(STATIC("9"), ONE(""), ERR_SYNTAX, "nothing says where its segments are");
}

Test(timeline, lists_segments)
{
	struct made m = make(STATIC("9"), ONE("<SegmentList duration=\"4\"><Initialization sourceURL=\"i\" range=\"0-9\"/>"
	                                      "<SegmentURL media=\"a\"/><SegmentURL mediaRange=\"5-9\"/><SegmentURL media=\"c\"/></SegmentList>"));

	CHECK_INT(m.r->n_segments, 3);
	check_segment(m.r, 1, 4, 4, "");
	CHECK_INT(m.r->segments[1].range.last, 9);
	check_segment(m.r, 2, 8, 1, "c");
	CHECK(m.r->init_has_range);
	unmake(&m);
}

#define LIVE(more) "type=\"dynamic\" availabilityStartTime=\"2025-12-31T23:58:20Z\" " more /* 100 s ago */

Test(timeline, offers_what_is_available_now)
{
	struct made m = make(LIVE("timeShiftBufferDepth=\"PT10S\""), ONE("<SegmentTemplate duration=\"4\" media=\"$Number$\"/>"));

	CHECK_INT(m.t->duration, -1);
	CHECK_INT(m.r->n_segments, 3);
	check_segment(m.r, 0, 88, 4, "23");
	check_segment(m.r, 2, 96, 4, "25");
	unmake(&m);
	m = make(LIVE("timeShiftBufferDepth=\"PT10S\""),
	         ONE("<SegmentTemplate duration=\"3\" availabilityTimeOffset=\"2.5\" media=\"$Number$\"/>"));
	check_segment(m.r, m.r->n_segments - 1, 99, 3, "34");
	unmake(&m);
	m = make(LIVE("timeShiftBufferDepth=\"PT10S\""),
	         ONE("<SegmentTemplate media=\"$Time$\"><SegmentTimeline><S t=\"0\" d=\"3\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>"));
	check_segment(m.r, m.r->n_segments - 1, 96, 3, "96");
	check_segment(m.r, 0, 87, 3, "87");
	unmake(&m);
	m = make(LIVE(""), ONE("<SegmentTemplate media=\"$Time$\"><SegmentTimeline><S t=\"90\" d=\"3\" r=\"99\"/></SegmentTimeline></SegmentTemplate>"));
	CHECK_INT(m.r->n_segments, 4); /* up to the one that begins just now */
	unmake(&m);
}

/* What is still being made is offered from its first chunk on, and marked. */
Test(timeline, offers_what_is_there_in_part)
{
#define PART "availabilityTimeOffset=\"2.5\" availabilityTimeComplete=\"false\" media=\"$Number$\""
	struct made m = make("type=\"dynamic\" availabilityStartTime=\"2025-12-31T23:59:49Z\"", ONE("<SegmentTemplate duration=\"4\" " PART "/>"));

	CHECK_INT(m.r->n_segments, 3); /* 11 s on: the third began at 8 and has had a chunk since 9.5 */
	CHECK_INT(m.r->n_partial, 1);
	unmake(&m);
	m = make("type=\"dynamic\" availabilityStartTime=\"2025-12-31T23:59:51Z\"", ONE("<SegmentTemplate duration=\"4\" " PART "/>"));
	CHECK_INT(m.r->n_segments, 2); /* 9 s on: not yet */
	CHECK_INT(m.r->n_partial, 0);
	unmake(&m);
	m = make("type=\"dynamic\" availabilityStartTime=\"2025-12-31T23:59:49Z\"",
	         ONE("<SegmentTemplate " PART "><SegmentTimeline><S t=\"0\" d=\"4\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>"));
	CHECK_INT(m.r->n_segments, 3);
	CHECK_INT(m.r->n_partial, 1);
	unmake(&m);
	m = make("type=\"dynamic\" availabilityStartTime=\"2025-12-31T23:59:49Z\"",
	         "<BaseURL availabilityTimeOffset=\"2.5\" availabilityTimeComplete=\"false\">http://h/</BaseURL>"
	         ONE("<SegmentTemplate media=\"a\"><SegmentTimeline><S t=\"0\" d=\"4\" r=\"2\"/></SegmentTimeline></SegmentTemplate>"));
	CHECK_INT(m.r->n_segments, 3);
	CHECK_INT(m.r->n_partial, 1);
	unmake(&m);
}

Test(timeline, bounds_a_window_without_end)
{
	struct made m = make("type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\"",
	                     ONE("<SegmentTemplate duration=\"2\" media=\"$Number$\"/>"));

	CHECK_INT(m.r->n_segments, TIMELINE_MAX_WINDOW);
	CHECK_INT(m.r->segments[TIMELINE_MAX_WINDOW - 1].number, 883612800);
	unmake(&m);
}

Test(timeline, refuses_evil_counts)
{
	check_refused(STATIC("1000000000"), ONE("<SegmentTemplate timescale=\"1000\" duration=\"1\" media=\"$Number$\"/>"),
	              ERR_LIMIT, "more than 1000000 segments");
	check_refused(STATIC("1000000000"), ONE("<SegmentTemplate media=\"$Time$\"><SegmentTimeline><S d=\"1\" r=\"999999999\"/>"
	                                        "</SegmentTimeline></SegmentTemplate>"),
	              ERR_LIMIT, "Representation \"v\"");
	check_refused("type=\"static\"", ONE("<SegmentTemplate media=\"$Time$\"><SegmentTimeline>"
	                                     "<S t=\"18446744073709551615\" d=\"9223372036854775807\" r=\"9223372036854775807\"/>"
	                                     "<S d=\"9223372036854775807\" r=\"9223372036854775807\"/>"
	                                     "</SegmentTimeline></SegmentTemplate>"),
	              ERR_OUT_OF_RANGE, "63 bits");
	check_refused("type=\"static\"", ONE("<SegmentTemplate duration=\"2\" media=\"$Number$\"/>"), ERR_UNSUPPORTED, "how many");
	check_refused(STATIC("9"), ONE("<SegmentTemplate media=\"$Time$\"><SegmentTimeline><S d=\"0\"/></SegmentTimeline></SegmentTemplate>"),
	              ERR_SYNTAX, "S@d");
	check_refused(STATIC("9"), ONE("<SegmentTemplate timescale=\"0\" duration=\"1\" media=\"a\"/>"), ERR_SYNTAX, "@timescale is 0");
	check_refused(STATIC("9"), ONE("<SegmentTemplate duration=\"1\"/>"), ERR_SYNTAX, "no @media");
	check_refused("type=\"static\"", ONE("<SegmentTemplate media=\"$Time$\"><SegmentTimeline><S d=\"4611686018427387000\"/></SegmentTimeline></SegmentTemplate>"),
	              ERR_OUT_OF_RANGE, "63 bits"); /* of microseconds */
	check_refused(STATIC("9"), ONE("<SegmentTemplate duration=\"1\" startNumber=\"18446744073709551610\" media=\"$Number$\"/>"),
	              ERR_OUT_OF_RANGE, "64 bits");
}

Test(timeline, counts_channels)
{
	static const struct {
		const char *scheme, *value;
		uint32_t want;
	} rows[] = {
		{"urn:mpeg:dash:23003:3:audio_channel_configuration:2011", "6", 6},
		{"urn:mpeg:mpegB:cicp:ChannelConfiguration", "7", 8},
		{"urn:mpeg:mpegB:cicp:ChannelConfiguration", "99", 0},
		{"tag:dolby.com,2014:dash:audio_channel_configuration:2011", "F801", 6},
		{"tag:dolby.com,2015:dash:audio_channel_configuration:2015", "000047", 6},
		{"urn:x", "2", 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char body[512];
		struct made m;

		snprintf(body, sizeof body, "<Period><AdaptationSet mimeType=\"audio/mp4\"><AudioChannelConfiguration schemeIdUri=\"%s\" value=\"%s\"/>"
		         "<Representation id=\"a\" bandwidth=\"1\"><BaseURL>a</BaseURL></Representation></AdaptationSet></Period>",
		         rows[i].scheme, rows[i].value);
		m = make(STATIC("9"), body);
		CHECK_INT(m.r->channels, rows[i].want);
		CHECK_INT(m.t->periods[0].tracks[0].kind, TIMELINE_AUDIO);
		unmake(&m);
	}
}

Test(timeline_template, expands)
{
	static const struct timeline_names names = {.id = "v%d", .bandwidth = 5, .number = 42, .sub_number = 3, .time = UINT64_MAX};
	static const struct {
		const char *template, *want;
	} rows[] = {
		{"", ""}, {"a", "a"}, {"$$", "$"}, {"$Number$", "42"}, {"$Number%05d$", "00042"}, {"$Number%01d$", "42"},
		{"$RepresentationID$/$Bandwidth%04d$.$SubNumber$", "v%d/0005.3"}, {"$Time$", "18446744073709551615"},
		{"$$Number$$", "$Number$"}, {"$Bandwidth%/$Number$", "$Bandwidth%/42"}, {"$Other$", "$Other$"}, {"a$", "a$"},
		{"$Number%5d$", "$Number%5d$"}, {"$Number%099d$", "$Number%099d$"}, {"$RepresentationID%02d$", "$RepresentationID%02d$"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf out;

		buf_init(&out, 1024);
		timeline_expand(rows[i].template, &names, &out);
		CHECK_STR(buf_text(&out), rows[i].want);
		buf_fini(&out);
	}
}

Test(timeline_url, resolves)
{
	/* RFC 3986 5.4, and what packagers write */
	static const char base[] = "http://a/b/c/d;p?q";
	static const struct {
		const char *base, *reference, *want;
	} rows[] = {
		{base, "g:h", "g:h"}, {base, "g", "http://a/b/c/g"}, {base, "./g", "http://a/b/c/g"}, {base, "g/", "http://a/b/c/g/"},
		{base, "/g", "http://a/g"}, {base, "//g", "http://g"}, {base, "?y", "http://a/b/c/d;p?y"}, {base, "g?y", "http://a/b/c/g?y"},
		{base, "#s", "http://a/b/c/d;p?q"}, {base, "g#s", "http://a/b/c/g"}, {base, "g?y#s", "http://a/b/c/g?y"},
		{base, ";x", "http://a/b/c/;x"}, {base, "g;x?y#s", "http://a/b/c/g;x?y"}, {base, "", "http://a/b/c/d;p?q"},
		{base, ".", "http://a/b/c/"}, {base, "./", "http://a/b/c/"}, {base, "..", "http://a/b/"}, {base, "../", "http://a/b/"},
		{base, "../g", "http://a/b/g"}, {base, "../..", "http://a/"}, {base, "../../", "http://a/"}, {base, "../../g", "http://a/g"},
		{base, "../../../g", "http://a/g"}, {base, "../../../../g", "http://a/g"}, {base, "/./g", "http://a/g"},
		{base, "/../g", "http://a/g"}, {base, "g.", "http://a/b/c/g."}, {base, ".g", "http://a/b/c/.g"}, {base, "g..", "http://a/b/c/g.."},
		{base, "./../g", "http://a/b/g"}, {base, "./g/.", "http://a/b/c/g/"}, {base, "g/./h", "http://a/b/c/g/h"},
		{base, "g/../h", "http://a/b/c/h"}, {base, "g;x=1/../y", "http://a/b/c/y"}, {base, "g?y/./x", "http://a/b/c/g?y/./x"},
		{base, "http:g", "http:g"}, {"http://a", "g", "http://a/g"}, {"http://a?x", "g", "http://a/g"},
		{"file:///tmp/x.mpd", "v 1.mp4", "file:///tmp/v%201.mp4"}, {"x.mpd", "v.mp4", "v.mp4"}, {"d/x.mpd", "../v.mp4", "v.mp4"},
		{"/d/x.mpd", "v.mp4", "/d/v.mp4"}, {"http://h/", " \n\xc3\xa9{1}\t", "http://h/%C3%A9%7B1%7D"}, {"http://h/a", "/../../..", "http://h/"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *got = timeline_join_url(rows[i].base, rows[i].reference);

		CHECK_STR(got, rows[i].want);
		free(got);
	}
	CHECK(timeline_join_url(base, "a\x01" "b") == NULL);
	CHECK(timeline_join_url(NULL, "a") == NULL);
}

/* Who stands on the network chooses none of this machine's files. */
Test(timeline, leads_from_the_network_to_no_file)
{
	static const struct {
		const char *base, *reference, *url;
	} rows[] = {
		{"http://h/a/", "b.mp4", "http://h/a/b.mp4"}, {"http://h/a/", "file:///etc/passwd", NULL}, {"https://h/", "FILE:/etc/passwd", NULL},
		{"http://h/a/", "//file:/x", "http://file:/x"}, {"file:///a/", "b.mp4", "file:///a/b.mp4"}, {"file:///a/", "http://h/b", "http://h/b"},
		{"file:///a/", "file:///c/d", "file:///c/d"}, {"File:///a/", "../../d", "File:///d"}, {"http://h/", " file:///x", NULL},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *got = timeline_lead_url(rows[i].base, rows[i].reference);

		if (rows[i].url == NULL)
			CHECK(got == NULL);
		else
			CHECK_STR(got, rows[i].url);
		free(got);
	}
}
