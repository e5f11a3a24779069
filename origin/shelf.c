/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names and hashes need no escapes in JSON.
 */
#include "origin/shelf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/library.h"

#define NOT_TO_HOLD "\"hold\":false},"

static void write_lines(struct buf *b, struct revision *const *revisions, size_t n)
{
	char digest[SHA256_HEX_SIZE];

	for (size_t i = 0; i < n; i++) {
		const struct revision *r = revisions[i];

		sha256_to_hex(&r->digest, digest);
		buf_printf(b, "{\"title\":\"%s\",\"revision\":\"%s\",\"digest\":\"%s\",\"digest_bytes\":%" PRIu64 ",\"bytes\":%" PRIu64 "," NOT_TO_HOLD,
		           r->title, r->revision, digest, (uint64_t)r->digest_bytes, (uint64_t)r->bytes);
	}
}

int shelf_write(const struct library_view *v, size_t max, struct shelf *ret)
{
	struct sha256 h;
	int e;

	*ret = (struct shelf){.at = mem_new_array(2 * v->n_titles + 1, sizeof *ret->at), .n = v->n_titles};
	buf_init(&ret->text, max);
	for (size_t i = 0; i < v->n_titles; i++) {
		const struct library_title *t = &v->titles[i];

		ret->at[2 * i] = ret->text.size;
		write_lines(&ret->text, t->revisions, 1);
		ret->at[2 * i + 1] = ret->text.size;
		write_lines(&ret->text, t->revisions + 1, t->n_revisions - 1);
	}
	ret->at[2 * v->n_titles] = ret->text.size;
	e = buf_error(&ret->text);
	if (e != 0) {
		shelf_fini(ret);
		return e;
	}
	sha256_of(ret->text.bytes, ret->text.size, &h);
	sha256_to_hex(&h, ret->hash);
	return 0;
}

void shelf_fini(struct shelf *s)
{
	buf_fini(&s->text);
	free(s->at);
	*s = (struct shelf){0};
}

void shelf_copy(const struct shelf *s, const bool *left_out, struct buf *out)
{
	size_t from = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (!left_out[i])
			continue;
		buf_append(out, s->text.bytes + from, s->at[2 * i] - from);
		from = s->at[2 * i + 1];
	}
	buf_append(out, s->text.bytes + from, s->at[2 * s->n] - from);
}

void shelf_copy_to_hold(const struct shelf *s, size_t title, struct buf *out)
{
	size_t from = s->at[2 * title], end = s->at[2 * title + 1] - strlen(NOT_TO_HOLD);

	buf_append(out, s->text.bytes + from, end - from);
	buf_puts(out, "\"hold\":true");
}
