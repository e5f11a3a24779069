/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * file: URLs (RFC 8089) of this machine.
 */
#ifndef RIBERA_FETCH_LOCAL_H
#define RIBERA_FETCH_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool local_is(const char *url);
/* The path it means, without its query; caller frees.  NULL: it is no file: URL, or one of another machine. */
char *local_path(const char *url);
/* The URL of an absolute path; caller frees. */
char *local_url(const char *path);

/* Opens a regular file: its descriptor and size, or -errno (-EISDIR for a folder, -EINVAL for a pipe or a device, which might never end). */
int local_open(const char *path, uint64_t *ret_size);

#endif
