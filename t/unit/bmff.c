/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * dash/bmff*: boxes with known answers, made by hand, and every truncation and
 * many mutations of them: an error or an answer, never a read outside.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "dash/bmff.h"
#include "dash/bmff_fragment.h"
#include "dash/bmff_header.h"
#include "dash/bmff_track.h"
#include "t/lib/unit.h"

#define T(a, b, c, d) BMFF_TYPE(a, b, c, d)

static size_t open_box(struct buf *b, const char *type)
{
	size_t start = b->size;

	buf_be(b, 0, 4);
	buf_append(b, type, 4);
	return start;
}

static void close_box(struct buf *b, size_t start)
{
	size_t n = b->size - start;

	for (int i = 0; i < 4; i++)
		b->bytes[start + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
}

static void zeros(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_putc(b, 0);
}

static void leaf(struct buf *b, const char *type, const char *payload, size_t n)
{
	size_t box = open_box(b, type);

	buf_append(b, payload, n);
	close_box(b, box);
}
#define LEAF(b, type, text) leaf(b, type, text, sizeof(text) - 1)

static void put_visual(struct buf *b, const char *type, const char *config, const char *payload, size_t n)
{
	size_t entry = open_box(b, type);

	zeros(b, 6);
	buf_be(b, 1, 2);
	zeros(b, 16);
	buf_be(b, 1280, 2);
	buf_be(b, 720, 2);
	zeros(b, 50);
	LEAF(b, "colr", "nclx\0\11\0\20\0\11\0");
	LEAF(b, "pasp", "\0\0\0\4\0\0\0\3");
	leaf(b, config, payload, n);
	close_box(b, entry);
}

static void put_sound(struct buf *b, const char *type, const char *config, const char *payload, size_t n)
{
	size_t entry = open_box(b, type);

	zeros(b, 6);
	buf_be(b, 1, 2);
	zeros(b, 8);
	buf_be(b, 2, 2);
	buf_be(b, 16, 2);
	zeros(b, 4);
	buf_be(b, (uint64_t)44100 << 16, 4);
	leaf(b, config, payload, n);
	close_box(b, entry);
}

struct init {
	const char *handler, *entry, *config, *payload;
	size_t n;
};

static void put_stbl(struct buf *b, const struct init *i)
{
	size_t stbl = open_box(b, "stbl"), stsd = open_box(b, "stsd");

	buf_be(b, 0, 4);
	buf_be(b, 1, 4);
	if (strcmp(i->handler, "vide") == 0)
		put_visual(b, i->entry, i->config, i->payload, i->n);
	else
		put_sound(b, i->entry, i->config, i->payload, i->n);
	close_box(b, stsd);
	LEAF(b, "stts", "\0\0\0\0\0\0\0\0");
	LEAF(b, "stsz", "\0\0\0\0\0\0\0\0\0\0\0\0");
	close_box(b, stbl);
}

static void put_trak(struct buf *b, const struct init *i)
{
	size_t trak = open_box(b, "trak"), mdia, hdlr, minf;

	LEAF(b, "tkhd", "\0\0\0\3" "\0\0\0\0\0\0\0\0" "\0\0\0\7" "\0\0\0\0" "\0\0\0\11"
	                "\0\0\0\0\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\0\1\0\0\0\0\0\0\0\0\0\0" "\0\0\0\0\0\1\0\0\0\0\0\0"
	                "\0\0\0\0\0\0\0\0\100\0\0\0" "\6\252\0\0" "\2\320\0\0");
	mdia = open_box(b, "mdia");
	LEAF(b, "mdhd", "\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\273\200" "\0\0\0\5" "\25\307" "\0\0"); /* 48000, eng */
	hdlr = open_box(b, "hdlr");
	zeros(b, 8);
	buf_append(b, i->handler, 4);
	zeros(b, 13);
	close_box(b, hdlr);
	minf = open_box(b, "minf");
	put_stbl(b, i);
	close_box(b, minf);
	close_box(b, mdia);
	close_box(b, trak);
}

static void put_init(struct buf *b, const struct init *i)
{
	size_t moov, mvex;

	buf_init(b, 65536);
	LEAF(b, "ftyp", "iso5\0\0\2\0iso6mp41");
	moov = open_box(b, "moov");
	LEAF(b, "mvhd", "\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\3\350" "\0\0\0\11"
	                "\0\1\0\0\1\0\0\0\0\0\0\0\0\0\0\0" "\0\1\0\0\0\0\0\0\0\0\0\0" "\0\0\0\0\0\1\0\0\0\0\0\0"
	                "\0\0\0\0\0\0\0\0\100\0\0\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0\0\0\2");
	put_trak(b, i);
	mvex = open_box(b, "mvex");
	LEAF(b, "trex", "\0\0\0\0" "\0\0\0\7" "\0\0\0\1" "\0\0\4\0" "\0\0\0\12" "\1\1\0\0");
	close_box(b, mvex);
	LEAF(b, "udta", "kept");
	close_box(b, moov);
	cr_assert(buf_error(b) == 0);
}

static const char avcc[] = "\1\x64\0\x1f\xff\xe0\0";
static const char esds[] = "\0\0\0\0" "\3\x80\x80\x80\x22\0\1\0" "\4\x80\x80\x80\x14\x40\x15\0\0\0\0\1\xf4\0\0\1\xf4\0"
                           "\5\x80\x80\x80\2\x11\xb0" "\6\1\2";
static const struct init avc = {"vide", "avc1", "avcC", avcc, sizeof avcc - 1};
static const struct init aac = {"soun", "mp4a", "esds", esds, sizeof esds - 1};

static struct bmff_movie *movie_of(const struct buf *b)
{
	struct bmff_movie *m = NULL;
	struct fault f = {0};
	int r = bmff_movie_read(b->bytes, b->size, &m, &f);

	cr_assert(r == 0, "%s", fault_text(&f));
	return m;
}

Test(bmff, box_sizes)
{
	static const uint8_t large[] = {0, 0, 0, 1, 'f', 'r', 'e', 'e', 0, 0, 0, 0, 0, 0, 0, 18, 7, 7, 0, 0, 0, 0, 'm', 'd', 'a', 't', 9};
	static const uint8_t small[] = {0, 0, 0, 7, 'f', 'r', 'e', 'e'}, huge[] = {0, 0, 0, 1, 'f', 'r', 'e', 'e', 255, 255, 255, 255, 255, 255, 255, 255};
	struct bmff_box box;
	size_t pos = 0;

	CHECK_INT(bmff_next(large, sizeof large, &pos, &box), 0);
	CHECK_INT(box.payload, 16);
	CHECK_INT(box.end, 18);
	CHECK_INT(bmff_next(large, sizeof large, &pos, &box), 0); /* size 0: to the end */
	CHECK_INT(box.type, T('m', 'd', 'a', 't'));
	CHECK_INT(box.end, sizeof large);
	CHECK_INT(bmff_next(large, sizeof large, &pos, &box), ERR_NOT_FOUND);
	pos = 0;
	CHECK_INT(bmff_next(small, 8, &pos, &box), ERR_SYNTAX);
	CHECK_INT(bmff_next(small, 7, &pos, &box), ERR_TRUNCATED);
	CHECK_INT(bmff_next(huge, 16, &pos, &box), ERR_TRUNCATED);
	CHECK_INT(pos, 0);
}

Test(bmff, sidx_round)
{
	struct bmff_sidx_entry e[2] = {{false, 1000, 96000, true, 1, 0}, {true, 0x7fffffff, 1, false, 0, 0xfffffff}};
	struct bmff_sidx x = {7, 48000, 1024, 0, 0, e, 2}, *y = NULL;
	struct buf b;

	buf_init(&b, 4096);
	LEAF(&b, "free", "xyz");
	CHECK_INT(bmff_sidx_write(&x, &b), 0);
	CHECK_INT(b.size, 11 + bmff_sidx_size(2, false));
	CHECK_INT(bmff_sidx_read(b.bytes, b.size, 100, &y), 0);
	CHECK_INT(y->anchor, 100 + b.size);
	CHECK_INT(y->reference_id, 7);
	CHECK_INT(y->earliest_time, 1024);
	CHECK_INT(y->n_entries, 2);
	CHECK_INT(y->entries[0].size, 1000);
	CHECK_INT(y->entries[0].sap_type, 1);
	CHECK(y->entries[1].to_index && y->entries[1].sap_delta == 0xfffffff);
	bmff_sidx_free(&y);
	for (size_t n = 0; n < b.size; n++) {
		int r = bmff_sidx_read(b.bytes, n, 0, &y);

		CHECK(r == ERR_TRUNCATED || r == ERR_NOT_FOUND);
	}
	buf_clear(&b);
	x.earliest_time = (uint64_t)1 << 40;
	CHECK_INT(bmff_sidx_write(&x, &b), 0);
	CHECK_INT(bmff_sidx_read(b.bytes, b.size, 0, &y), 0);
	CHECK_INT(y->earliest_time, (uint64_t)1 << 40);
	bmff_sidx_free(&y);
	e[0].size = 0x80000000;
	CHECK_INT(bmff_sidx_write(&x, &b), ERR_OUT_OF_RANGE);
	buf_fini(&b);
}

Test(bmff, picture_track)
{
	struct buf b;
	struct bmff_movie *m;
	const struct bmff_track *t;

	put_init(&b, &avc);
	m = movie_of(&b);
	CHECK_INT(m->n_tracks, 1);
	CHECK(m->fragmented && bmff_movie_has_brand(m, T('m', 'p', '4', '1')));
	t = bmff_movie_track(m, 7);
	CHECK(t != NULL && bmff_movie_track(m, 8) == NULL);
	CHECK_STR(t->codecs, "avc1.64001F");
	CHECK_STR(t->language, "eng");
	CHECK_INT(t->timescale, 48000);
	CHECK_INT(t->width, 1280);
	CHECK_INT(t->display_width, 1706);
	CHECK_INT(t->par_num, 4);
	CHECK_INT(t->par_den, 3);
	CHECK_INT(t->colr.transfer, 16);
	CHECK_INT(t->trex.duration, 1024);
	CHECK_INT(t->n_config, sizeof avcc - 1);
	bmff_movie_free(&m);
	buf_fini(&b);
}

static void check_codecs(const struct init *i, const char *want, uint32_t channels, uint32_t rate)
{
	struct buf b;
	struct bmff_movie *m;

	put_init(&b, i);
	m = movie_of(&b);
	CHECK_STR(m->tracks[0].codecs, want);
	CHECK_INT(m->tracks[0].channels, channels);
	CHECK_INT(m->tracks[0].sample_rate, rate);
	bmff_movie_free(&m);
	buf_fini(&b);
}
#define CODECS(handler, entry, config, payload, want, channels, rate) \
	check_codecs(&(struct init){handler, entry, config, payload, sizeof(payload) - 1}, want, channels, rate)

Test(bmff, codecs_strings)
{
	CODECS("vide", "avc3", "avcC", "\1\x42\xc0\x1e\xff\xe0\0", "avc3.42C01E", 0, 0);
	CODECS("vide", "hvc1", "hvcC", "\1\1\x60\0\0\0\x90\0\0\0\0\0\x78\xf0\0\xfc", "hvc1.1.6.L120.90", 0, 0);
	CODECS("vide", "hev1", "hvcC", "\1\x22\x20\0\0\0\xb0\0\0\0\0\0\x99\xf0\0\xfc", "hev1.2.4.H153.B0", 0, 0);
	CODECS("vide", "av01", "av1C", "\x81\x09\x4c\0", "av01.0.09M.10.0.110.09.16.09.0", 0, 0);
	CODECS("vide", "vp09", "vpcC", "\1\0\0\0\0\x15\x82\1\1\1\0\0", "vp09.00.21.08", 0, 0);
	CODECS("vide", "vp09", "vpcC", "\1\0\0\0\2\x15\xa2\x09\x10\x09\0\0", "vp09.02.21.10.01.09.16.09.00", 0, 0);
	CODECS("soun", "mp4a", "esds", esds, "mp4a.40.2", 6, 48000);
	CODECS("soun", "mp4a", "esds", "\0\0\0\0\3\x19\0\1\0\4\x11\x40\x15\0\0\0\0\0\0\0\0\0\0\0\5\4\x2b\x92\x08\0", "mp4a.40.5", 2, 44100);
	CODECS("soun", "mp4a", "esds", "\0\0\0\0\3\x13\0\1\0\4\x0d\x6b\x15\0\0\0\0\0\0\0\0\0\0\0", "mp4a.6B", 2, 44100);
	CODECS("soun", "mp4a", "esds", "\0\0", "mp4a", 2, 44100);
	CODECS("soun", "Opus", "dOps", "\0\6\1\x38\0\0\xbb\x80\0\0\1\4\2\0\4\1\2\3\5", "opus", 6, 48000);
	CODECS("soun", "ac-3", "dac3", "\x10\x3d\xe0", "ac-3", 6, 48000);
	CODECS("soun", "ec-3", "dec3", "\x0c\0\x20\x0f\0", "ec-3", 6, 48000);
	CODECS("soun", "fLaC", "dfLa", "\0\0\0\0\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0\0\0\0\0"
	       "0123456789abcdef", "flac", 2, 44100);
	CODECS("soun", "zzzz", "abcd", "?", "zzzz", 2, 44100);
}

/* What a stranger's player needs is kept; what CMAF wants is set. */
Test(bmff, header_for_sound)
{
	struct bmff_header_settings s = {.has_edit = true, .edit_start = 1024, .edit_duration = 480000, .roll_distance = -1, .duration = 481024};
	struct buf in, out;
	struct bmff_movie *m;
	const struct bmff_track *t;

	put_init(&in, &aac);
	buf_init(&out, 65536);
	CHECK_INT(bmff_header_make(in.bytes, in.size, &s, &out, NULL), 0);
	m = movie_of(&out);
	t = &m->tracks[0];
	CHECK_INT(m->major_brand, T('c', 'm', 'f', '2'));
	CHECK(bmff_movie_has_brand(m, T('c', 'a', 'm', 'c')) && bmff_movie_has_brand(m, T('c', 'm', 'f', 'c')));
	CHECK_INT(m->timescale, 48000);
	CHECK_INT(m->duration, 0);
	CHECK_INT(t->duration, 0);
	CHECK_INT(m->fragment_duration, 481024);
	CHECK_INT(t->n_edits, 1);
	CHECK_INT(t->edits[0].media_time, 1024);
	CHECK_INT(t->edits[0].duration, 480000);
	CHECK_INT(bmff_track_shift(t, m->timescale), 1024);
	CHECK(t->has_roll && t->roll_distance == -1);
	CHECK_INT(t->trex.size, 10);
	CHECK(memmem(out.bytes, out.size, "udtakept", 8) != NULL);
	bmff_movie_free(&m);
	in.size = 0;
	buf_append(&in, out.bytes, out.size); /* a header made again is the same */
	out.size = 0;
	CHECK_INT(bmff_header_make(in.bytes, in.size, &s, &out, NULL), 0);
	CHECK(in.size == out.size && memcmp(in.bytes, out.bytes, in.size) == 0);
	buf_fini(&in);
	buf_fini(&out);
}

Test(bmff, header_for_pictures)
{
	struct bmff_header_settings s = {.has_edit = true, .edit_start = 2000};
	struct buf in, out;
	struct bmff_movie *m;

	put_init(&in, &avc);
	buf_init(&out, 65536);
	CHECK_INT(bmff_header_make(in.bytes, in.size, &s, &out, NULL), 0);
	m = movie_of(&out);
	CHECK_INT(m->major_brand, T('c', 'm', 'f', 'c')); /* an edit list is not for cmf2 */
	CHECK(!bmff_movie_has_brand(m, T('c', 'm', 'f', '2')));
	CHECK(!bmff_movie_has_brand(m, T('c', 'f', 'h', 'd'))); /* PQ is no SDR */
	CHECK(!m->has_fragment_duration && !m->tracks[0].has_roll);
	bmff_movie_free(&m);
	buf_fini(&in);
	buf_fini(&out);
}

static uint32_t brand(const char *entry, uint8_t profile, uint8_t level, uint32_t width, uint32_t height, uint16_t transfer)
{
	struct bmff_track t = {.profile = profile, .level = level, .width = width, .height = height, .colr = {transfer != 0, 1, transfer, 1, false}};

	t.entry = T((uint8_t)entry[0], (uint8_t)entry[1], (uint8_t)entry[2], (uint8_t)entry[3]);
	return bmff_media_brand(&t);
}

Test(bmff, media_brands)
{
	CHECK_INT(brand("avc1", 100, 30, 768, 432, 1), T('c', 'f', 's', 'd'));
	CHECK_INT(brand("avc1", 100, 31, 1280, 720, 0), T('c', 'f', 'h', 'd'));
	CHECK_INT(brand("avc3", 77, 40, 1920, 1080, 1), T('c', 'f', 'h', 'd'));
	CHECK_INT(brand("avc1", 100, 42, 1920, 1080, 1), T('c', 'h', 'd', 'f'));
	CHECK_INT(brand("avc1", 100, 51, 3840, 2160, 1), 0);
	CHECK_INT(brand("avc1", 110, 40, 1920, 1080, 1), 0);
	CHECK_INT(brand("hvc1", 2, 153, 3840, 2160, 16), T('c', 'h', 'd', '1'));
	CHECK_INT(brand("hvc1", 2, 153, 3840, 2160, 18), T('c', 'l', 'g', '1'));
	CHECK_INT(brand("hvc1", 1, 123, 1920, 1080, 1), T('c', 'h', 'h', 'd'));
	CHECK_INT(brand("hev1", 1, 150, 3840, 2160, 1), T('c', 'u', 'd', '8'));
	CHECK_INT(brand("av01", 0, 9, 1920, 1080, 1), T('a', 'v', '0', '1'));
	CHECK_INT(brand("Opus", 0, 0, 0, 0, 0), 0);
}

static const struct bmff_sample gop[] = {
	{.size = 900, .duration = 1001, .flags = BMFF_FLAGS_SYNC},
	{.size = 100, .duration = 1001, .flags = BMFF_FLAGS_NON_SYNC, .composition = 2002},
	{.size = 50, .duration = 1001, .flags = BMFF_FLAGS_NON_SYNC, .composition = -1001},
};

static struct bmff_fragment *reread(const struct buf *b, size_t n, const struct bmff_movie *m, size_t *pos)
{
	struct bmff_fragment *g = NULL;
	struct fault f = {0};
	int r = bmff_fragment_read(b->bytes, n, 0, pos, m, 0, &g, &f);

	cr_assert(r == 0, "%s", fault_text(&f));
	return g;
}

Test(bmff, fragment_round)
{
	struct bmff_fragment_head h = {5, 7, (uint64_t)1 << 33, gop, 3, false};
	struct bmff_fragment *g;
	struct bmff_movie *m;
	struct buf init, b;
	size_t pos = 0;

	put_init(&init, &avc);
	m = movie_of(&init);
	buf_init(&b, 65536);
	LEAF(&b, "styp", "msdh\0\0\0\0");
	CHECK_INT(bmff_fragment_write(&h, &b), 0);
	g = reread(&b, b.size, m, &pos); /* the data need not be there */
	bmff_fragment_free(&g);
	zeros(&b, 1050);
	LEAF(&b, "free", "");
	pos = 0;
	g = reread(&b, b.size, m, &pos);
	CHECK_INT(pos, b.size - 8);
	CHECK_INT(g->sequence, 5);
	CHECK_INT(g->moof, 16);
	CHECK_INT(g->mdat, g->moof_end);
	CHECK_INT(g->mdat_end, b.size - 8);
	CHECK(g->has_tfdt && g->base_is_moof && !g->has_base_data_offset);
	CHECK_INT(g->tfdt, (uint64_t)1 << 33);
	CHECK_INT(g->n_trafs, 1);
	CHECK_INT(g->n_truns, 1);
	CHECK_INT(g->trun_version, 1);
	CHECK_INT(g->n_samples, 3);
	CHECK_INT(g->duration, 3003);
	CHECK_INT(g->earliest, (uint64_t)1 << 33);
	CHECK_INT(g->latest, ((uint64_t)1 << 33) + 4004);
	CHECK(g->starts_with_sync && g->first_is_earliest && g->data_in_mdat);
	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(g->samples[i].size, gop[i].size);
		CHECK_INT(g->samples[i].flags, gop[i].flags);
		CHECK_INT(g->samples[i].composition, gop[i].composition);
	}
	CHECK_INT(g->samples[0].offset, g->mdat + 8);
	CHECK_INT(g->samples[2].offset, g->mdat + 8 + 1000);
	CHECK_INT(g->samples[2].time, ((uint64_t)1 << 33) + 2002);
	bmff_fragment_free(&g);
	CHECK_INT(bmff_fragment_read(b.bytes, b.size, 0, &pos, m, 0, &g, NULL), ERR_NOT_FOUND);
	bmff_movie_free(&m);
	buf_fini(&init);
	buf_fini(&b);
}

/* What all samples share stands once; trex is not needed. */
Test(bmff, fragment_of_sound)
{
	struct bmff_sample s[187];
	struct bmff_fragment_head h = {1, 7, 0, s, 187, true};
	struct bmff_fragment *g;
	struct bmff_movie *m;
	struct buf init, b;
	size_t pos = 0;

	for (size_t i = 0; i < 187; i++)
		s[i] = (struct bmff_sample){.size = 300, .duration = 960, .flags = BMFF_FLAGS_SYNC};
	put_init(&init, &aac);
	m = movie_of(&init);
	m->tracks[0].trex = (struct bmff_trex){0};
	buf_init(&b, 65536);
	CHECK_INT(bmff_fragment_write(&h, &b), 0);
	CHECK_INT(b.size, 8 + 16 + 8 + 28 + 20 + 28 + 20 + 8);
	g = reread(&b, b.size, m, &pos);
	CHECK_INT(g->duration, 187 * 960);
	CHECK_INT(g->mdat_end - g->mdat, 8 + 187 * 300);
	CHECK_INT(g->samples[186].flags, BMFF_FLAGS_SYNC);
	CHECK(g->data_in_mdat);
	bmff_fragment_free(&g);
	h.n_samples = 0;
	CHECK_INT(bmff_fragment_write(&h, &b), ERR_LIMIT);
	bmff_movie_free(&m);
	buf_fini(&init);
	buf_fini(&b);
}

Test(bmff, shift_of_edit_lists)
{
	struct bmff_edit late[] = {{.duration = 500, .media_time = -1}, {.media_time = 1024, .rate = 1}};
	struct bmff_track t = {.timescale = 48000, .edits = late, .n_edits = 2};

	CHECK_INT(bmff_track_shift(&t, 1000), 1024 - 24000);
	t.n_edits = 0;
	CHECK_INT(bmff_track_shift(&t, 1000), 0);
}

/* A copy without a byte to spare, so that the sanitizer sees any read behind it. */
static void feed(const uint8_t *bytes, size_t n, const struct bmff_movie *known)
{
	uint8_t *exact = malloc(n > 0 ? n : 1);
	struct bmff_movie *m = NULL;
	struct bmff_fragment *g = NULL;
	struct bmff_sidx *x = NULL;
	size_t pos = 0;
	struct buf out;

	cr_assert(exact != NULL);
	memcpy(exact, bytes, n);
	bmff_movie_read(exact, n, &m, NULL);
	while (bmff_fragment_read(exact, n, 0, &pos, m != NULL ? m : known, 0, &g, NULL) == 0)
		bmff_fragment_free(&g);
	bmff_sidx_read(exact, n, 0, &x);
	buf_init(&out, 1 << 20);
	bmff_header_make(exact, n, &(struct bmff_header_settings){.has_edit = true, .roll_distance = -1, .duration = 1}, &out, NULL);
	buf_fini(&out);
	bmff_sidx_free(&x);
	bmff_movie_free(&m);
	free(exact);
}

static void put_whole(struct buf *b, const struct init *i)
{
	struct bmff_fragment_head h = {1, 7, 0, gop, 3, true};
	struct bmff_sidx_entry e = {.size = 1200, .duration = 3003};
	struct bmff_sidx x = {.reference_id = 7, .timescale = 48000, .entries = &e, .n_entries = 1};

	put_init(b, i);
	bmff_sidx_write(&x, b);
	bmff_fragment_write(&h, b);
	zeros(b, 1050);
}

Test(bmff, every_truncation_is_an_error)
{
	const struct init *kinds[] = {&avc, &aac};
	struct fault f;

	for (size_t k = 0; k < 2; k++) {
		struct buf b;
		struct bmff_movie *m = NULL;
		size_t moov_end;
		struct bmff_box box = {0};

		put_whole(&b, kinds[k]);
		CHECK_INT(bmff_find(b.bytes, b.size, T('m', 'o', 'o', 'v'), &box), 0);
		moov_end = box.end;
		for (size_t n = 0; n < moov_end; n++) {
			uint8_t *exact = malloc(n + 1);

			f = (struct fault){0};
			memcpy(exact, b.bytes, n);
			CHECK(bmff_movie_read(exact, n, &m, &f) < 0 && f.text[0] != '\0');
			free(exact);
		}
		m = movie_of(&b);
		for (size_t n = moov_end; n < b.size; n++)
			feed(b.bytes, n, m);
		bmff_movie_free(&m);
		buf_fini(&b);
	}
}

Test(bmff, mutations_do_no_harm)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct buf b;
	struct bmff_movie *m;

	put_whole(&b, &aac);
	m = movie_of(&b);
	for (size_t i = 0; i < b.size - 1050; i++) {
		uint8_t was = b.bytes[i];

		for (size_t v = 0; v < sizeof values; v++) {
			b.bytes[i] = values[v];
			feed(b.bytes, b.size, m);
		}
		b.bytes[i] = was;
	}
	bmff_movie_free(&m);
	buf_fini(&b);
}

/* A run without a field for each sample could claim 2^32 of them in 20 bytes. */
Test(bmff, claimed_samples_are_bounded)
{
	struct bmff_sample one = {.size = 1, .duration = 1};
	struct bmff_fragment_head h = {1, 7, 0, &one, 1, false};
	struct bmff_fragment *g;
	struct bmff_movie *m;
	struct buf init, b;
	size_t pos = 0;
	uint8_t *count;

	put_init(&init, &aac);
	m = movie_of(&init);
	buf_init(&b, 4096);
	bmff_fragment_write(&h, &b);
	count = (uint8_t *)memmem(b.bytes, b.size, "trun", 4) + 8;
	memset(count, 0xff, 4);
	CHECK_INT(bmff_fragment_read(b.bytes, b.size, 0, &pos, m, 0, &g, NULL), ERR_LIMIT);
	bmff_movie_free(&m);
	buf_fini(&init);
	buf_fini(&b);
}
