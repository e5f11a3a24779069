/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names and hashes need no escapes in JSON, so a line's parts stand where they
 * were printed.
 */
#include "cdn/shelf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BEFORE_TITLE "{\"title\":\""
#define BEFORE_REVISION "\",\"revision\":\""
#define NOT_TO_HOLD "\"hold\":false},"

static size_t line_end(const struct shelf *s, size_t line)
{
	return line + 1 < s->n ? s->lines[line + 1].at : s->text.size;
}

const char *shelf_title(const struct shelf *s, size_t line)
{
	return (const char *)s->text.bytes + s->lines[line].at + strlen(BEFORE_TITLE);
}

const char *shelf_revision(const struct shelf *s, size_t line, size_t *ret_n)
{
	const char *r = shelf_title(s, line) + s->lines[line].name_n + strlen(BEFORE_REVISION);

	*ret_n = (size_t)(strchr(r, '"') - r);
	return r;
}

static int compare_name(const struct shelf *s, size_t line, const char *title, size_t n)
{
	size_t own = s->lines[line].name_n;
	int r = memcmp(shelf_title(s, line), title, own < n ? own : n);

	return r != 0 ? r : (own > n) - (own < n);
}

/* --- making --- */

void shelf_init(struct shelf *s, size_t max)
{
	*s = (struct shelf){0};
	buf_init(&s->text, max);
}

void shelf_add(struct shelf *s, const char *title, const char *revision, const struct sha256 *digest, uint64_t digest_bytes, uint64_t bytes)
{
	size_t at = s->text.size, n = strlen(title);
	bool current = s->n == 0 || compare_name(s, s->n - 1, title, n) != 0;
	char hex[SHA256_HEX_SIZE];

	sha256_to_hex(digest, hex);
	if (buf_printf(&s->text, BEFORE_TITLE "%s" BEFORE_REVISION "%s\",\"digest\":\"%s\",\"digest_bytes\":%" PRIu64 ",\"bytes\":%" PRIu64 "," NOT_TO_HOLD,
	               title, revision, hex, digest_bytes, bytes) != 0)
		return;
	MEM_GROW(s->lines, s->cap, s->n);
	s->lines[s->n++] = (struct shelf_line){at, (uint32_t)n, current};
}

void shelf_add_lines(struct shelf *s, const struct shelf *other, size_t from, size_t end)
{
	size_t to = s->text.size, at;

	if (from == end)
		return;
	at = other->lines[from].at;
	if (buf_append(&s->text, other->text.bytes + at, line_end(other, end - 1) - at) != 0)
		return;
	for (size_t i = from; i < end; i++) {
		MEM_GROW(s->lines, s->cap, s->n);
		s->lines[s->n] = other->lines[i];
		s->lines[s->n++].at = other->lines[i].at - at + to;
	}
}

int shelf_close(struct shelf *s)
{
	struct sha256 h;
	int e = buf_error(&s->text);

	if (e != 0) {
		shelf_fini(s);
		return e;
	}
	sha256_of(s->text.size > 0 ? (const char *)s->text.bytes : "", s->text.size, &h);
	sha256_to_hex(&h, s->hash);
	return 0;
}

void shelf_fini(struct shelf *s)
{
	buf_fini(&s->text);
	free(s->lines);
	*s = (struct shelf){0};
}

/* --- looking --- */

size_t shelf_find(const struct shelf *s, const char *title, size_t n, size_t *ret_first)
{
	size_t low = 0, high = s->n, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_name(s, middle, title, n) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < s->n && compare_name(s, end, title, n) == 0; end++)
		;
	*ret_first = low;
	return end - low;
}

size_t shelf_find_key(const struct shelf *s, const char *key)
{
	const char *slash = strchr(key, '/');
	size_t first, n = slash != NULL ? shelf_find(s, key, (size_t)(slash - key), &first) : 0;

	for (size_t i = 0; i < n; i++) {
		size_t length;
		const char *revision = shelf_revision(s, first + i, &length);

		if (strlen(slash + 1) == length && memcmp(slash + 1, revision, length) == 0)
			return first + i;
	}
	return s->n;
}

/* --- copying --- */

void shelf_copy(const struct shelf *s, const bool *left_out, struct buf *out)
{
	size_t from = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (!left_out[i])
			continue;
		buf_append(out, s->text.bytes + from, s->lines[i].at - from);
		from = line_end(s, i);
	}
	if (s->n > 0)
		buf_append(out, s->text.bytes + from, s->text.size - from);
}

void shelf_copy_to_hold(const struct shelf *s, size_t line, struct buf *out)
{
	size_t from = s->lines[line].at, end = line_end(s, line) - strlen(NOT_TO_HOLD);

	buf_append(out, s->text.bytes + from, end - from);
	buf_puts(out, "\"hold\":true");
}

/* --- comparing --- */

static size_t end_of_title(const struct shelf *s, size_t line)
{
	do
		line++;
	while (line < s->n && !s->lines[line].current);
	return line;
}

static bool same_lines(const struct shelf *a, size_t i, size_t i_end, const struct shelf *b, size_t k, size_t k_end)
{
	size_t n = line_end(a, i_end - 1) - a->lines[i].at;

	return n == line_end(b, k_end - 1) - b->lines[k].at && memcmp(a->text.bytes + a->lines[i].at, b->text.bytes + b->lines[k].at, n) == 0;
}

void shelf_compare(const struct shelf *a, const struct shelf *b, shelf_differ_f differ, void *ctx)
{
	for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
		int order = i == a->n ? 1 : k == b->n ? -1 : compare_name(a, i, shelf_title(b, k), b->lines[k].name_n);
		size_t i_end = order <= 0 ? end_of_title(a, i) : i, k_end = order >= 0 ? end_of_title(b, k) : k;

		if (order < 0)
			differ(ctx, shelf_title(a, i), a->lines[i].name_n);
		else if (order > 0 || !same_lines(a, i, i_end, b, k, k_end))
			differ(ctx, shelf_title(b, k), b->lines[k].name_n);
		i = i_end;
		k = k_end;
	}
}
