/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Who may have objects: the keys of signed URLs in force, and what they say of a
 * request.  Invariant: lanes see whole sets of keys, without a lock.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/counter.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "serve/inner.h"

#define OWN_LIFE DUR_HOUR /* of URLs for requests of our own */

struct guard {
	const char *path;
	dur_us life;
	struct stat seen;       /* the owner's thread */
	struct sign_keys *keys; /* RCU */
};

int guard_refresh(struct guard *g, bool always, struct fault *f)
{
	struct sign_keys *fresh, *old;
	struct stat now = {0};
	int r;

	if (stat(g->path, &now) == 0 && !always && now.st_ino == g->seen.st_ino && now.st_size == g->seen.st_size &&
	    memcmp(&now.st_mtim, &g->seen.st_mtim, sizeof now.st_mtim) == 0)
		return 0;
	if (!always && now.st_ino == 0 && g->seen.st_ino == 0)
		return 0; /* still not there */
	g->seen = now;
	r = sign_keys_load(g->path, &fresh, f);
	if (r < 0)
		return r;
	old = RCU_SWAP(&g->keys, fresh);
	rcu_synchronize();
	sign_keys_free(&old);
	return 1;
}

int guard_new(const char *path, dur_us life, struct guard **ret, struct fault *f)
{
	struct guard *g = mem_new(sizeof *g);
	int r;

	g->path = path;
	g->life = life;
	r = guard_refresh(g, true, f);
	if (r < 0)
		guard_free(&g);
	else
		*ret = g;
	return r < 0 ? r : 0;
}

void guard_free(struct guard **pg)
{
	if (*pg != NULL)
		sign_keys_free(&(*pg)->keys);
	free(*pg);
	*pg = NULL;
}

/* --- requests ---------------------------------------------------------------------- */

#define START "/s/"
#define START_N 3

int guard_take(struct serve_request *r)
{
	const struct guard *g = r->lane->serve->guard;
	const char *token = r->path + START_N, *end = r->path + r->path_n, *rest;

	if (r->path_n < START_N || memcmp(r->path, START, START_N) != 0)
		return 0;
	rest = memchr(token, '/', (size_t)(end - token));
	if (rest == NULL)
		return 404;
	r->prefix = r->path;
	r->prefix_n = (size_t)(rest - r->path);
	if (r->target.path_n < r->prefix_n || memcmp(r->target.path, r->prefix, r->prefix_n) != 0)
		return 400; /* nothing in a token needs an escape: one spelling only */
	r->path = r->path + r->prefix_n;
	r->path_n -= r->prefix_n;
	if (g == NULL) /* nobody asks for it here */
		return 0;
	rcu_read_begin();
	r->verdict = sign_check(RCU_LOAD(&g->keys), token, (size_t)(rest - token), r->path, r->path_n, r->conn->peer,
	                        h2o_get_timestamp(&r->lane->ctx, NULL, NULL)->tv_sec * DUR_S);
	rcu_read_end();
	return 0;
}

bool guard_lets_pass(struct serve_request *r)
{
	struct serve *s = r->lane->serve;

	if (s->guard == NULL || (r->prefix_n > 0 && r->verdict == SIGN_GOOD))
		return true;
	counters_add(s->counters, C_REFUSED_SIGNATURE, 1);
	request_problem(r, 403, r->prefix_n > 0 ? sign_verdict_text(r->verdict) : "this path is served to signed URLs only");
	return false;
}

/* --- signing ----------------------------------------------------------------------- */

static int sign(const struct guard *g, const char *path, unsigned depth, wall_us expires, char out[static SERVE_PREFIX_SIZE])
{
	int r = 0;

	memcpy(out, START, START_N + 1);
	rcu_read_begin();
	r = sign_make(RCU_LOAD(&g->keys), path, depth, expires, NULL, out + START_N);
	rcu_read_end();
	return r;
}

void serve_sign_own(const struct serve *s, wall_us now, char ret_prefix[static SERVE_PREFIX_SIZE])
{
	_Static_assert(SERVE_PREFIX_SIZE >= START_N + SIGN_TOKEN_SIZE, "a prefix has room for a token");

	if (s == NULL || s->guard == NULL || sign(s->guard, "/", 0, now + OWN_LIFE, ret_prefix) != 0)
		ret_prefix[0] = '\0';
}

const char *serve_sign(struct serve_request *r, const char *path, unsigned depth)
{
	const struct guard *g = r->lane->serve->guard;
	char *out;

	if (g == NULL)
		return "";
	out = h2o_mem_alloc_pool(&r->req->pool, SERVE_PREFIX_SIZE);
	return sign(g, path, depth, clock_wall() + g->life, out) == 0 ? out : "";
}

const char *serve_prefix(const struct serve_request *r, size_t *ret_n)
{
	*ret_n = r->prefix_n;
	return r->prefix_n > 0 ? r->prefix : "";
}
