/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the origin tells this edge (doc/ARCHITECTURE.md, "The control plane"):
 * read strictly from JSON, immutable, reference counted, any thread.
 */
#ifndef RIBERA_EDGE_PLAN_H
#define RIBERA_EDGE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"
#include "dash/package.h"

#define PLAN_MAX_BYTES ((size_t)64 << 20)

struct plan_title {
	char *title;
	char revision[PACKAGE_REVISION_SIZE];
	struct sha256 digest;  /* of package.torrent */
	uint64_t digest_bytes;
	uint64_t bytes;
	bool hold;
	bool urgent;           /* to be filled outside the window, too */
	char **files;          /* of them these alone, sorted; NULL: all */
	size_t n_files;
};

struct plan_peer {
	char *name, *url;      /* url without a '/' at the end */
	char **holds;          /* "TITLE/REVISION", sorted */
	size_t n_holds;
};

struct plan {
	unsigned refs;
	char *version, *origin; /* origin: URL without a '/' at the end */
	char *steering;         /* where players ask where to go; NULL: nowhere */
	struct plan_title *titles; /* in filling order; of a title's revisions the first is the current one */
	size_t n_titles;
	const struct plan_title **by_name; /* n_titles, by title and revision, for plan_find */
	struct plan_peer *peers;
	size_t n_peers;
};

/* ERR_SYNTAX, ERR_LIMIT; the fault says which value. */
int plan_read(const void *json, size_t n, struct plan **ret_plan, struct fault *);
struct plan *plan_ref(struct plan *);
void plan_unref(struct plan **);

/* The library as the plan tells of it, to be compared with the origin's by its hash (cdn/shelf).  ERR_LIMIT, -ENOMEM. */
struct shelf;
int plan_shelf(const struct plan *, struct shelf *ret_shelf);
/* Makes a whole plan of the origin's answer to who said which shelf it has: of a short one (cdn/plan_text) by way of the plan
 * before.  *ret_hash: of the new plan's shelf, "" when it came whole.  ERR_SYNTAX, ERR_LIMIT, -ENOMEM. */
struct buf;
int plan_lengthen(const struct plan *before, const void *json, size_t n, struct buf *out, char ret_hash[static SHA256_HEX_SIZE],
                  struct fault *);

bool plan_title_wants(const struct plan_title *, const char *file);
const struct plan_title *plan_find(const struct plan *, const char *title, const char *revision);
bool plan_peer_holds(const struct plan_peer *, const char *title, const char *revision);

#endif
