/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Invariant: what leaves here is UTF-8 in which no cue holds an empty line or
 * an arrow, in the order of the cues' starts.
 */
#include "ingest/cue.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define OPEN_LENGTH 5000000 /* us that a cue without an end stands, if no other one comes */

/* --- ASS ------------------------------------------------------------------------------------ */

enum { BOLD, ITALIC, UNDERLINE, N_STYLES };

struct ass {
	struct buf *out;
	bool want[N_STYLES], have[N_STYLES];
	bool drawing;            /* \p1: what follows are coordinates */
	int place;               /* numeric keypad; 0: not said */
	unsigned breaks;         /* lines to begin before the next character */
	bool any;
};

static void put_styles(struct ass *a)
{
	static const char names[] = "biu";

	if (memcmp(a->want, a->have, sizeof a->want) == 0)
		return;
	for (int i = N_STYLES; i-- > 0;)
		if (a->have[i])
			buf_printf(a->out, "</%c>", names[i]);
	for (int i = 0; i < N_STYLES; i++)
		if (a->want[i])
			buf_printf(a->out, "<%c>", names[i]);
	memcpy(a->have, a->want, sizeof a->have);
}

/* WebVTT 4.2.2: these three cannot stand as they are */
static void put_char(struct ass *a, char c)
{
	if (a->drawing)
		return;
	if (a->any && a->breaks > 0)
		buf_putc(a->out, '\n'); /* one: an empty line would end the cue */
	a->breaks = 0;
	put_styles(a);
	a->any = true;
	if (c == '&')
		buf_puts(a->out, "&amp;");
	else if (c == '<')
		buf_puts(a->out, "&lt;");
	else if (c == '>')
		buf_puts(a->out, "&gt;");
	else
		buf_putc(a->out, c);
}

static void reset_styles(struct ass *a)
{
	memset(a->want, 0, sizeof a->want);
}

/* One override, without its backslash: "i1", "an8", "p1", "b700", "r". */
static void take_override(struct ass *a, const char *s, size_t n)
{
	static const int legacy[] = {0, 1, 2, 3, 0, 7, 8, 9, 0, 4, 5, 6}; /* \a of SSA to the keypad's */
	char name[8];
	size_t letters = 0;
	int value;

	while (letters < n && letters < sizeof name - 1 && isalpha((unsigned char)s[letters]))
		letters++;
	memcpy(name, s, letters);
	name[letters] = '\0';
	value = letters < n && isdigit((unsigned char)s[letters]) ? (int)strtol(s + letters, NULL, 10) : -1;
	if (strcmp(name, "b") == 0)
		a->want[BOLD] = value == 1 || value >= 600;
	else if (strcmp(name, "i") == 0)
		a->want[ITALIC] = value == 1;
	else if (strcmp(name, "u") == 0)
		a->want[UNDERLINE] = value == 1;
	else if (strcmp(name, "p") == 0)
		a->drawing = value > 0;
	else if (strcmp(name, "an") == 0 && value >= 1 && value <= 9)
		a->place = value;
	else if (strcmp(name, "a") == 0 && value >= 1 && value <= 11)
		a->place = legacy[value];
	else if (name[0] == 'r')
		reset_styles(a);
}

/* From behind '{' to behind '}', which is at `end`. */
static const char *take_overrides(struct ass *a, const char *s, const char *end)
{
	for (const char *at = s; (at = memchr(at, '\\', (size_t)(end - at))) != NULL; at++)
		take_override(a, at + 1, (size_t)(end - at - 1));
	return end + 1;
}

static void put_place(int place, char ret[static CUE_SETTINGS_SIZE])
{
	static const char *const lines[] = {"", "line:50%", "line:0"}, *const aligns[] = {"align:left", "", "align:right"};
	const char *line, *align;

	ret[0] = '\0';
	if (place == 0)
		return;
	line = lines[(place - 1) / 3];
	align = aligns[(place - 1) % 3];
	snprintf(ret, CUE_SETTINGS_SIZE, "%s%s%s", line, line[0] != '\0' && align[0] != '\0' ? " " : "", align);
}

void cue_from_ass(const char *s, char ret_settings[static CUE_SETTINGS_SIZE], struct buf *out)
{
	struct ass a = {.out = out};
	const char *close = s; /* the next '}', looked for once: there may be a million '{' in front of it, or of nothing */

	while (*s != '\0') {
		if (*s == '{' && close != NULL && (close < s || *close != '}'))
			close = strchr(s, '}');
		if (*s == '{' && close != NULL) {
			s = take_overrides(&a, s + 1, close);
		} else if (s[0] == '\\' && s[1] == 'N') {
			a.breaks++;
			s += 2;
		} else if (s[0] == '\\' && (s[1] == 'n' || s[1] == 'h')) {
			put_char(&a, ' ');
			s += 2;
		} else if (*s == '\r' || *s == '\n') {
			a.breaks += *s == '\n';
			s++;
		} else {
			put_char(&a, *s++);
		}
	}
	reset_styles(&a);
	put_styles(&a);
	put_place(a.place, ret_settings);
}

/* --- WebVTT --------------------------------------------------------------------------------- */

void cue_from_vtt(const char *s, size_t n, struct buf *out)
{
	bool begun = false, at_line = true;

	for (size_t i = 0; i < n && s[i] != '\0'; i++) {
		if (s[i] == '\r' || s[i] == '\n') {
			at_line = true;
			continue;
		}
		if (at_line && begun)
			buf_putc(out, '\n');
		at_line = false;
		begun = true;
		if (n - i >= 3 && memcmp(s + i, "-->", 3) == 0) {
			buf_puts(out, "--&gt;");
			i += 2;
		} else {
			buf_putc(out, s[i]);
		}
	}
}

void cue_settings(const char *s, size_t n, char ret[static CUE_SETTINGS_SIZE])
{
	static const char *const kept[] = {"line:", "position:", "size:", "align:", "vertical:"};
	size_t used = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < n;) {
		size_t from = i, length;

		while (i < n && s[i] != ' ' && s[i] != '\t')
			i++;
		length = i - from;
		while (i < n && (s[i] == ' ' || s[i] == '\t'))
			i++;
		for (size_t k = 0; k < sizeof kept / sizeof kept[0]; k++) {
			size_t name = strlen(kept[k]);

			if (length <= name || memcmp(s + from, kept[k], name) != 0 || used + length + 2 > CUE_SETTINGS_SIZE)
				continue;
			/* nothing but what a setting is made of: no arrow, no line's end */
			for (size_t c = name; c < length; c++)
				if (!isalnum((unsigned char)s[from + c]) && strchr(".,%-", s[from + c]) == NULL)
					length = 0;
			if (length > 0)
				used += (size_t)snprintf(ret + used, CUE_SETTINGS_SIZE - used, "%s%.*s", used > 0 ? " " : "", (int)length, s + from);
		}
	}
}

/* --- the file ------------------------------------------------------------------------------- */

static int by_start(const void *pa, const void *pb)
{
	const struct cue *a = pa, *b = pb;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end < b->end ? -1 : 1;
	return strcmp(a->text, b->text);
}

/* *next is at or before the first cue that starts behind this one. */
static void close_open(struct cue *c, size_t n, size_t i, size_t *next)
{
	if (c[i].end != CUE_OPEN)
		return;
	c[i].end = c[i].start + OPEN_LENGTH;
	if (*next <= i)
		*next = i + 1;
	while (*next < n && c[*next].start <= c[i].start)
		++*next;
	if (*next < n && c[*next].start < c[i].end)
		c[i].end = c[*next].start;
}

/* Times leave in milliseconds: what is nothing then is nothing now. */
static bool shrink(struct cue *c, int64_t length)
{
	c->start = c->start < 0 ? 0 : c->start;
	c->end = c->end > length ? length : c->end;
	return c->end / 1000 > c->start / 1000;
}

static bool same(const struct cue *a, const struct cue *b)
{
	return by_start(a, b) == 0 && strcmp(a->settings, b->settings) == 0;
}

size_t cue_arrange(struct cue *c, size_t n, int64_t zero, int64_t length, size_t *ret_outside)
{
	size_t kept = 0, outside = 0, next = 0;

	for (size_t i = 0; i < n; i++) {
		c[i].start -= zero;
		if (c[i].end != CUE_OPEN)
			c[i].end -= zero;
	}
	qsort(c, n, sizeof *c, by_start);
	for (size_t i = 0; i < n; i++) {
		bool in;

		close_open(c, n, i, &next);
		in = shrink(&c[i], length);
		outside += !in;
		if (in && (kept == 0 || !same(&c[kept - 1], &c[i]))) {
			struct cue moved = c[i];

			c[i].text = NULL;
			c[kept++] = moved;
		} else {
			free(c[i].text);
			c[i].text = NULL;
		}
	}
	*ret_outside = outside;
	return kept;
}

static void put_time(int64_t us, struct buf *out)
{
	long long ms = us / 1000;

	buf_printf(out, "%02lld:%02lld:%02lld.%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

int cue_write(const struct cue *c, size_t n, struct buf *out)
{
	/* RFC 8216 3.5: local time 0 is the first picture's; other readers pass over the line */
	buf_puts(out, "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "\n%zu\n", i + 1);
		put_time(c[i].start, out);
		buf_puts(out, " --> ");
		put_time(c[i].end, out);
		if (c[i].settings[0] != '\0')
			buf_printf(out, " %s", c[i].settings);
		buf_printf(out, "\n%s\n", c[i].text);
	}
	return buf_error(out);
}
