/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names and hashes need no escapes in JSON.
 */
#include "origin/shelf.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "origin/library.h"

void shelf_begin_line(struct buf *b, const struct revision *r, bool hold)
{
	char digest[SHA256_HEX_SIZE];

	sha256_to_hex(&r->digest, digest);
	buf_printf(b, "{\"title\":\"%s\",\"revision\":\"%s\",\"digest\":\"%s\",\"digest_bytes\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"hold\":%s",
	           r->title, r->revision, digest, (uint64_t)r->digest_bytes, (uint64_t)r->bytes, hold ? "true" : "false");
}

static void write_lines(struct buf *b, struct revision *const *revisions, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		shelf_begin_line(b, revisions[i], false);
		buf_puts(b, "},");
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
