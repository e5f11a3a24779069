/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who may do what: bearer tokens with roles.  Kept as hashes; compared in
 * constant time.  They come from the token file (settings) and the catalogue.
 */
#ifndef RIBERA_ORIGIN_TOKENS_H
#define RIBERA_ORIGIN_TOKENS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

enum token_role {
	ROLE_ADMIN = 1 << 0,
	ROLE_PUBLISHER = 1 << 1,
	ROLE_EDGE = 1 << 2,
	ROLE_VIEWER_STATS = 1 << 3,
};
#define ROLE_ANY (ROLE_ADMIN | ROLE_PUBLISHER | ROLE_EDGE | ROLE_VIEWER_STATS)

#define TOKEN_EDGE_SIZE 129

struct tokens; /* hidden; any thread */
struct catalogue;

int token_role_from_name(const char *name, enum token_role *ret_role); /* ERR_SYNTAX */
const char *token_role_name(enum token_role);

/* Reads the file (NULL: none): one a line, "TOKEN" (admin) or "ROLE TOKEN"; '#'
 * starts a comment.  -errno, ERR_SYNTAX. */
int tokens_new(const char *file, struct catalogue *, struct tokens **ret_tokens, struct fault *);
void tokens_free(struct tokens **);

/* Reads the catalogue's tokens; until that has worked once nobody without a
 * token of the file is let in. */
int tokens_load(struct tokens *, struct fault *);

/* True when some token is configured. */
bool tokens_any(struct tokens *);
/* False while the catalogue's tokens are not known. */
bool tokens_known(struct tokens *);
/* The role of a presented token, 0 when it is none of ours or has expired;
 * *ret_who (32 bytes) is a name for the audit, *ret_edge (TOKEN_EDGE_SIZE bytes) the edge it is for
 * alone, or "", *ret_chosen that people made it up (it is of the file): it may be guessed. */
enum token_role tokens_check(struct tokens *, const char *token, size_t n, wall_us now, char ret_who[static 32],
                             char ret_edge[static TOKEN_EDGE_SIZE], bool *ret_chosen);

/* Makes one (for one edge alone: `edge`, else NULL); *ret_secret is to be freed.  ERR_EXISTS: the first token must be
 * admin's, or nobody could make another. */
int tokens_make(struct tokens *, enum token_role, const char *edge, const char *note, dur_us life, wall_us now, const char *who,
                int64_t *ret_id, char **ret_secret, struct fault *);
/* ERR_NOT_FOUND; ERR_EXISTS: it is the last admin token while others exist. */
int tokens_revoke(struct tokens *, int64_t id, wall_us now, const char *who, struct fault *);
json_t *tokens_list(struct tokens *); /* array, without secrets */

#endif
