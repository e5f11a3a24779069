/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bencode alone, without the metainfo around it: any value is read to its end or
 * refused, a string lies within the bytes, and what is read and written again is the same.
 */
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/must.h"
#include "dash/digest_bencode.h"

#define DEPTH 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void copy_value(struct bencode *, struct buf *, unsigned depth);

static void copy_string(const struct bencode *b, struct bencode_text t, struct buf *out)
{
	if (b->error != 0)
		return;
	MUST(t.p >= b->p && t.n <= b->n && (size_t)(t.p - b->p) <= b->n - t.n);
	bencode_put_string(out, t.p, t.n);
}

static void copy_dictionary(struct bencode *b, struct buf *out, unsigned depth)
{
	struct bencode_keys keys = {.any = false};

	bencode_open(b, 'd');
	buf_puts(out, "d");
	while (bencode_key(b, &keys)) {
		copy_string(b, keys.key, out);
		copy_value(b, out, depth + 1);
	}
	buf_puts(out, "e");
}

static void copy_list(struct bencode *b, struct buf *out, unsigned depth)
{
	bencode_open(b, 'l');
	buf_puts(out, "l");
	while (bencode_item(b))
		copy_value(b, out, depth + 1);
	buf_puts(out, "e");
}

static void copy_value(struct bencode *b, struct buf *out, unsigned depth)
{
	if (depth > DEPTH)
		bencode_fail(b, ERR_LIMIT, "too deep for this test");
	else if (bencode_peek(b, 'd'))
		copy_dictionary(b, out, depth);
	else if (bencode_peek(b, 'l'))
		copy_list(b, out, depth);
	else if (bencode_peek(b, 'i'))
		bencode_put_uint(out, bencode_uint(b));
	else
		copy_string(b, bencode_string(b), out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bencode b = {.p = data, .n = n}, skipped = b;
	struct buf out;

	buf_init(&out, n + 64);
	copy_value(&b, &out, 0);
	bencode_skip(&skipped);
	MUST(b.pos <= n && skipped.pos <= n);
	if (b.error == 0)
		MUST(out.size == b.pos && memcmp(out.bytes, data, out.size) == 0);
	if (b.error == 0 && skipped.error == 0)
		MUST(b.pos == skipped.pos);
	buf_fini(&out);
	return 0;
}
