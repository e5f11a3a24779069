/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of uploads, their files, and taking them up after a restart.
 */
#include "origin/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/str.h"
#include "dash/digest.h"
#include "origin/library.h"
#include "origin/note.h"
#include "origin/upload_inner.h"

#define ROOM_LEFT ((uint64_t)256 << 20) /* of the disk, for all else */

char *upload_path(const struct uploads *u, const char *id, const char *ending)
{
	return mem_printf("%s/%s%s", u->folder, id, ending);
}

char *upload_package_folder(const struct uploads *u, const struct upload *v)
{
	return mem_printf("%s/" UPLOAD_PACKAGE "%s-%s", u->folder, v->title, v->revision);
}

static void upload_free(struct upload *v)
{
	upload_leave_body(v);
	free(v->title);
	free(v->file);
	free(v->revision);
	free(v->name);
	upload_sum_drop(v);
	digest_free(&v->digest);
	free(v);
}

/* --- what it is, on the disk --- */

int upload_save(const struct uploads *u, const struct upload *v, struct fault *f)
{
	char *path = upload_path(u, v->id, ".json"), is[SHA256_HEX_SIZE], want[SHA256_HEX_SIZE];
	json_t *o;
	int e;

	sha256_to_hex(&v->is, is);
	sha256_to_hex(&v->want, want);
	o = json_pack("{s:b, s:s?, s:s, s:s?, s:s?, s:I, s:b, s:b, s:I, s:o*, s:s*, s:s*}", "master", (int)v->is_master, "title", v->title,
	                      "file", v->file, "revision", v->revision, "name", v->name, "length", (json_int_t)v->length, "whole",
	                      (int)v->whole, "published", (int)v->published, "expires", (json_int_t)v->expires, "sure",
	                      v->sure != UINT64_MAX ? json_integer((json_int_t)v->sure) : NULL, "sha256", v->has_sum ? is : NULL,
	                      "sha256_told", v->has_want ? want : NULL);
	e = note_save(path, o, "upload", f);
	free(path);
	return e;
}

/* A body that counts only as a whole was being written when the process ended. */
static void drop_unsure(struct upload *v, const json_t *sure, const char *part)
{
	v->sure = UINT64_MAX;
	if (!json_is_integer(sure) || (uint64_t)json_integer_value(sure) >= v->offset)
		return;
	v->offset = truncate(part, (off_t)json_integer_value(sure)) == 0 ? (uint64_t)json_integer_value(sure) : 0;
}

static struct upload *load(const struct uploads *u, const char *id)
{
	char *path = upload_path(u, id, ".json"), *part = upload_path(u, id, ".part");
	struct upload *v = NULL;
	json_t *o = note_load(path);

	if (json_is_string(json_object_get(o, "file"))) {
		v = mem_new(sizeof *v);
		*v = (struct upload){
			.is_master = json_is_true(json_object_get(o, "master")),
			.title = note_text(o, "title"),
			.file = note_text(o, "file"),
			.revision = note_text(o, "revision"),
			.name = note_text(o, "name"),
			.length = (uint64_t)json_integer_value(json_object_get(o, "length")),
			.whole = json_is_true(json_object_get(o, "whole")),
			.published = json_is_true(json_object_get(o, "published")),
			.expires = json_integer_value(json_object_get(o, "expires")),
		};
		snprintf(v->id, sizeof v->id, "%s", id);
		if (v->whole)
			v->offset = v->length;
		else
			(void)file_size(part, &v->offset);
		v->dirty = !v->whole;
		v->has_sum = note_hash(o, "sha256", &v->is);
		v->has_want = note_hash(o, "sha256_told", &v->want);
		drop_unsure(v, json_object_get(o, "sure"), part);
	}
	json_decref(o);
	free(part);
	free(path);
	return v;
}

static void add(struct uploads *u, struct upload *v)
{
	MEM_GROW(u->v, u->cap, u->n);
	u->v[u->n++] = v;
}

static int load_one(void *ctx, const char *name)
{
	struct uploads *u = ctx;
	char id[UPLOAD_ID_SIZE];
	struct upload *v;

	if (strlen(name) != UPLOAD_ID_SIZE - 1 + strlen(".json") || !str_ends(name, ".json"))
		return 0;
	snprintf(id, sizeof id, "%s", name);
	v = load(u, id);
	if (v != NULL)
		add(u, v);
	return 0;
}

struct uploads *uploads_new(const struct upload_settings *s)
{
	struct uploads *u = mem_new(sizeof *u);

	u->settings = *s;
	u->folder = path_join(s->library_folder, UPLOAD_FOLDER);
	folder_list(u->folder, load_one, u);
	for (size_t i = 0; i < u->n; i++)
		upload_take_up(u, u->v[i]);
	return u;
}

void uploads_free(struct uploads **pu)
{
	struct uploads *u = *pu;

	if (u == NULL)
		return;
	for (size_t i = 0; i < u->n; i++)
		upload_free(u->v[i]);
	free(u->v);
	free(u->folder);
	free(u);
	*pu = NULL;
}

/* --- finding --- */

struct upload *uploads_find(struct uploads *u, const char *id)
{
	for (size_t i = 0; i < u->n; i++)
		if (strcmp(u->v[i]->id, id) == 0)
			return u->v[i];
	return NULL;
}

void uploads_each(struct uploads *u, upload_each_f each, void *ctx)
{
	for (size_t i = 0; i < u->n; i++)
		each(ctx, u->v[i]);
}

uint64_t uploads_bytes(const struct uploads *u)
{
	uint64_t n = u->settings.other_bytes(u->settings.ctx);

	for (size_t i = 0; i < u->n; i++)
		if (!u->v[i]->published && !(u->v[i]->is_master && u->v[i]->whole))
			n += u->v[i]->length;
	return n;
}

static void make_id(const struct upload_wish *w, char ret_id[static UPLOAD_ID_SIZE])
{
	char *what = w->is_master ? NULL : mem_printf("%s/%s/%s", w->title, w->revision, w->file), hex[SHA256_HEX_SIZE];
	struct sha256 hash = {{0}};

	if (what != NULL)
		sha256_of(what, strlen(what), &hash);
	else if (getrandom(hash.bytes, sizeof hash.bytes, GRND_NONBLOCK) != (ssize_t)sizeof hash.bytes)
		sha256_of(&(int64_t){clock_mono()}, sizeof(int64_t), &hash);
	sha256_to_hex(&hash, hex);
	snprintf(ret_id, UPLOAD_ID_SIZE, "%.*s", UPLOAD_ID_SIZE - 1, hex);
	free(what);
}

/* --- making --- */

static bool is_in_library(const struct uploads *u, const struct upload_wish *w)
{
	char *key = mem_printf("%s/%s", w->title, w->revision);
	struct library_view *view = library_view(u->settings.library);
	bool is = library_view_revision(view, key) != NULL;

	library_view_unref(&view);
	free(key);
	return is;
}

static int check_room(const struct uploads *u, uint64_t length, struct fault *f)
{
	uint64_t room = 0, all, used = uploads_bytes(u), there = 0;
	int e = folder_free_bytes(u->settings.library_folder, &room, &all);

	there = u->settings.other_bytes(u->settings.ctx);
	for (size_t i = 0; i < u->n; i++)
		if (!u->v[i]->published && !(u->v[i]->is_master && u->v[i]->whole))
			there += u->v[i]->offset; /* has its room already */
	if (length > u->settings.max_bytes || used > u->settings.max_bytes - length)
		return fault_set(f, -ENOSPC, "uploads may take %llu bytes together and %llu are promised: set upload.max, or wait",
		                 (unsigned long long)u->settings.max_bytes, (unsigned long long)used);
	if (e == 0 && (room < ROOM_LEFT || room - ROOM_LEFT < length + used - (there < used ? there : used)))
		return fault_set(f, -ENOSPC, "the disk has %llu bytes left, which is too little", (unsigned long long)room);
	return 0;
}

static char *dup_or_null(const char *s)
{
	return s != NULL ? mem_dup(s) : NULL;
}

static int make_files(struct uploads *u, const struct upload *v, struct fault *f)
{
	char *part = upload_path(u, v->id, ".part"), *package = v->is_master ? NULL : upload_package_folder(u, v);
	int fd, e = folder_make(package != NULL ? package : u->folder, 0755);

	if (e == 0) {
		fd = open(part, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		e = fd < 0 ? -errno : 0;
		if (fd >= 0)
			close(fd);
	}
	e = e != 0 ? fault_set(f, e, "upload \"%s\": %s", part, err_text(e)) : upload_save(u, v, f);
	free(package);
	free(part);
	return e;
}

int uploads_create(struct uploads *u, const struct upload_wish *w, wall_us now, struct upload **ret_upload, struct fault *f)
{
	struct upload *v;
	char id[UPLOAD_ID_SIZE];
	int e = 0;

	make_id(w, id);
	v = uploads_find(u, id);
	if (v != NULL && v->length != w->length)
		return fault_set(f, ERR_CORRUPT, "this file is being uploaded with %llu bytes", (unsigned long long)v->length);
	if (v != NULL && !v->published) {
		if (v->offset == v->length)
			upload_take_up(u, v); /* what kept it from being published may be over */
		*ret_upload = v;
		return 0;
	}
	if (!w->is_master && is_in_library(u, w))
		return fault_set(f, ERR_EXISTS, "%s/%s is in the library", w->title, w->revision);
	if (v != NULL && (e = uploads_remove(u, v, f)) != 0) /* it was published once, and is no longer there */
		return e;
	v = mem_new(sizeof *v);
	*v = (struct upload){.is_master = w->is_master, .title = dup_or_null(w->title), .file = mem_dup(w->file),
	                     .revision = dup_or_null(w->revision), .name = dup_or_null(w->name), .length = w->length,
	                     .expires = now + u->settings.life, .trusted = true, .sure = UINT64_MAX, .has_want = w->sha256 != NULL};
	if (w->sha256 != NULL)
		v->want = *w->sha256;
	memcpy(v->id, id, sizeof id);
	e = upload_check_wish(u, v, f);
	if (e == 0)
		e = check_room(u, w->length, f);
	if (e == 0)
		e = make_files(u, v, f);
	if (e != 0) {
		upload_free(v);
		return e;
	}
	add(u, v);
	if (v->length == 0 && (e = upload_complete(u, v, f)) != 0)
		return e;
	*ret_upload = v;
	return 0;
}

int uploads_remove(struct uploads *u, struct upload *v, struct fault *f)
{
	char *part = upload_path(u, v->id, ".part"), *info = upload_path(u, v->id, ".json");
	int e = unlink(part) == 0 || errno == ENOENT ? 0 : -errno;

	if (e == 0 && unlink(info) != 0 && errno != ENOENT)
		e = -errno;
	if (e == 0)
		e = folder_sync(u->folder);
	if (e != 0)
		fault_set(f, e, "upload \"%s\": %s", info, err_text(e));
	for (size_t i = 0; e == 0 && i < u->n; i++) {
		if (u->v[i] == v) {
			u->v[i] = u->v[--u->n];
			upload_free(v);
			break;
		}
	}
	free(part);
	free(info);
	return e;
}

static bool has_package(const struct uploads *u, const char *folder)
{
	for (size_t i = 0; i < u->n; i++) {
		char *mine = u->v[i]->is_master ? NULL : upload_package_folder(u, u->v[i]);
		bool same = mine != NULL && str_ends(mine, folder);

		free(mine);
		if (same)
			return true;
	}
	return false;
}

static int sweep_package(void *ctx, const char *name)
{
	struct uploads *u = ctx;
	char *path;

	if (!str_starts(name, UPLOAD_PACKAGE) || has_package(u, name))
		return 0;
	path = path_join(u->folder, name);
	folder_remove(path);
	free(path);
	return 0;
}

void uploads_sweep(struct uploads *u, wall_us now)
{
	struct fault f = {0};
	bool any = false;

	for (size_t i = u->n; i-- > 0;) {
		if (u->v[i]->expires < now) {
			log_info("origin/upload", "forgotten, nobody went on with it: file=%s", u->v[i]->file);
			any = true;
			if (uploads_remove(u, u->v[i], &f) != 0)
				log_warn("origin/upload", "%s", fault_text(&f));
		}
	}
	if (any)
		folder_list(u->folder, sweep_package, u);
}
