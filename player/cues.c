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
		return a->set == b->set;
	return fabsf(a->left - b->left) < NEAR && fabsf(a->width - b->width) < NEAR && fabsf(a->y - b->y) < NEAR && a->align == b->align &&
	       a->line == b->line && a->row == b->row && a->edge == b->edge;
}

static bool same_words(const struct cue *c, const char *text, const struct cue_place *place)
{
	return strcmp(c->text, text) == 0 && same_place(&c->place, place);
}

/* The place of the first cue behind `start`. */
static size_t behind(const struct cues *c, dur_us start)
{
	size_t at = c->n;

	while (at > 0 && c->v[at - 1].start > start)
		at--;
	return at;
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
	size_t at = behind(c, start);

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

struct settings {
	enum { ALIGN_CENTRE, ALIGN_LEFT, ALIGN_RIGHT } align;
	bool has_position, has_line, said;
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

/* "-3", "12.5%"; *ret_percent: with the sign. */
static bool read_number(struct line l, double *ret, bool *ret_percent)
{
	bool minus = l.n > 0 && l.s[0] == '-', percent = l.n > 0 && l.s[l.n - 1] == '%';
	size_t n = l.n - minus - percent;

	if (l.n <= (size_t)(minus + percent) || (minus && percent) || !is_decimal(l.s + minus, n) || str_parse_double(l.s + minus, n, ret) != 0)
		return false;
	*ret = minus ? -*ret : *ret;
	*ret_percent = percent;
	return *ret >= -1000 && *ret <= 1000 && (!percent || *ret <= 100);
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
		s->align = is(v, "start") || is(v, "left") ? ALIGN_LEFT : is(v, "end") || is(v, "right") ? ALIGN_RIGHT : ALIGN_CENTRE;
		s->said = true;
	}
}

/* Text that is written from right to left begins at the left here, too. */
static struct cue_place place_of(const struct settings *s)
{
	double position = s->has_position ? s->position : s->align == ALIGN_LEFT ? 0 : s->align == ALIGN_RIGHT ? 100 : 50, most, size;
	int align = s->align == ALIGN_LEFT ? -1 : s->align == ALIGN_RIGHT ? 1 : 0, anchor = s->anchor == ANCHOR_AUTO ? align : s->anchor;
	struct cue_place p = {.set = s->said, .align = align, .line = !s->has_line ? CUE_LINE_AUTO : s->snap ? CUE_LINE_ROW : CUE_LINE_PART, .edge = s->edge};

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

static struct cue_place read_settings(struct line l)
{
	struct settings s = {.size = 100, .anchor = ANCHOR_AUTO, .edge = -1};
	const char *p = l.s, *end = l.s + l.n;

	while (p < end) {
		struct line word, value;
		const char *colon;

		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		word.s = p;
		while (p < end && *p != ' ' && *p != '\t' && *p != '\n' && *p != '\r')
			p++;
		word.n = (size_t)(p - word.s);
		if (word.n == 0)
			p++;
		colon = memchr(word.s, ':', word.n);
		if (colon == NULL)
			continue;
		value = (struct line){colon + 1, (size_t)(p - colon - 1)};
		word.n = (size_t)(colon - word.s);
		take_setting(&s, word, value);
	}
	return place_of(&s);
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

static void add_payload(struct cues *c, dur_us start, dur_us end, const char *s, size_t n, struct line settings)
{
	struct cue_place place = read_settings(settings);
	struct buf text;

	buf_init(&text, CUE_MAX_TEXT);
	put_payload(&text, s, n);
	buf_puts(&text, "");
	if (buf_error(&text) == 0 && text.size > 0)
		cues_add(c, start, end, buf_take(&text), &place);
	buf_fini(&text);
}

/* The lines up to an empty one are one block; a cue when one of the first two has times. */
int cues_from_vtt(const char *text, size_t n, dur_us offset, struct cues *c, struct fault *f)
{
	const char *s = text, *end = text + n;
	struct line l, settings;
	dur_us from, to;

	if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	if (end - s < 6 || memcmp(s, "WEBVTT", 6) != 0)
		return fault_set(f, ERR_SYNTAX, _("it does not begin with WEBVTT"));
	while (next_line(&s, end, &l)) {
		const char *first, *last;

		if (!read_times(l, &from, &to, &settings))
			continue;
		first = last = s;
		while (next_line(&s, end, &l) && l.n > 0)
			last = l.s + l.n;
		add_payload(c, from + offset, to + offset, first, (size_t)(last - first), settings);
	}
	return 0;
}

/* --- in ISO BMFF ---------------------------------------------------------------------------------- */

/* 14496-30 7.5: payl is a cue's text, sttg its settings. */
static void take_vttc(const uint8_t *s, size_t n, dur_us start, dur_us end, struct cues *c)
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
		add_payload(c, start, end, text.s, text.n, settings);
}

/* 14496-30 7: a sample is boxes; each vttc holds a cue, and all of them are shown together. */
static void take_wvtt(const uint8_t *s, size_t n, dur_us start, dur_us end, struct cues *c)
{
	struct bmff_box box;
	size_t pos = 0;

	while (bmff_next(s, n, &pos, &box) == 0)
		if (box.type == BMFF_TYPE('v', 't', 't', 'c'))
			take_vttc(s + box.payload, box.end - box.payload, start, end, c);
}

static dur_us to_us(int64_t t, uint32_t timescale)
{
	return (dur_us)((__int128_t)t * DUR_S / timescale);
}

static void take_samples(const struct bmff_track *track, int64_t shift, const struct bmff_fragment *fragment,
                         const uint8_t *body, size_t n, dur_us offset, struct cues *c)
{
	for (size_t i = 0; i < fragment->n_samples; i++) {
		const struct bmff_sample *s = &fragment->samples[i];
		int64_t t = (int64_t)s->time + s->composition - shift;
		dur_us start = to_us(t, track->timescale) + offset;

		if (s->offset > n || s->size > n - s->offset)
			continue;
		if (track->entry == BMFF_TYPE('w', 'v', 't', 't'))
			take_wvtt(body + s->offset, s->size, start, start + to_us(s->duration, track->timescale), c);
		else
			cues_from_ttml((const char *)body + s->offset, s->size, offset, c, NULL);
	}
}

int cues_from_mp4(const uint8_t *init, size_t n_init, const uint8_t *body, size_t n, dur_us offset, struct cues *c,
                  struct fault *f)
{
	struct bmff_movie *movie = NULL;
	const struct bmff_track *track;
	size_t pos = 0;
	int r = bmff_movie_read(init, n_init, &movie, f);

	if (r != 0)
		return r;
	track = bmff_movie_track(movie, 0);
	if (track == NULL || (track->entry != BMFF_TYPE('w', 'v', 't', 't') && track->entry != BMFF_TYPE('s', 't', 'p', 'p')))
		r = fault_set(f, ERR_UNSUPPORTED, _("its track is neither wvtt nor stpp"));
	while (r == 0) {
		struct bmff_fragment *fragment = NULL;

		r = bmff_fragment_read(body, n, 0, &pos, movie, track->id, &fragment, f);
		if (r == 0)
			take_samples(track, bmff_track_shift(track, movie->timescale), fragment, body, n, offset, c);
		bmff_fragment_free(&fragment);
	}
	bmff_movie_free(&movie);
	return r == ERR_NOT_FOUND ? 0 : r;
}
