/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names and URL paths of packages.
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
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

int package_path_parse(const char *path, size_t n, struct package_path *ret_path)
{
	const char *end = path + n, *a, *b;
	struct package_path p = {0};

	if (n < 4 || memcmp(path, "/v/", 3) != 0)
		return ERR_NOT_FOUND;
	p.title = path + 3;
	a = memchr(p.title, '/', (size_t)(end - p.title));
	if (a == NULL)
		return ERR_NOT_FOUND;
	p.title_n = (size_t)(a - p.title);
	b = memchr(a + 1, '/', (size_t)(end - a - 1));
	if (b != NULL) {
		p.revision = a + 1;
		p.revision_n = (size_t)(b - a - 1);
		if (!is_revision(p.revision, p.revision_n))
			return ERR_NOT_FOUND;
		a = b;
	}
	p.file = a + 1;
	p.file_n = (size_t)(end - p.file);
	if (!str_is_name(p.title, p.title_n) || !str_is_name(p.file, p.file_n))
		return ERR_NOT_FOUND;
	*ret_path = p;
	return 0;
}

const char *package_media_type(const char *name, size_t n)
{
	static const struct {
		const char *ending, *type;
	} types[] = {
		{".mpd", "application/dash+xml"}, {".m3u8", "application/vnd.apple.mpegurl"}, {".jpg", "image/jpeg"},
		{".json", "application/json"},    {".html", "text/html; charset=utf-8"},      {".vtt", "text/vtt; charset=utf-8"},
		{".torrent", "application/x-bittorrent"}, {".svg", "image/svg+xml"},
	};

	if (n > 4 && memcmp(name + n - 4, ".mp4", 4) == 0)
		return n > 6 && memcmp(name, "audio-", 6) == 0 ? "audio/mp4" : "video/mp4";
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		size_t m = strlen(types[i].ending);

		if (n > m && memcmp(name + n - m, types[i].ending, m) == 0)
			return types[i].type;
	}
	return "application/octet-stream";
}
