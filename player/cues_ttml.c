/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * TTML2 (and EBU-TT-D, IMSC 1 Text): the text of each p with its line breaks, times
 * inherited from body and div, colours, weight, slant and direction by attribute or by style,
 * in the region it names.
 */
#include <libxml/tree.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/mpd_xml.h"
#include "player/cues.h"

#define MAX_STYLES 64
#define MAX_REGIONS 64
#define NO_REGION -1
enum { ALIGN_UNSAID, ALIGN_LEFT, ALIGN_CENTRE, ALIGN_RIGHT, ALIGN_START, ALIGN_END };
#define MAX_DEPTH 32
#define MAX_VALUE 65536   /* bytes of an attribute */
#define FOREVER (24 * DUR_HOUR)

struct rates {
	double frame, tick; /* per second */
};

struct look {
	uint32_t colour, back; /* 0xAARRGGBB; AA of 255 is opaque */
	bool has_colour, has_back, has_italic, italic, has_bold, bold;
	bool has_direction, from_right; /* lines are written from the right */
	int align;          /* ALIGN_... */
	enum { BIDI_UNSAID, BIDI_NORMAL, BIDI_EMBED, BIDI_OVERRIDE, BIDI_ISOLATE } bidi; /* not inherited */
};

static const struct look plain = {.align = ALIGN_UNSAID};

/* In parts of the root container. */
struct region {
	char id[64];
	double x, y, width, height;
	int edge;           /* -1 before: the text stands at the top; 0 center; 1 after */
	int writing;        /* CUE_ACROSS ... */
	uint32_t back;      /* of the region itself */
	bool has_back;
	struct look look;
};

struct document {
	struct rates rates;
	struct style {
		char id[64];
		const xmlNode *node;
		struct look look;
	} styles[MAX_STYLES];
	size_t n_styles;
	struct region regions[MAX_REGIONS];
	int n_regions;
	double width, height;     /* of the root container, pixels; 0: not said */
	double columns, rows;     /* of its cells */
	dur_us offset;
	struct cues *cues;
};

/* Any namespace: TTML has had several, and prefixes differ.  NULL for one that is longer than any that means something. */
static char *attribute(const xmlNode *node, const char *name)
{
	for (const xmlAttr *a = node->properties; a != NULL; a = a->next)
		if (strcmp((const char *)a->name, name) == 0) {
			xmlChar *v = xmlNodeGetContent((const xmlNode *)a);
			char *copy = v != NULL && strlen((const char *)v) <= MAX_VALUE ? mem_dup((const char *)v) : NULL;

			xmlFree(v);
			return copy;
		}
	return NULL;
}

static bool is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static double number(const char *s, double none)
{
	double v;

	return s != NULL && str_parse_double(s, strlen(s), &v) == 0 && v > 0 && v < 1e9 ? v : none;
}

/* TTML2 12.3.1, time expressions: 00:01:02.5, 00:01:02:12 (frames), 5.5s, 100ms, 2m, 1h, 30f, 900t */
static bool read_time(const char *s, const struct rates *r, dur_us *ret)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"h", 3600}, {"m", 60}, {"s", 1}, {"ms", 0.001}};
	size_t n = strspn(s, "0123456789.");
	double v[4] = {0};
	int parts = 0;

	if (strchr(s, ':') != NULL) {
		for (const char *p = s; parts < 4; p++) {
			n = strspn(p, "0123456789.");
			if (n == 0 || str_parse_double(p, n, &v[parts++]) != 0)
				return false;
			p += n;
			if (*p == '\0')
				break;
		}
		v[0] = v[0] * 3600 + v[1] * 60 + v[2] + (parts == 4 ? v[3] / r->frame : 0);
	} else {
		double per = strcmp(s + n, "f") == 0 ? 1 / r->frame : strcmp(s + n, "t") == 0 ? 1 / r->tick : 0;

		for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
			if (strcmp(s + n, units[i].unit) == 0)
				per = units[i].seconds;
		if (n == 0 || per == 0 || str_parse_double(s, n, &v[0]) != 0)
			return false;
		v[0] *= per;
	}
	if (!(v[0] >= 0 && v[0] < 1e8))
		return false;
	*ret = llround(v[0] * 1e6);
	return true;
}

static bool time_of(const xmlNode *node, const char *name, const struct rates *r, dur_us *ret)
{
	char *s = attribute(node, name);
	bool ok = s != NULL && read_time(s, r, ret);

	free(s);
	return ok;
}

/* --- looks -------------------------------------------------------------------------------------- */

/* TTML2 10.3.5: (r,g,b) or a(r,g,b,a), each up to 255 */
static bool read_rgb(const char *s, uint32_t *ret)
{
	uint32_t v[4] = {0, 0, 0, 255};
	size_t n = s[0] == 'a' ? 4 : 3;

	s += n - 3;
	for (size_t i = 0; i < n; i++) {
		char *end;
		unsigned long k;

		if (*s != (i == 0 ? '(' : ','))
			return false;
		s += 1 + strspn(s + 1, " ");
		k = strtoul(s, &end, 10);
		if (end == s || k > 255)
			return false;
		v[i] = (uint32_t)k;
		s = end + strspn(end, " ");
	}
	*ret = v[3] << 24 | v[0] << 16 | v[1] << 8 | v[2];
	return *s == ')';
}

static bool read_colour(const char *s, uint32_t *ret)
{
	static const struct {
		const char *name;
		uint32_t v;
	} names[] = {{"black", 0}, {"silver", 0xc0c0c0}, {"gray", 0x808080}, {"white", 0xffffff}, {"maroon", 0x800000},
		{"red", 0xff0000}, {"purple", 0x800080}, {"fuchsia", 0xff00ff}, {"magenta", 0xff00ff}, {"green", 0x8000},
		{"lime", 0xff00}, {"olive", 0x808000}, {"yellow", 0xffff00}, {"navy", 0x80}, {"blue", 0xff},
		{"teal", 0x8080}, {"aqua", 0xffff}, {"cyan", 0xffff}};
	char hex[7] = "";

	if (s[0] == '#' && (strlen(s) == 7 || strlen(s) == 9) && strspn(s + 1, "0123456789abcdefABCDEF") == strlen(s) - 1) {
		memcpy(hex, s + 1, 6);
		*ret = (uint32_t)strtoul(hex, NULL, 16) | (s[7] != '\0' ? (uint32_t)strtoul(s + 7, NULL, 16) : 255) << 24;
		return true;
	}
	if (strncmp(s, "rgb", 3) == 0)
		return read_rgb(s + 3, ret);
	if (strcmp(s, "transparent") == 0) {
		*ret = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(s, names[i].name) == 0) {
			*ret = names[i].v | 0xff000000;
			return true;
		}
	return false;
}

static int read_align(const char *s)
{
	return strcmp(s, "center") == 0 ? ALIGN_CENTRE : strcmp(s, "right") == 0 ? ALIGN_RIGHT : strcmp(s, "end") == 0 ? ALIGN_END : strcmp(s, "left") == 0 ? ALIGN_LEFT : ALIGN_START;
}

/* TTML2 10.2.48, 10.2.12 */
static void add_direction(const xmlNode *node, struct look *look)
{
	static const char *const names[] = {[BIDI_NORMAL] = "normal", [BIDI_EMBED] = "embed", [BIDI_OVERRIDE] = "bidiOverride", [BIDI_ISOLATE] = "isolate"};
	char *bidi = attribute(node, "unicodeBidi"), *direction = attribute(node, "direction"), *mode = attribute(node, "writingMode");

	for (unsigned i = BIDI_NORMAL; bidi != NULL && i <= BIDI_ISOLATE; i++)
		if (strcmp(bidi, names[i]) == 0)
			look->bidi = i;
	if (mode != NULL && (strcmp(mode, "rltb") == 0 || strcmp(mode, "rl") == 0))
		look->has_direction = look->from_right = true;
	if (direction != NULL) {
		look->has_direction = true;
		look->from_right = strcmp(direction, "rtl") == 0;
	}
	free(bidi);
	free(direction);
	free(mode);
}

static void add_own(const xmlNode *node, struct look *look)
{
	char *colour = attribute(node, "color"), *style = attribute(node, "fontStyle"), *weight = attribute(node, "fontWeight"),
	     *align = attribute(node, "textAlign"), *back = attribute(node, "backgroundColor");

	add_direction(node, look);
	if (back != NULL && read_colour(back, &look->back))
		look->has_back = true;
	if (colour != NULL && read_colour(colour, &look->colour))
		look->has_colour = true;
	if (style != NULL) {
		look->has_italic = true;
		look->italic = strcmp(style, "italic") == 0 || strcmp(style, "oblique") == 0;
	}
	if (weight != NULL) {
		look->has_bold = true;
		look->bold = strcmp(weight, "bold") == 0;
	}
	if (align != NULL)
		look->align = read_align(align);
	free(colour);
	free(style);
	free(weight);
	free(align);
	free(back);
}

/* What `over` says is stronger. */
static struct look merged(struct look under, const struct look *over)
{
	if (over->has_colour) {
		under.has_colour = true;
		under.colour = over->colour;
	}
	if (over->has_back) {
		under.has_back = true;
		under.back = over->back;
	}
	if (over->has_direction) {
		under.has_direction = true;
		under.from_right = over->from_right;
	}
	under.bidi = over->bidi != BIDI_UNSAID ? over->bidi : under.bidi;
	if (over->has_italic) {
		under.has_italic = true;
		under.italic = over->italic;
	}
	if (over->has_bold) {
		under.has_bold = true;
		under.bold = over->bold;
	}
	if (over->align != ALIGN_UNSAID)
		under.align = over->align;
	return under;
}

/* The next of the styles that a list names, and what is left of the list; NULL at its end.  A list longer than there can be styles
 * ends there: its work would grow with its square. */
static const struct style *next_style(const struct document *d, const char **list, unsigned *n_named)
{
	while (*list != NULL && (*n_named)++ < MAX_STYLES) {
		const char *id = *list + strspn(*list, " \t\n");
		size_t n = strcspn(id, " \t\n");

		*list = n > 0 ? id + n : NULL;
		for (size_t i = 0; n > 0 && i < d->n_styles; i++)
			if (strlen(d->styles[i].id) == n && memcmp(d->styles[i].id, id, n) == 0)
				return &d->styles[i];
	}
	return NULL;
}

/* What its styles say, in their order, then what it says itself. */
static struct look look_of(const struct document *d, const xmlNode *node, struct look look)
{
	char *styles = attribute(node, "style");
	const char *list = styles;
	unsigned n_named = 0;

	look.bidi = BIDI_UNSAID;
	for (const struct style *s; (s = next_style(d, &list, &n_named)) != NULL;)
		look = merged(look, &s->look);
	free(styles);
	add_own(node, &look);
	return look;
}

static void find_styles(struct document *d, const xmlNode *node, unsigned depth)
{
	for (const xmlNode *c = node->children; c != NULL && depth < MAX_DEPTH; c = c->next) {
		if (is(c, "style") && d->n_styles < MAX_STYLES) {
			char *id = attribute(c, "id");

			if (id != NULL && strlen(id) < sizeof d->styles[0].id) {
				struct look look = look_of(d, c, plain); /* it may build on those before it */

				memcpy(d->styles[d->n_styles].id, id, strlen(id) + 1);
				d->styles[d->n_styles].node = c;
				d->styles[d->n_styles++].look = look;
			}
			free(id);
		}
		if (c->type == XML_ELEMENT_NODE)
			find_styles(d, c, depth + 1);
	}
}

/* --- regions (TTML2 11.1.2) ------------------------------------------------------------------------ */

/* TTML2 10.3.20: 10%, 20px, 3c; in parts of the whole. */
static bool read_length(const char **s, double pixels, double cells, double *ret)
{
	size_t n;
	double v, per;

	*s += strspn(*s, " \t\r\n");
	n = strspn(*s, "+0123456789.");
	if (n == 0 || str_parse_double(*s + (**s == '+'), n - (**s == '+'), &v) != 0)
		return false;
	*s += n;
	per = **s == '%' ? 100 : strncmp(*s, "px", 2) == 0 ? pixels : **s == 'c' ? cells : 0;
	if (per <= 0 || !(v >= 0 && v / per <= 4))
		return false;
	*s += **s == 'p' ? 2 : 1;
	*ret = v / per;
	return true;
}

static bool read_lengths(const struct document *d, const char *s, double *ret_x, double *ret_y)
{
	double x, y;

	if (s == NULL || !read_length(&s, d->width, d->columns, &x) || !read_length(&s, d->height, d->rows, &y))
		return false;
	*ret_x = x;
	*ret_y = y;
	return true;
}

/* What stands at a region, at a style in it, or at one that it names. */
static void add_area(const struct document *d, const xmlNode *node, struct region *r)
{
	char *origin = attribute(node, "origin"), *extent = attribute(node, "extent"), *edge = attribute(node, "displayAlign"),
	     *back = attribute(node, "backgroundColor"), *mode = attribute(node, "writingMode");

	read_lengths(d, origin, &r->x, &r->y);
	read_lengths(d, extent, &r->width, &r->height);
	if (edge != NULL)
		r->edge = strcmp(edge, "center") == 0 ? 0 : strcmp(edge, "after") == 0 ? 1 : -1;
	if (mode != NULL)
		r->writing = strcmp(mode, "tblr") == 0 ? CUE_DOWN_RIGHT : strcmp(mode, "tbrl") == 0 || strcmp(mode, "tb") == 0 ? CUE_DOWN_LEFT : CUE_ACROSS;
	if (back != NULL && read_colour(back, &r->back))
		r->has_back = r->back >> 24 != 0;
	r->look = look_of(d, node, r->look);
	r->look.has_back = false; /* that is the region's, not the text's */
	free(back);
	free(mode);
	free(origin);
	free(extent);
	free(edge);
}

static void add_named_areas(const struct document *d, const xmlNode *node, struct region *r)
{
	char *styles = attribute(node, "style");
	const char *list = styles;
	unsigned n_named = 0;

	for (const struct style *s; (s = next_style(d, &list, &n_named)) != NULL;)
		add_area(d, s->node, r);
	free(styles);
}

static void take_region(struct document *d, const xmlNode *node)
{
	struct region *r = &d->regions[d->n_regions];
	char *id = attribute(node, "id");

	if (id != NULL && strlen(id) < sizeof r->id && d->n_regions < MAX_REGIONS) {
		*r = (struct region){.width = 1, .height = 1, .edge = -1, .look = plain};
		memcpy(r->id, id, strlen(id) + 1);
		add_named_areas(d, node, r);
		for (const xmlNode *c = node->children; c != NULL; c = c->next)
			if (is(c, "style"))
				add_area(d, c, r);
		add_area(d, node, r);
		if (r->x + r->width > 1)
			r->width = r->x < 1 ? 1 - r->x : 0;
		if (r->y + r->height > 1)
			r->height = r->y < 1 ? 1 - r->y : 0;
		d->n_regions += r->width > 0;
	}
	free(id);
}

static void find_regions(struct document *d, const xmlNode *node, unsigned depth)
{
	for (const xmlNode *c = node->children; c != NULL && depth < MAX_DEPTH; c = c->next)
		if (is(c, "region"))
			take_region(d, c);
		else if (is(c, "head") || is(c, "layout"))
			find_regions(d, c, depth + 1);
}

static int region_of(const struct document *d, const xmlNode *node, int region)
{
	char *id = attribute(node, "region");

	for (int i = 0; id != NULL && i < d->n_regions; i++)
		if (strcmp(d->regions[i].id, id) == 0)
			region = i;
	free(id);
	return region;
}

static int side(const struct look *look, bool across)
{
	int start = look->from_right && across ? 1 : -1;

	return look->align == ALIGN_CENTRE ? 0 : look->align == ALIGN_LEFT ? -1 : look->align == ALIGN_RIGHT ? 1 : look->align == ALIGN_END ? -start : start;
}

/* Across, lines go from top to bottom, and before is the top; downwards before is where the first line is. */
static struct cue_place place_in(const struct region *r, const struct look *look)
{
	bool across = r->writing == CUE_ACROSS;
	double from = across ? r->y : r->x, size = across ? r->height : r->width;
	struct cue_place p = {.set = true, .writing = r->writing, .left = (float)(across ? r->x : r->y), .width = (float)(across ? r->width : r->height), .align = side(look, across),
		.line = CUE_LINE_PART, .edge = r->writing == CUE_DOWN_LEFT ? -r->edge : r->edge, .framed = r->has_back, .top = (float)from, .height = (float)size, .frame = r->back};

	p.y = (float)(p.edge < 0 ? from : p.edge == 0 ? from + size / 2 : from + size);
	return p;
}

/* --- text ----------------------------------------------------------------------------------------- */

/* XML's default white space: runs are one space. */
static void put_text(struct buf *out, const char *s)
{
	while (*s != '\0') {
		size_t space = strspn(s, " \t\r\n"), n;

		if (space > 0 && out->size > 0 && out->bytes[out->size - 1] != ' ' && !str_ends(buf_text(out), "\\N"))
			buf_putc(out, ' ');
		s += space;
		n = strcspn(s, " \t\r\n");
		cues_put_text(out, s, n);
		s += n;
	}
}

static void put_look(struct buf *out, const struct look *look)
{
	if (look->has_colour)
		buf_printf(out, "{\\c&H%02X%02X%02X&}", look->colour & 0xff, look->colour >> 8 & 0xff, look->colour >> 16 & 0xff);
	if (look->has_back)
		buf_printf(out, "{\\3c&H%02X%02X%02X&\\3a&H%02X&}", look->back & 0xff, look->back >> 8 & 0xff, look->back >> 16 & 0xff, 255 - (look->back >> 24));
	if (look->italic)
		buf_puts(out, "{\\i1}");
	if (look->bold)
		buf_puts(out, "{\\b1}");
}

/* The Unicode Bidirectional Algorithm's signs: how what follows is to be ordered; and the one that ends it. */
static const char *opening(const struct look *l)
{
	switch (l->bidi) {
	case BIDI_EMBED: return l->from_right ? "\xe2\x80\xab" : "\xe2\x80\xaa";
	case BIDI_OVERRIDE: return l->from_right ? "\xe2\x80\xae" : "\xe2\x80\xad";
	case BIDI_ISOLATE: return l->from_right ? "\xe2\x81\xa7" : "\xe2\x81\xa6";
	default: return "";
	}
}

static const char *closing(const struct look *l)
{
	return l->bidi == BIDI_ISOLATE ? "\xe2\x81\xa9" : l->bidi == BIDI_EMBED || l->bidi == BIDI_OVERRIDE ? "\xe2\x80\xac" : "";
}

/* A line's direction is that of its first letter: a mark that is none to the eye. */
static const char *first_letter(const struct look *l)
{
	return !l->has_direction ? "" : l->from_right ? "\xe2\x80\x8f" : "\xe2\x80\x8e";
}

static bool same_look(const struct look *a, const struct look *b)
{
	return a->colour == b->colour && a->has_colour == b->has_colour && a->back == b->back && a->has_back == b->has_back && a->italic == b->italic && a->bold == b->bold;
}

static void put_content(const struct document *d, const xmlNode *node, const struct look *look, struct buf *out, unsigned depth)
{
	for (const xmlNode *c = node->children; c != NULL && depth < MAX_DEPTH; c = c->next) {
		if (c->type == XML_TEXT_NODE || c->type == XML_CDATA_SECTION_NODE) {
			put_text(out, (const char *)c->content);
		} else if (is(c, "br")) {
			buf_printf(out, "\\N%s", first_letter(look));
		} else if (is(c, "span")) {
			struct look inner = look_of(d, c, *look);
			bool changes = !same_look(&inner, look);

			if (changes)
				put_look(out, &inner);
			buf_puts(out, opening(&inner));
			put_content(d, c, &inner, out, depth + 1);
			buf_puts(out, closing(&inner));
			if (changes) {
				buf_puts(out, "{\\r}");
				put_look(out, look);
			}
		}
	}
}

static void take_p(struct document *d, const xmlNode *p, dur_us start, dur_us end, const struct look *own, int region)
{
	struct look look = region != NO_REGION ? merged(d->regions[region].look, own) : *own;
	struct cue_place place = {.set = false};
	struct buf text;

	look.bidi = own->bidi;
	if (region != NO_REGION)
		place = place_in(&d->regions[region], &look);
	buf_init(&text, CUE_MAX_TEXT);
	put_look(&text, &look);
	buf_printf(&text, "%s%s", first_letter(&look), opening(&look));
	put_content(d, p, &look, &text, 0);
	while (text.size > 0 && text.bytes[text.size - 1] == ' ')
		text.bytes[--text.size] = '\0';
	buf_puts(&text, closing(&look));
	place.boxed = strstr(buf_text(&text), "{\\3c") != NULL;
	if (buf_error(&text) == 0 && text.size > 0)
		cues_add(d->cues, start + d->offset, end + d->offset, buf_take(&text), &place);
	buf_fini(&text);
}

/* Times count from the parent's begin (TTML2 11.2, parallel containers). */
static void walk(struct document *d, const xmlNode *node, dur_us from, dur_us to, struct look look, int region, unsigned depth)
{
	dur_us begin = 0, t, start, end = to;

	if (depth >= MAX_DEPTH)
		return;
	time_of(node, "begin", &d->rates, &begin);
	start = from + begin;
	if (time_of(node, "end", &d->rates, &t) && from + t < end)
		end = from + t;
	if (time_of(node, "dur", &d->rates, &t) && start + t < end)
		end = start + t;
	look = look_of(d, node, look);
	region = region_of(d, node, region);
	if (is(node, "p")) {
		take_p(d, node, start, end, &look, region);
		return;
	}
	for (const xmlNode *c = node->children; c != NULL; c = c->next)
		if (is(c, "body") || is(c, "div") || is(c, "p"))
			walk(d, c, start, end, look, region, depth + 1);
}

static struct rates rates_of(const xmlNode *root)
{
	char *frame = attribute(root, "frameRate"), *tick = attribute(root, "tickRate"), *by = attribute(root, "frameRateMultiplier");
	struct rates r = {.frame = number(frame, 30), .tick = number(tick, 1)};

	if (by != NULL && strchr(by, ' ') != NULL) {
		double num = 1, den = 1;
		char *space = strchr(by, ' ');

		*space = '\0';
		num = number(by, 1);
		den = number(space + 1, 1);
		r.frame *= num / den;
	}
	if (tick == NULL && frame != NULL)
		r.tick = r.frame; /* TTML2 7.2.13, without subFrameRate */
	free(frame);
	free(tick);
	free(by);
	return r;
}

/* "1280px 720px", "32 15": what lengths are measured by. */
static void read_root(struct document *d, const xmlNode *root)
{
	char *extent = attribute(root, "extent"), *cells = attribute(root, "cellResolution");

	d->columns = 32; /* TTML2 7.2.2 */
	d->rows = 15;
	if (extent != NULL && strstr(extent, "px ") != NULL && str_ends(extent, "px")) {
		char *height = strchr(extent, ' ') + 1;

		height[-3] = height[strlen(height) - 2] = '\0';
		d->width = number(extent, 0);
		d->height = number(height, 0);
	}
	if (cells != NULL && strchr(cells, ' ') != NULL) {
		char *space = strchr(cells, ' ');

		*space = '\0';
		d->columns = number(cells, 32);
		d->rows = number(space + 1, 15);
	}
	free(extent);
	free(cells);
}

int cues_from_ttml(const char *text, size_t n, dur_us offset, struct cues *c, struct fault *f)
{
	struct document d = {.offset = offset, .cues = c};
	xmlDocPtr doc = NULL;
	xmlNodePtr root;
	int r = mpd_xml_tree(text, n, "TTML", &doc, f);

	if (r != 0)
		return r;
	root = xmlDocGetRootElement(doc);
	if (root == NULL || !is(root, "tt")) {
		r = fault_set(f, ERR_SYNTAX, _("the root element is not <tt>"));
	} else {
		d.rates = rates_of(root);
		find_styles(&d, root, 0);
		read_root(&d, root);
		find_regions(&d, root, 0);
		walk(&d, root, 0, FOREVER, plain, NO_REGION, 0);
	}
	xmlFreeDoc(doc);
	return r;
}
