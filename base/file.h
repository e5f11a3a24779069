/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Files and folders: whole reads with a maximum, writes that are there or are
 * not, fsync of what must survive a power cut.  Failures are -errno (ERR_LIMIT
 * for a file over the maximum).
 */
#ifndef RIBERA_BASE_FILE_H
#define RIBERA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;

char *path_join(const char *folder, const char *name); /* caller frees */

/* Appends the whole file to `out`, whose maximum bounds it. */
int file_read(const char *path, struct buf *out);
/* The same of what others put there: ERR_CORRUPT when it is no regular file (a pipe would be waited for), -ELOOP for a symbolic link. */
int file_read_regular(const char *path, struct buf *out);

/* Temporary name in the same folder, fsync, rename, fsync of the folder.  A pipe or a device (/dev/null) is written to. */
int file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode);

int file_write_all(int fd, const void *bytes, size_t n);
int file_pwrite_all(int fd, const void *bytes, size_t n, uint64_t offset);
/* Reads until n bytes or end of file; returns bytes read or -errno. */
ssize_t file_pread_all(int fd, void *bytes, size_t n, uint64_t offset);

int file_size(const char *path, uint64_t *ret_size);
bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* Of a secret: may others than its owner and its group read it, or others than its owner write it? */
bool file_is_shared(const char *path);

int folder_make(const char *path, mode_t mode);   /* with its parents; what it makes survives a power cut; an existing folder is fine */
int folder_sync(const char *path);                /* fsync of the folder itself */
int folder_sync_parent(const char *path);         /* of the one that holds it, which need not be readable: then 0 and no fsync */
int folder_remove(const char *path);              /* with all below, symbolic links not followed; absent is fine */
int folder_free_bytes(const char *path, uint64_t *ret_free, uint64_t *ret_total);
/* Calls `each` for every name in the folder ('.' and '..' left out), sorted;
 * stops at the first non-zero return and returns it. */
int folder_list(const char *path, int (*each)(void *ctx, const char *name), void *ctx);

/* Opens (creating) `path` and takes an exclusive lock that ends with the
 * process.  ERR_LOCKED when another process has it. */
int file_lock(const char *path, int *ret_fd);

#endif
