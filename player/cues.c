/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The list, WebVTT, and tracks in ISO BMFF.
 */
#include "player/cues.h"

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

void cues_free(struct cues *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].text);
	free(c->v);
	*c = (struct cues){0};
}

void cues_add(struct cues *c, dur_us start, dur_us end, char *text)
{
	size_t at = c->n;

	while (at > 0 && c->v[at - 1].start > start)
		at--;
	for (size_t i = at; i > 0 && c->v[i - 1].start == start; i--)
		if (strcmp(c->v[i - 1].text, text) == 0) {
			c->v[i - 1].end = end > c->v[i - 1].end ? end : c->v[i - 1].end;
			free(text);
			return;
		}
	if (c->n == CUES_MAX || end <= start || *text == '\0') {
		free(text);
		return;
	}
	MEM_GROW(c->v, c->cap, c->n);
	memmove(c->v + at + 1, c->v + at, (c->n - at) * sizeof *c->v);
	c->v[at] = (struct cue){start, end, text};
	c->n++;
}

void cues_at(const struct cues *c, dur_us t, char *out, size_t n)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < c->n && c->v[i].start <= t; i++) {
		int r;

		if (c->v[i].end <= t)
			continue;
		/* each cue's tags end with it */
		r = snprintf(out + used, n - used, "%s%s", used > 0 ? "\\N{\\r}" : "", c->v[i].text);
		if (r < 0 || (size_t)r >= n - used) {
			out[used] = '\0';
			return;
		}
		used += (size_t)r;
	}
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

static bool read_times(struct line l, dur_us *ret_start, dur_us *ret_end)
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
	return read_time(s, end, ret_end) != NULL;
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

static void add_payload(struct cues *c, dur_us start, dur_us end, const char *s, size_t n)
{
	struct buf text;

	buf_init(&text, CUE_MAX_TEXT);
	put_payload(&text, s, n);
	buf_puts(&text, "");
	if (buf_error(&text) == 0 && text.size > 0)
		cues_add(c, start, end, buf_take(&text));
	buf_fini(&text);
}

/* The lines up to an empty one are one block; a cue when one of the first two has times. */
int cues_from_vtt(const char *text, size_t n, dur_us offset, struct cues *c, struct fault *f)
{
	const char *s = text, *end = text + n;
	struct line l;
	dur_us from, to;

	if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	if (end - s < 6 || memcmp(s, "WEBVTT", 6) != 0)
		return fault_set(f, ERR_SYNTAX, _("it does not begin with WEBVTT"));
	while (next_line(&s, end, &l)) {
		const char *first, *last;

		if (!read_times(l, &from, &to))
			continue;
		first = last = s;
		while (next_line(&s, end, &l) && l.n > 0)
			last = l.s + l.n;
		add_payload(c, from + offset, to + offset, first, (size_t)(last - first));
	}
	return 0;
}

/* --- in ISO BMFF ---------------------------------------------------------------------------------- */

/* 14496-30 7: a sample is boxes; vttc holds a cue, payl its text. */
static void take_wvtt(const uint8_t *s, size_t n, dur_us start, dur_us end, struct cues *c)
{
	struct bmff_box box, inner;
	size_t pos = 0;

	while (bmff_next(s, n, &pos, &box) == 0) {
		size_t at = 0;

		while (box.type == BMFF_TYPE('v', 't', 't', 'c') &&
		       bmff_next(s + box.payload, box.end - box.payload, &at, &inner) == 0)
			if (inner.type == BMFF_TYPE('p', 'a', 'y', 'l'))
				add_payload(c, start, end, (const char *)s + box.payload + inner.payload, inner.end - inner.payload);
	}
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
