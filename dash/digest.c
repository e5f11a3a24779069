/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reads a digest and checks bytes against it.  Invariant: every digest that
 * digest_read returns agrees with itself: each file has as many piece hashes as
 * its size wants, and they give its root.
 */
#include "dash/digest.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "base/words.h"
#include "dash/digest_bencode.h"
#include "dash/digest_tree.h"

#define MAX_FILE ((uint64_t)1 << 48) /* so that sums of sizes cannot wrap */

void digest_free(struct digest **pd)
{
	struct digest *d = *pd;

	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_files; i++) {
		free(d->files[i].name);
		free(d->files[i].pieces);
	}
	for (size_t i = 0; i < d->n_web_seeds; i++)
		free(d->web_seeds[i]);
	free(d->files);
	free(d->web_seeds);
	free(d->title);
	free(d);
	*pd = NULL;
}

static size_t pieces_of(uint64_t size)
{
	return (size_t)((size + DIGEST_PIECE - 1) / DIGEST_PIECE);
}

/* {"": {"length": n, "pieces root": 32 bytes}} */
static void read_leaf(struct bencode *b, struct digest_file *file)
{
	struct bencode_keys keys = {0}, outer = {0};
	bool has_size = false, has_root = false;

	bencode_open(b, 'd');
	if (bencode_key(b, &outer) && outer.key.n != 0)
		bencode_fail(b, ERR_UNSUPPORTED, _("a package has no folders"));
	bencode_open(b, 'd');
	while (bencode_key(b, &keys)) {
		if (bencode_is(keys.key, "length")) {
			file->size = bencode_uint(b);
			has_size = true;
		} else if (bencode_is(keys.key, "pieces root")) {
			struct bencode_text root = bencode_string(b);

			has_root = root.n == 32;
			if (has_root)
				memcpy(file->root.bytes, root.p, 32);
		} else {
			bencode_skip(b);
		}
	}
	if (b->error == 0 && (!has_size || has_root != (file->size > 0)))
		bencode_fail(b, ERR_SYNTAX, _("a file has no length or no right root"));
	if (file->size > MAX_FILE)
		bencode_fail(b, ERR_LIMIT, _("a file is too large"));
	if (bencode_key(b, &outer))
		bencode_fail(b, ERR_SYNTAX, _("a file is also a folder"));
}

static void read_tree(struct bencode *b, struct digest *d)
{
	struct bencode_keys keys = {0};
	size_t cap = 0;

	bencode_open(b, 'd');
	while (bencode_key(b, &keys)) {
		struct digest_file *file;

		if (!str_is_name((const char *)keys.key.p, keys.key.n))
			bencode_fail(b, ERR_UNSUPPORTED, _("a file's name is not allowed in a package"));
		if (d->n_files == DIGEST_MAX_FILES)
			bencode_fail(b, ERR_LIMIT, _("more than 4096 files"));
		if (b->error != 0)
			return;
		MEM_GROW(d->files, cap, d->n_files);
		file = &d->files[d->n_files++];
		*file = (struct digest_file){.name = mem_dup_n((const char *)keys.key.p, keys.key.n)};
		read_leaf(b, file);
		d->size += b->error == 0 ? file->size : 0;
	}
}

static void read_info(struct bencode *b, struct digest *d)
{
	struct bencode_keys keys = {0};
	uint64_t version = 0, piece = 0;
	bool has_tree = false;

	bencode_open(b, 'd');
	while (bencode_key(b, &keys)) {
		if (bencode_is(keys.key, "file tree")) {
			read_tree(b, d);
			has_tree = true;
		} else if (bencode_is(keys.key, "meta version")) {
			version = bencode_uint(b);
		} else if (bencode_is(keys.key, "piece length")) {
			piece = bencode_uint(b);
		} else if (bencode_is(keys.key, "name")) {
			struct bencode_text t = bencode_string(b);

			if (b->error == 0 && !str_is_name((const char *)t.p, t.n))
				bencode_fail(b, ERR_UNSUPPORTED, _("its name is not allowed for a title"));
			d->title = mem_dup_n((const char *)t.p, t.n);
		} else if (bencode_is(keys.key, "pieces") || bencode_is(keys.key, "files") || bencode_is(keys.key, "length")) {
			bencode_fail(b, ERR_UNSUPPORTED, _("it is of version 1 or hybrid; version 2 alone is wanted"));
		} else {
			bencode_skip(b);
		}
	}
	if (version != 2)
		bencode_fail(b, ERR_UNSUPPORTED, _("its meta version is not 2"));
	if (piece != DIGEST_PIECE)
		bencode_fail(b, ERR_UNSUPPORTED, _("its piece length is not 1 MiB"));
	if (!has_tree || d->title == NULL)
		bencode_fail(b, ERR_SYNTAX, _("it has no file tree or no name"));
}

#define MAX_PIECES (DIGEST_MAX_BYTES / 32)

static size_t count_pieces(const struct digest *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_files; i++)
		n += d->files[i].n_pieces;
	return n;
}

/* All files with this root; two with the same bytes share one layer, and all together have no more pieces than layers of their own could say. */
static void give_layer(struct bencode *b, struct digest *d, const uint8_t *root, struct bencode_text layer)
{
	struct sha256 got;
	size_t n = layer.n / 32;
	bool used = false, checked = false;

	for (size_t i = 0; i < d->n_files && b->error == 0; i++) {
		struct digest_file *file = &d->files[i];

		if (file->size <= DIGEST_PIECE || file->pieces != NULL || memcmp(file->root.bytes, root, 32) != 0)
			continue;
		used = true;
		if (layer.n % 32 != 0 || n != pieces_of(file->size)) {
			bencode_fail(b, ERR_SYNTAX, _("a piece layer has the wrong length"));
			return;
		}
		if (n <= MAX_PIECES && count_pieces(d) <= MAX_PIECES - n)
			file->pieces = mem_try(n, sizeof *file->pieces);
		if (file->pieces == NULL) {
			bencode_fail(b, ERR_LIMIT, _("a piece layer is too long"));
			return;
		}
		memcpy(file->pieces, layer.p, layer.n);
		file->n_pieces = n;
		if (!checked)
			digest_tree_of_pieces(file->pieces, n, &got);
		checked = true;
		if (!sha256_equal(&got, &file->root))
			bencode_fail(b, ERR_HASH, _("a piece layer does not give its file's root"));
	}
	if (!used)
		bencode_fail(b, ERR_SYNTAX, _("a piece layer belongs to no file"));
}

static void read_layers(struct bencode *b, struct digest *d)
{
	struct bencode_keys keys = {0};

	bencode_open(b, 'd');
	while (bencode_key(b, &keys)) {
		struct bencode_text layer = bencode_string(b);

		if (keys.key.n != 32)
			bencode_fail(b, ERR_SYNTAX, _("a piece layer's key is no hash"));
		if (b->error == 0)
			give_layer(b, d, keys.key.p, layer);
	}
}

#define MAX_WEB_SEEDS 64

static void add_web_seed(struct bencode *b, struct digest *d)
{
	struct bencode_text t = bencode_string(b);

	if (b->error != 0)
		return;
	if (d->n_web_seeds == MAX_WEB_SEEDS || t.n > 4096 || memchr(t.p, '\0', t.n) != NULL) {
		bencode_fail(b, ERR_LIMIT, _("more than 64 web seeds, or one that is no URL"));
		return;
	}
	d->web_seeds = mem_resize(d->web_seeds, d->n_web_seeds + 1, sizeof *d->web_seeds);
	d->web_seeds[d->n_web_seeds++] = mem_dup_n((const char *)t.p, t.n);
}

/* BEP 19: one string, or a list of them */
static void read_web_seeds(struct bencode *b, struct digest *d)
{
	if (!bencode_peek(b, 'l')) {
		add_web_seed(b, d);
		return;
	}
	bencode_open(b, 'l');
	while (bencode_item(b))
		add_web_seed(b, d);
}

/* Small files have no layer: their root is their only piece. */
static void complete(struct bencode *b, struct digest *d)
{
	for (size_t i = 0; i < d->n_files && b->error == 0; i++) {
		struct digest_file *file = &d->files[i];

		if (file->size > DIGEST_PIECE && file->pieces == NULL)
			bencode_fail(b, ERR_SYNTAX, _("a file has no piece layer"));
		if (file->size == 0 || file->size > DIGEST_PIECE)
			continue;
		file->pieces = mem_new(sizeof *file->pieces);
		file->pieces[0] = file->root;
		file->n_pieces = 1;
	}
}

static void set_hash(struct digest *d, const uint8_t *info, size_t n)
{
	char hex[SHA256_HEX_SIZE];

	sha256_of(info, n, &d->info_hash);
	sha256_to_hex(&d->info_hash, hex);
	memcpy(d->revision, hex, PACKAGE_REVISION_SIZE - 1);
}

static void read_top(struct bencode *b, struct digest *d)
{
	struct bencode_keys keys = {0};
	bool has_info = false;

	bencode_open(b, 'd');
	while (bencode_key(b, &keys)) {
		size_t start = b->pos;

		if (bencode_is(keys.key, "info")) {
			read_info(b, d);
			set_hash(d, b->p + start, b->pos - start);
			has_info = true;
		} else if (bencode_is(keys.key, "piece layers")) {
			read_layers(b, d); /* info sorts before it */
		} else if (bencode_is(keys.key, "url-list")) {
			read_web_seeds(b, d);
		} else {
			bencode_skip(b);
		}
	}
	if (!has_info)
		bencode_fail(b, ERR_SYNTAX, _("it has no info"));
	if (b->pos != b->n)
		bencode_fail(b, ERR_SYNTAX, _("something stands behind its end"));
	complete(b, d);
}

int digest_read(const uint8_t *bytes, size_t n, struct digest **ret_digest, struct fault *f)
{
	struct bencode b = {.p = bytes, .n = n};
	struct digest *d;

	if (n > DIGEST_MAX_BYTES)
		return fault_set(f, ERR_LIMIT, _("metainfo: more than 64 MiB"));
	d = mem_new(sizeof *d);
	read_top(&b, d);
	if (b.error < 0) {
		digest_free(&d);
		/* one code for "not what we write": see the header */
		return fault_set(f, b.error == ERR_TRUNCATED ? ERR_SYNTAX : b.error, _("metainfo: byte %zu: %s"), b.pos, b.what);
	}
	*ret_digest = d;
	return 0;
}

int digest_find(const struct digest *d, const char *name, size_t n)
{
	size_t low = 0, high = d->n_files;

	while (low < high) {
		size_t mid = low + (high - low) / 2, k = strlen(d->files[mid].name);
		int r = memcmp(d->files[mid].name, name, k < n ? k : n);

		if (r == 0)
			r = (k > n) - (k < n);
		if (r == 0)
			return (int)mid;
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

uint64_t digest_piece_size(const struct digest_file *file, size_t piece)
{
	MUST(piece < file->n_pieces);
	return piece + 1 < file->n_pieces ? DIGEST_PIECE : file->size - piece * DIGEST_PIECE;
}

void digest_piece_root(const struct sha256 *blocks, size_t n_blocks, const struct digest_file *file,
                       struct sha256 *ret_root)
{
	static const struct sha256 zero;

	MUST(n_blocks >= 1 && n_blocks <= DIGEST_BLOCKS_PER_PIECE);
	digest_tree_root(blocks, n_blocks, file->size > DIGEST_PIECE ? DIGEST_BLOCKS_PER_PIECE : 0, &zero, ret_root);
}

int digest_check_piece(const struct digest_file *file, size_t piece, const void *bytes, size_t n)
{
	struct sha256 blocks[DIGEST_BLOCKS_PER_PIECE], root;
	const uint8_t *p = bytes;
	size_t n_blocks = 0;

	if (piece >= file->n_pieces || n != digest_piece_size(file, piece))
		return ERR_HASH;
	for (size_t at = 0; at < n; at += DIGEST_BLOCK)
		sha256_of(p + at, n - at < DIGEST_BLOCK ? n - at : DIGEST_BLOCK, &blocks[n_blocks++]);
	digest_piece_root(blocks, n_blocks, file, &root);
	return sha256_equal(&root, &file->pieces[piece]) ? 0 : ERR_HASH;
}

static uint64_t leaves_of(const struct digest_file *file)
{
	return (file->size + DIGEST_BLOCK - 1) / DIGEST_BLOCK;
}

uint64_t digest_leaves_offset(const struct digest *d, size_t file)
{
	uint64_t n = 0;

	MUST(file <= d->n_files);
	for (size_t i = 0; i < file; i++)
		n += leaves_of(&d->files[i]);
	return n * sizeof(struct sha256);
}

uint64_t digest_leaves_size(const struct digest *d)
{
	return digest_leaves_offset(d, d->n_files);
}

static int check_file_leaves(const struct digest_file *file, const uint8_t *leaves)
{
	struct sha256 blocks[DIGEST_BLOCKS_PER_PIECE], root;
	uint64_t left = leaves_of(file);

	for (size_t i = 0; i < file->n_pieces; i++) {
		size_t n = left < DIGEST_BLOCKS_PER_PIECE ? (size_t)left : DIGEST_BLOCKS_PER_PIECE;

		memcpy(blocks, leaves, n * sizeof *blocks);
		digest_piece_root(blocks, n, file, &root);
		if (!sha256_equal(&root, &file->pieces[i]))
			return ERR_HASH;
		leaves += n * sizeof *blocks;
		left -= n;
	}
	return 0;
}

int digest_check_leaves(const struct digest *d, const uint8_t *leaves, size_t n)
{
	int r = 0;

	if (n != digest_leaves_size(d))
		return n < digest_leaves_size(d) ? ERR_TRUNCATED : ERR_HASH;
	for (size_t i = 0; i < d->n_files && r == 0; i++) {
		r = check_file_leaves(&d->files[i], leaves);
		leaves += leaves_of(&d->files[i]) * sizeof(struct sha256);
	}
	return r;
}
