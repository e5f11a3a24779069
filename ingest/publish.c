/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Atomic publishing.  The lock file of a work folder is named like the folder
 * with ".lock" behind: a folder whose lock nobody holds belongs to the dead.
 */
#include "ingest/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define WORK_PREFIX ".work-"

static int said(struct fault *f, int code, const char *path, const char *what)
{
	return fault_set(f, code, "%s: %s: %s%s", path, what, err_text(code),
	                 code == -ENOSPC   ? "; free space there and run the same command again"
	                 : code == -EACCES ? "; the user running this needs to be allowed to write there"
	                 : code == -ENOENT ? "; make its parent folder first"
	                                   : "");
}

/* A dead process's work: its lock can be taken. */
static int clean_one(void *ctx, const char *name)
{
	const char *library = ctx;
	char *lock, *work;
	int fd;

	if (!str_starts(name, WORK_PREFIX) || !str_ends(name, ".lock"))
		return 0;
	lock = path_join(library, name);
	if (file_lock(lock, &fd) == 0) {
		work = mem_dup_n(lock, strlen(lock) - strlen(".lock"));
		folder_remove(work);
		unlink(lock);
		close(fd);
		free(work);
	}
	free(lock);
	return 0;
}

int publish_begin(const char *library, const char *title, char **ret_folder, struct fault *f)
{
	char *lock, *work;
	int fd, r;

	if (mkdir(library, 0755) < 0 && errno != EEXIST)
		return said(f, -errno, library, "the library cannot be made");
	if (!file_is_folder(library))
		return said(f, -ENOTDIR, library, "is no folder");
	folder_list(library, clean_one, (void *)(uintptr_t)library);
	work = mem_printf("%s/" WORK_PREFIX "%s-%ld", library, title, (long)getpid());
	lock = mem_printf("%s.lock", work);
	r = file_lock(lock, &fd); /* held until the process ends: closing it is left to the kernel */
	if (r == 0 && mkdir(work, 0755) < 0)
		r = -errno;
	if (r != 0) {
		said(f, r, work, "the work folder cannot be made");
		unlink(lock);
		free(work);
	} else {
		*ret_folder = work;
	}
	free(lock);
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

static int move_in(const char *library, const char *title_folder, const char *work, const char *place)
{
	int r = folder_list(work, sync_one, (void *)(uintptr_t)work);

	if (r == 0)
		r = folder_sync(work);
	if (r == 0 && mkdir(title_folder, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0 && rename(work, place) < 0)
		r = -errno;
	if (r == 0)
		r = folder_sync(title_folder);
	if (r == 0)
		r = folder_sync(library);
	return r;
}

int publish_end(const char *library, const char *title, const char *revision, const char *work, char **ret_folder,
                bool *ret_existed, struct fault *f)
{
	char *title_folder = path_join(library, title), *place = path_join(title_folder, revision);
	bool existed = file_is_folder(place);
	int r = existed ? 0 : move_in(library, title_folder, work, place);

	if (r == -ENOTEMPTY || r == -EEXIST) { /* another ingest of the same content was first */
		existed = true;
		r = 0;
	}
	if (r != 0) {
		said(f, r, place, "cannot be published");
		rmdir(title_folder); /* only if nothing is in it */
		free(place);
	} else {
		*ret_folder = place;
		*ret_existed = existed;
	}
	free(title_folder);
	return r;
}

void publish_abandon(char **pwork)
{
	char *work = *pwork, *lock;

	*pwork = NULL;
	if (work == NULL)
		return;
	lock = mem_printf("%s.lock", work);
	folder_remove(work);
	unlink(lock);
	free(lock);
	free(work);
}
