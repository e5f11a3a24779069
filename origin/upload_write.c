/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bytes of an upload: checked, written, put in their place.  Order on the disk, so that
 * a crash at any instant is gone on with: bytes, the file's rename, the note that it
 * is whole, the package's rename, the note that it is published.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "dash/digest.h"
#include "origin/library.h"
#include "origin/upload_inner.h"

#define TAIL (DIGEST_PIECE * 48) /* more than the kernel may have left to write out: looked at again after a restart */

static bool is_file(const struct upload *v, const char *name)
{
	return strcmp(v->file, name) == 0;
}

/* --- what the package has to be --- */

static int read_digest(const char *path, const struct upload *v, struct digest **ret_digest, struct fault *f)
{
	struct digest *d = NULL;
	struct buf b;
	int e;

	buf_init(&b, DIGEST_MAX_BYTES);
	e = file_read(path, &b);
	if (e != 0)
		fault_set(f, e, "upload \"%s\": %s", path, err_text(e));
	if (e == 0)
		e = digest_read(b.bytes, b.size, &d, f);
	if (e == 0 && (strcmp(d->title, v->title) != 0 || strcmp(d->revision, v->revision) != 0)) {
		e = fault_set(f, ERR_HASH, "this is the digest of %s/%s, not of %s/%s", d->title, d->revision, v->title, v->revision);
		digest_free(&d);
	}
	if (e == 0)
		*ret_digest = d;
	buf_fini(&b);
	return e;
}

static int load_digest(const struct uploads *u, struct upload *v, struct fault *f)
{
	char *folder = upload_package_folder(u, v), *path = path_join(folder, PACKAGE_DIGEST);
	int e = v->digest != NULL ? 0 : !file_exists(path) ? ERR_NOT_FOUND : read_digest(path, v, &v->digest, f);

	free(path);
	free(folder);
	return e;
}

static const struct digest_file *file_of(const struct upload *v)
{
	int i = v->digest != NULL ? digest_find(v->digest, v->file, strlen(v->file)) : -1;

	return i >= 0 ? &v->digest->files[i] : NULL;
}

int upload_check_wish(struct uploads *u, struct upload *v, struct fault *f)
{
	const struct digest_file *file;
	uint64_t length;
	int e;

	if (v->is_master)
		return 0;
	if (is_file(v, PACKAGE_DIGEST))
		return v->length <= DIGEST_MAX_BYTES ? 0 : fault_set(f, ERR_CORRUPT, "a digest is not as long");
	e = load_digest(u, v, f);
	if (e == ERR_NOT_FOUND)
		return fault_set(f, e, "upload %s of this package first", PACKAGE_DIGEST);
	if (e != 0)
		return e;
	file = file_of(v);
	if (file == NULL && !is_file(v, PACKAGE_LEAVES))
		return fault_set(f, ERR_SYNTAX, "the package has no file \"%s\"", v->file);
	length = file != NULL ? file->size : digest_leaves_size(v->digest);
	if (length != v->length)
		return fault_set(f, ERR_CORRUPT, "%s has %llu bytes in this package", v->file, (unsigned long long)length);
	return 0;
}

/* --- checking --- */

/* Piece p of the file, of which the bytes from `offset` on are in memory and those before on the disk. */
static int check_piece(int fd, const struct digest_file *file, size_t p, uint64_t offset, const uint8_t *bytes)
{
	uint64_t start = p * DIGEST_PIECE, size = digest_piece_size(file, p);
	size_t head = offset > start ? (size_t)(offset - start) : 0;
	uint8_t *whole;
	int e;

	if (head == 0)
		return digest_check_piece(file, p, bytes + (start - offset), (size_t)size);
	whole = mem_new_array((size_t)size, 1);
	e = file_pread_all(fd, whole, head, start) == (ssize_t)head ? 0 : -EIO;
	memcpy(whole + head, bytes, (size_t)size - head);
	if (e == 0)
		e = digest_check_piece(file, p, whole, (size_t)size);
	free(whole);
	return e;
}

/* The pieces that these bytes make whole; *ret_bad is the first that is wrong. */
static int check_pieces(int fd, const struct digest_file *file, uint64_t offset, const uint8_t *bytes, size_t n, size_t *ret_bad)
{
	for (size_t p = (size_t)(offset / DIGEST_PIECE); p < file->n_pieces; p++) {
		uint64_t end = p * DIGEST_PIECE + digest_piece_size(file, p);
		int e = end <= offset + n ? check_piece(fd, file, p, offset, bytes) : 0;

		if (e != 0) {
			*ret_bad = p;
			return e;
		}
		if (end >= offset + n)
			break;
	}
	return 0;
}

/* Cuts the file where its first wrong piece begins. */
static int drop_from(struct upload *v, int fd, uint64_t start)
{
	if (start >= v->offset)
		return 0;
	if (start < v->sum.n)
		upload_sum_drop(v);
	if (ftruncate(fd, (off_t)start) != 0)
		return -errno;
	v->offset = start;
	return 0;
}

/* What a process before this one wrote last may never have reached the disk whole. */
static int check_tail(struct upload *v, int fd)
{
	const struct digest_file *file = file_of(v);
	uint64_t from = v->offset > TAIL ? (v->offset - TAIL) / DIGEST_PIECE * DIGEST_PIECE : 0;
	size_t n = (size_t)(v->offset - from), bad;
	uint8_t *bytes;
	int e = 0;

	if (v->trusted || file == NULL)
		return 0;
	bytes = mem_new_array(n + 1, 1);
	if (file_pread_all(fd, bytes, n, from) != (ssize_t)n)
		e = -EIO;
	if (e == 0 && check_pieces(fd, file, from, bytes, n, &bad) != 0)
		e = drop_from(v, fd, bad * DIGEST_PIECE);
	free(bytes);
	v->trusted = e == 0;
	return e;
}

/* --- writing --- */

#define STEP ((uint64_t)16 << 20) /* so much at most is left to be written out when a body ends */

static int write_checked(struct upload *v, int fd, const void *bytes, size_t n, struct fault *f)
{
	const struct digest_file *file = file_of(v);
	uint64_t at = v->offset;
	size_t bad;
	int e = file != NULL ? check_pieces(fd, file, at, bytes, n, &bad) : 0;

	if (e == ERR_HASH) {
		drop_from(v, fd, bad * DIGEST_PIECE);
		return fault_set(f, e, "%s: piece %zu is not the package's: send it again from byte %llu", v->file, bad,
		                 (unsigned long long)v->offset);
	}
	if (e == 0)
		e = file_pwrite_all(fd, bytes, n, at);
	if (e == 0) {
		upload_sum_add(v, at, bytes, n);
		v->offset = at + n;
	} else if (ftruncate(fd, (off_t)at) != 0)
		v->trusted = false;
	return e != 0 ? fault_set(f, e, "upload of \"%s\": %s", v->file, err_text(e)) : 0;
}

/* The disk writes while the next bytes come; what it was given the time before it must have by now. */
static void write_out(struct upload_body *b, uint64_t offset)
{
	uint64_t from = b->written;

	if (offset < from + STEP)
		return;
	if (from > b->start)
		(void)sync_file_range(b->fd, (off_t)(from - STEP), (off_t)STEP, SYNC_FILE_RANGE_WAIT_BEFORE);
	(void)sync_file_range(b->fd, (off_t)from, (off_t)(offset - from), SYNC_FILE_RANGE_WRITE);
	b->written = offset;
}

static void close_body(struct upload_body *b)
{
	close(b->fd);
	b->fd = -1;
	b->upload->body = NULL;
	b->upload = NULL;
}

void upload_leave_body(struct upload *v)
{
	struct upload_body *b = v->body;

	if (b == NULL)
		return;
	if (b->held && drop_from(v, b->fd, b->start) != 0)
		v->trusted = false;
	close_body(b);
}

int uploads_begin(struct uploads *u, struct upload *v, bool held, struct upload_body *ret, struct fault *f)
{
	char *part = upload_path(u, v->id, ".part");
	int e = 0, fd = -1;

	upload_leave_body(v);
	if (!v->is_master && !is_file(v, PACKAGE_DIGEST) && !v->whole && (e = load_digest(u, v, f)) == ERR_NOT_FOUND)
		fault_set(f, e, "the package's digest is gone: upload it anew");
	if (e == 0 && !v->whole && (fd = open(part, O_RDWR | O_CLOEXEC)) < 0)
		e = fault_set(f, -errno, "upload \"%s\": %s", part, err_text(-errno));
	if (e == 0 && fd >= 0 && (e = check_tail(v, fd)) != 0)
		fault_set(f, e, "upload \"%s\": %s", part, err_text(e));
	if (e == 0 && fd >= 0 && held != (v->sure != UINT64_MAX)) {
		v->sure = held ? v->offset : UINT64_MAX;
		e = upload_save(u, v, f);
	}
	free(part);
	if (e != 0) {
		if (fd >= 0)
			close(fd);
		return e;
	}
	*ret = (struct upload_body){.upload = v, .fd = fd, .start = v->offset, .written = v->offset, .held = held};
	v->body = ret;
	return 0;
}

static void live_on(struct uploads *u, struct upload *v, wall_us now)
{
	if (now + u->settings.life <= v->expires + DUR_HOUR) /* noted now and then */
		return;
	v->expires = now + u->settings.life;
	(void)upload_save(u, v, NULL);
}

int uploads_add(struct uploads *u, struct upload_body *b, const void *bytes, size_t n, wall_us now, struct fault *f)
{
	struct upload *v = b->upload;
	int e = 0;

	if (v == NULL)
		return fault_set(f, ERR_CANCELLED, "the upload was ended, or is gone on with by another request");
	if (n > v->length - v->offset)
		return fault_set(f, ERR_LIMIT, "more bytes came than the %llu that were to come", (unsigned long long)(v->length - b->start));
	if (n == 0)
		return 0;
	v->dirty = true;
	for (size_t at = 0, step; e == 0 && at < n; at += step) { /* a wrong piece leaves those before it */
		uint64_t room = DIGEST_PIECE - v->offset % DIGEST_PIECE;

		step = n - at < room ? n - at : (size_t)room;
		e = write_checked(v, b->fd, (const uint8_t *)bytes + at, step, f);
	}
	write_out(b, v->offset);
	live_on(u, v, now);
	return e;
}

int uploads_sync(const struct uploads *u, struct upload *v, struct fault *f)
{
	char *part = upload_path(u, v->id, ".part");
	int fd = v->body != NULL ? v->body->fd : v->dirty && !v->whole ? open(part, O_RDWR | O_CLOEXEC) : -1, e = 0;

	if (v->dirty && !v->whole && (fd < 0 || fdatasync(fd) != 0))
		e = fault_set(f, -errno, "upload \"%s\": %s", part, err_text(-errno));
	v->dirty = e != 0;
	if (v->body == NULL && fd >= 0)
		close(fd);
	free(part);
	return e;
}

int uploads_end(struct uploads *u, struct upload_body *b, bool well, wall_us now, struct fault *f)
{
	struct upload *v = b->upload;
	int e = 0;

	if (v == NULL)
		return well ? fault_set(f, ERR_CANCELLED, "the upload was ended, or is gone on with by another request") : 0;
	if (v->whole) { /* nothing came, and nothing was to */
		v->body = NULL;
		return 0;
	}
	if (well && (e = uploads_sync(u, v, f)) != 0 && drop_from(v, b->fd, b->start) != 0) /* what was not acknowledged */
		v->trusted = false;
	b->held &= !well || e != 0;
	upload_leave_body(v);
	if (v->sure != UINT64_MAX && e == 0) {
		v->sure = UINT64_MAX;
		e = upload_save(u, v, f);
	}
	live_on(u, v, now);
	return e == 0 && well && v->offset == v->length ? upload_complete(u, v, f) : e;
}

int uploads_write(struct uploads *u, struct upload *v, const void *bytes, size_t n, wall_us now, struct fault *f)
{
	struct upload_body b;
	int e, e2;

	if (n > v->length - v->offset)
		return fault_set(f, ERR_LIMIT, "%zu bytes came, %llu were to come", n, (unsigned long long)(v->length - v->offset));
	e = uploads_begin(u, v, false, &b, f);
	if (e != 0)
		return e;
	e = uploads_add(u, &b, bytes, n, now, f);
	e2 = uploads_end(u, &b, e == 0, now, f);
	return e != 0 ? e : e2;
}

/* --- whole --- */

static int check_leaves(const struct upload *v, const char *path)
{
	struct buf b;
	int e;

	buf_init(&b, (size_t)v->length + 1);
	e = file_read(path, &b);
	if (e == 0)
		e = digest_check_leaves(v->digest, b.bytes, b.size);
	buf_fini(&b);
	return e;
}

/* What only the whole file tells.  A wrong one begins anew. */
static int check_whole(struct upload *v, const char *part, struct fault *f)
{
	struct digest *d = NULL;
	int e = upload_sum_end(v, f);

	if (!v->is_master && is_file(v, PACKAGE_DIGEST))
		e = read_digest(part, v, &d, f);
	else if (!v->is_master && is_file(v, PACKAGE_LEAVES) && check_leaves(v, part) != 0)
		e = fault_set(f, ERR_HASH, "%s does not go with the digest", v->file);
	digest_free(&d);
	if (e != 0 && truncate(part, 0) == 0)
		v->offset = 0;
	return e;
}

static bool has_all(const char *folder, const struct digest *d)
{
	char *leaves = path_join(folder, PACKAGE_LEAVES);
	uint64_t size;
	bool all = file_size(leaves, &size) == 0 && size == digest_leaves_size(d);

	free(leaves);
	for (size_t i = 0; all && i < d->n_files; i++) {
		char *path = path_join(folder, d->files[i].name);

		all = file_size(path, &size) == 0 && size == d->files[i].size;
		free(path);
	}
	return all;
}

static int move_into_library(const struct uploads *u, const struct upload *v, const char *from)
{
	char *title = path_join(u->settings.library_folder, v->title), *to = path_join(title, v->revision);
	char *mark = mem_printf("%s/.withdrawn-%s", title, v->revision);
	int e = folder_sync(from);

	if (e == 0)
		e = folder_make(title, 0755);
	if (e == 0 && unlink(mark) != 0 && errno != ENOENT) /* who publishes it wants it to be seen */
		e = -errno;
	if (e == 0 && file_is_folder(to)) {
		e = folder_remove(from); /* it was withdrawn, and its bytes are still there */
	} else if (e == 0) {
		(void)utimensat(AT_FDCWD, from, NULL, 0); /* published now */
		e = rename(from, to) == 0 ? 0 : -errno;
	}
	if (e == 0)
		e = folder_sync(title);
	if (e == 0)
		e = folder_sync(u->settings.library_folder);
	free(mark);
	free(to);
	free(title);
	return e;
}

static void note_published(struct uploads *u, const struct upload *v)
{
	for (size_t i = 0; i < u->n; i++) {
		struct upload *w = u->v[i];

		if (!w->is_master && strcmp(w->title, v->title) == 0 && strcmp(w->revision, v->revision) == 0) {
			w->published = true;
			(void)upload_save(u, w, NULL);
		}
	}
}

static int publish_if_whole(struct uploads *u, struct upload *v, struct fault *f)
{
	char *folder = upload_package_folder(u, v);
	int e = load_digest(u, v, f);

	if (e == 0 && has_all(folder, v->digest)) {
		e = move_into_library(u, v, folder);
		if (e != 0)
			fault_set(f, e, "package \"%s\" cannot be published: %s", folder, err_text(e));
		if (e == 0)
			e = library_refresh(u->settings.library, v->title, f);
		if (e == 0) {
			log_info("origin/upload", "published title=%s revision=%s", v->title, v->revision);
			note_published(u, v);
		}
	}
	free(folder);
	return e == ERR_NOT_FOUND ? 0 : e;
}

static int place_file(struct uploads *u, struct upload *v, const char *part, struct fault *f)
{
	char *folder = v->is_master ? mem_printf("%s/" UPLOAD_MASTER "%s", u->folder, v->id) : upload_package_folder(u, v);
	char *path = path_join(folder, v->file);
	int e = folder_make(folder, 0755);

	if (e == 0 && rename(part, path) != 0)
		e = errno == ENOENT && file_exists(path) ? 0 : -errno;
	if (e == 0)
		e = folder_sync(folder);
	if (e != 0)
		fault_set(f, e, "upload \"%s\": %s", path, err_text(e));
	else if (v->is_master)
		e = u->settings.take_master(u->settings.ctx, v, path, f);
	free(path);
	free(folder);
	return e;
}

int upload_complete(struct uploads *u, struct upload *v, struct fault *f)
{
	char *part = upload_path(u, v->id, ".part");
	int e = file_exists(part) ? check_whole(v, part, f) : 0;

	if (e == 0)
		e = place_file(u, v, part, f);
	if (e == 0) {
		v->whole = true;
		e = upload_save(u, v, f);
	}
	if (e == 0 && !v->is_master)
		e = publish_if_whole(u, v, f);
	free(part);
	return e;
}

/* A process before this one wrote all bytes and went no further: they may not have reached the disk as they were. */
static int check_found(struct uploads *u, struct upload *v, const char *part, struct fault *f)
{
	int e = v->is_master || is_file(v, PACKAGE_DIGEST) ? 0 : load_digest(u, v, f), fd;

	if (e == ERR_NOT_FOUND)
		return fault_set(f, e, "the digest of %s/%s is gone: upload it anew", v->title, v->revision);
	if (e != 0 || file_of(v) == NULL)
		return e;
	fd = open(part, O_RDWR | O_CLOEXEC);
	e = fd < 0 ? -errno : check_tail(v, fd);
	if (fd >= 0)
		close(fd);
	return e != 0 ? fault_set(f, e, "upload \"%s\": %s", part, err_text(e)) : 0;
}

void upload_take_up(struct uploads *u, struct upload *v)
{
	char *part = upload_path(u, v->id, ".part");
	struct fault f = {0};
	int e = 0;

	if (!v->whole && !file_exists(part))
		v->offset = v->length; /* it was on its way into its place */
	else if (!v->whole && v->offset == v->length)
		e = check_found(u, v, part, &f);
	if (e != 0)
		v->offset = 0; /* begins anew */
	else if (!v->is_master && !v->published && (v->whole || v->offset == v->length))
		e = v->whole ? publish_if_whole(u, v, &f) : upload_complete(u, v, &f);
	else if (v->is_master && !v->whole && v->offset == v->length)
		e = upload_complete(u, v, &f);
	if (e != 0)
		log_warn("origin/upload", "%s", fault_text(&f));
	free(part);
}
