/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What changes an MPD's document: remote elements, imported MPDs, patches.
 */
#include "t/lib/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dash/mpd.h"
#include "dash/mpd_link.h"
#include "dash/mpd_patch.h"
#include "dash/timeline.h"

#define MPD(attributes, body)                                                                      \
	"<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" " \
	attributes ">" body "</MPD>"
#define SET "<AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate duration=\"2\" media=\"$Number$\"/>" \
	    "<Representation id=\"v\" bandwidth=\"1\"/></AdaptationSet>"

/* A web of a few documents. */
static const struct page {
	const char *url, *text;
} web[] = {
	{"http://h/d/two.xml", "<?xml version=\"1.0\"?><Period id=\"a\" duration=\"PT4S\">" SET "</Period><Period id=\"b\" duration=\"PT6S\">" SET "</Period>"},
	{"http://h/d/set.xml", SET},
	{"http://h/d/loop.xml", "<Period id=\"l\" duration=\"PT1S\" xmlns:xlink=\"http://www.w3.org/1999/xlink\">"
	                        "<AdaptationSet xlink:href=\"loop.xml\"/></Period>"},
	{"http://h/d/deep.xml", "<Period xmlns:xlink=\"http://www.w3.org/1999/xlink\" xlink:href=\"two.xml\"/>"},
	{"http://h/d/bad.xml", "<Period"},
	{"http://h/d/latin.xml", "<?xml version='1.0' encoding=\"ISO-8859-1\"?><Period id=\"\xe9\" duration=\"PT4S\">" SET "</Period>"},
	{"http://h/ad/m.mpd", MPD("mediaPresentationDuration=\"PT7S\"", "<BaseURL>x/</BaseURL><Period>" SET "</Period>")},
};
static char notes[4096];

static int get(void *ctx, const char *url, struct buf *out, char **ret_url, struct fault *f)
{
	++*(unsigned *)ctx;
	for (size_t i = 0; i < sizeof web / sizeof web[0]; i++)
		if (strcmp(web[i].url, url) == 0) {
			*ret_url = mem_dup(url);
			return buf_puts(out, web[i].text);
		}
	return fault_set(f, ERR_HTTP, "404");
}

static void note(void *ctx, const char *text)
{
	(void)ctx;
	snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", text);
}

static struct mpd *resolve(const char *text, unsigned *ret_asked)
{
	struct buf out;
	struct fault f = {0};
	struct mpd *mpd = NULL;

	notes[0] = '\0';
	*ret_asked = 0;
	buf_init(&out, 1 << 20);
	cr_assert(mpd_resolve_links(text, strlen(text), "x", "http://h/d/x.mpd", get, note, ret_asked, &out, &f) == 0, "%s", f.text);
	cr_assert(mpd_read(out.bytes, out.size, "x", &mpd, &f) == 0, "%s", f.text);
	buf_fini(&out);
	CHECK(!mpd_has_links(mpd));
	return mpd;
}

Test(mpd_link, puts_remote_parts_in_their_place)
{
	unsigned asked;
	struct mpd *m = resolve(MPD("", "<Period id=\"0\" duration=\"PT2S\"><AdaptationSet xlink:href=\"set.xml\" xlink:actuate=\"onLoad\"/></Period>"
	                                "<Period xlink:href=\"deep.xml\"/><Period id=\"z\"><AdaptationSet xlink:href=\"urn:mpeg:dash:resolve-to-zero:2013\"/></Period>"),
	                        &asked);

	CHECK_INT(m->n_periods, 4);
	CHECK_INT(m->periods[0].n_sets, 1);
	CHECK_STR(m->periods[0].sets[0].representations[0].id, "v");
	CHECK_STR(m->periods[1].id, "a");
	CHECK_STR(m->periods[2].id, "b");
	CHECK_INT(m->periods[3].n_sets, 0);
	CHECK_INT(asked, 3);
	CHECK_STR(notes, "");
	mpd_free(&m);
}

Test(mpd_link, reads_parts_in_their_own_coding)
{
	unsigned asked;
	struct mpd *m = resolve(MPD("", "<Period xlink:href=\"latin.xml\"/>"), &asked);

	CHECK_INT(m->n_periods, 1);
	CHECK_STR(m->periods[0].id, "\xc3\xa9");
	CHECK_INT(m->periods[0].n_sets, 1);
	CHECK_STR(notes, "");
	mpd_free(&m);
}

Test(mpd_link, leaves_out_what_cannot_be_had)
{
	unsigned asked;
	struct mpd *m = resolve(MPD("", "<Period xlink:href=\"none.xml\" id=\"own\" duration=\"PT2S\">" SET "</Period><Period xlink:href=\"bad.xml\"/>"
	                                "<Period xlink:href=\"file:///etc/passwd\"/><Period xlink:href=\"ftp://h/x\"/><Period xlink:href=\"set.xml\"/>"
	                                "<Period xlink:href=\"loop.xml\"/>"),
	                        &asked);

	CHECK_INT(m->n_periods, 2);
	CHECK_STR(m->periods[0].id, "own");
	CHECK_INT(m->periods[0].n_sets, 1);
	CHECK_STR(m->periods[1].id, "l");
	CHECK_HAS(notes, "404");
	CHECK_HAS(notes, "not well-formed");
	CHECK_HAS(notes, "it is a file");
	CHECK_HAS(notes, "only http");
	CHECK_HAS(notes, "no such element");
	CHECK_HAS(notes, "circular");
	CHECK_INT(asked, 4);
	mpd_free(&m);
}

Test(mpd_link, is_bounded)
{
	struct buf text;
	unsigned asked;
	struct mpd *m;

	buf_init(&text, 1 << 20);
	buf_puts(&text, "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"><Period>");
	for (int i = 0; i < 200; i++)
		buf_puts(&text, "<AdaptationSet xlink:href=\"set.xml\"/>");
	buf_puts(&text, "</Period></MPD>");
	m = resolve(buf_text(&text), &asked);
	CHECK_INT(asked, MPD_MAX_LINKS);
	CHECK_HAS(notes, "too many");
	mpd_free(&m);
	buf_fini(&text);
}

Test(mpd_link, imports_mpds)
{
	unsigned asked;
	struct mpd *m = resolve(MPD("type=\"list\"", "<BaseURL>../</BaseURL><Period id=\"1\"><ImportedMPD>ad/m.mpd</ImportedMPD></Period>"
	                                             "<Period id=\"2\" duration=\"PT3S\"><ImportedMPD>ad/none.mpd</ImportedMPD></Period>"),
	                        &asked);
	struct timeline *t;
	struct fault f = {0};

	CHECK_INT(timeline_new(m, "http://h/d/x.mpd", 0, &t, &f), 0);
	CHECK_INT(t->n_periods, 2);
	CHECK_INT(t->periods[0].duration, 7 * DUR_S);
	CHECK_STR(t->periods[0].tracks[0].renditions[0].bases[0].url, "http://h/ad/x/");
	CHECK_INT(t->periods[1].n_tracks, 0);
	CHECK_HAS(notes, "404");
	timeline_free(&t);
	mpd_free(&m);
}

static int get_large(void *ctx, const char *url, struct buf *out, char **ret_url, struct fault *f)
{
	(void)f;
	++*(unsigned *)ctx;
	*ret_url = mem_dup(url);
	buf_puts(out, "<Period><!--");
	for (unsigned i = 0; i < 3 << 16; i++)
		buf_puts(out, "0123456789abcdef");
	return buf_puts(out, "--></Period>");
}

/* The same 3 MiB twelve times: five fit an MPD, and what does not is not asked for again and again. */
Test(mpd_link, parts_are_no_more_than_an_mpd)
{
	static const char text[] = MPD("", "<Period xlink:href=\"1\"/><Period xlink:href=\"2\"/><Period xlink:href=\"3\"/><Period xlink:href=\"4\"/>"
	                                   "<Period xlink:href=\"5\"/><Period xlink:href=\"6\"/><Period xlink:href=\"7\"/><Period xlink:href=\"8\"/>"
	                                   "<Period xlink:href=\"9\"/><Period xlink:href=\"10\"/><Period xlink:href=\"11\"/><Period xlink:href=\"12\"/>");
	unsigned asked = 0;
	struct buf out;
	struct fault f = {0};

	notes[0] = '\0';
	buf_init(&out, (size_t)64 << 20);
	CHECK_INT(mpd_resolve_links(text, strlen(text), "x", "http://h/d/x.mpd", get_large, note, &asked, &out, &f), 0);
	CHECK_INT(asked, 6);
	CHECK(out.size < MPD_MAX_BYTES && strstr(notes, "too many remote parts") != NULL);
	buf_fini(&out);
}

#define OLD MPD("id=\"m\" publishTime=\"2026-01-01T00:00:00Z\"",                                    \
		"<PatchLocation ttl=\"60\">p</PatchLocation><Period id=\"1\"><AdaptationSet id=\"1\" mimeType=\"video/mp4\">" \
		"<SegmentTemplate media=\"$Time$\"><SegmentTimeline><S t=\"0\" d=\"2\"/><S d=\"3\"/></SegmentTimeline></SegmentTemplate>" \
		"<Representation id=\"v\" bandwidth=\"1\"/></AdaptationSet></Period>")
#define PATCH(body)                                                                                \
	"<p:Patch xmlns:p=\"urn:mpeg:dash:schema:mpd-patch:2020\" xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"m\" " \
	"originalPublishTime=\"2026-01-01T00:00:00Z\" publishTime=\"2026-01-01T00:00:02Z\">\n" body "</p:Patch>"

static int patch(const char *patch_text, struct mpd **ret_mpd, struct fault *f)
{
	struct buf out;
	int e;

	buf_init(&out, 1 << 20);
	e = mpd_patch(OLD, strlen(OLD), patch_text, strlen(patch_text), "p.mpp", &out, f);
	if (e == 0)
		cr_assert(mpd_read(out.bytes, out.size, "x", ret_mpd, f) == 0, "%s", f->text);
	else
		CHECK_INT(out.size, 0);
	buf_fini(&out);
	return e;
}

#define LINE "/MPD/Period[@id='1']/AdaptationSet[@id='1']/SegmentTemplate/SegmentTimeline"

Test(mpd_patch, adds_replaces_and_removes)
{
	struct fault f = {0};
	struct mpd *m = NULL;
	const struct mpd_segments *s;

	cr_assert(patch(PATCH("<replace sel=\"/MPD/@publishTime\">2026-01-01T00:00:02Z</replace>"
	                      "<replace sel=\"/MPD/PatchLocation[1]\"><PatchLocation ttl=\"9\">q&amp;r</PatchLocation></replace>"
	                      "<add sel=\"" LINE "\"><S t=\"5\" d=\"4\"/><S d=\"6\"/></add>"
	                      "<remove sel=\"" LINE "/S[1]\"/><add sel=\"" LINE "/S[@d='3']\" type=\"@t\">2</add>"
	                      "<add sel=\"/MPD\"><Period id=\"2\" start=\"PT20S\"/></add>"
	                      "<add sel=\"/MPD/Period[1]\" pos=\"after\"><Period id=\"1b\" start=\"PT9S\"/></add>"),
	                &m, &f) == 0, "%s", f.text);
	CHECK_STR(m->patch_locations.v[0].url, "q&r");
	CHECK_INT(m->n_periods, 3);
	CHECK_STR(m->periods[1].id, "1b");
	s = &m->periods[0].sets[0].segments;
	CHECK_INT(s->n_timeline, 3);
	CHECK_INT(s->timeline[0].d, 3);
	CHECK_INT(s->timeline[0].t, 2);
	CHECK_INT(s->timeline[2].d, 6);
	mpd_free(&m);
}

static void fill(struct buf *b, const char *head, const char *row, unsigned n, bool numbered, const char *tail)
{
	buf_init(b, (size_t)16 << 20);
	buf_puts(b, head);
	for (unsigned i = 0; i < n; i++) {
		buf_puts(b, row);
		if (numbered)
			buf_printf(b, "%u\">1</add>", i);
	}
	buf_puts(b, tail);
	CHECK_INT(buf_error(b), 0);
}

/* Each operation looks for its place among all elements, or all attributes, or in one as long as the MPD. */
Test(mpd_patch, is_not_worked_on_for_hours)
{
#define MPD_HEAD "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" id=\"m\" publishTime=\"2026-01-01T00:00:00Z\">"
#define PATCH_HEAD "<Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"m\" originalPublishTime=\"2026-01-01T00:00:00Z\">"
	static const struct {
		const char *head, *row, *tail, *operation;
	} rows[] = {
		{MPD_HEAD, "<a/>", "<b/></MPD>", "<add sel=\"/MPD/b\" type=\"@x"},
		{MPD_HEAD "<b id=\"", "xxxx", "\"/><b id=\"y\"/></MPD>", "<add sel=\"/MPD/b[@id='y']\" type=\"@x"},
		{MPD_HEAD "<b", "", "/></MPD>", "<add sel=\"/MPD/b\" type=\"@x"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf mpd, patch, out;
		struct fault f = {0};

		fill(&mpd, rows[i].head, rows[i].row, 1000000, false, rows[i].tail);
		fill(&patch, PATCH_HEAD, rows[i].operation, 100000, true, "</Patch>");
		buf_init(&out, (size_t)16 << 20);
		CHECK_INT(mpd_patch(mpd.bytes, mpd.size, patch.bytes, patch.size, "p.mpp", &out, &f), ERR_LIMIT);
		CHECK(strstr(f.text, "p.mpp:1: the patch takes too long") != NULL);
		buf_fini(&out);
		buf_fini(&patch);
		buf_fini(&mpd);
	}
}

/* Attributes with a prefix, text, a patch that does not date what it makes, and the same moment in other words. */
Test(mpd_patch, takes_what_others_write)
{
	struct fault f = {0};
	struct mpd *m = NULL;

	cr_assert(patch("<Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" xmlns:x=\"http://www.w3.org/1999/xlink\" mpdId=\"m\" "
	                "originalPublishTime=\"2026-01-01T01:00:00.000+01:00\" publishTime=\"2026-01-01T00:00:07Z\">"
	                "<add sel=\"/MPD/Period[@id='1']/AdaptationSet\" type=\"@x:href\">a.xml</add>"
	                "<replace sel=\"/MPD/Period/AdaptationSet/@xlink:href\">b.xml</replace>"
	                "<add sel=\"/MPD/PatchLocation\">/q</add><remove sel=\"/MPD/Period/AdaptationSet/@none\"/>"
	                "<replace sel=\"/MPD/Period/AdaptationSet/Representation/@id\">a&amp;b</replace></Patch>", &m, &f) == 0, "%s", f.text);
	CHECK_STR(m->periods[0].sets[0].xlink_href, "b.xml");
	CHECK_STR(m->periods[0].sets[0].representations[0].id, "a&b");
	CHECK_STR(m->patch_locations.v[0].url, "p/q");
	CHECK_INT(m->publish_time, (wall_us)1767225607 * DUR_S);
	mpd_free(&m);
}

Test(mpd_patch, refuses_with_a_place)
{
	static const struct {
		const char *patch, *words;
		int code;
	} rows[] = {
		{PATCH("<add sel=\"/MPD/Period[@id='9']\"/>"), "p.mpp:2: add@sel \"/MPD/Period[@id='9']\" finds nothing", ERR_SYNTAX},
		{PATCH("<add sel=\"//Period\"/>"), "no selector", ERR_SYNTAX},
		{PATCH("<add sel=\"/MPD/Period[\"/>"), "no selector", ERR_SYNTAX},
		{PATCH("<add sel=\"/MPD[@id='m\"/>"), "no selector", ERR_SYNTAX},
		{PATCH("<add/>"), "no selector", ERR_SYNTAX},
		{PATCH("<remove sel=\"/MPD\"/>"), "whole MPD", ERR_SYNTAX},
		{PATCH("<turn sel=\"/MPD/Period\"/>"), "expected add", ERR_SYNTAX},
		{"<Patch mpdId=\"m\" originalPublishTime=\"2025-01-01T00:00:00Z\"/>", "another MPD", ERR_EXISTS},
		{"<MPD/>", "expected <Patch>", ERR_SYNTAX},
		{"<", "p.mpp:1", ERR_SYNTAX},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fault f = {0};
		struct mpd *m = NULL;

		CHECK_INT(patch(rows[i].patch, &m, &f), rows[i].code);
		CHECK_HAS(f.text, rows[i].words);
	}
}
