/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * dash/package: paths and media types.
 */
#include <string.h>

#include "base/err.h"
#include "dash/package.h"
#include "t/lib/unit.h"

static int parse(const char *path, struct package_path *p)
{
	return package_path_parse(path, strlen(path), p);
}

Test(package, paths)
{
	struct package_path p;

	CHECK_INT(parse("/v/bbb/0123456789abcdef0123/video-1080p.mp4", &p), 0);
	CHECK(p.title_n == 3 && memcmp(p.title, "bbb", 3) == 0);
	CHECK(p.revision_n == 20 && memcmp(p.revision, "0123456789abcdef0123", 20) == 0);
	CHECK(p.file_n == 15 && memcmp(p.file, "video-1080p.mp4", 15) == 0);
	CHECK_INT(parse("/v/bbb/manifest.mpd", &p), 0);
	CHECK(p.revision_n == 0 && p.file_n == 12);
}

Test(package, paths_that_are_none)
{
	static const char *const bad[] = {
		"", "/", "/v", "/v/", "/v/bbb", "/v/bbb/", "/w/bbb/x", "/v//x", "/v/bbb//x", "/v/../x", "/v/bbb/.hidden",
		"/v/bbb/0123456789abcdef0123/", "/v/bbb/0123456789abcdef0123/a/b", "/v/bbb/0123456789abcdef0123/a/",
		"/v/bbb/0123456789ABCDEF0123/a", "/v/bbb/0123456789abcdef012/a", "/v/bbb/0123456789abcdef01234/a",
		"/v/bbb/0123456789abcdef0123/..", "/v/bbb/a\nb", "v/bbb/x",
	};
	struct package_path p = {.title_n = 42};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert(parse(bad[i], &p) == ERR_NOT_FOUND, "%s", bad[i]);
	CHECK_INT(p.title_n, 42); /* untouched */
	CHECK_INT(package_path_parse("/v/a/b\0c", 8, &p), ERR_NOT_FOUND);
}

static const char *type(const char *name)
{
	return package_media_type(name, strlen(name));
}

Test(package, media_types)
{
	CHECK_STR(type("manifest.mpd"), "application/dash+xml");
	CHECK_STR(type("main.m3u8"), "application/vnd.apple.mpegurl");
	CHECK_STR(type("video-1080p-5800k.mp4"), "video/mp4");
	CHECK_STR(type("audio-en-stereo-128k.mp4"), "audio/mp4");
	CHECK_STR(type("poster.jpg"), "image/jpeg");
	CHECK_STR(type("report.json"), "application/json");
	CHECK_STR(type("package.torrent"), "application/x-bittorrent");
	CHECK_STR(type("package.leaves"), "application/octet-stream");
	CHECK_STR(type(".mp4"), "application/octet-stream");
}
