/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The SHA-256 of a master while it comes, body by body.
 * Invariant: a running hash is of the bytes [0, sum.n) as they stand in the file.
 */
#include "origin/upload_inner.h"

void upload_sum_drop(struct upload *v)
{
	sha256_free(&v->sum.state);
	v->sum.n = 0;
}

void upload_sum_add(struct upload *v, uint64_t at, const void *bytes, size_t n)
{
	if (!v->is_master)
		return;
	if (at == 0) {
		upload_sum_drop(v);
		v->sum.state = sha256_new();
	}
	if (v->sum.state == NULL)
		return; /* what came first was another process's */
	if (at != v->sum.n) {
		upload_sum_drop(v);
		return;
	}
	sha256_update(v->sum.state, bytes, n);
	v->sum.n += n;
}

int upload_sum_end(struct upload *v, struct fault *f)
{
	char is[SHA256_HEX_SIZE], want[SHA256_HEX_SIZE];

	if (!v->is_master || v->has_sum)
		return 0;
	if (v->length == 0)
		upload_sum_add(v, 0, "", 0);
	if (v->sum.state == NULL || v->sum.n != v->length)
		return 0; /* whoever takes the master finds out */
	sha256_final(v->sum.state, &v->is);
	upload_sum_drop(v);
	if (v->has_want && !sha256_equal(&v->is, &v->want)) {
		sha256_to_hex(&v->is, is);
		sha256_to_hex(&v->want, want);
		return fault_set(f, ERR_HASH, "the SHA-256 of these bytes is %s, and the client told %s: send them again from byte 0", is, want);
	}
	v->has_sum = true;
	return 0;
}
