/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Atomic publishing.  The lock file of a work folder is named like the folder
 * with ".lock" behind: a folder whose lock nobody holds is nobody's work now.
 */
#include "ingest/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/package.h"

#define LOCK_SUFFIX ".lock"

static int said(struct fault *f, int code, const char *path, const char *what)
{
	return fault_set(f, code, "%s: %s: %s%s", path, what, words_error(code),
	                 code == -ENOSPC || code == -EDQUOT ? _("; free space there and run the same command again")
	                 : code == -EACCES                  ? _("; the user running this needs to be allowed to write there")
	                 : code == -ENOENT                  ? _("; make its parent folder first")
	                                                    : "");
}

static bool is_old(const char *lock)
{
	struct stat st;

	return stat(lock, &st) == 0 && clock_wall() / DUR_S - st.st_mtime >= PACKAGE_WORK_KEEP;
}

/* What nobody came back for. */
static int clean_one(void *ctx, const char *name)
{
	const char *library = ctx;
	char *lock, *work;
	int fd;

	if (!str_starts(name, PACKAGE_WORK_PREFIX) || !str_ends(name, LOCK_SUFFIX))
		return 0;
	lock = path_join(library, name);
	if (is_old(lock) && file_lock(lock, &fd) == 0) {
		work = mem_dup_n(lock, strlen(lock) - strlen(LOCK_SUFFIX));
		folder_remove(work);
		unlink(lock);
		close(fd);
		free(work);
	}
	free(lock);
	return 0;
}

static int make_folders(struct publish_work *w)
{
	int r = folder_remove(w->package);

	w->found = file_is_folder(w->chunks);
	if (r == 0)
		r = folder_make(w->package, 0755);
	return r == 0 ? folder_make(w->chunks, 0755) : r;
}

static int take(struct publish_work *w, struct fault *f)
{
	char *lock = mem_printf("%s" LOCK_SUFFIX, w->root);
	int r = file_lock(lock, &w->lock);

	if (r == ERR_LOCKED)
		fault_set(f, r, _("%s: another ribera-ingest makes this title of this master right now; wait for it, or stop it"), w->root);
	else if (r != 0)
		said(f, r, lock, "cannot be made");
	else if (futimens(w->lock, NULL) < 0) /* from now on it counts as new */
		r = said(f, -errno, lock, "cannot be touched");
	free(lock);
	if (r != 0)
		return r;
	r = make_folders(w);
	return r == 0 ? 0 : said(f, r, w->root, "the work folder cannot be made");
}

static void forget(struct publish_work *w)
{
	if (w->lock >= 0)
		close(w->lock);
	free(w->root);
	free(w->package);
	free(w->chunks);
	*w = (struct publish_work){.lock = -1};
}

int publish_begin(const char *library, const char *title, const char *key, struct publish_work *ret_work, struct fault *f)
{
	struct publish_work w = {.lock = -1};
	int r;

	r = mkdir(library, 0755) == 0 ? folder_sync_parent(library) : errno != EEXIST ? -errno : 0;
	if (r != 0)
		return said(f, r, library, "the library cannot be made");
	if (!file_is_folder(library))
		return said(f, -ENOTDIR, library, "is no folder");
	folder_list(library, clean_one, (void *)(uintptr_t)library);
	w.root = mem_printf("%s/" PACKAGE_WORK_PREFIX "%s-%s", library, title, key);
	w.package = path_join(w.root, "package");
	w.chunks = path_join(w.root, "chunks");
	r = take(&w, f);
	if (r != 0)
		forget(&w);
	else
		*ret_work = w;
	return r;
}

static int sync_one(void *ctx, const char *name)
{
	char *path = path_join(ctx, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	free(path);
	return r;
}

static int move_in(const char *title_folder, const char *work, const char *place)
{
	int r = folder_list(work, sync_one, (void *)(uintptr_t)work);

	if (r == 0)
		r = folder_sync(work);
	if (r == 0 && mkdir(title_folder, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0 && rename(work, place) < 0)
		r = -errno;
	return r;
}

int publish_end(const char *library, const char *title, const char *revision, struct publish_work *w, char **ret_folder,
                bool *ret_existed, struct fault *f)
{
	char *title_folder = path_join(library, title), *place = path_join(title_folder, revision);
	bool existed = file_is_folder(place);
	int r = existed ? 0 : move_in(title_folder, w->package, place);

	if (r == -ENOTEMPTY || r == -EEXIST) { /* another ingest of the same content was first */
		existed = true;
		r = 0;
	}
	if (r == 0) /* also what was there: who moved it in may have been killed before this */
		r = folder_sync(title_folder);
	if (r == 0)
		r = folder_sync(library);
	if (r != 0) {
		said(f, r, place, "cannot be published");
		rmdir(title_folder); /* only if nothing is in it */
		free(place);
	} else {
		*ret_folder = place;
		*ret_existed = existed;
		publish_abandon(w, false);
	}
	free(title_folder);
	return r;
}

/* False when the text does not name this folder. */
static bool tell(const char *library, const char *folder, struct fault *f)
{
	char *at = folder != NULL ? strstr(f->text, folder) : NULL, *told;
	const char *behind;

	if (at == NULL || at[strlen(folder)] != '/')
		return false;
	behind = at + strlen(folder) + 1;
	told = mem_printf("%.*s%s: %s", (int)(at - f->text), f->text, library, behind);
	snprintf(f->text, sizeof f->text, "%s", told);
	free(told);
	return true;
}

void publish_tell(const char *library, const struct publish_work *w, struct fault *f)
{
	if (f != NULL && !tell(library, w->package, f) && !tell(library, w->chunks, f))
		tell(library, w->root, f);
}

void publish_abandon(struct publish_work *w, bool keep)
{
	char *lock;

	if (w->root == NULL)
		return;
	lock = mem_printf("%s" LOCK_SUFFIX, w->root);
	if (keep) {
		folder_remove(w->package);
	} else {
		folder_remove(w->root);
		unlink(lock);
	}
	free(lock);
	forget(w);
}
