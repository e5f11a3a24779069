/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The names inside a title package and the URLs under which it is served: the
 * one contract between the programs (doc/ARCHITECTURE.md, "The title package").
 */
#ifndef RIBERA_DASH_PACKAGE_H
#define RIBERA_DASH_PACKAGE_H

#include <stddef.h>

#define PACKAGE_MANIFEST "manifest.mpd"
#define PACKAGE_PLAYLIST "main.m3u8"
#define PACKAGE_DIGEST "package.torrent" /* BEP 52; everything else but the next is listed in it */
#define PACKAGE_LEAVES "package.leaves"  /* SHA-256 of every 16 KiB block, files in the digest's order */
#define PACKAGE_REPORT "report.json"
#define PACKAGE_PAGE "report.html"
#define PACKAGE_POSTER "poster.jpg"

#define PACKAGE_REVISION_SIZE 21 /* 20 hex digits of the info hash and a NUL */

/* The URL path /v/TITLE/REVISION/FILE or /v/TITLE/FILE, cut in pieces that
 * point into `path`.  revision_n is 0 for the short form. */
struct package_path {
	const char *title, *revision, *file;
	size_t title_n, revision_n, file_n;
};

/* `path` is decoded and normalised, without query.  ERR_NOT_FOUND unless every
 * piece is a str_is_name and a revision is 20 lower-case hex digits. */
int package_path_parse(const char *path, size_t n, struct package_path *ret_path);

/* The media type for a file name of a package, by its ending;
 * "application/octet-stream" for others.  Static storage. */
const char *package_media_type(const char *name, size_t n);

/* "public, max-age=31536000, immutable": everything under a revision. */
#define PACKAGE_CACHE_IMMUTABLE "public, max-age=31536000, immutable"
/* Manifests of the short form: short and revalidated. */
#define PACKAGE_CACHE_MANIFEST "public, max-age=2, stale-if-error=86400"

/* What an interrupted ingest has finished stands in LIBRARY/.work-NAME/, beside it .work-NAME.lock, which a
 * live one holds.  Nobody removes it before the lock file is so old (seconds): the same command goes on from it. */
#define PACKAGE_WORK_PREFIX ".work-"
#define PACKAGE_WORK_KEEP (7 * 24 * 3600)

#endif
