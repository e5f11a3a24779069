/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The list, WebVTT, and tracks in ISO BMFF.
 */
#include "player/cues.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/bmff_fragment.h"
#include "dash/bmff_track.h"
#include "dash/mpd.h"

#define NEAR 0.001f     /* of the picture: one place */
#define LOOK_BACK 64    /* cues */

void cues_free(struct cues *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].text);
	free(c->v);
	*c = (struct cues){0};
}

static bool same_place(const struct cue_place *a, const struct cue_place *b)
{
	if (!a->set || !b->set)
		return a->set == b->set && a->boxed == b->boxed;
	return fabsf(a->left - b->left) < NEAR && fabsf(a->width - b->width) < NEAR && fabsf(a->y - b->y) < NEAR && a->align == b->align &&
	       a->line == b->line && a->row == b->row && a->edge == b->edge && a->writing == b->writing && a->boxed == b->boxed &&
	       a->window_lines == b->window_lines && fabsf(a->window_anchor - b->window_anchor) < NEAR && a->framed == b->framed &&
	       fabsf(a->top - b->top) < NEAR && fabsf(a->height - b->height) < NEAR && a->frame == b->frame;
}

static bool same_words(const struct cue *c, const char *text, const struct cue_place *place)
{
	return strcmp(c->text, text) == 0 && same_place(&c->place, place);
}

/* The place of the first cue behind `start`. */
static size_t behind(const struct cues *c, dur_us start)
{
	size_t first = 0, end = c->n;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (c->v[middle].start > start)
			end = middle;
		else
			first = middle + 1;
	}
	return first;
}

/* Makes a cue longer that is the same and touches; false: there is none. */
static bool lengthen(struct cues *c, size_t at, dur_us start, dur_us end, const char *text, const struct cue_place *place)
{
	struct cue later;

	for (size_t i = at; i > 0 && at - i < LOOK_BACK; i--)
		if (c->v[i - 1].end >= start && same_words(&c->v[i - 1], text, place)) {
			c->v[i - 1].end = end > c->v[i - 1].end ? end : c->v[i - 1].end;
			return true;
		}
	for (size_t i = at; i < c->n && c->v[i].start <= end; i++)
		if (same_words(&c->v[i], text, place)) {
			later = c->v[i];
			later.start = start;
			later.end = end > later.end ? end : later.end;
			memmove(c->v + at + 1, c->v + at, (i - at) * sizeof *c->v);
			c->v[at] = later;
			return true;
		}
	return false;
}

void cues_add(struct cues *c, dur_us start, dur_us end, char *text, const struct cue_place *place)
{
	const struct cue_place nowhere = {.set = false};
	size_t at = c->n < CUES_MAX ? behind(c, start) : 0;

	if (place == NULL)
		place = &nowhere;
	if (c->n == CUES_MAX || end <= start || *text == '\0' || lengthen(c, at, start, end, text, place)) {
		free(text);
		return;
	}
	MEM_GROW(c->v, c->cap, c->n);
	memmove(c->v + at + 1, c->v + at, (c->n - at) * sizeof *c->v);
	c->v[at] = (struct cue){.start = start, .end = end, .place = *place, .text = text};
	c->n++;
}

static bool shown_at(const struct cue *c, dur_us t)
{
	return c->start <= t && c->end > t;
}

/* Appends to out[used], ending it where it was when there is no room; what is used then. */
static size_t append(char *out, size_t n, size_t used, const char *between, const char *text)
{
	int r = used < n ? snprintf(out + used, n - used, "%s%s", between, text) : -1;

	if (r >= 0 && (size_t)r < n - used)
		return used + (size_t)r;
	if (used < n)
		out[used] = '\0';
	return used;
}

/* The texts of all cues of one place; each cue's tags end with it. */
static void join_place(const struct cues *c, dur_us t, size_t first, struct cues_shown *s, size_t *used)
{
	size_t from = *used;

	s->v[s->n].place = c->v[first].place;
	s->v[s->n].at = (unsigned)from;
	for (size_t i = first; i < c->n && c->v[i].start <= t; i++)
		if (shown_at(&c->v[i], t) && same_place(&c->v[i].place, &c->v[first].place))
			*used = append(s->text, sizeof s->text, *used, *used > from ? "\\N{\\r}" : "", c->v[i].text);
	if (*used > from) {
		s->n++;
		++*used;
	}
}

void cues_at(const struct cues *c, dur_us t, struct cues_shown *ret)
{
	size_t used = 0;

	ret->n = 0;
	ret->text[0] = '\0';
	for (size_t i = 0; i < c->n && c->v[i].start <= t && ret->n < CUES_AT_ONCE; i++) {
		bool known = !shown_at(&c->v[i], t);

		for (size_t k = 0; k < ret->n && !known; k++)
			known = same_place(&ret->v[k].place, &c->v[i].place);
		if (!known)
			join_place(c, t, i, ret, &used);
	}
}

void cues_join(const struct cues_shown *s, char *out, size_t n)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < s->n; i++)
		used = append(out, n, used, used > 0 ? "\\N{\\r}" : "", s->text + s->v[i].at);
}

void cues_put_text(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n')
			buf_puts(out, "\\N");
		else if (s[i] == '{' || s[i] == '}')
			buf_puts(out, s[i] == '{' ? "(" : ")"); /* libass would take them for tags */
		else if (s[i] == '\\')
			buf_puts(out, "\xe2\x88\x96"); /* the set minus looks the same and is no escape */
		else if (s[i] != '\r')
			buf_putc(out, s[i]);
	}
}

/* --- WebVTT ------------------------------------------------------------------------------------ */

struct line {
	const char *s;
	size_t n;
};

static bool next_line(const char **s, const char *end, struct line *ret)
{
	const char *nl;

	if (*s >= end)
		return false;
	nl = memchr(*s, '\n', (size_t)(end - *s));
	*ret = (struct line){*s, (size_t)((nl != NULL ? nl : end) - *s)};
	*s = nl != NULL ? nl + 1 : end;
	if (ret->n > 0 && ret->s[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

/* "HH:MM:SS.mmm" or "MM:SS.mmm"; what follows it, or NULL. */
static const char *read_time(const char *s, const char *end, dur_us *ret)
{
	uint64_t parts[3] = {0}, ms;
	int n = 0;

	for (;; s++) {
		size_t k = 0;

		while (s + k < end && s[k] >= '0' && s[k] <= '9')
			k++;
		if (k == 0 || k > 9 || n == 3 || str_parse_u64(s, k, &parts[n++]) != 0)
			return NULL;
		s += k;
		if (s >= end || *s != ':')
			break;
	}
	if (n < 2 || end - s < 4 || (*s != '.' && *s != ',') || str_parse_u64(s + 1, 3, &ms) != 0)
		return NULL;
	if (n == 2)
		*ret = (dur_us)(parts[0] * 60 + parts[1]) * DUR_S + (dur_us)ms * DUR_MS;
	else
		*ret = (dur_us)(parts[0] * 3600 + parts[1] * 60 + parts[2]) * DUR_S + (dur_us)ms * DUR_MS;
	return s + 4;
}

static bool read_times(struct line l, dur_us *ret_start, dur_us *ret_end, struct line *ret_settings)
{
	const char *end = l.s + l.n, *s = l.s;

	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	s = read_time(s, end, ret_start);
	while (s != NULL && s < end && (*s == ' ' || *s == '\t'))
		s++;
	if (s == NULL || end - s < 4 || strncmp(s, "-->", 3) != 0)
		return false;
	s += 3;
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	s = read_time(s, end, ret_end);
	if (s != NULL)
		*ret_settings = (struct line){s, (size_t)(end - s)};
	return s != NULL;
}

/* --- cue settings (WebVTT 4.4, 6.3 and 7.2) --- */

#define MAX_REGIONS 16

struct region { /* WebVTT 3.3; percent, but for the lines */
	struct line id;
	double width, lines, anchor[2], view[2];
};

struct regions {
	struct region v[MAX_REGIONS];
	size_t n;
};

struct settings {
	enum { ALIGN_CENTRE, ALIGN_LEFT, ALIGN_RIGHT, ALIGN_START, ALIGN_END } align;
	bool has_position, has_line, said;
	int writing;
	struct line region;
	double position, size;   /* percent */
	int anchor;              /* which part of the box `position` is: -1 left, 0 middle, 1 right; ANCHOR_AUTO */
	bool snap;               /* `line` counts lines */
	double line;
	int edge;
};

#define ANCHOR_AUTO 2

static bool is(struct line l, const char *word)
{
	return l.n == strlen(word) && memcmp(l.s, word, l.n) == 0;
}

static bool is_decimal(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strchr("0123456789.", s[i]) == NULL || s[i] == '\0')
			return false;
	}
	return true;
}

/* "-3", "12.5%"; *ret_percent: with the sign.  Nothing is written where it is none, or too large. */
static bool read_number(struct line l, double *ret, bool *ret_percent)
{
	bool minus = l.n > 0 && l.s[0] == '-', percent = l.n > 0 && l.s[l.n - 1] == '%';
	size_t n = l.n - minus - percent;
	double value;

	if (l.n <= (size_t)(minus + percent) || (minus && percent) || !is_decimal(l.s + minus, n) || str_parse_double(l.s + minus, n, &value) != 0)
		return false;
	if (value > 1000 || (percent && value > 100))
		return false;
	*ret = minus ? -value : value;
	*ret_percent = percent;
	return true;
}

/* "a,b" */
static struct line cut(struct line *l)
{
	const char *comma = memchr(l->s, ',', l->n);
	struct line rest = {l->s + l->n, 0};

	if (comma != NULL) {
		rest = (struct line){comma + 1, (size_t)(l->s + l->n - comma - 1)};
		l->n = (size_t)(comma - l->s);
	}
	return rest;
}

static void take_line(struct settings *s, struct line v)
{
	struct line edge = cut(&v);
	bool percent;

	if (!read_number(v, &s->line, &percent))
		return;
	s->has_line = s->said = true;
	s->snap = !percent;
	s->edge = is(edge, "center") ? 0 : is(edge, "end") ? 1 : -1;
}

static void take_position(struct settings *s, struct line v)
{
	struct line anchor = cut(&v);
	bool percent;
	double p;

	if (!read_number(v, &p, &percent) || !percent)
		return;
	s->position = p;
	s->has_position = s->said = true;
	s->anchor = is(anchor, "line-left") ? -1 : is(anchor, "center") ? 0 : is(anchor, "line-right") ? 1 : ANCHOR_AUTO;
}

static void take_setting(struct settings *s, struct line name, struct line v)
{
	bool percent;
	double size;

	if (is(name, "line")) {
		take_line(s, v);
	} else if (is(name, "position")) {
		take_position(s, v);
	} else if (is(name, "size") && read_number(v, &size, &percent) && percent) {
		s->size = size;
		s->said = true;
	} else if (is(name, "align")) {
		s->align = is(v, "start") ? ALIGN_START : is(v, "left") ? ALIGN_LEFT : is(v, "end") ? ALIGN_END : is(v, "right") ? ALIGN_RIGHT : ALIGN_CENTRE;
		s->said = true;
	} else if (is(name, "vertical") && (is(v, "rl") || is(v, "lr"))) {
		s->writing = is(v, "rl") ? CUE_DOWN_LEFT : CUE_DOWN_RIGHT;
		s->said = true;
	} else if (is(name, "region")) {
		s->region = v;
	}
}

/* The side where text that is aligned so stands; `rtl`: it is written from right to left, or seems to be. */
static int side(const struct settings *s, bool rtl)
{
	switch (s->align) {
	case ALIGN_LEFT: return -1;
	case ALIGN_RIGHT: return 1;
	case ALIGN_START: return rtl && s->writing == CUE_ACROSS ? 1 : -1;
	case ALIGN_END: return rtl && s->writing == CUE_ACROSS ? -1 : 1;
	default: return 0;
	}
}

/* WebVTT 7.2: what has a line, a size or goes down is in no region. */
static void put_into(struct cue_place *p, const struct settings *s, const struct regions *regions)
{
	if (s->region.n == 0 || s->has_line || s->size != 100 || s->writing != CUE_ACROSS)
		return;
	for (size_t i = regions->n; i-- > 0;) {
		const struct region *r = &regions->v[i];
		double left = (r->view[0] - r->width * r->anchor[0] / 100) / 100;

		if (r->id.n != s->region.n || memcmp(r->id.s, s->region.s, r->id.n) != 0)
			continue;
		left = left < 0 ? 0 : left > 1 - r->width / 100 ? 1 - r->width / 100 : left; /* all of it can be seen */
		p->set = true;
		p->left = (float)(left + r->width / 100 * (double)p->left);
		p->width = (float)(r->width / 100 * (double)p->width);
		p->line = CUE_LINE_PART;
		p->y = (float)r->view[1] / 100;
		p->edge = 1;
		p->window_lines = (int)r->lines;
		p->window_anchor = (float)r->anchor[1] / 100;
		return;
	}
}

static struct cue_place place_of(const struct settings *s, bool rtl)
{
	int align = side(s, rtl), anchor = s->anchor == ANCHOR_AUTO ? align : s->anchor;
	double position = s->has_position ? s->position : align < 0 ? 0 : align > 0 ? 100 : 50, most, size;
	struct cue_place p = {.set = s->said, .writing = s->writing, .align = align, .line = !s->has_line ? CUE_LINE_AUTO : s->snap ? CUE_LINE_ROW : CUE_LINE_PART, .edge = s->edge};

	most = anchor < 0 ? 100 - position : anchor > 0 ? position : 2 * (position < 50 ? position : 100 - position);
	size = s->size < most ? s->size : most;
	p.width = (float)size / 100;
	p.left = (float)(anchor < 0 ? position : anchor > 0 ? position - size : position - size / 2) / 100;
	if (p.line == CUE_LINE_ROW)
		p.row = (int)s->line;
	else if (p.line == CUE_LINE_PART)
		p.y = (float)s->line / 100;
	return p;
}

/* The next "name:value" of those between white space. */
static bool next_setting(struct line *l, struct line *ret_name, struct line *ret_value)
{
	const char *p = l->s, *end = l->s + l->n, *word = p, *colon = NULL;

	while (p < end && colon == NULL) {
		while (p < end && memchr(" \t\r\n", *p, 4) != NULL)
			p++;
		word = p;
		while (p < end && memchr(" \t\r\n", *p, 4) == NULL)
			p++;
		colon = memchr(word, ':', (size_t)(p - word));
	}
	*l = (struct line){p, (size_t)(end - p)};
	if (colon == NULL)
		return false;
	*ret_name = (struct line){word, (size_t)(colon - word)};
	*ret_value = (struct line){colon + 1, (size_t)(p - colon - 1)};
	return true;
}

static struct cue_place read_settings(struct line l, const struct regions *regions, bool rtl)
{
	struct settings s = {.size = 100, .anchor = ANCHOR_AUTO, .edge = -1};
	struct line name, value;
	struct cue_place p;

	while (next_setting(&l, &name, &value))
		take_setting(&s, name, value);
	p = place_of(&s, rtl);
	put_into(&p, &s, regions);
	return p;
}

/* "10%,90%" */
static void read_pair(struct line v, double ret[static 2])
{
	struct line second = cut(&v);
	double x, y;
	bool percent[2];

	if (read_number(v, &x, &percent[0]) && read_number(second, &y, &percent[1]) && percent[0] && percent[1] && x >= 0 && y >= 0) {
		ret[0] = x;
		ret[1] = y;
	}
}

/* WebVTT 4.3 and 6.2: the lines behind REGION.  Text scrolls up at once here, not little by little. */
static void take_region(struct regions *regions, struct line l)
{
	struct region r = {.width = 100, .lines = 3, .anchor = {0, 100}, .view = {0, 100}};
	struct line name, v;
	double number;
	bool percent;

	while (next_setting(&l, &name, &v)) {
		if (is(name, "id"))
			r.id = v;
		else if (is(name, "width") && read_number(v, &number, &percent) && percent && number >= 0)
			r.width = number;
		else if (is(name, "lines") && read_number(v, &number, &percent) && !percent && number >= 1)
			r.lines = number;
		else if (is(name, "regionanchor"))
			read_pair(v, r.anchor);
		else if (is(name, "viewportanchor"))
			read_pair(v, r.view);
	}
	if (r.id.n > 0 && regions->n < MAX_REGIONS)
		regions->v[regions->n++] = r;
}

static size_t put_entity(struct buf *out, const char *s, size_t n)
{
	static const struct {
		const char *name, *text;
	} rows[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&nbsp;", "\xc2\xa0"}, {"&quot;", "\""},
		{"&lrm;", "\xe2\x80\x8e"}, {"&rlm;", "\xe2\x80\x8f"}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t k = strlen(rows[i].name);

		if (n >= k && memcmp(s, rows[i].name, k) == 0) {
			buf_puts(out, rows[i].text);
			return k;
		}
	}
	buf_putc(out, '&');
	return 1;
}

/* <b>, <i>, <u>; the others are passed over, their text is kept. */
static size_t put_tag(struct buf *out, const char *s, size_t n)
{
	const char *close = memchr(s, '>', n);
	size_t size = close != NULL ? (size_t)(close - s) + 1 : n;
	bool end = n > 1 && s[1] == '/';
	const char *name = s + 1 + end;
	size_t left = size > (size_t)(1 + end) ? size - 1 - end : 0, k = 0;

	while (k < left && memchr(">. \t", name[k], 4) == NULL)
		k++;
	if (k == 1 && memchr("biu", name[0], 3) != NULL)
		buf_printf(out, "{\\%c%d}", name[0], !end);
	return size;
}

/* The code point at *at, which goes behind it; what is no UTF-8 counts as one of its own. */
static uint32_t next_character(const char *s, size_t n, size_t *at)
{
	uint32_t c = (uint8_t)s[(*at)++];
	unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	c = more > 0 ? c & (0x3fu >> more) : c;
	for (; more > 0 && *at < n && ((uint8_t)s[*at] & 0xc0) == 0x80; more--)
		c = c << 6 | ((uint8_t)s[(*at)++] & 0x3fu);
	return c;
}

/* The direction of the first character that has one (Unicode Bidirectional Algorithm, P2), by blocks; tags have none. */
static bool from_the_right(const char *s, size_t n)
{
	bool tag = false;

	for (size_t at = 0; at < n;) {
		uint32_t c = next_character(s, n, &at);

		if (c == '<' || c == '>')
			tag = c == '<';
		if (tag || c < 'A')
			continue;
		if (c == 0x200f || (c >= 0x590 && c < 0x900) || (c >= 0xfb1d && c < 0xfe00) || (c >= 0xfe70 && c < 0xff00) || (c >= 0x10800 && c < 0x11000) || (c >= 0x1e800 && c < 0x1f000))
			return true;
		if ((c | 32u) - 'a' < 26 || c == 0x200e || (c >= 0xc0 && (c < 0x2000 || c > 0x2bff)))
			return false;
	}
	return false;
}

/* Cue text (WebVTT 4.2.2) for libass. */
static void put_payload(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		if (s[i] == '&') {
			i += put_entity(out, s + i, n - i);
		} else if (s[i] == '<') {
			i += put_tag(out, s + i, n - i);
		} else {
			cues_put_text(out, s + i, 1);
			i++;
		}
	}
}

static void add_payload(struct cues *c, dur_us start, dur_us end, const char *s, size_t n, struct line settings, const struct regions *regions)
{
	struct cue_place place = read_settings(settings, regions, from_the_right(s, n));
	struct buf text;

	buf_init(&text, CUE_MAX_TEXT);
	put_payload(&text, s, n);
	buf_puts(&text, "");
	if (buf_error(&text) == 0 && text.size > 0)
		cues_add(c, start, end, buf_take(&text), &place);
	buf_fini(&text);
}

/* The lines up to an empty one: first to last. */
static struct line read_block(const char **s, const char *end)
{
	struct line l, all = {*s, 0};

	while (next_line(s, end, &l) && l.n > 0)
		all.n = (size_t)(l.s + l.n - all.s);
	return all;
}

static bool is_region(struct line l)
{
	while (l.n > 6 && (l.s[l.n - 1] == ' ' || l.s[l.n - 1] == '\t'))
		l.n--;
	return is(l, "REGION");
}

/* The lines up to an empty one are one block; a cue when one of the first two has times. */
int cues_from_vtt(const char *text, size_t n, dur_us offset, struct cues *c, struct fault *f)
{
	const char *s = text, *end = text + n;
	struct regions regions = {.n = 0};
	struct line l, settings;
	dur_us from, to;

	if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	if (end - s < 6 || memcmp(s, "WEBVTT", 6) != 0)
		return fault_set(f, ERR_SYNTAX, _("it does not begin with WEBVTT"));
	while (next_line(&s, end, &l)) {
		if (is_region(l)) {
			take_region(&regions, read_block(&s, end));
		} else if (read_times(l, &from, &to, &settings)) {
			l = read_block(&s, end);
			add_payload(c, from + offset, to + offset, l.s, l.n, settings, &regions);
		}
	}
	return 0;
}

/* --- in ISO BMFF ---------------------------------------------------------------------------------- */

/* 14496-30 7.5: payl is a cue's text, sttg its settings. */
static void take_vttc(const uint8_t *s, size_t n, dur_us start, dur_us end, const struct regions *regions, struct cues *c)
{
	struct line text = {"", 0}, settings = {"", 0};
	struct bmff_box box;
	size_t at = 0;

	while (bmff_next(s, n, &at, &box) == 0) {
		struct line l = {(const char *)s + box.payload, box.end - box.payload};

		if (box.type == BMFF_TYPE('p', 'a', 'y', 'l'))
			text = l;
		else if (box.type == BMFF_TYPE('s', 't', 't', 'g'))
			settings = l;
	}
	if (text.n > 0)
		add_payload(c, start, end, text.s, text.n, settings, regions);
}

/* 14496-30 7: a sample is boxes; each vttc holds a cue, and all of them are shown together. */
static void take_wvtt(const uint8_t *s, size_t n, dur_us start, dur_us end, const struct regions *regions, struct cues *c)
{
	struct bmff_box box;
	size_t pos = 0;

	while (bmff_next(s, n, &pos, &box) == 0)
		if (box.type == BMFF_TYPE('v', 't', 't', 'c'))
			take_vttc(s + box.payload, box.end - box.payload, start, end, regions, c);
}

static dur_us to_us(__int128_t t, uint32_t timescale)
{
	__int128_t us = t * DUR_S / timescale;

	return us < -MPD_MAX_TIME ? -MPD_MAX_TIME : us > MPD_MAX_TIME ? MPD_MAX_TIME : (dur_us)us;
}

/* No byte is of two samples, whatever the fragments say: *left of the bytes are still to be read. */
static void take_samples(const struct bmff_track *track, int64_t shift, const struct bmff_fragment *fragment,
                         const uint8_t *body, size_t n, size_t *left, dur_us offset, const struct regions *regions, struct cues *c)
{
	for (size_t i = 0; i < fragment->n_samples; i++) {
		const struct bmff_sample *s = &fragment->samples[i];
		__int128_t t = (__int128_t)s->time + s->composition - shift;
		dur_us start = to_us(t, track->timescale) + offset;

		if (s->offset > n || s->size > n - s->offset || s->size > *left)
			continue;
		*left -= s->size;
		if (track->entry == BMFF_TYPE('w', 'v', 't', 't'))
			take_wvtt(body + s->offset, s->size, start, start + to_us(s->duration, track->timescale), regions, c);
		else
			cues_from_ttml((const char *)body + s->offset, s->size, offset, c, NULL);
	}
}

/* 14496-30 7.5: the sample entry's vttC box has the file's head, and in it the regions. */
static void find_regions(const uint8_t *init, size_t n, struct regions *ret)
{
	const uint8_t *at = n > 8 ? memmem(init + 4, n - 4, "vttC", 4) : NULL;
	uint32_t size = at != NULL ? (uint32_t)at[-4] << 24 | (uint32_t)at[-3] << 16 | (uint32_t)at[-2] << 8 | at[-1] : 0;
	const char *s, *end;
	struct line l;

	if (at == NULL || size < 8 || size > n - (size_t)(at - 4 - init))
		return;
	s = (const char *)at + 4;
	end = (const char *)at - 4 + size;
	while (next_line(&s, end, &l))
		if (is_region(l))
			take_region(ret, read_block(&s, end));
}

int cues_from_mp4(const uint8_t *init, size_t n_init, const uint8_t *body, size_t n, dur_us offset, struct cues *c,
                  struct fault *f)
{
	struct bmff_movie *movie = NULL;
	const struct bmff_track *track;
	struct regions regions = {.n = 0};
	size_t pos = 0, left = n, samples = 0;
	int r = bmff_movie_read(init, n_init, &movie, f);

	if (r != 0)
		return r;
	track = bmff_movie_track(movie, 0);
	if (track == NULL || (track->entry != BMFF_TYPE('w', 'v', 't', 't') && track->entry != BMFF_TYPE('s', 't', 'p', 'p')))
		r = fault_set(f, ERR_UNSUPPORTED, _("its track is neither wvtt nor stpp"));
	find_regions(init, n_init, &regions);
	while (r == 0) {
		struct bmff_fragment *fragment = NULL;

		r = bmff_fragment_read(body, n, 0, &pos, movie, track->id, &fragment, f);
		if (r == 0 && (samples += fragment->n_samples) > BMFF_MAX_SAMPLES)
			r = fault_set(f, ERR_LIMIT, _("a segment has more than %zu samples"), BMFF_MAX_SAMPLES);
		if (r == 0)
			take_samples(track, bmff_track_shift(track, movie->timescale), fragment, body, n, &left, offset, &regions, c);
		bmff_fragment_free(&fragment);
	}
	bmff_movie_free(&movie);
	return r == ERR_NOT_FOUND ? 0 : r;
}
