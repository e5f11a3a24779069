/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sample entries and the decoder configurations inside, and the RFC 6381 string
 * they give.  A configuration that is too short for its string leaves the bare
 * type: a player can still ask its decoder.  Invariant: nothing is read behind
 * the end of the box it stands in.
 */
#include "dash/bmff_entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define T(a, b, c, d) BMFF_TYPE(a, b, c, d)

static void keep_config(struct bmff_track *t, const struct bmff_in *in)
{
	free(t->config);
	t->config = mem_try(in->n + 1, 1);
	if (t->config == NULL)
		return;
	memcpy(t->config, in->p, in->n);
	t->n_config = in->n;
}

/* 14496-15 5.3.3.1.2; RFC 6381 3.3 */
static void read_avcc(struct bmff_in in, struct bmff_track *t, const char *type)
{
	if (in.n < 4)
		return;
	t->profile = in.p[1];
	t->level = in.p[3];
	snprintf(t->codecs, sizeof t->codecs, "%s.%02X%02X%02X", type, in.p[1], in.p[2], in.p[3]);
}

static uint32_t reversed(uint32_t v)
{
	uint32_t r = 0;

	for (unsigned i = 0; i < 32; i++)
		r |= (v >> i & 1) << (31 - i);
	return r;
}

/* 14496-15 8.3.3.1.2 and annex E.3 */
static void read_hvcc(struct bmff_in in, struct bmff_track *t, const char *type)
{
	static const char *const space[] = {"", "A", "B", "C"};
	uint8_t version = bmff_in_u8(&in), v = bmff_in_u8(&in);
	uint32_t compatible = bmff_in_u32(&in);
	uint8_t constraints[6];
	int last = 5, n;

	(void)version; /* 0 in files older than the standard, else the same */
	for (int i = 0; i < 6; i++)
		constraints[i] = bmff_in_u8(&in);
	t->level = bmff_in_u8(&in);
	t->profile = v & 31;
	if (in.bad)
		return;
	n = snprintf(t->codecs, sizeof t->codecs, "%s.%s%u.%X.%c%u", type, space[v >> 6], v & 31u, reversed(compatible),
	             (v & 0x20) != 0 ? 'H' : 'L', t->level);
	while (last >= 0 && constraints[last] == 0)
		last--;
	for (int i = 0; i <= last; i++)
		n += snprintf(t->codecs + n, sizeof t->codecs - (size_t)n, ".%X", constraints[i]);
}

/* The optional fields are all there or none; none when they have their defaults
 * (AV1-ISOBMFF 5). */
static void add_av1_colour(struct bmff_track *t, uint8_t v)
{
	unsigned mono = v >> 4 & 1, x = v >> 3 & 1, y = v >> 2 & 1, position = x && y ? v & 3 : 0;
	const struct bmff_colr *c = &t->colr;
	struct bmff_colr d = {true, 1, 1, 1, false};
	size_t n = strlen(t->codecs);

	if (!c->present)
		c = &d;
	if (mono == 0 && x && y && position == 0 && c->primaries == 1 && c->transfer == 1 && c->matrix == 1 &&
	    !c->full_range)
		return;
	snprintf(t->codecs + n, sizeof t->codecs - n, ".%u.%u%u%u.%02u.%02u.%02u.%u", mono, x, y, position, c->primaries,
	         c->transfer, c->matrix, c->full_range);
}

static void read_av1c(struct bmff_in in, struct bmff_track *t, const char *type)
{
	uint8_t v;
	unsigned depth;

	if (in.n < 3)
		return;
	v = in.p[2];
	t->profile = in.p[1] >> 5;
	t->level = in.p[1] & 31;
	depth = (v & 0x40) == 0 ? 8 : (v & 0x20) != 0 ? 12 : 10;
	snprintf(t->codecs, sizeof t->codecs, "%s.%u.%02u%c.%02u", type, t->profile, t->level, (v & 0x80) != 0 ? 'H' : 'M',
	         depth);
	add_av1_colour(t, v);
}

/* VP9-ISOBMFF 2.2: a FullBox */
static void read_vpcc(struct bmff_in in, struct bmff_track *t, const char *type)
{
	const uint8_t *p = in.p + 4;
	unsigned chroma;
	int n;

	if (in.n < 10)
		return;
	chroma = p[2] >> 1 & 7;
	n = snprintf(t->codecs, sizeof t->codecs, "%s.%02u.%02u.%02u", type, p[0], p[1], p[2] >> 4);
	if (chroma == 1 && p[3] == 1 && p[4] == 1 && p[5] == 1 && (p[2] & 1) == 0)
		return;
	snprintf(t->codecs + n, sizeof t->codecs - (size_t)n, ".%02u.%02u.%02u.%02u.%02u", chroma, p[3], p[4], p[5],
	         p[2] & 1u);
}

struct bits {
	const uint8_t *p;
	size_t n, pos; /* in bits */
};

static unsigned get_bits(struct bits *b, unsigned n)
{
	unsigned v = 0;

	while (n-- > 0) {
		unsigned bit = b->pos / 8 < b->n ? b->p[b->pos / 8] >> (7 - b->pos % 8) & 1u : 0;

		v = v << 1 | bit;
		b->pos++;
	}
	return v;
}

static unsigned get_aot(struct bits *b)
{
	unsigned aot = get_bits(b, 5);

	return aot == 31 ? 32 + get_bits(b, 6) : aot;
}

static unsigned get_rate(struct bits *b)
{
	static const unsigned rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
	                                 22050, 16000, 12000, 11025, 8000,  7350};
	unsigned i = get_bits(b, 4);

	return i == 15 ? get_bits(b, 24) : i < sizeof rates / sizeof *rates ? rates[i] : 0;
}

/* AudioSpecificConfig, 14496-3 1.6.2.1 */
static void read_asc(const uint8_t *p, size_t n, struct bmff_track *t, unsigned object_type)
{
	static const uint8_t layouts[] = {0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8, 0};
	struct bits b = {.p = p, .n = n};
	unsigned aot = get_aot(&b), rate = get_rate(&b), channels = layouts[get_bits(&b, 4)];

	if (n < 2)
		return;
	snprintf(t->codecs, sizeof t->codecs, "mp4a.%02X.%u", object_type, aot);
	if (aot == 5 || aot == 29) /* the rate after spectral band replication */
		rate = get_rate(&b);
	if (aot == 29 && channels == 1) /* parametric stereo */
		channels = 2;
	if (rate != 0)
		t->sample_rate = rate;
	if (channels != 0)
		t->channels = channels;
}

/* Enters the descriptor at the cursor, 14496-1 8.3.3; false unless it has this tag. */
static bool descriptor(struct bmff_in *in, uint8_t tag, struct bmff_in *ret_body)
{
	uint8_t found = bmff_in_u8(in);
	size_t n = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t v = bmff_in_u8(in);

		n = n << 7 | (v & 0x7f);
		if ((v & 0x80) == 0)
			break;
	}
	if (in->bad || found != tag)
		return false;
	if (n > bmff_in_left(in)) /* many writers overstate the outer sizes */
		n = bmff_in_left(in);
	*ret_body = (struct bmff_in){.p = in->p + in->pos, .n = n};
	return true;
}

static void read_esds(struct bmff_in in, struct bmff_track *t, const char *type)
{
	struct bmff_in es, config, specific;
	uint8_t flags, object_type;

	bmff_in_skip(&in, 4);
	if (!descriptor(&in, 3, &es))
		return;
	bmff_in_skip(&es, 2);
	flags = bmff_in_u8(&es);
	bmff_in_skip(&es, (flags & 0x80) != 0 ? 2 : 0);
	if ((flags & 0x40) != 0)
		bmff_in_skip(&es, bmff_in_u8(&es));
	bmff_in_skip(&es, (flags & 0x20) != 0 ? 2 : 0);
	if (!descriptor(&es, 4, &config))
		return;
	object_type = bmff_in_u8(&config);
	bmff_in_skip(&config, 12);
	if (config.bad)
		return;
	snprintf(t->codecs, sizeof t->codecs, "%s.%02X", type, object_type);
	if (!descriptor(&config, 5, &specific))
		return;
	keep_config(t, &specific);
	if (object_type == 0x40)
		read_asc(specific.p, specific.n, t, object_type);
	else if (object_type == 0x20 && specific.n > 4 && memcmp(specific.p, "\0\0\1\xb0", 4) == 0)
		snprintf(t->codecs, sizeof t->codecs, "%s.20.%u", type, specific.p[4]); /* 14496-2 visual */
}

/* Opus in ISOBMFF 4.3.2 */
static void read_dops(struct bmff_in in, struct bmff_track *t)
{
	if (in.n < 11)
		return;
	t->channels = in.p[1];
	t->pre_skip = (uint32_t)in.p[2] << 8 | in.p[3];
	t->sample_rate = 48000; /* whatever the input's rate was */
}

static const unsigned ac3_rates[] = {48000, 44100, 32000, 0};
static const uint8_t ac3_channels[] = {2, 1, 2, 3, 3, 4, 4, 5};

/* ETSI TS 102 366 F.4 */
static void read_dac3(struct bmff_in in, struct bmff_track *t)
{
	struct bits b = {.p = in.p, .n = in.n};
	unsigned rate, mode, lfe;

	if (in.n < 3)
		return;
	rate = ac3_rates[get_bits(&b, 2)];
	get_bits(&b, 8);
	mode = get_bits(&b, 3);
	lfe = get_bits(&b, 1);
	t->channels = ac3_channels[mode] + lfe;
	if (rate != 0)
		t->sample_rate = rate;
}

/* ETSI TS 102 366 F.6; the first independent substream */
static void read_dec3(struct bmff_in in, struct bmff_track *t)
{
	struct bits b = {.p = in.p, .n = in.n};
	unsigned rate, mode, lfe;

	if (in.n < 5)
		return;
	get_bits(&b, 16);
	rate = ac3_rates[get_bits(&b, 2)];
	get_bits(&b, 10);
	mode = get_bits(&b, 3);
	lfe = get_bits(&b, 1);
	t->channels = ac3_channels[mode] + lfe;
	if (rate != 0)
		t->sample_rate = rate;
}

/* FLAC in ISOBMFF 3.3.2: STREAMINFO is the first metadata block */
static void read_dfla(struct bmff_in in, struct bmff_track *t)
{
	struct bits b = {.p = in.p, .n = in.n, .pos = (size_t)(4 + 4 + 10) * 8};

	if (in.n < 4 + 4 + 34 || (in.p[4] & 0x7f) != 0)
		return;
	t->sample_rate = get_bits(&b, 20);
	t->channels = get_bits(&b, 3) + 1;
}

/* 12.1.5 */
static void read_colr(struct bmff_in in, struct bmff_track *t)
{
	uint32_t kind = bmff_in_u32(&in);
	struct bmff_colr c = {.present = true};

	c.primaries = bmff_in_u16(&in);
	c.transfer = bmff_in_u16(&in);
	c.matrix = bmff_in_u16(&in);
	if (in.bad || (kind != T('n', 'c', 'l', 'x') && kind != T('n', 'c', 'l', 'c')))
		return;
	c.full_range = kind == T('n', 'c', 'l', 'x') && bmff_in_u8(&in) >> 7 != 0;
	t->colr = c;
}

static void read_pasp(struct bmff_in in, struct bmff_track *t)
{
	uint32_t num = bmff_in_u32(&in), den = bmff_in_u32(&in);

	if (in.bad || num == 0 || den == 0)
		return;
	t->has_pasp = true;
	t->par_num = num;
	t->par_den = den;
}

/* The type before protection: sinf/frma, 8.12.2 */
static void read_sinf(struct bmff_in in, struct bmff_track *t)
{
	struct bmff_box box;

	while (bmff_in_child(&in, &box)) {
		if (box.type == T('f', 'r', 'm', 'a') && box.end - box.payload >= 4) {
			struct bmff_in frma = bmff_in_box(in.p, &box);

			t->entry = bmff_in_u32(&frma);
		}
	}
}

/* MIME box of stpp, 12.3.3.2 / 14496-30: its codecs parameter tells the TTML profile */
static void read_mime(struct bmff_in in, struct bmff_track *t, const char *type)
{
	static const char key[] = "codecs=";
	const char *p, *end = (const char *)in.p + in.n;
	size_t n = 0;

	if (in.n <= 4 || (p = memmem(in.p + 4, in.n - 4, key, sizeof key - 1)) == NULL)
		return;
	p += sizeof key - 1;
	if (p < end && *p == '"')
		p++;
	while (p + n < end && p[n] != '\0' && p[n] != '"' && p[n] != ';' && p[n] > ' ')
		n++;
	if (n > 0 && n < 48)
		snprintf(t->codecs, sizeof t->codecs, "%s.ttml.%.*s", type, (int)n, p);
}

static void read_config(struct bmff_in in, uint32_t type, struct bmff_track *t)
{
	char name[BMFF_TYPE_SIZE];

	bmff_type_text(t->entry, name);
	if (type == T('e', 's', 'd', 's')) {
		read_esds(in, t, name);
		return;
	}
	if (type != T('m', 'i', 'm', 'e'))
		keep_config(t, &in);
	if (type == T('a', 'v', 'c', 'C'))
		read_avcc(in, t, name);
	else if (type == T('h', 'v', 'c', 'C'))
		read_hvcc(in, t, name);
	else if (type == T('a', 'v', '1', 'C'))
		read_av1c(in, t, name);
	else if (type == T('v', 'p', 'c', 'C'))
		read_vpcc(in, t, name);
	else if (type == T('d', 'O', 'p', 's'))
		read_dops(in, t);
	else if (type == T('d', 'a', 'c', '3'))
		read_dac3(in, t);
	else if (type == T('d', 'e', 'c', '3'))
		read_dec3(in, t);
	else if (type == T('d', 'f', 'L', 'a'))
		read_dfla(in, t);
	else
		read_mime(in, t, name);
}

static bool is_config(uint32_t type)
{
	static const uint32_t types[] = {
		T('a', 'v', 'c', 'C'), T('h', 'v', 'c', 'C'), T('a', 'v', '1', 'C'), T('v', 'p', 'c', 'C'), T('e', 's', 'd', 's'),
		T('d', 'O', 'p', 's'), T('d', 'a', 'c', '3'), T('d', 'e', 'c', '3'), T('d', 'f', 'L', 'a'), T('m', 'i', 'm', 'e'),
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (types[i] == type)
			return true;
	}
	return false;
}

/* Colour and protection go first: the codecs string needs them. */
static void read_children(struct bmff_in in, struct bmff_track *t)
{
	struct bmff_in again = in;
	struct bmff_box box;

	while (bmff_in_child(&in, &box)) {
		if (box.type == T('c', 'o', 'l', 'r') && !t->colr.present)
			read_colr(bmff_in_box(in.p, &box), t);
		else if (box.type == T('p', 'a', 's', 'p'))
			read_pasp(bmff_in_box(in.p, &box), t);
		else if (box.type == T('s', 'i', 'n', 'f'))
			read_sinf(bmff_in_box(in.p, &box), t);
	}
	bmff_type_text(t->entry, t->codecs);
	if (t->entry == T('O', 'p', 'u', 's'))
		snprintf(t->codecs, sizeof t->codecs, "opus");
	else if (t->entry == T('f', 'L', 'a', 'C'))
		snprintf(t->codecs, sizeof t->codecs, "flac");
	while (bmff_in_child(&again, &box)) {
		if (is_config(box.type))
			read_config(bmff_in_box(again.p, &box), box.type, t);
		else if (box.type == T('w', 'a', 'v', 'e')) { /* QuickTime puts esds in here */
			struct bmff_in wave = bmff_in_box(again.p, &box);
			struct bmff_box inner;

			while (bmff_in_child(&wave, &inner)) {
				if (is_config(inner.type))
					read_config(bmff_in_box(wave.p, &inner), inner.type, t);
			}
		}
	}
}

/* 12.1.3 */
static void read_visual(struct bmff_in *in, struct bmff_track *t)
{
	bmff_in_skip(in, 16);
	t->width = bmff_in_u16(in);
	t->height = bmff_in_u16(in);
	bmff_in_skip(in, 50);
}

/* 12.2.3; in an stsd of version 0 the entry's version is QuickTime's */
static void read_audio(struct bmff_in *in, struct bmff_track *t, uint8_t stsd_version)
{
	uint16_t version = bmff_in_u16(in);

	bmff_in_skip(in, 6);
	t->channels = bmff_in_u16(in);
	bmff_in_skip(in, 6);
	t->sample_rate = bmff_in_u32(in) >> 16;
	if (stsd_version == 0 && version == 1)
		bmff_in_skip(in, 16);
	if (stsd_version == 0 && version == 2) {
		bmff_in_skip(in, 4);
		bmff_in_skip(in, 8); /* the rate as a double */
		t->channels = bmff_in_u32(in);
		bmff_in_skip(in, 20);
	}
}

/* Three strings before the boxes: namespace, schema location, auxiliary types (12.6.3) */
static void read_xml_subtitle(struct bmff_in *in)
{
	for (unsigned i = 0; i < 3; i++) {
		while (bmff_in_left(in) > 0 && bmff_in_u8(in) != 0)
			;
	}
}

void bmff_entry_read(struct bmff_in *in, struct bmff_track *t)
{
	uint32_t flags;
	uint8_t version = bmff_in_full(in, &flags);
	struct bmff_box box;
	struct bmff_in entry;

	t->n_entries = bmff_in_u32(in);
	if (in->bad || t->n_entries == 0 || !bmff_in_child(in, &box))
		return;
	t->entry = box.type;
	t->encrypted = box.type == T('e', 'n', 'c', 'v') || box.type == T('e', 'n', 'c', 'a') ||
	               box.type == T('e', 'n', 'c', 't');
	entry = bmff_in_box(in->p, &box);
	bmff_in_skip(&entry, 8); /* reserved, data reference */
	if (t->handler == T('v', 'i', 'd', 'e'))
		read_visual(&entry, t);
	else if (t->handler == T('s', 'o', 'u', 'n'))
		read_audio(&entry, t, version);
	else if (box.type == T('s', 't', 'p', 'p'))
		read_xml_subtitle(&entry);
	if (entry.bad) {
		in->bad = true;
		return;
	}
	entry = (struct bmff_in){.p = entry.p + entry.pos, .n = bmff_in_left(&entry)};
	read_children(entry, t);
}
