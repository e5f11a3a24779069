/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * HLS playlists: a multivariant one made over for two places keeps all it said and
 * names each place, and the judge of packages reads main playlist and track playlist (a
 * NUL stands between them in the input) without a byte outside them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/must.h"
#include "dash/package.h"
#include "ingest/verify_seen.h"
#include "dash/playlist.h"
#include "t/fuzz/folder.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char *folder;

static void clean_up(void)
{
	folder_remove(folder);
	free(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	folder = fuzz_folder();
	atexit(clean_up);
	return 0;
}

static size_t count(const char *s, size_t n, const char *part)
{
	size_t found = 0, k = strlen(part);

	for (const char *at = s; (at = memmem(at, (size_t)(s + n - at), part, k)) != NULL; at += k)
		found++;
	return found;
}

static void localise(const uint8_t *data, size_t n)
{
	static const struct mpd_place places[] = {{"http://edge-a/v/t/r/", "edge-a"}, {"http://origin/v/t/r/", "origin"}};
	struct fault f = {0};
	struct buf out;
	int e;

	buf_init(&out, PLAYLIST_MAX_BYTES);
	e = playlist_localise(data, n, places, 2, "http://origin/steer?title=t", &out, &f);
	MUST(e == 0 || f.text[0] != '\0');
	if (e == 0) {
		const char *s = (const char *)out.bytes;

		MUST(count(s, out.size, "#EXTM3U") >= 1); /* the line of steering names the first place once more */
		MUST(count(s, out.size, ",PATHWAY-ID=\"edge-a\"") == 1 + count(s, out.size, ",PATHWAY-ID=\"origin\""));
	}
	buf_fini(&out);
}

static void put(const char *name, const uint8_t *data, size_t n)
{
	char *path = path_join(folder, name);
	FILE *f = fopen(path, "w");

	MUST(f != NULL && fwrite(data, 1, n, f) == n && fclose(f) == 0);
	free(path);
}

static void judge(const uint8_t *data, size_t n)
{
	struct cut cuts[2] = {{.duration = 4000, .offset = 100, .size = 10}, {.duration = 3000, .offset = 110, .size = 20}};
	struct seen t = {.name = (char[]){"video.mp4"}, .fd = -1, .size = 130, .timescale = 1000, .header_end = 80, .cuts = cuts, .n_cuts = 2};
	static const struct verify_settings settings = {.threads = 1};
	struct fault f = {0};
	struct verify v = {.folder = folder, .settings = &settings, .tracks = &t, .n_tracks = 1, .fault = &f};
	const uint8_t *nul = n > 0 ? memchr(data, 0, n) : NULL;
	size_t at = nul != NULL ? (size_t)(nul - data) : n;
	int e;

	put(PACKAGE_PLAYLIST, data, at);
	put("video.m3u8", data + at + (nul != NULL), n - at - (nul != NULL));
	e = verify_playlists(&v);
	MUST((e == 0) == (f.code == 0) && (e == 0 || f.text[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	localise(data, n);
	judge(data, n);
	return 0;
}
