/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What upload.c and upload_write.c share.
 */
#ifndef RIBERA_ORIGIN_UPLOAD_INNER_H
#define RIBERA_ORIGIN_UPLOAD_INNER_H

#include "origin/upload.h"

#define UPLOAD_FOLDER ".uploads"
#define UPLOAD_PACKAGE "package-"
#define UPLOAD_MASTER "master-"

struct uploads {
	struct upload_settings settings;
	char *folder;
	struct upload **v;
	size_t n, cap;
};

/* upload.c; paths are to be freed */
char *upload_path(const struct uploads *, const char *id, const char *ending);
char *upload_package_folder(const struct uploads *, const struct upload *);
int upload_save(const struct uploads *, const struct upload *, struct fault *);

/* upload_sum.c: of masters; nothing else has one */
void upload_sum_add(struct upload *, uint64_t at, const void *bytes, size_t n); /* which stand at `at` now */
void upload_sum_drop(struct upload *); /* bytes that are in it may have gone */
/* All bytes are there.  ERR_HASH: they are not those that the client told of. */
int upload_sum_end(struct upload *, struct fault *);

/* upload_write.c */
void upload_leave_body(struct upload *); /* what came of it is kept; not of a held one */
/* May this file come, with this length?  Loads the digest. */
int upload_check_wish(struct uploads *, struct upload *, struct fault *);
/* All bytes are there: puts the file in its place, and publishes what is whole. */
int upload_complete(struct uploads *, struct upload *, struct fault *);
/* After a restart: goes on with what was cut in the middle. */
void upload_take_up(struct uploads *, struct upload *);

#endif
