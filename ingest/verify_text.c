/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Subtitles against the film: every WebVTT file can be read, its cues stand in
 * order and within the film, and MPD and playlists name it once.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/package.h"
#include "ingest/chapters.h"
#include "ingest/verify_seen.h"

#define TEXT_MAX ((size_t)64 << 20)

static int wrong(struct verify *v, const struct seen_text *t, unsigned line, const char *what)
{
	return verify_wrong(v->fault, ERR_CORRUPT, "%s:%u: %s", t->name, line, what);
}

/* Exactly two digits (or more, for hours) below `limit`; *s moves behind them.  -1: are none. */
static int64_t digits(const char **s, int64_t limit)
{
	int64_t v = 0;
	size_t n = strspn(*s, "0123456789");

	if (n < 2 || n > 4)
		return -1;
	while (n-- > 0)
		v = 10 * v + *(*s)++ - '0';
	return v < limit ? v : -1;
}

/* "00:01:02.345" or "01:02.345" in ms (WebVTT 4.1); *s moves behind it.  -1: is none. */
static int64_t read_time(const char **s)
{
	int64_t part[3] = {0}, ms;

	for (int i = 0; i < 3; i++) {
		part[0] = part[1];
		part[1] = part[2];
		part[2] = digits(s, 10000);
		if (part[2] < 0 || (i > 0 && part[2] >= 60))
			return -1;
		if (**s != ':')
			break;
		(*s)++;
	}
	if (*(*s)++ != '.')
		return -1;
	ms = strspn(*s, "0123456789") == 3 ? digits(s, 1000) : -1;
	return ms < 0 || part[1] >= 60 ? -1 : ((part[0] * 60 + part[1]) * 60 + part[2]) * 1000 + ms;
}

struct reading {
	struct verify *v;
	struct seen_text *t;
	int64_t film;     /* ms */
	int64_t last;     /* start of the cue before */
	unsigned line;
	bool after_times; /* a cue's text has to come */
};

static int take_times(struct reading *r, const char *line)
{
	const char *s = line;
	int64_t start = read_time(&s), end;

	if (start < 0 || !str_starts(s, " --> "))
		return wrong(r->v, r->t, r->line, _("is no line of times (WebVTT 4.1)"));
	s += 5;
	end = read_time(&s);
	if (end <= start || (*s != '\0' && *s != ' '))
		return wrong(r->v, r->t, r->line, _("a cue does not end behind its start"));
	if (start < r->last)
		return wrong(r->v, r->t, r->line, _("a cue begins before the one in front of it"));
	if (end > r->film)
		return wrong(r->v, r->t, r->line, _("a cue lasts longer than the film"));
	r->last = start;
	r->t->n_cues++;
	r->after_times = true;
	return 0;
}

static int take_line(struct reading *r, const char *line)
{
	if (r->line == 1)
		return strcmp(line, "WEBVTT") == 0 ? 0 : wrong(r->v, r->t, 1, _("does not begin with WEBVTT"));
	if (r->after_times && line[0] == '\0')
		return wrong(r->v, r->t, r->line, _("a cue has no text"));
	r->after_times = false;
	return strstr(line, "-->") != NULL ? take_times(r, line) : 0;
}

static int check_file(struct verify *v, struct seen_text *t, int64_t film)
{
	struct reading reading = {.v = v, .t = t, .film = film};
	struct buf text;
	char *at, *next;
	int r = verify_read_file(v, t->name, TEXT_MAX, &text);

	if (r != 0)
		return r;
	if (strlen(buf_text(&text)) != text.size)
		r = wrong(v, t, 1, _("holds a NUL"));
	for (at = (char *)text.bytes; r == 0 && at != NULL && *at != '\0'; at = next) {
		next = strchr(at, '\n');
		if (next != NULL)
			*next++ = '\0';
		reading.line++;
		r = take_line(&reading, at);
	}
	buf_fini(&text);
	if (r == 0 && t->n_cues == 0)
		r = wrong(v, t, reading.line, _("has no cue"));
	v->facts.cues += strcmp(t->name, CHAPTERS_VTT) != 0 ? t->n_cues : 0;
	return r;
}

/* One segment as long as the film, and it is this file. */
static int check_playlist(struct verify *v, const struct seen_text *t, double film)
{
	char *name = mem_printf("%.*s.m3u8", (int)(strlen(t->name) - strlen(".vtt")), t->name), *uri = mem_printf("\n%s\n#EXT-X-ENDLIST\n", t->name);
	const char *length;
	struct buf text;
	int r = verify_read_file(v, name, TEXT_MAX, &text);

	if (r == 0) {
		length = strstr(buf_text(&text), "\n#EXTINF:");
		if (length == NULL || fabs(strtod(length + strlen("\n#EXTINF:"), NULL) - film) > 0.001 || strstr(length, uri) == NULL)
			r = verify_wrong(v->fault, ERR_CORRUPT, _("%s: is not %s for the whole film of %.3f s"), name, t->name, film);
		buf_fini(&text);
	}
	free(uri);
	free(name);
	return r;
}

/* Named once by the master playlist. */
static int check_listed(struct verify *v, const struct seen_text *t)
{
	char *uri = mem_printf(",URI=\"%.*s.m3u8\"\n", (int)(strlen(t->name) - strlen(".vtt")), t->name);
	const char *at;
	struct buf text;
	int r = verify_read_file(v, PACKAGE_PLAYLIST, TEXT_MAX, &text);

	if (r == 0) {
		at = strstr(buf_text(&text), uri);
		if (at == NULL || strstr(at + 1, uri) != NULL)
			r = verify_wrong(v->fault, ERR_CORRUPT, _("%s: does not name the playlist of %s once"), PACKAGE_PLAYLIST, t->name);
		buf_fini(&text);
	}
	free(uri);
	return r;
}

static double film_seconds(const struct verify *v)
{
	for (size_t i = 0; i < v->n_tracks; i++)
		if (v->tracks[i].handler == VERIFY_VIDEO)
			return (double)verify_end_of(&v->tracks[i]) / v->tracks[i].timescale;
	return 0;
}

int verify_texts(struct verify *v)
{
	double film = film_seconds(v);
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->n_texts; i++) {
		struct seen_text *t = &v->texts[i];

		r = check_file(v, t, (int64_t)ceil(film * 1000));
		if (r == 0 && strcmp(t->name, CHAPTERS_VTT) == 0)
			continue; /* beside the film: neither MPD nor playlists have a place for it */
		if (r == 0)
			r = check_playlist(v, t, film);
		if (r == 0)
			r = check_listed(v, t);
		if (r == 0 && t->n_described != 1)
			r = verify_wrong(v->fault, ERR_CORRUPT, _("%s: names %s %u times, not once"), PACKAGE_MANIFEST, t->name, t->n_described);
	}
	for (size_t i = 0; i < v->n_texts; i++)
		v->facts.texts += strcmp(v->texts[i].name, CHAPTERS_VTT) != 0;
	return r;
}
