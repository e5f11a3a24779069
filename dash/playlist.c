/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Line by line: tags that name media are written once for each place, with the
 * place's URLs and groups of their own; all others once, where they stood.
 */
#include "dash/playlist.h"

#include <string.h>

#include "base/words.h"

struct line {
	const char *s;
	size_t n;
};

/* The next line without its end; false at the end of the text. */
static bool next_line(const char **at, const char *end, struct line *ret)
{
	const char *stop;

	if (*at == end)
		return false;
	stop = memchr(*at, '\n', (size_t)(end - *at));
	*ret = (struct line){*at, (size_t)((stop != NULL ? stop : end) - *at)};
	*at = stop != NULL ? stop + 1 : end;
	if (ret->n > 0 && ret->s[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

static bool is_tag(const struct line *l, const char *tag)
{
	size_t n = strlen(tag);

	return l->n >= n && memcmp(l->s, tag, n) == 0;
}

static bool is_absolute(const char *s, size_t n)
{
	size_t k = 0;

	while (k < n && s[k] != ':' && s[k] != '/' && s[k] != '?')
		k++;
	return n > 0 && (s[0] == '/' || (k < n && s[k] == ':'));
}

static void put_url(struct buf *out, const struct mpd_place *place, const char *s, size_t n)
{
	buf_printf(out, "%s%.*s", is_absolute(s, n) ? "" : place->url, (int)n, s);
}

/* Is this attribute one whose quoted value names a group? */
static bool names_group(const char *name, size_t n)
{
	static const char *const names[] = {"GROUP-ID", "AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return true;
	return false;
}

/* RFC 8216 4.2: NAME=value, values quoted or free of commas. */
static size_t attribute_end(const char *s, size_t n, size_t *ret_value)
{
	size_t i = 0;

	while (i < n && s[i] != '=' && s[i] != ',')
		i++;
	*ret_value = i < n && s[i] == '=' ? i + 1 : i;
	i = *ret_value;
	if (i < n && s[i] == '"') {
		for (i++; i < n && s[i] != '"'; i++)
			;
		return i < n ? i + 1 : n;
	}
	while (i < n && s[i] != ',')
		i++;
	return i;
}

static void put_attribute(struct buf *out, const char *s, size_t value, size_t n, const struct mpd_place *place)
{
	size_t name = value > 0 ? value - 1 : 0;
	bool quoted = n >= value + 2 && s[value] == '"' && s[n - 1] == '"';

	if (quoted && name == 3 && memcmp(s, "URI", 3) == 0) {
		buf_puts(out, "URI=\"");
		put_url(out, place, s + value + 1, n - value - 2);
		buf_puts(out, "\"");
	} else if (quoted && names_group(s, name)) {
		buf_printf(out, "%.*s-at-%s\"", (int)n - 1, s, place->service_location);
	} else {
		buf_printf(out, "%.*s", (int)n, s);
	}
}

static void put_tag(struct buf *out, const struct line *l, const struct mpd_place *place)
{
	size_t i = (size_t)((const char *)memchr(l->s, ':', l->n) - l->s) + 1;

	buf_printf(out, "%.*s", (int)i, l->s);
	while (i < l->n) {
		size_t value, end = attribute_end(l->s + i, l->n - i, &value);

		put_attribute(out, l->s + i, value, end, place);
		i += end;
		if (i < l->n)
			buf_printf(out, "%c", l->s[i++]);
	}
	if (!is_tag(l, "#EXT-X-MEDIA:"))
		buf_printf(out, ",PATHWAY-ID=\"%s\"", place->service_location);
	buf_puts(out, "\n");
}

static bool names_media(const struct line *l)
{
	return is_tag(l, "#EXT-X-MEDIA:") || is_tag(l, "#EXT-X-STREAM-INF:") || is_tag(l, "#EXT-X-I-FRAME-STREAM-INF:");
}

/* What names media, for one place. */
static void put_media(struct buf *out, const char *text, size_t n, const struct mpd_place *place)
{
	const char *at = text;
	struct line l;
	bool uri_next = false;

	while (next_line(&at, text + n, &l)) {
		if (names_media(&l)) {
			put_tag(out, &l, place);
			uri_next = is_tag(&l, "#EXT-X-STREAM-INF:");
		} else if (uri_next && l.n > 0 && l.s[0] != '#') {
			put_url(out, place, l.s, l.n);
			buf_puts(out, "\n");
			uri_next = false;
		}
	}
}

/* The other lines as they are; whether they are a multivariant playlist's. */
static bool put_head(struct buf *out, const char *text, size_t n)
{
	const char *at = text;
	struct line l;
	bool uri_next = false, good = next_line(&at, text + n, &l) && l.n == 7 && memcmp(l.s, "#EXTM3U", 7) == 0;

	buf_puts(out, "#EXTM3U\n");
	while (good && next_line(&at, text + n, &l)) {
		if (is_tag(&l, "#EXTINF:") || is_tag(&l, "#EXT-X-CONTENT-STEERING:") || memmem(l.s, l.n, "PATHWAY-ID=", 11) != NULL)
			good = false;
		if (is_tag(&l, "#EXT-X-STREAM-INF:"))
			uri_next = true;
		else if (uri_next && l.n > 0 && l.s[0] != '#')
			uri_next = false;
		else if (l.n > 0 && !names_media(&l))
			buf_printf(out, "%.*s\n", (int)l.n, l.s);
	}
	return good;
}

int playlist_localise(const void *text, size_t n, const struct mpd_place *places, size_t n_places, const char *steering,
                      struct buf *out, struct fault *f)
{
	if (n > PLAYLIST_MAX_BYTES)
		return fault_set(f, ERR_LIMIT, _("playlist: longer than %zu bytes"), PLAYLIST_MAX_BYTES);
	if (!put_head(out, text, n))
		return fault_set(f, ERR_SYNTAX, _("playlist: expected a multivariant playlist without pathways"));
	if (steering != NULL)
		buf_printf(out, "#EXT-X-CONTENT-STEERING:SERVER-URI=\"%s\",PATHWAY-ID=\"%s\"\n", steering, places[0].service_location);
	for (size_t i = 0; i < n_places; i++)
		put_media(out, text, n, &places[i]);
	return buf_error(out) == 0 ? 0 : fault_set(f, ERR_LIMIT, _("playlist: too long with all its places"));
}
