/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Signed URLs: http://HOST/s/TOKEN/v/TITLE/manifest.mpd.  The token stands in the
 * path, so whatever a player resolves against such a URL (playlists, BaseURL,
 * segments) carries it on by itself.
 *
 *   TOKEN = KEY "." EXPIRES "." DEPTH ["." FAMILY "-" BITS] "." MAC
 *
 * KEY names one of the keys; EXPIRES are seconds since 1970; DEPTH is how many
 * segments of the path behind the token are signed (2: all of /v/TITLE/); FAMILY
 * (4 or 6) and BITS say how much of the viewer's address is; MAC is HMAC-SHA-256
 * in base64url over
 *   "ribera-1\n" EXPIRES "\n" DEPTH "\n" (FAMILY "-" BITS " " masked address in hex | "-") "\n" signed path
 *
 * Pure; any thread.  A check takes no memory and no lock, and its time does not
 * depend on how much of a MAC is right.
 */
#ifndef RIBERA_SERVE_SIGN_H
#define RIBERA_SERVE_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define SIGN_MAX_KEYS 16
#define SIGN_MAX_ID 16
#define SIGN_TOKEN_SIZE 112 /* with its NUL */

struct sign_keys; /* hidden; immutable */

/* Lines "ID SECRET": 1 to 16 letters and digits, 32 to 256 hex digits; '#' starts a
 * comment.  The first key signs, all of them are good.  The fault names the line. */
int sign_keys_read(const char *text, size_t n, const char *name, struct sign_keys **ret, struct fault *);
int sign_keys_load(const char *path, struct sign_keys **ret, struct fault *);
void sign_keys_free(struct sign_keys **);

/* An IPv4 or IPv6 network; family 0: none. */
struct sign_net {
	unsigned family, bits; /* 4 or 6 */
	uint8_t address[16];
};
int sign_net_read(const char *text, struct sign_net *ret); /* "192.0.2.0/24", "2001:db8::/56", "192.0.2.7"; ERR_SYNTAX */

/* Signs the first `depth` segments of `path` (which starts with '/' and has as many).
 * ERR_OUT_OF_RANGE when it has not. */
int sign_make(const struct sign_keys *, const char *path, unsigned depth, wall_us expires, const struct sign_net *,
              char ret_token[static SIGN_TOKEN_SIZE]);

enum sign_verdict {
	SIGN_GOOD,
	SIGN_MALFORMED,
	SIGN_UNKNOWN_KEY,
	SIGN_WRONG, /* another path, another client, or tampered with */
	SIGN_EXPIRED,
};

/* `path` is what follows the token, decoded; `client` the viewer's address as text. */
enum sign_verdict sign_check(const struct sign_keys *, const char *token, size_t n, const char *path, size_t path_n,
                             const char *client, wall_us now);

const char *sign_verdict_text(enum sign_verdict); /* for people */

#endif
