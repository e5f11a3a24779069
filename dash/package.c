/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * URL paths and media types of a package.  Invariant: a path that parses can be
 * joined to a folder without leaving it.
 */
#include "dash/package.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

static bool is_revision(const char *s, size_t n)
{
	if (n != PACKAGE_REVISION_SIZE - 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	}
	return true;
}

/* The path segment at *p.  *p moves behind it and behind the slash, or to NULL when the path ends here. */
static void take_segment(const char **p, const char *end, const char **ret, size_t *ret_n)
{
	const char *slash = memchr(*p, '/', (size_t)(end - *p));

	*ret = *p;
	*ret_n = (size_t)((slash != NULL ? slash : end) - *p);
	*p = slash != NULL ? slash + 1 : NULL;
}

int package_path_parse(const char *path, size_t n, struct package_path *ret_path)
{
	static const char prefix[] = "/v/";
	const char *p = path + sizeof prefix - 1, *end = path + n;
	struct package_path out = {0};

	if (n < sizeof prefix - 1 || memcmp(path, prefix, sizeof prefix - 1) != 0)
		return ERR_NOT_FOUND;
	take_segment(&p, end, &out.title, &out.title_n);
	if (p == NULL)
		return ERR_NOT_FOUND;
	take_segment(&p, end, &out.file, &out.file_n);
	if (p != NULL) { /* what was read is the revision */
		out.revision = out.file;
		out.revision_n = out.file_n;
		take_segment(&p, end, &out.file, &out.file_n);
		if (!is_revision(out.revision, out.revision_n) || p != NULL)
			return ERR_NOT_FOUND;
	}
	if (!str_is_name(out.title, out.title_n) || !str_is_name(out.file, out.file_n))
		return ERR_NOT_FOUND;
	*ret_path = out;
	return 0;
}

static bool ends(const char *name, size_t n, const char *suffix)
{
	size_t k = strlen(suffix);

	return n > k && memcmp(name + n - k, suffix, k) == 0;
}

/* .mp4 of a sound rendition is audio/mp4, of text application/mp4 (RFC 4337, RFC 6381) */
static const char *mp4_type(const char *name, size_t n)
{
	if (n > 6 && memcmp(name, "audio-", 6) == 0)
		return "audio/mp4";
	if (n > 5 && memcmp(name, "text-", 5) == 0)
		return "application/mp4";
	return "video/mp4";
}

const char *package_media_type(const char *name, size_t n)
{
	static const struct {
		const char *suffix, *type;
	} rows[] = {
		{".mpd", "application/dash+xml"},
		{".m3u8", "application/vnd.apple.mpegurl"},
		{".m4s", "video/iso.segment"},
		{".m4a", "audio/mp4"},
		{".m4v", "video/mp4"},
		{".vtt", "text/vtt; charset=utf-8"},
		{".jpg", "image/jpeg"},
		{".png", "image/png"},
		{".svg", "image/svg+xml"},
		{".json", "application/json"},
		{".html", "text/html; charset=utf-8"},
		{".torrent", "application/x-bittorrent"},
	};

	if (ends(name, n, ".mp4"))
		return mp4_type(name, n);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (ends(name, n, rows[i].suffix))
			return rows[i].type;
	}
	return "application/octet-stream";
}
