/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Makes a digest while files are written.  Invariant: a hasher holds the hash of
 * every whole block behind it and the bytes of the block it stands in.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "dash/digest.h"
#include "dash/digest_bencode.h"
#include "dash/digest_tree.h"

struct digest_hasher {
	struct sha256 *leaves;
	size_t n_leaves, cap;
	uint64_t size;
	size_t pending;
	uint8_t block[DIGEST_BLOCK];
};

struct file {
	char *name;
	struct digest_hasher *hasher;
	struct sha256 root;
	struct sha256 *pieces;
	size_t n_pieces;
};

struct digest_builder {
	char *title;
	struct file *files;
	size_t n_files, cap;
};

struct digest_hasher *digest_hasher_new(void)
{
	return mem_new(sizeof(struct digest_hasher));
}

void digest_hasher_free(struct digest_hasher **ph)
{
	if (*ph == NULL)
		return;
	free((*ph)->leaves);
	free(*ph);
	*ph = NULL;
}

static void add_leaf(struct digest_hasher *h, const void *bytes, size_t n)
{
	MEM_GROW(h->leaves, h->cap, h->n_leaves); /* 2 MiB of hashes for each GiB of file */
	sha256_of(bytes, n, &h->leaves[h->n_leaves++]);
}

void digest_hasher_bytes(struct digest_hasher *h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	h->size += n;
	while (n > 0) {
		size_t part = DIGEST_BLOCK - h->pending;

		if (h->pending == 0 && n >= DIGEST_BLOCK) { /* no copy */
			add_leaf(h, p, DIGEST_BLOCK);
			p += DIGEST_BLOCK;
			n -= DIGEST_BLOCK;
			continue;
		}
		part = part < n ? part : n;
		memcpy(h->block + h->pending, p, part);
		h->pending += part;
		p += part;
		n -= part;
		if (h->pending == DIGEST_BLOCK) {
			add_leaf(h, h->block, DIGEST_BLOCK);
			h->pending = 0;
		}
	}
}

struct digest_builder *digest_builder_new(const char *title)
{
	struct digest_builder *b = mem_new(sizeof *b);

	b->title = mem_dup(title);
	return b;
}

void digest_builder_free(struct digest_builder **pb)
{
	struct digest_builder *b = *pb;

	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n_files; i++) {
		free(b->files[i].name);
		free(b->files[i].pieces);
		digest_hasher_free(&b->files[i].hasher);
	}
	free(b->files);
	free(b->title);
	free(b);
	*pb = NULL;
}

int digest_builder_add(struct digest_builder *b, const char *name, struct digest_hasher **ph)
{
	if (!str_is_name(name, strlen(name)))
		return ERR_SYNTAX;
	for (size_t i = 0; i < b->n_files; i++) {
		if (strcmp(b->files[i].name, name) == 0)
			return ERR_EXISTS;
	}
	if (b->n_files == DIGEST_MAX_FILES)
		return ERR_LIMIT;
	MEM_GROW(b->files, b->cap, b->n_files);
	b->files[b->n_files++] = (struct file){.name = mem_dup(name), .hasher = *ph};
	*ph = NULL;
	return 0;
}

int digest_builder_file(struct digest_builder *b, const char *name)
{
	struct digest_hasher *h = digest_hasher_new();
	int r = digest_builder_add(b, name, &h);

	digest_hasher_free(&h);
	return r;
}

void digest_builder_bytes(struct digest_builder *b, const void *bytes, size_t n)
{
	MUST(b->n_files > 0);
	digest_hasher_bytes(b->files[b->n_files - 1].hasher, bytes, n);
}

static void finish_file(struct file *file)
{
	struct digest_hasher *h = file->hasher;
	struct digest_file shape = {.size = h->size};

	if (h->pending > 0)
		add_leaf(h, h->block, h->pending);
	h->pending = 0;
	if (h->size == 0)
		return;
	file->n_pieces = (h->n_leaves + DIGEST_BLOCKS_PER_PIECE - 1) / DIGEST_BLOCKS_PER_PIECE;
	file->pieces = mem_new_array(file->n_pieces, sizeof *file->pieces);
	for (size_t i = 0; i < file->n_pieces; i++) {
		size_t first = i * DIGEST_BLOCKS_PER_PIECE, left = h->n_leaves - first;

		digest_piece_root(&h->leaves[first], left < DIGEST_BLOCKS_PER_PIECE ? left : DIGEST_BLOCKS_PER_PIECE, &shape,
		                  &file->pieces[i]);
	}
	if (file->n_pieces == 1)
		file->root = file->pieces[0];
	else
		digest_tree_of_pieces(file->pieces, file->n_pieces, &file->root);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static int by_root(const void *a, const void *b)
{
	return memcmp((*(const struct file *const *)a)->root.bytes, (*(const struct file *const *)b)->root.bytes, 32);
}

static void put_info(const struct digest_builder *b, struct buf *out)
{
	buf_puts(out, "d9:file treed");
	for (size_t i = 0; i < b->n_files; i++) {
		const struct file *file = &b->files[i];

		bencode_put_text(out, file->name);
		buf_puts(out, "d0:d6:length");
		bencode_put_uint(out, file->hasher->size);
		if (file->hasher->size > 0) {
			bencode_put_text(out, "pieces root");
			bencode_put_string(out, file->root.bytes, 32);
		}
		buf_puts(out, "ee");
	}
	buf_puts(out, "e12:meta versioni2e4:name");
	bencode_put_text(out, b->title);
	bencode_put_text(out, "piece length");
	bencode_put_uint(out, DIGEST_PIECE);
	buf_putc(out, 'e');
}

/* One entry for each root; two files of the same bytes share it. */
static void put_layers(const struct digest_builder *b, struct buf *out)
{
	const struct file **large = mem_new_array(b->n_files + 1, sizeof *large);
	size_t n = 0;

	for (size_t i = 0; i < b->n_files; i++) {
		if (b->files[i].n_pieces > 1)
			large[n++] = &b->files[i];
	}
	qsort(large, n, sizeof *large, by_root);
	bencode_put_text(out, "piece layers");
	buf_putc(out, 'd');
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && by_root(&large[i - 1], &large[i]) == 0)
			continue;
		bencode_put_string(out, large[i]->root.bytes, 32);
		bencode_put_string(out, large[i]->pieces, 32 * large[i]->n_pieces);
	}
	buf_putc(out, 'e');
	free(large);
}

static void put_leaves(const struct digest_builder *b, struct buf *leaves)
{
	for (size_t i = 0; i < b->n_files; i++)
		buf_append(leaves, b->files[i].hasher->leaves, 32 * b->files[i].hasher->n_leaves);
}

int digest_builder_finish(struct digest_builder *b, const char *web_seed, struct buf *metainfo, struct buf *leaves,
                          char ret_revision[static PACKAGE_REVISION_SIZE])
{
	size_t start = metainfo->size, info = start + sizeof "d4:info" - 1;
	struct sha256 hash;
	char hex[SHA256_HEX_SIZE];

	if (!str_is_name(b->title, strlen(b->title)))
		return ERR_SYNTAX;
	qsort(b->files, b->n_files, sizeof *b->files, by_name);
	for (size_t i = 0; i < b->n_files; i++)
		finish_file(&b->files[i]);
	buf_puts(metainfo, "d4:info");
	put_info(b, metainfo);
	if (buf_error(metainfo) < 0)
		return buf_error(metainfo);
	sha256_of(metainfo->bytes + info, metainfo->size - info, &hash);
	put_layers(b, metainfo);
	if (web_seed != NULL) {
		bencode_put_text(metainfo, "url-list");
		buf_putc(metainfo, 'l');
		bencode_put_text(metainfo, web_seed);
		buf_putc(metainfo, 'e');
	}
	buf_putc(metainfo, 'e');
	put_leaves(b, leaves);
	if (buf_error(metainfo) < 0 || buf_error(leaves) < 0)
		return buf_error(metainfo) < 0 ? buf_error(metainfo) : buf_error(leaves);
	if (metainfo->size - start > DIGEST_MAX_BYTES)
		return ERR_LIMIT;
	sha256_to_hex(&hash, hex);
	memcpy(ret_revision, hex, PACKAGE_REVISION_SIZE - 1);
	ret_revision[PACKAGE_REVISION_SIZE - 1] = '\0';
	return 0;
}
