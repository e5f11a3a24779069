/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * BEP 52 metainfo: Merkle arithmetic and the reader.  Invariant of a struct
 * digest: every file's piece hashes lead to its root, so checking a piece checks
 * it against the info hash.
 */
#include "dash/digest.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "dash/bencode.h"
#include "dash/digest_inner.h"

#define FILE_MAX ((uint64_t)1 << 44)
#define SEEDS_MAX 16

/* --- Merkle trees -------------------------------------------------------------------- */

static size_t power_of_two(size_t n)
{
	size_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

/* The root over n hashes padded with `pad` to `width` (a power of two). Changes `h`, which has width places. */
static void fold(struct sha256 *h, size_t n, size_t width, struct sha256 pad, struct sha256 *ret_root)
{
	for (; width > 1; width /= 2) {
		if (n % 2 == 1)
			h[n++] = pad;
		for (size_t i = 0; i < n; i += 2)
			sha256_of_pair(&h[i], &h[i + 1], &h[i / 2]);
		n /= 2;
		sha256_of_pair(&pad, &pad, &pad);
	}
	*ret_root = n > 0 ? h[0] : pad;
}

static void root_of_blocks(const struct sha256 *blocks, size_t n, size_t width, struct sha256 *ret_root)
{
	struct sha256 h[DIGEST_BLOCKS_PER_PIECE];

	MUST(n > 0 && n <= width && width <= DIGEST_BLOCKS_PER_PIECE);
	memcpy(h, blocks, n * sizeof *h);
	fold(h, n, width, (struct sha256){{0}}, ret_root);
}

void digest_piece_root(const struct sha256 *blocks, size_t n, const struct digest_file *file, struct sha256 *ret_root)
{
	root_of_blocks(blocks, n, file->size > DIGEST_PIECE ? DIGEST_BLOCKS_PER_PIECE : power_of_two(n), ret_root);
}

/* BEP 52: "the layer is padded with the root of a piece of zero hashes". */
static void root_of_pieces(const struct sha256 *pieces, size_t n, struct sha256 *ret_root)
{
	struct sha256 *h = mem_new_array(n + 1, sizeof *h), pad = {{0}};

	for (size_t w = 1; w < DIGEST_BLOCKS_PER_PIECE; w *= 2)
		sha256_of_pair(&pad, &pad, &pad);
	memcpy(h, pieces, n * sizeof *h);
	fold(h, n, power_of_two(n), pad, ret_root);
	free(h);
}

uint64_t digest_piece_size(const struct digest_file *file, size_t piece)
{
	uint64_t start = piece * DIGEST_PIECE;

	MUST(piece < file->n_pieces);
	return file->size - start < DIGEST_PIECE ? file->size - start : DIGEST_PIECE;
}

int digest_check_piece(const struct digest_file *file, size_t piece, const void *bytes, size_t n)
{
	struct sha256 blocks[DIGEST_BLOCKS_PER_PIECE], root;
	size_t n_blocks = 0;

	if (piece >= file->n_pieces || n != digest_piece_size(file, piece))
		return ERR_HASH;
	for (size_t at = 0; at < n; at += DIGEST_BLOCK)
		sha256_of((const uint8_t *)bytes + at, n - at < DIGEST_BLOCK ? n - at : DIGEST_BLOCK, &blocks[n_blocks++]);
	digest_piece_root(blocks, n_blocks, file, &root);
	return sha256_equal(&root, &file->pieces[piece]) ? 0 : ERR_HASH;
}

/* --- leaves ----------------------------------------------------------------------------- */

static uint64_t blocks_of(const struct digest_file *file)
{
	return (file->size + DIGEST_BLOCK - 1) / DIGEST_BLOCK;
}

uint64_t digest_leaves_offset(const struct digest *d, size_t file)
{
	uint64_t n = 0;

	for (size_t i = 0; i < file; i++)
		n += blocks_of(&d->files[i]);
	return 32 * n;
}

uint64_t digest_leaves_size(const struct digest *d)
{
	return digest_leaves_offset(d, d->n_files);
}

static int check_file_leaves(const struct digest_file *file, const uint8_t *leaves)
{
	uint64_t n = blocks_of(file);

	for (size_t p = 0; p < file->n_pieces; p++) {
		uint64_t first = (uint64_t)p * DIGEST_BLOCKS_PER_PIECE, left = n - first;
		struct sha256 blocks[DIGEST_BLOCKS_PER_PIECE], root;
		size_t m = left < DIGEST_BLOCKS_PER_PIECE ? (size_t)left : DIGEST_BLOCKS_PER_PIECE;

		memcpy(blocks, leaves + 32 * first, 32 * m);
		digest_piece_root(blocks, m, file, &root);
		if (!sha256_equal(&root, &file->pieces[p]))
			return ERR_HASH;
	}
	return 0;
}

int digest_check_leaves(const struct digest *d, const uint8_t *leaves, size_t n)
{
	int r = 0;

	if (n != digest_leaves_size(d))
		return n < digest_leaves_size(d) ? ERR_TRUNCATED : ERR_HASH;
	for (size_t i = 0; r == 0 && i < d->n_files; i++)
		r = check_file_leaves(&d->files[i], leaves + digest_leaves_offset(d, i));
	return r;
}

/* --- reading ---------------------------------------------------------------------------- */

void digest_free(struct digest **pd)
{
	struct digest *d = *pd;

	*pd = NULL;
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_files; i++) {
		free(d->files[i].name);
		free(d->files[i].pieces);
	}
	for (size_t i = 0; i < d->n_web_seeds; i++)
		free(d->web_seeds[i]);
	free(d->web_seeds);
	free(d->files);
	free(d->title);
	free(d);
}

int digest_find(const struct digest *d, const char *name, size_t n)
{
	size_t low = 0, high = d->n_files;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strncmp(d->files[mid].name, name, n);

		if (c == 0 && d->files[mid].name[n] == '\0')
			return (int)mid;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

/* { "": { "length": n, "pieces root": 32 bytes } } */
static int read_leaf(struct bencode *b, struct digest_file *file)
{
	struct bencode_text key = {NULL, 0}, inner = {NULL, 0}, root;
	int64_t length = -1;
	bool has_root = false;

	if (bencode_open(b, 'd') != 0 || bencode_key(b, &key) != 0 || key.n != 0 || bencode_open(b, 'd') != 0)
		return ERR_SYNTAX;
	while (!bencode_close(b)) {
		if (bencode_key(b, &inner) != 0)
			return ERR_SYNTAX;
		if (bencode_is(&inner, "length")) {
			if (bencode_int(b, &length) != 0 || length < 0)
				return ERR_SYNTAX;
		} else if (bencode_is(&inner, "pieces root")) {
			if (bencode_text(b, &root) != 0 || root.n != 32)
				return ERR_SYNTAX;
			memcpy(file->root.bytes, root.bytes, 32);
			has_root = true;
		} else if (bencode_skip(b) != 0) {
			return ERR_SYNTAX;
		}
	}
	if (!bencode_close(b) || length < 0 || has_root != (length > 0))
		return ERR_SYNTAX;
	if ((uint64_t)length > FILE_MAX)
		return ERR_LIMIT;
	file->size = (uint64_t)length;
	file->n_pieces = (size_t)((file->size + DIGEST_PIECE - 1) / DIGEST_PIECE);
	return 0;
}

static int read_tree(struct bencode *b, struct digest *d)
{
	struct bencode_text key = {NULL, 0};
	size_t cap = 0;
	int r = bencode_open(b, 'd');

	while (r == 0 && !bencode_close(b)) {
		if (d->n_files == DIGEST_MAX_FILES)
			return ERR_LIMIT;
		r = bencode_key(b, &key);
		if (r != 0)
			return r;
		if (!str_is_name((const char *)key.bytes, key.n))
			return ERR_UNSUPPORTED;
		MEM_GROW(d->files, cap, d->n_files);
		d->files[d->n_files] = (struct digest_file){.name = mem_dup_n((const char *)key.bytes, key.n)};
		r = read_leaf(b, &d->files[d->n_files++]);
		d->size += d->files[d->n_files - 1].size;
	}
	return r;
}

static int read_info(struct bencode *b, struct digest *d)
{
	struct bencode_text key = {NULL, 0}, name = {NULL, 0};
	int64_t version = 0, piece = 0;
	bool tree = false;
	int r = bencode_open(b, 'd');

	while (r == 0 && !bencode_close(b)) {
		r = bencode_key(b, &key);
		if (r != 0)
			break;
		if (bencode_is(&key, "file tree")) {
			r = read_tree(b, d);
			tree = true;
		} else if (bencode_is(&key, "meta version")) {
			r = bencode_int(b, &version);
		} else if (bencode_is(&key, "name")) {
			r = bencode_text(b, &name);
		} else if (bencode_is(&key, "piece length")) {
			r = bencode_int(b, &piece);
		} else {
			r = bencode_skip(b);
		}
	}
	if (r != 0)
		return r;
	if (version != 2 || piece != (int64_t)DIGEST_PIECE)
		return ERR_UNSUPPORTED;
	if (!tree || !str_is_name((const char *)name.bytes, name.n))
		return ERR_SYNTAX;
	d->title = mem_dup_n((const char *)name.bytes, name.n);
	return 0;
}

static struct digest_file *file_with_root(struct digest *d, const uint8_t *root, size_t from)
{
	for (size_t i = from; i < d->n_files; i++)
		if (d->files[i].size > DIGEST_PIECE && memcmp(d->files[i].root.bytes, root, 32) == 0)
			return &d->files[i];
	return NULL;
}

static int take_layer(struct digest *d, const struct bencode_text *root, const struct bencode_text *layer)
{
	struct digest_file *file = file_with_root(d, root->bytes, 0);
	struct sha256 check;

	if (file == NULL)
		return 0; /* of no file of ours: harmless */
	while (file != NULL) { /* files of equal content share a layer */
		if (layer->n != 32 * file->n_pieces)
			return ERR_SYNTAX;
		free(file->pieces);
		file->pieces = mem_new_array(file->n_pieces, sizeof *file->pieces);
		memcpy(file->pieces, layer->bytes, layer->n);
		root_of_pieces(file->pieces, file->n_pieces, &check);
		if (!sha256_equal(&check, &file->root))
			return ERR_HASH;
		file = file_with_root(d, root->bytes, (size_t)(file - d->files) + 1);
	}
	return 0;
}

static int read_layers(struct bencode *b, struct digest *d)
{
	struct bencode_text key = {NULL, 0}, layer;
	int r = bencode_open(b, 'd');

	while (r == 0 && !bencode_close(b)) {
		r = bencode_key(b, &key);
		if (r == 0)
			r = bencode_text(b, &layer);
		if (r == 0)
			r = key.n == 32 ? take_layer(d, &key, &layer) : ERR_SYNTAX;
	}
	return r;
}

static int read_seeds(struct bencode *b, struct digest *d)
{
	struct bencode_text url;
	int r = bencode_open(b, 'l');

	while (r == 0 && !bencode_close(b)) {
		r = bencode_text(b, &url);
		if (r != 0)
			return r;
		if (d->n_web_seeds == SEEDS_MAX)
			return ERR_LIMIT;
		if (d->web_seeds == NULL)
			d->web_seeds = mem_new_array(SEEDS_MAX, sizeof *d->web_seeds);
		d->web_seeds[d->n_web_seeds++] = mem_dup_n((const char *)url.bytes, url.n);
	}
	return r;
}

/* Small files have one piece, which is the root. */
static int complete_pieces(struct digest *d)
{
	for (size_t i = 0; i < d->n_files; i++) {
		struct digest_file *file = &d->files[i];

		if (file->pieces != NULL || file->n_pieces == 0)
			continue;
		if (file->size > DIGEST_PIECE)
			return ERR_SYNTAX; /* its layer is missing */
		file->pieces = mem_new(sizeof *file->pieces);
		file->pieces[0] = file->root;
	}
	return 0;
}

static int read_all(struct bencode *b, struct digest *d)
{
	struct bencode_text key = {NULL, 0};
	bool info = false;
	int r = bencode_open(b, 'd');

	while (r == 0 && !bencode_close(b)) {
		r = bencode_key(b, &key);
		if (r != 0)
			break;
		if (bencode_is(&key, "info")) {
			size_t start = b->pos;

			r = read_info(b, d);
			if (r == 0)
				sha256_of(b->bytes + start, b->pos - start, &d->info_hash);
			info = true;
		} else if (bencode_is(&key, "piece layers")) {
			r = info ? read_layers(b, d) : ERR_SYNTAX;
		} else if (bencode_is(&key, "url-list")) {
			r = read_seeds(b, d);
		} else {
			r = bencode_skip(b);
		}
	}
	if (r == 0 && (!info || b->pos != b->n))
		r = ERR_SYNTAX;
	return r == 0 ? complete_pieces(d) : r;
}

int digest_read(const uint8_t *bytes, size_t n, struct digest **ret_digest, struct fault *f)
{
	struct bencode b = {bytes, n, 0};
	struct digest *d;
	char hex[SHA256_HEX_SIZE];
	int r;

	if (n > DIGEST_MAX_BYTES)
		return fault_set(f, ERR_LIMIT, "the digest is over %zu MiB", DIGEST_MAX_BYTES >> 20);
	d = mem_new(sizeof *d);
	r = read_all(&b, d);
	if (r != 0) {
		digest_free(&d);
		return fault_set(f, r, "the digest is no BEP 52 metainfo of a package (byte %zu): %s", b.pos, err_text(r));
	}
	sha256_to_hex(&d->info_hash, hex);
	memcpy(d->revision, hex, PACKAGE_REVISION_SIZE - 1);
	d->revision[PACKAGE_REVISION_SIZE - 1] = '\0';
	*ret_digest = d;
	return 0;
}

void digest_root_of_file(const struct sha256 *blocks, size_t n, uint64_t size, struct sha256 *pieces, size_t n_pieces,
                         struct sha256 *ret_root)
{
	struct digest_file file = {.size = size};

	for (size_t p = 0; p < n_pieces; p++) {
		size_t first = p * DIGEST_BLOCKS_PER_PIECE;

		digest_piece_root(blocks + first, n - first < DIGEST_BLOCKS_PER_PIECE ? n - first : DIGEST_BLOCKS_PER_PIECE, &file, &pieces[p]);
	}
	if (size > DIGEST_PIECE)
		root_of_pieces(pieces, n_pieces, ret_root);
	else if (n_pieces > 0)
		*ret_root = pieces[0];
}
