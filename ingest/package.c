/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The rest of a package, in the order in which it depends on itself: manifests,
 * poster, report, and last the digest over all of it.
 */
#include "ingest/package.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/words.h"
#include "dash/digest.h"
#include "ingest/manifest.h"
#include "ingest/playlist.h"
#include "ingest/report.h"

#define TEXT_MAX ((size_t)64 << 20)

static int write_text(const struct package *p, const char *name, const struct buf *text, struct fault *f)
{
	char *path = path_join(p->folder, name);
	int r = buf_error(text);

	if (r == 0)
		r = file_write_atomic(path, text->bytes, text->size, 0644);
	if (r != 0)
		fault_set(f, r, _("%s: cannot be written: %s"), path, words_error(r));
	free(path);
	return r;
}

static int write_manifest(const struct package *p, struct fault *f)
{
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	r = manifest_write(p, &text);
	r = r != 0 ? fault_set(f, r, _("the MPD cannot be made: %s"), words_error(r)) : write_text(p, PACKAGE_MANIFEST, &text, f);
	buf_fini(&text);
	return r;
}

static int write_track_playlist(const struct package *p, const struct track_facts *k, struct fault *f)
{
	char *name = mem_printf("%.*s.m3u8", (int)(strlen(k->file) - strlen(".mp4")), k->file);
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	playlist_write_track(k, &text);
	r = write_text(p, name, &text, f);
	buf_fini(&text);
	free(name);
	return r;
}

static int write_text_playlist(const struct package *p, const struct package_text *t, struct fault *f)
{
	char *name = mem_printf("%.*s.m3u8", (int)(strlen(t->file) - strlen(".vtt")), t->file);
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	playlist_write_text(t, (double)p->frames / av_q2d(p->plan->frame_rate), &text);
	r = write_text(p, name, &text, f);
	buf_fini(&text);
	free(name);
	return r;
}

static int write_playlists(const struct package *p, struct fault *f)
{
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	playlist_write_main(p, &text);
	r = write_text(p, PACKAGE_PLAYLIST, &text, f);
	buf_fini(&text);
	for (size_t i = 0; r == 0 && i < p->n_video; i++)
		r = write_track_playlist(p, p->video[i].facts, f);
	for (size_t i = 0; r == 0 && i < p->n_av1; i++)
		r = write_track_playlist(p, p->av1[i].facts, f);
	for (size_t i = 0; r == 0 && i < p->n_audio; i++)
		r = write_track_playlist(p, p->audio[i].facts, f);
	for (size_t i = 0; r == 0 && i < p->n_text; i++)
		r = write_text_playlist(p, &p->text[i], f);
	return r;
}

static int write_made(const struct package *p, const char *name, const json_t *report, int (*make)(const json_t *, struct buf *), struct fault *f)
{
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	r = make(report, &text);
	r = r != 0 ? fault_set(f, r, _("%s: cannot be made: %s"), name, words_error(r)) : write_text(p, name, &text, f);
	buf_fini(&text);
	return r;
}

static int write_reports(const struct package *p, const struct verify_settings *check, const struct verify_facts *facts, struct fault *f)
{
	json_t *report;
	int r = report_make(p, check, facts, &report, f);

	if (r != 0)
		return r;
	r = write_made(p, PACKAGE_REPORT, report, report_write_json, f);
	if (r == 0)
		r = write_made(p, PACKAGE_PAGE, report, report_write_page, f);
	json_decref(report);
	return r;
}

/* --- digest -------------------------------------------------------------------------------- */

struct hashing {
	const struct package *p;
	const volatile sig_atomic_t *stop; /* or NULL */
	struct digest_builder *builder;
	uint8_t *room;
	struct fault *fault;
};

#define ROOM ((size_t)1 << 20)

static int hash_file(void *ctx, const char *name)
{
	struct hashing *h = ctx;
	char *path = path_join(h->p->folder, name);
	int fd = -1, r = 0;
	ssize_t n;

	if (name[0] == '.') { /* an encoder's unfinished file, gone before the rename */
		free(path);
		return 0;
	}
	r = digest_builder_file(h->builder, name);
	if (r == 0 && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		r = -errno;
	while (r == 0 && (n = read(fd, h->room, ROOM)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		else if (h->stop != NULL && *h->stop != 0)
			r = ERR_CANCELLED;
		else
			digest_builder_bytes(h->builder, h->room, (size_t)n);
	}
	if (fd >= 0)
		close(fd);
	if (r != 0)
		fault_set(h->fault, r, _("%s: cannot be hashed: %s"), path, words_error(r));
	free(path);
	return r;
}

static int write_digest(const struct package *p, const volatile sig_atomic_t *stop, char revision[static PACKAGE_REVISION_SIZE], struct fault *f)
{
	struct hashing h = {p, stop, digest_builder_new(p->title), mem_new(ROOM), f};
	struct buf metainfo, leaves;
	int r = folder_list(p->folder, hash_file, &h);

	buf_init(&metainfo, DIGEST_MAX_BYTES);
	buf_init(&leaves, (size_t)4 << 30);
	if (r == 0) {
		r = digest_builder_finish(h.builder, NULL, &metainfo, &leaves, revision);
		if (r != 0)
			fault_set(f, r, _("the digest cannot be made: %s"), words_error(r));
	}
	if (r == 0)
		r = write_text(p, PACKAGE_DIGEST, &metainfo, f);
	if (r == 0)
		r = write_text(p, PACKAGE_LEAVES, &leaves, f);
	buf_fini(&metainfo);
	buf_fini(&leaves);
	digest_builder_free(&h.builder);
	free(h.room);
	return r;
}

int package_write(const struct package *p, const struct verify_settings *check, struct verify_facts *ret_facts, char ret_revision[static PACKAGE_REVISION_SIZE], struct fault *f)
{
	int r = write_manifest(p, f);

	if (r == 0)
		r = write_playlists(p, f);
	if (r == 0)
		r = verify_content(p->folder, check, ret_facts, f);
	if (r == 0)
		r = write_reports(p, check, ret_facts, f);
	if (r == 0)
		r = write_digest(p, check->stop, ret_revision, f);
	return r;
}
