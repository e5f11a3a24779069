/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * dash/digest: the arithmetic of BEP 52 at its edges, and what the reader refuses.
 * t/mod/digest.py compares with another implementation.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dash/digest.h"
#include "dash/digest_tree.h"
#include "t/lib/unit.h"

#define PIECE ((size_t)DIGEST_PIECE)

struct made {
	struct buf metainfo, leaves;
	char revision[PACKAGE_REVISION_SIZE];
	struct digest *digest;
};

/* Bytes that differ in every block. */
static uint8_t *content(size_t n)
{
	uint8_t *p = mem_new(n + 1);
	uint32_t v = 1;

	for (size_t i = 0; i < n; i++) {
		v = v * 1664525 + 1013904223;
		p[i] = (uint8_t)(v >> 24);
	}
	return p;
}

static void add(struct digest_builder *b, const char *name, size_t n, size_t step)
{
	uint8_t *p = content(n);

	CHECK_INT(digest_builder_file(b, name), 0);
	for (size_t at = 0; at < n; at += step)
		digest_builder_bytes(b, p + at, n - at < step ? n - at : step);
	free(p);
}

static void finish(struct digest_builder *b, struct made *m)
{
	struct fault f = {0};
	int r;

	buf_init(&m->metainfo, DIGEST_MAX_BYTES);
	buf_init(&m->leaves, DIGEST_MAX_BYTES);
	CHECK_INT(digest_builder_finish(b, "http://127.0.0.1/v/", &m->metainfo, &m->leaves, m->revision), 0);
	r = digest_read(m->metainfo.bytes, m->metainfo.size, &m->digest, &f);
	cr_assert(r == 0, "%s", fault_text(&f));
	digest_builder_free(&b);
}

static void made_free(struct made *m)
{
	buf_fini(&m->metainfo);
	buf_fini(&m->leaves);
	digest_free(&m->digest);
}

static const struct {
	const char *name;
	size_t size;
} sizes[] = {
	{"a-empty", 0}, {"b-one", 1}, {"c-block", 16384}, {"d-block1", 16385}, {"e-three", 3 * 16384}, {"f-almost", PIECE - 1},
	{"g-piece", PIECE}, {"h-piece1", PIECE + 1}, {"i-two", 2 * PIECE}, {"j-many", 5 * PIECE + 40000},
};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static void make(struct made *m, size_t step)
{
	struct digest_builder *b = digest_builder_new("film");

	for (size_t i = N_SIZES; i-- > 0;) /* any order of files */
		add(b, sizes[i].name, sizes[i].size, step);
	finish(b, m);
}

Test(digest, round)
{
	struct made m;
	const struct digest *d;

	make(&m, 100000);
	d = m.digest;
	CHECK_INT(d->n_files, N_SIZES);
	CHECK_STR(d->title, "film");
	CHECK_STR(d->revision, m.revision);
	CHECK_INT(d->n_web_seeds, 1);
	CHECK_STR(d->web_seeds[0], "http://127.0.0.1/v/");
	for (size_t i = 0; i < N_SIZES; i++) {
		const struct digest_file *file = &d->files[i];
		uint8_t *p = content(sizes[i].size);

		CHECK_STR(file->name, sizes[i].name);
		CHECK_INT(file->size, sizes[i].size);
		CHECK_INT(file->n_pieces, (sizes[i].size + PIECE - 1) / PIECE);
		CHECK_INT(digest_find(d, file->name, strlen(file->name)), i);
		for (size_t k = 0; k < file->n_pieces; k++) {
			size_t n = (size_t)digest_piece_size(file, k);

			CHECK_INT(digest_check_piece(file, k, p + k * PIECE, n), 0);
			CHECK_INT(digest_check_piece(file, k, p + k * PIECE, n - 1), ERR_HASH);
			p[k * PIECE + n - 1] ^= 1;
			CHECK_INT(digest_check_piece(file, k, p + k * PIECE, n), ERR_HASH);
		}
		CHECK_INT(digest_check_piece(file, file->n_pieces, p, 1), ERR_HASH);
		free(p);
	}
	CHECK_INT(digest_find(d, "b-on", 4), -1);
	CHECK_INT(digest_find(d, "b-one1", 6), -1);
	CHECK_INT(digest_find(d, "", 0), -1);
	made_free(&m);
}

/* However the bytes come, the same package has the same name. */
Test(digest, steps_do_not_matter)
{
	struct made a, b;

	make(&a, 7777);
	make(&b, 3 * PIECE);
	CHECK(a.metainfo.size == b.metainfo.size && memcmp(a.metainfo.bytes, b.metainfo.bytes, a.metainfo.size) == 0);
	CHECK(a.leaves.size == b.leaves.size && memcmp(a.leaves.bytes, b.leaves.bytes, a.leaves.size) == 0);
	made_free(&a);
	made_free(&b);
}

Test(digest, leaves)
{
	struct made m;

	make(&m, 65536);
	CHECK_INT(digest_leaves_size(m.digest), m.leaves.size);
	CHECK_INT(digest_leaves_offset(m.digest, 3), 32 * (0 + 1 + 1));
	CHECK_INT(digest_check_leaves(m.digest, m.leaves.bytes, m.leaves.size), 0);
	CHECK_INT(digest_check_leaves(m.digest, m.leaves.bytes, m.leaves.size - 1), ERR_TRUNCATED);
	for (size_t i = 0; i < m.leaves.size; i += 31) {
		m.leaves.bytes[i] ^= 0x40;
		CHECK_INT(digest_check_leaves(m.digest, m.leaves.bytes, m.leaves.size), ERR_HASH);
		m.leaves.bytes[i] ^= 0x40;
	}
	made_free(&m);
}

/* By hand: one block is its own root; two are hashed together; three get one zero hash. */
Test(digest, roots_of_small_files)
{
	struct made m;
	struct sha256 zero = {{0}}, left, right, root;
	const struct sha256 *leaf;

	make(&m, PIECE);
	leaf = (const struct sha256 *)(const void *)m.leaves.bytes;
	CHECK(sha256_equal(&m.digest->files[1].root, &leaf[0]));
	sha256_of_pair(&leaf[2], &leaf[3], &root);
	CHECK(sha256_equal(&m.digest->files[3].root, &root));
	sha256_of_pair(&leaf[4], &leaf[5], &left);
	sha256_of_pair(&leaf[6], &zero, &right);
	sha256_of_pair(&left, &right, &root);
	CHECK(sha256_equal(&m.digest->files[4].root, &root));
	made_free(&m);
}

Test(digest, equal_files_share_a_layer)
{
	struct digest_builder *b = digest_builder_new("twins");
	struct made m;

	add(b, "one", 3 * PIECE, PIECE);
	add(b, "two", 3 * PIECE, PIECE);
	finish(b, &m);
	CHECK_INT(m.digest->files[1].n_pieces, 3);
	CHECK(sha256_equal(&m.digest->files[0].pieces[2], &m.digest->files[1].pieces[2]));
	made_free(&m);
}

Test(digest, hashers_side_by_side)
{
	struct digest_builder *b = digest_builder_new("film");
	struct digest_hasher *x = digest_hasher_new(), *y = digest_hasher_new();
	uint8_t *p = content(70000);
	struct made m, n;

	for (size_t at = 0; at < 70000; at += 10000) {
		digest_hasher_bytes(x, p + at, 10000);
		digest_hasher_bytes(y, p + at, 5000);
	}
	CHECK_INT(digest_builder_add(b, "x", &x), 0);
	CHECK(x == NULL);
	CHECK_INT(digest_builder_add(b, "x", &y), ERR_EXISTS);
	CHECK_INT(digest_builder_add(b, "a/b", &y), ERR_SYNTAX);
	CHECK(y != NULL);
	digest_hasher_free(&y);
	finish(b, &m);
	b = digest_builder_new("film");
	add(b, "x", 70000, 123);
	finish(b, &n);
	CHECK_STR(m.revision, n.revision);
	made_free(&m);
	made_free(&n);
	free(p);
}

static int read_text(const void *text, size_t n, struct fault *f)
{
	struct digest *d = NULL;
	uint8_t *exact = malloc(n + (n == 0));
	int r;

	memcpy(exact, text, n);
	r = digest_read(exact, n, &d, f);
	free(exact);
	digest_free(&d);
	return r;
}

#define INFO(tree, version, name, piece) "d4:infod9:file tree" tree "12:meta version" version "4:name" name "12:piece length" piece "e12:piece layersdee"
#define FILE_X "d1:xd0:d6:lengthi5e11:pieces root32:0123456789abcdef0123456789abcdefeee"

Test(digest, refusals)
{
	static const struct {
		const char *text;
		int want;
		const char *has;
	} rows[] = {
		{INFO(FILE_X, "i2e", "4:film", "i1048576e"), 0, ""},
		{INFO("de", "i2e", "4:film", "i1048576e"), 0, ""},
		{"", ERR_SYNTAX, "ends"},
		{"de", ERR_SYNTAX, "no info"},
		{"le", ERR_SYNTAX, "dictionary"},
		{INFO(FILE_X, "i2e", "4:film", "i1048576e") "x", ERR_SYNTAX, "behind its end"},
		{INFO(FILE_X, "i1e", "4:film", "i1048576e"), ERR_UNSUPPORTED, "meta version"},
		{INFO(FILE_X, "i2e", "4:film", "i262144e"), ERR_UNSUPPORTED, "piece length"},
		{INFO(FILE_X, "i02e", "4:film", "i1048576e"), ERR_SYNTAX, "leading zeros"},
		{INFO(FILE_X, "i-2e", "4:film", "i1048576e"), ERR_SYNTAX, "digits"},
		{INFO(FILE_X, "i2e", "04:film", "i1048576e"), ERR_SYNTAX, "leading zeros"},
		{INFO(FILE_X, "i2e", "4:../x", "i1048576e"), ERR_UNSUPPORTED, "title"},
		{INFO(FILE_X, "i2e", "4:film", "i99999999999999999999999e"), ERR_LIMIT, "too large"},
		{INFO("d2:..d0:d6:lengthi0eeee", "i2e", "4:film", "i1048576e"), ERR_UNSUPPORTED, "name"},
		{INFO("d1:xd1:yd0:d6:lengthi0eeeee", "i2e", "4:film", "i1048576e"), ERR_UNSUPPORTED, "folders"},
		{INFO("d1:xd0:d6:lengthi0ee1:yd0:d6:lengthi0eeeee", "i2e", "4:film", "i1048576e"), ERR_SYNTAX, "folder"},
		{INFO("d1:yd0:d6:lengthi0eee1:xd0:d6:lengthi0eeee", "i2e", "4:film", "i1048576e"), ERR_SYNTAX, "ascending"},
		{INFO("d1:xd0:d6:lengthi0eee1:xd0:d6:lengthi0eeee", "i2e", "4:film", "i1048576e"), ERR_SYNTAX, "ascending"},
		{INFO("d1:xd0:d6:lengthi5eeee", "i2e", "4:film", "i1048576e"), ERR_SYNTAX, "root"},
		{INFO("d1:xd0:d6:lengthi2000000e11:pieces root32:0123456789abcdef0123456789abcdefeee", "i2e", "4:film", "i1048576e"), ERR_SYNTAX, "no piece layer"},
		{"d4:infod9:file tree" FILE_X "12:meta versioni2e4:name4:film12:piece lengthi1048576e6:pieces0:ee", ERR_UNSUPPORTED, "version 1"},
		{"d4:infod9:file tree" FILE_X "12:meta versioni2e4:name4:film12:piece lengthi1048576ee12:piece layersd32:0123456789abcdef0123456789abcdef32:0123456789abcdef0123456789abcdefee", ERR_SYNTAX, "no file"},
		{"d1:ai-0e4:infode", ERR_SYNTAX, "minus zero"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fault f = {0};
		int r = read_text(rows[i].text, strlen(rows[i].text), &f);

		cr_assert(r == rows[i].want, "row %zu: %d (%s), want %d", i, r, fault_text(&f), rows[i].want);
		cr_assert(r == 0 || strstr(f.text, rows[i].has) != NULL, "row %zu: \"%s\", want \"%s\" in it", i, f.text, rows[i].has);
	}
}

/* 64 MiB of metainfo would be a quarter of a terabyte of pieces. */
Test(digest, one_layer_for_many_files_is_not_copied_without_end)
{
	size_t n = 32768;
	struct sha256 *pieces = mem_new_array(n, sizeof *pieces), root;
	struct fault f = {0};
	struct buf b;

	digest_tree_of_pieces(pieces, n, &root);
	buf_init(&b, (size_t)8 << 20);
	buf_puts(&b, "d4:infod9:file treed");
	for (unsigned i = 0; i < 4000; i++) {
		buf_printf(&b, "4:%04ud0:d6:lengthi%llue11:pieces root32:", i, (unsigned long long)n * DIGEST_PIECE);
		buf_append(&b, root.bytes, 32);
		buf_puts(&b, "ee");
	}
	buf_puts(&b, "e12:meta versioni2e4:name4:film12:piece lengthi1048576ee12:piece layersd32:");
	buf_append(&b, root.bytes, 32);
	buf_printf(&b, "%zu:", n * 32);
	buf_append(&b, pieces, n * 32);
	buf_puts(&b, "ee");
	CHECK_INT(buf_error(&b), 0);
	CHECK_INT(read_text(b.bytes, b.size, &f), ERR_LIMIT);
	CHECK(strstr(f.text, "too long") != NULL);
	buf_fini(&b);
	free(pieces);
}

Test(digest, deep_nesting_is_refused)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_puts(&b, "d1:a");
	for (int i = 0; i < 500000; i++)
		buf_putc(&b, 'l');
	CHECK_INT(read_text(b.bytes, b.size, NULL), ERR_LIMIT);
	buf_fini(&b);
}

Test(digest, truncations_and_changes)
{
	struct digest_builder *b = digest_builder_new("film");
	struct made m;

	add(b, "large", 2 * PIECE + 5, PIECE);
	add(b, "small", 5, 5);
	finish(b, &m);
	for (size_t n = 0; n < m.metainfo.size; n++)
		CHECK(read_text(m.metainfo.bytes, n, NULL) < 0);
	for (size_t i = 0; i < m.metainfo.size; i++) {
		uint8_t was = m.metainfo.bytes[i];

		for (unsigned v = 0; v < 8; v++) {
			m.metainfo.bytes[i] = (uint8_t)(was ^ 1u << v);
			read_text(m.metainfo.bytes, m.metainfo.size, NULL);
		}
		m.metainfo.bytes[i] = was;
	}
	made_free(&m);
}

Test(digest, names_and_numbers)
{
	struct digest_builder *b = digest_builder_new("film");
	char name[16];

	CHECK_INT(digest_builder_file(b, "a"), 0);
	CHECK_INT(digest_builder_file(b, "a"), ERR_EXISTS);
	CHECK_INT(digest_builder_file(b, ".a"), ERR_SYNTAX);
	for (int i = 1; i < DIGEST_MAX_FILES; i++) {
		snprintf(name, sizeof name, "f%d", i);
		CHECK_INT(digest_builder_file(b, name), 0);
	}
	CHECK_INT(digest_builder_file(b, "z"), ERR_LIMIT);
	digest_builder_free(&b);
}
